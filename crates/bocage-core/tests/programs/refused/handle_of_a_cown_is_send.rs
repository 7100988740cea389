//! A handle of a cown whose value may not.

use bocage_core::Cown;
use std::rc::Rc;

fn send_and_sync<T: Send + Sync>() {}

fn main() {
    send_and_sync::<Cown<Rc<i32>>>();
}
