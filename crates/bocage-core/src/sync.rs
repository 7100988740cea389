//! The one door through which this crate reaches atomics and threads.
//!
//! Under `cfg(loom)` the same names come from loom, so that the model checker runs the very code that
//! ships. Nothing else in the crate imports `std::sync::atomic`, but for the depot in `pool.rs`, which outlasts every model, and
//! the compiler's fence in `stage.rs`.

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering},
    },
    thread, thread_local,
};

#[cfg(loom)]
loom::lazy_static! {
    static ref FENCES: AtomicUsize = AtomicUsize::new(0);
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
    hint::spin_loop,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicUsize, Ordering, fence},
    },
    thread, thread_local,
};

/// Locks, also if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}
