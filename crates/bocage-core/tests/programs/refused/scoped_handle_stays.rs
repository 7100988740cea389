//! A handle does not: the scope asks it whether it took a panic.

use bocage_core::{Inline, scope};

fn main() {
    drop(scope(|s| s.when_on(Inline, (), |()| 1)));
}
