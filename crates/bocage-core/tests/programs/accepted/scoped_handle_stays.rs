//! The cown of a result leaves the scope.

use bocage_core::{Inline, scope};

fn main() {
    drop(scope(|s| s.when_on(Inline, (), |()| 1).into_cown()));
}
