//! A `Cell` is not.

use bocage_core::ReadGuard;
use std::cell::Cell;

fn send<T: Send>() {}

fn main() {
    send::<ReadGuard<'_, Cell<i32>>>();
}
