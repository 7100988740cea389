//! A result goes back to whoever waits for it.

use bocage_core::{Inline, when_on};
use std::sync::Arc;

fn main() {
    drop(when_on(Inline, (), |()| Arc::new(1)));
}
