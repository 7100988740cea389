//! One to read does not.

use bocage_core::{Cown, Inline, read, when_on};

fn main() {
    let cown = Cown::new(1);
    drop(when_on(Inline, read(&cown), |mut cown| *cown = 2));
}
