//! A thread that the behavior waits for may have its guard.

use bocage_core::{Cown, Inline, when_on};
use std::thread;

fn main() {
    let cown = Cown::new(1);
    drop(when_on(Inline, &cown, |mut guard| {
        thread::scope(|s| drop(s.spawn(|| *guard += 1)));
    }));
}
