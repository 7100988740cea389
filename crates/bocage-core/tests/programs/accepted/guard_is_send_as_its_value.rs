//! A guard is `Send` if its value is.

use bocage_core::Guard;
use std::cell::Cell;

fn send<T: Send>() {}

fn main() {
    send::<Guard<'_, Cell<i32>>>();
}
