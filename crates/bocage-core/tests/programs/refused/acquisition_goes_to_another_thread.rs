//! There is no request for what may not.

use bocage_core::{Acquire, Cown, acquire};
use std::rc::Rc;

fn held(cown: &Cown<Rc<i32>>) -> Acquire<&Cown<Rc<i32>>> {
    acquire(cown)
}

fn main() {}
