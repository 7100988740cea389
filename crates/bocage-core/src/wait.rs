//! Waiting: a plain thread acquires a cown and blocks until it has it.
//!
//! The thread enqueues a behavior with an empty body, whose executor is the thread itself: when the
//! behavior is ready, the token is put where the thread finds it, and the thread is unparked. While it
//! has the token it holds the cown; running the token releases it.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use crate::acquire::{Erased, schedule_erased};
use crate::cown::Cown;
use crate::executor::{Executor, Ready};
use crate::idle::idle;
use crate::sync::{Arc, AtomicPtr, Ordering, thread};

/// Where the token of a waiting thread arrives.
struct Mailbox {
    /// Null until the token is there.
    ready: AtomicPtr<()>,
    thread: thread::Thread,
}

#[derive(Clone)]
struct Wake(Arc<Mailbox>);

impl Executor for Wake {
    fn ready(&self, ready: Ready) {
        // Release: pairs with the Acquire in `hold`, and passes on what the cown's last owner wrote.
        self.0.ready.store(ready.into_raw().as_ptr(), Ordering::Release);
        self.0.thread.unpark();
    }
}

/// Blocks until the cown is acquired, calls `then`, and releases it, also if `then` panics.
///
/// # Panics
///
/// On a worker thread, see [`enter_worker`].
pub(crate) fn hold<T: Send + 'static, U>(cown: &Cown<T>, then: impl FnOnce() -> U) -> U {
    assert!(
        !is_worker(),
        "a thread that runs behaviors can't block on a cown: it might wait for itself. Schedule a behavior on the cown instead"
    );
    let mailbox = Arc::new(Mailbox { ready: AtomicPtr::new(ptr::null_mut()), thread: thread::current() });
    drop(schedule_erased(Wake(mailbox.clone()), &mut [Erased::new(cown)], Some(()), |_| {}));
    loop {
        // Acquire: pairs with the Release in `ready`.
        if let Some(raw) = NonNull::new(mailbox.ready.load(Ordering::Acquire)) {
            // SAFETY: put there by `ready`, once. Dropped at the end, it releases the cown.
            let _held = unsafe { Ready::from_raw(raw) };
            return then();
        }
        idle();
    }
}

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

fn is_worker() -> bool {
    WORKERS.get() > 0
}
