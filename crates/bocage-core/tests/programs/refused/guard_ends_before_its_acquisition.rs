//! It is not used after that.

use bocage_core::{Cown, acquire};

fn main() {
    let cown = Cown::new(1);
    let mut held = acquire(&cown).wait();
    let guard = held.guards();
    drop(held);
    assert_eq!(*guard, 1);
}
