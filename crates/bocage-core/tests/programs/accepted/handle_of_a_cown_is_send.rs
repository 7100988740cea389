//! A handle of a cown goes to other threads, as its value may.

use bocage_core::Cown;
use std::cell::Cell;

fn send_and_sync<T: Send + Sync>() {}

fn main() {
    send_and_sync::<Cown<Cell<i32>>>();
}
