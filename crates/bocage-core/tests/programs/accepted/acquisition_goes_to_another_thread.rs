//! What is held may go to another thread, if the value may.

use bocage_core::{Cown, acquire};
use std::cell::Cell;
use std::thread;

fn main() {
    let cown = Cown::new(Cell::new(1));
    let mut held = acquire(&cown).wait();
    thread::scope(|s| drop(s.spawn(move || held.guards().set(2))));
}
