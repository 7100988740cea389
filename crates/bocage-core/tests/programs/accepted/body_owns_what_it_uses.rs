//! Outside of a scope a body moves in what it uses.

use bocage_core::{Inline, when_on};

fn main() {
    let text = String::from("moved in");
    drop(when_on(Inline, (), move |()| text.len()));
}
