//! What a guard gives may be copied out.

use bocage_core::{Cown, Inline, when_on};

fn main() {
    let cown = Cown::new(1);
    drop(when_on(Inline, &cown, |guard| *guard));
}
