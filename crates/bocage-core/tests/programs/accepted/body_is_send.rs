//! What a body captures goes to another thread.

use bocage_core::{Inline, when_on};
use std::sync::Arc;

fn main() {
    let shared = Arc::new(1);
    drop(when_on(Inline, (), move |()| *shared));
}
