//! An executor is used by threads that schedule, release, and look on.

use bocage_core::{Executor, Ready, when_on};

#[derive(Clone)]
struct Here(#[allow(dead_code)] u32);

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

fn main() {
    drop(when_on(Here(0), (), |()| ()));
}
