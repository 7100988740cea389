//! A guard is `Sync` if its value is.

use bocage_core::Guard;

fn sync<T: Sync>() {}

fn main() {
    sync::<Guard<'_, i32>>();
}
