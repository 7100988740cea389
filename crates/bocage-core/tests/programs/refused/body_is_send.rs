//! An `Rc` in a body.

use bocage_core::{Inline, when_on};
use std::rc::Rc;

fn main() {
    let shared = Rc::new(1);
    drop(when_on(Inline, (), move |()| *shared));
}
