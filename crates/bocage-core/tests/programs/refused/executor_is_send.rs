//! An executor that must stay on its thread.

use bocage_core::{Executor, Ready, when_on};
use std::rc::Rc;

#[derive(Clone)]
struct Here(#[allow(dead_code)] Rc<()>);

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

fn main() {
    drop(when_on(Here(Rc::new(())), (), |()| ()));
}
