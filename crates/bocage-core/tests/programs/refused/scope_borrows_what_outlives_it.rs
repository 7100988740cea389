//! It borrows nothing that ends before the scope.

use bocage_core::{Inline, scope};

fn main() {
    scope(|s| {
        let text = String::from("inside");
        let text = &text;
        drop(s.when_on(Inline, (), move |()| drop(text.len())));
    });
}
