//! Nothing schedules in a scope that is over.

use bocage_core::{Inline, scope};

fn main() {
    let mut kept = None;
    scope(|s| kept = Some(s));
    drop(kept.unwrap().when_on(Inline, (), |()| ()));
}
