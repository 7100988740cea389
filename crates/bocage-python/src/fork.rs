//! Forked children: what is left of a runtime in one.
//!
//! A child has only the thread that forked. Whether it may use bocage depends on what went on in its parent:
//!
//! | the parent            | the child   | because                                                             |
//! |-----------------------|-------------|---------------------------------------------------------------------|
//! | ran no runtime        | is [`FRESH`]  | nothing here was in use; it starts a runtime of its own when it wants one |
//! | ran or started one    | is an [`ORPHAN`] | its workers are gone, and with them what they did and the locks that they held |
//! | is an orphan          | is an orphan |                                                                    |
//!
//! An orphan gets a `RuntimeError` from whatever would need the runtime, before that takes any lock. In each child
//! the workers' interpreters are gone, those that were parked, too.

use std::sync::atomic::{AtomicU8, Ordering};

use crate::py::{Error, Result};

const FRESH: u8 = 0;
const ORPHAN: u8 = 1;

static PROCESS: AtomicU8 = AtomicU8::new(FRESH);

/// Whether this process was forked from one with a runtime.
pub(crate) fn is_orphan() -> bool {
    // Relaxed: written while the process has one thread.
    PROCESS.load(Ordering::Relaxed) == ORPHAN
}

/// An error in an orphan.
pub(crate) fn check() -> Result<()> {
    if is_orphan() {
        return Err(Error::runtime_error(
            "this process was forked from one with a running bocage runtime, whose workers it does not have: \
             use a fresh process (multiprocessing's \"spawn\"), or fork before the first @when or after wait()",
        ));
    }
    Ok(())
}

/// Makes children know what they are. From the main interpreter, once.
pub(crate) fn notice() {
    #[cfg(unix)]
    {
        static ONCE: std::sync::Once = std::sync::Once::new();
        ONCE.call_once(|| {
            // SAFETY: the library is never unloaded. The handler runs in the child, before CPython's own steps.
            unsafe { libc::pthread_atfork(None, None, Some(in_child)) };
        });
    }
}

#[cfg(unix)]
extern "C" fn in_child() {
    // No lock is waited for: whoever holds one doesn't exist here.
    if !(crate::lifecycle::is_idle()
        && crate::cycles::is_idle()
        && crate::unraised::forget_listed()
        && crate::host::forget_parked())
    {
        PROCESS.store(ORPHAN, Ordering::Relaxed);
    }
    // SAFETY: in a child; workers' interpreters went with their threads, and the parked ones were forgotten
    // or, in an orphan, are out of reach.
    unsafe { crate::py::fork::forget_sub_interpreters() };
}
