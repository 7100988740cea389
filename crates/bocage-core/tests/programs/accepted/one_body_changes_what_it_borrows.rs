//! What bodies of a scope change together is in a cown.

use bocage_core::{Cown, Inline, scope};

fn main() {
    let count = Cown::new(0);
    scope(|s| {
        drop(s.when_on(Inline, &count, |mut count| *count += 1));
        drop(s.when_on(Inline, &count, |mut count| *count += 1));
    });
}
