//! Waiting takes the result.

use bocage_core::{Inline, when_on};

fn main() {
    let handle = when_on(Inline, (), |()| 1);
    let cown = handle.cown();
    assert_eq!(handle.wait().unwrap(), 1);
    drop(cown);
}
