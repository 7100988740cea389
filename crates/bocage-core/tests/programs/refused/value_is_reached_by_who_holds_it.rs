//! And by nobody else.

use bocage_core::Cown;

fn main() {
    let cown = Cown::new(1);
    assert_eq!(*cown, 1);
}
