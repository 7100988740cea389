//! One that goes on after it may not.

use bocage_core::{Cown, Inline, when_on};
use std::thread;

fn main() {
    let cown = Cown::new(1);
    drop(when_on(Inline, &cown, |mut guard| {
        drop(thread::spawn(move || *guard += 1));
    }));
}
