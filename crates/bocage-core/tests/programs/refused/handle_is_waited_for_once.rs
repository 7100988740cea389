//! There is none to wait for then.

use bocage_core::{Inline, when_on};

fn main() {
    let handle = when_on(Inline, (), |()| 1);
    assert_eq!(handle.wait().unwrap(), 1);
    assert_eq!(handle.wait().unwrap(), 1);
}
