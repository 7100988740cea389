//! The one door through which this crate reaches atomics and threads.
//!
//! Under `cfg(loom)` the same names come from loom, so that the model checker runs the very code that
//! ships. Nothing else in the crate imports `std::sync::atomic`.

#[cfg(loom)]
pub(crate) use loom::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
    },
    thread, thread_local,
};

#[cfg(not(loom))]
pub(crate) use std::{
    hint::spin_loop,
    sync::{
        Arc,
        atomic::{AtomicPtr, AtomicU32, AtomicUsize, Ordering},
    },
    thread, thread_local,
};
