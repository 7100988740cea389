//! An `Rc` as a result.

use bocage_core::{Inline, when_on};
use std::rc::Rc;

fn main() {
    drop(when_on(Inline, (), |()| Rc::new(1)));
}
