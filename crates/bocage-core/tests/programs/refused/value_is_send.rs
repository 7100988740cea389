//! An `Rc` in a cown.

use bocage_core::Cown;
use std::rc::Rc;

fn main() {
    drop(Cown::new(Rc::new(1)));
}
