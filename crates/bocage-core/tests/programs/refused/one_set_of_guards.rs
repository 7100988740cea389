//! It gives no second set beside the first.

use bocage_core::{Cown, acquire};

fn main() {
    let cown = Cown::new(1);
    let mut held = acquire(&cown).wait();
    let (mut one, two) = (held.guards(), held.guards());
    *one += *two;
}
