//! A copy may be put somewhere outside.

use bocage_core::{Cown, Inline, scope};
use std::sync::Mutex;

fn main() {
    let (cown, out) = (Cown::new(1), Mutex::new(None));
    scope(|s| drop(s.when_on(Inline, &cown, |guard| *out.lock().unwrap() = Some(*guard))));
}
