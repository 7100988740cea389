//! What is written need not be `Sync`.

use bocage_core::{Cown, Inline, when_on};
use std::cell::Cell;

fn main() {
    let cown = Cown::new(Cell::new(1));
    drop(when_on(Inline, &cown, |cell| cell.get()));
}
