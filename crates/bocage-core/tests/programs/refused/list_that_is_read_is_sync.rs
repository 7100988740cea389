//! or read.

use bocage_core::{Cown, Inline, read, when_on};
use std::cell::Cell;

fn main() {
    let cowns = vec![Cown::new(Cell::new(1))];
    drop(when_on(Inline, read(&cowns), |cells| cells[0].get()));
}
