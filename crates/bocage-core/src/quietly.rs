//! Calls of the program's code from where nothing may unwind.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};

/// Calls what a panic in must not get further: a drop, a hook, a waker. What is under way may be a release or an enqueue, which
/// others wait for, or a worker's loop. The panic has been reported by the panic hook. The payload may be one whose drop panics.
///
/// ```
/// struct Bad;
/// impl Drop for Bad {
///     fn drop(&mut self) {
///         panic!("again");
///     }
/// }
/// bocage_core::quietly(|| std::panic::panic_any(Bad));
/// ```
pub fn quietly(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call))
        && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        // There is no end to that.
        mem::forget(again);
    }
}
