//! An acquisition gives its guards again when they are gone.

use bocage_core::{Cown, acquire};

fn main() {
    let cown = Cown::new(1);
    let mut held = acquire(&cown).wait();
    *held.guards() += 1;
    *held.guards() += 1;
}
