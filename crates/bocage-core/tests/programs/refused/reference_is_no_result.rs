//! A reference that a guard gives may not.

use bocage_core::{Cown, Inline, read, when_on};

fn main() {
    let cown = Cown::new(String::new());
    drop(when_on(Inline, read(&cown), |guard| &*guard));
}
