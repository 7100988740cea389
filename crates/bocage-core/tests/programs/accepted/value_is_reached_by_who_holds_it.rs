//! A value is reached by who holds its cown.

use bocage_core::{Cown, acquire};

fn main() {
    let cown = Cown::new(1);
    assert_eq!(*acquire(&cown).wait().guards(), 1);
}
