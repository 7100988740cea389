//! A guard of an `Rc` is not.

use bocage_core::Guard;
use std::rc::Rc;

fn send<T: Send>() {}

fn main() {
    send::<Guard<'_, Rc<i32>>>();
}
