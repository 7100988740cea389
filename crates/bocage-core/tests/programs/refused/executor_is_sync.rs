//! An executor that two threads must not use at once.

use bocage_core::{Executor, Ready, when_on};
use std::cell::Cell;

#[derive(Clone)]
struct Here(#[allow(dead_code)] Cell<u32>);

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

fn main() {
    drop(when_on(Here(Cell::new(0)), (), |()| ()));
}
