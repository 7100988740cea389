//! Readers share, so what is read must be.

use bocage_core::{Cown, Inline, read, when_on};
use std::cell::Cell;

fn main() {
    let cown = Cown::new(Cell::new(1));
    drop(when_on(Inline, read(&cown), |cell| cell.get()));
}
