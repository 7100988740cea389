//! A guard to read is a shared reference: `Send` if the value is `Sync`.

use bocage_core::ReadGuard;

fn send<T: Send>() {}

fn main() {
    send::<ReadGuard<'_, i32>>();
}
