//! Until its end, it is not.

use bocage_core::{Inline, scope};

fn main() {
    let mut count = 0;
    scope(|s| {
        drop(s.when_on(Inline, (), |()| count += 1));
        count += 1;
    });
    assert_eq!(count, 2);
}
