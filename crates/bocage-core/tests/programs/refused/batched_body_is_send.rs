//! An `Rc` in a body of a batch.

use bocage_core::{Batch, Inline};
use std::rc::Rc;

fn main() {
    let shared = Rc::new(1);
    drop(Batch::new().when_on(Inline, (), move |()| *shared));
}
