//! A `Cell` that is borrowed by a body.

use bocage_core::{Inline, scope};
use std::cell::Cell;

fn main() {
    let count = Cell::new(1);
    scope(|s| drop(s.when_on(Inline, (), |()| count.set(2))));
}
