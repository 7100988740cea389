//! A body that borrows, outside of a scope.

use bocage_core::{Inline, when_on};

fn main() {
    let text = String::from("only borrowed");
    drop(when_on(Inline, (), |()| text.len()));
}
