//! A result may outlive its scope, so it owns what it is.

use bocage_core::{Inline, scope};

fn main() {
    let text = String::from("outside");
    scope(|s| drop(s.when_on(Inline, (), |()| text[1..].to_owned())));
}
