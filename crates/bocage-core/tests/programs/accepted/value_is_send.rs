//! A value goes to whoever comes next.

use bocage_core::Cown;
use std::sync::Arc;

fn main() {
    drop(Cown::new(Arc::new(1)));
}
