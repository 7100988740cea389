//! It does not borrow.

use bocage_core::{Inline, scope};

fn main() {
    let text = String::from("outside");
    scope(|s| drop(s.when_on(Inline, (), |()| &text[1..])));
}
