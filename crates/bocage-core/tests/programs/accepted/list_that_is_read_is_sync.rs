//! The same for lists: written,

use bocage_core::{Cown, Inline, when_on};
use std::cell::Cell;

fn main() {
    let cowns = vec![Cown::new(Cell::new(1))];
    drop(when_on(Inline, &cowns, |cells| cells[0].get()));
}
