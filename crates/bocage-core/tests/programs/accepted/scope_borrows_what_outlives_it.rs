//! A body of a scope borrows what is there before and after it.

use bocage_core::{Inline, scope};

fn main() {
    let text = String::from("outside");
    scope(|s| {
        drop(s.when_on(Inline, (), |()| drop(text.len())));
    });
}
