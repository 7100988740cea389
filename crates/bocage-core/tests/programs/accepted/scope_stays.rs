//! A body schedules in its own scope.

use bocage_core::{Inline, scope};

fn main() {
    scope(|s| drop(s.when_on(Inline, (), move |()| drop(s.when_on(Inline, (), |()| ())))));
}
