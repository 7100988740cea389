//! Two of them can not both borrow it.

use bocage_core::{Inline, scope};

fn main() {
    let mut count = 0;
    scope(|s| {
        drop(s.when_on(Inline, (), |()| count += 1));
        drop(s.when_on(Inline, (), |()| count += 1));
    });
}
