//! The mark does not go to another.

use bocage_core::enter_worker;
use std::thread;

fn main() {
    let mark = enter_worker();
    thread::scope(|s| drop(s.spawn(move || drop(mark))));
}
