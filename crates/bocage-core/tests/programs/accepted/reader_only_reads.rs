//! A guard to write gives `&mut`.

use bocage_core::{Cown, Inline, when_on};

fn main() {
    let cown = Cown::new(1);
    drop(when_on(Inline, &cown, |mut cown| *cown = 2));
}
