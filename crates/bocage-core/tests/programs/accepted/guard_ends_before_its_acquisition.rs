//! A guard is used while its acquisition lasts.

use bocage_core::{Cown, acquire};

fn main() {
    let cown = Cown::new(1);
    let mut held = acquire(&cown).wait();
    let guard = held.guards();
    assert_eq!(*guard, 1);
    drop(held);
}
