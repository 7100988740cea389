//! Marks threads that run behaviors, so that nothing blocks one of them: it might wait for itself.

use std::cell::Cell;
use std::marker::PhantomData;

thread_local! {
    static WORKERS: Cell<u32> = const { Cell::new(0) };
}

/// Says for as long as it lives that the current thread runs behaviors, so that blocking on a cown there
/// panics instead of deadlocking.
#[derive(Debug)]
pub struct WorkerMark(PhantomData<*const ()>);

/// Marks the current thread as one that runs behaviors.
pub fn enter_worker() -> WorkerMark {
    WORKERS.set(WORKERS.get() + 1);
    WorkerMark(PhantomData)
}

impl Drop for WorkerMark {
    fn drop(&mut self) {
        WORKERS.set(WORKERS.get() - 1);
    }
}

/// # Panics
///
/// On a thread that runs behaviors.
pub(crate) fn assert_may_block() {
    assert!(
        WORKERS.get() == 0,
        "a thread that runs behaviors can't block on a cown: it might wait for itself. Schedule a behavior on the cown instead"
    );
}
