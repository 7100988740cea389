//! An executor goes with its behaviors.

use bocage_core::{Executor, Ready, when_on};
use std::sync::Arc;

#[derive(Clone)]
struct Here(#[allow(dead_code)] Arc<()>);

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

fn main() {
    drop(when_on(Here(Arc::new(())), (), |()| ()));
}
