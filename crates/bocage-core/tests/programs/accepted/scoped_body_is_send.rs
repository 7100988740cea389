//! A body of a scope shares what it borrows with other threads.

use bocage_core::{Inline, scope};
use std::sync::atomic::{AtomicUsize, Ordering};

fn main() {
    let count = AtomicUsize::new(1);
    scope(|s| drop(s.when_on(Inline, (), |()| count.store(2, Ordering::Relaxed))));
}
