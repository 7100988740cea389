//! So does what a body of a batch captures.

use bocage_core::{Batch, Inline};
use std::sync::Arc;

fn main() {
    let shared = Arc::new(1);
    drop(Batch::new().when_on(Inline, (), move |()| *shared));
}
