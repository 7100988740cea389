//! A thread is marked as a worker while it has the mark.

use bocage_core::enter_worker;
use std::thread;

fn main() {
    thread::scope(|s| drop(s.spawn(|| drop(enter_worker()))));
}
