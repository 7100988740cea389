//! A guard of a `Cell` is not.

use bocage_core::Guard;
use std::cell::Cell;

fn sync<T: Sync>() {}

fn main() {
    sync::<Guard<'_, Cell<i32>>>();
}
