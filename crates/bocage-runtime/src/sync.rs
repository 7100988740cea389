//! The one door through which the lock-free parts of this crate reach atomics, locks and threads.
//!
//! Under `cfg(loom)` the same names come from loom, so that the model checker runs the very code that
//! ships. `park.rs`, `kept.rs`, `barrier.rs`, `quiesce.rs` and `inbox.rs` import from here and nowhere else.

#[cfg(loom)]
pub(crate) use loom::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering},
    },
    thread::{self, Thread},
};

#[cfg(loom)]
loom::lazy_static! {
    static ref FENCES: AtomicU64 = AtomicU64::new(0);
}

/// Loom never switches threads at a fence, and so would not see what happens if another thread's fence comes between
/// ours and what is before it. A counter of fences, which orders nothing else, makes it try all their orders.
#[cfg(loom)]
pub(crate) fn fence(order: Ordering) {
    FENCES.fetch_add(1, Ordering::Relaxed);
    loom::sync::atomic::fence(order);
}

#[cfg(not(loom))]
pub(crate) use std::{
    sync::{
        Condvar, Mutex, MutexGuard,
        atomic::{AtomicPtr, AtomicU8, AtomicU64, Ordering, fence},
    },
    thread::{self, Thread},
};

/// Locks, also if a thread panicked while it held the lock: none of ours leaves a broken state behind,
/// since nothing between lock and unlock calls foreign code.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Parks the thread, for at most `time`; in a model, which knows no time, until it is unparked.
pub(crate) fn park(time: Option<std::time::Duration>) {
    match time {
        #[cfg(not(loom))]
        Some(time) => thread::park_timeout(time),
        _ => thread::park(),
    }
}

/// Parks the thread for `time`; in a model, which knows no time, for any while, or none.
pub(crate) fn doze(time: std::time::Duration) {
    #[cfg(not(loom))]
    thread::park_timeout(time);
    #[cfg(loom)]
    {
        let _ = time;
        thread::yield_now();
    }
}
