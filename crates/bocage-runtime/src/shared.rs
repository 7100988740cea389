//! What all threads of one runtime share, and why a pointer to it can't dangle.
//!
//! Every behavior's block holds a pointer to its runtime's [`Shared`]: as its executor, 8 bytes, without a
//! reference count, which all workers would write for each behavior. The pointer is used when the behavior
//! becomes ready, and by then its runtime is still there, since it ends only when nothing is scheduled and
//! unfinished. But a thread of another runtime that hands a behavior over may be delayed between the push
//! and the wake, while that behavior runs and its runtime ends. So a `Shared` is never freed: a runtime
//! that ends puts it back into a pool, and the next one with as many workers takes it from there. A late
//! wake then finds sound memory and wakes a worker that looks, finds nothing, and sleeps again. Memory
//! stays flat, however often runtimes start and stop: there are as many `Shared` as ever were alive at once
//! of each size.

use std::num::NonZeroUsize;
#[cfg(feature = "trace")]
use std::ptr;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use bocage_core::{Ready, Stages, Turn};
use crossbeam_deque::{Injector, Stealer, Worker};
use crossbeam_utils::CachePadded;

use crate::barrier::Barrier;
use crate::entry::Entry;
use crate::kept::Kept;
use crate::owner::{Mailed, Owner};
use crate::park::Idle;
use crate::pending::{MOST_NAMED, Pending, Register};
use crate::quiesce::{Ledger, OUTSIDE};
use crate::stats::{Counters, WorkerStats};
use crate::survey::survey;
#[cfg(feature = "trace")]
use crate::{owner, trace::By, worker::with_current};

/// What all threads of one runtime share.
pub(crate) struct Shared {
    /// Behaviors that became ready on threads outside.
    pub(crate) injector: CachePadded<Injector<Entry>>,
    pub(crate) idle: Idle,
    pub(crate) ledger: Ledger,
    /// Written once in a run at most, read for each behavior.
    switches: CachePadded<Switches>,
    /// Whether readers were too short, when a worker last looked, to be shared by several. Written when that changes.
    pub(crate) reads_are_short: CachePadded<AtomicBool>,
    /// What is known of pending behaviors, if the runtime names them.
    register: Register,
    #[cfg(feature = "trace")]
    pub(crate) tracer: crate::trace::Tracer,
    /// Threads to which behaviors of this runtime are pinned.
    owners: Mutex<Vec<Arc<Owner>>>,
    /// One for each worker.
    pub(crate) remotes: Box<[Remote]>,
    /// Where the workers say what they run.
    pub(crate) stages: Stages,
}

/// What the builder and the owner said.
#[derive(Default)]
struct Switches {
    /// Whether what is ready is cancelled instead of run.
    cancels: AtomicBool,
    /// Whether pending behaviors are noted in the register.
    names: AtomicBool,
}

/// What others may touch of a worker.
pub(crate) struct Remote {
    pub(crate) stealer: Stealer<Entry>,
    pub(crate) newest: Kept<Ready>,
    pub(crate) turn: Kept<Turn>,
    pub(crate) counters: Counters,
    /// The worker's own end of its queue, while no thread works on it.
    deque: Mutex<Option<Worker<Entry>>>,
}

/// Those of runtimes that have ended.
static POOL: Mutex<Vec<&'static Shared>> = Mutex::new(Vec::new());
/// The stages of all that there are.
static STAGES: Mutex<Vec<&'static Stages>> = Mutex::new(Vec::new());

impl Shared {
    /// One for `workers` workers that no runtime uses: closed, quiet, with empty queues.
    pub(crate) fn take(workers: usize) -> &'static Self {
        let mut pool = POOL.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = pool.iter().position(|shared| shared.remotes.len() == workers) {
            return pool.swap_remove(at);
        }
        drop(pool);
        let shared: &'static Self = Box::leak(Box::new(Self {
            injector: CachePadded::new(Injector::new()),
            idle: Idle::new(workers),
            ledger: Ledger::new(workers),
            switches: CachePadded::default(),
            reads_are_short: CachePadded::default(),
            owners: Mutex::default(),
            register: Register::new(workers + OUTSIDE),
            #[cfg(feature = "trace")]
            tracer: crate::trace::Tracer::new(workers),
            stages: Stages::new(workers, !Barrier::new().is_for_all()),
            remotes: (0..workers)
                .map(|_| {
                    let deque = Worker::new_lifo();
                    Remote {
                        stealer: deque.stealer(),
                        newest: Kept::default(),
                        turn: Kept::default(),
                        counters: Counters::default(),
                        deque: Mutex::new(Some(deque)),
                    }
                })
                .collect(),
        }));
        STAGES.lock().unwrap_or_else(PoisonError::into_inner).push(&shared.stages);
        shared
    }

    /// Puts it back, once all its workers have ended.
    pub(crate) fn give_back(&'static self) {
        self.idle.restart();
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).clear();
        #[cfg(feature = "trace")]
        self.tracer.restart(0);
        // Relaxed: the pool's lock passes it on.
        self.switches.cancels.store(false, Ordering::Relaxed);
        self.reads_are_short.store(false, Ordering::Relaxed);
        POOL.lock().unwrap_or_else(PoisonError::into_inner).push(self);
    }

    /// From now on behaviors are cancelled.
    pub(crate) fn cancel(&'static self) {
        // Relaxed: nothing is read on the strength of it; a worker that sees it late has begun one more.
        self.switches.cancels.store(true, Ordering::Relaxed);
        for owner in self.owners() {
            owner.cancel_all(self);
        }
    }

    /// Behaviors may be pinned to this thread from now on.
    pub(crate) fn add_owner(&self, owner: &Arc<Owner>) {
        let mut owners = self.owners.lock().unwrap_or_else(PoisonError::into_inner);
        owners.retain(|known| !known.is_gone() && !Arc::ptr_eq(known, owner));
        owners.push(owner.clone());
    }

    fn owners(&self) -> Vec<Arc<Owner>> {
        self.owners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Tells the threads that pump that nothing more will come.
    pub(crate) fn wake_owners(&self) {
        for owner in self.owners() {
            owner.wake();
        }
    }

    /// Whether behaviors are cancelled.
    #[inline]
    pub(crate) fn cancels(&self) -> bool {
        // Relaxed: as above.
        self.switches.cancels.load(Ordering::Relaxed)
    }

    /// Whether behaviors are to be named, for the run that is about to begin.
    pub(crate) fn name_pending(&self, names: bool) {
        // Relaxed: threads that schedule learn of the runtime after this.
        self.switches.names.store(names, Ordering::Relaxed);
    }

    /// The register of pending behaviors, if they are named.
    #[inline]
    pub(crate) fn register(&self) -> Option<&Register> {
        // Relaxed: as above.
        self.switches.names.load(Ordering::Relaxed).then_some(&self.register)
    }

    /// What is left to do. To tell of what is ready too, that is taken from the queues for a moment.
    pub(crate) fn pending(&'static self, takes_ready: bool) -> Pending {
        let behaviors = self.ledger.pending();
        match self.register() {
            Some(register) => Pending::noted(behaviors, register),
            None => Pending::surveyed(behaviors, survey(self, MOST_NAMED, takes_ready)),
        }
    }

    /// The stages of the workers of all runtimes, also of those that have ended, where nothing is.
    pub(crate) fn all_stages() -> Vec<&'static Stages> {
        STAGES.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The pinned behaviors that wait for their threads.
    pub(crate) fn take_mail(&'static self) -> Vec<Mailed> {
        self.owners().iter().flat_map(|owner| owner.take_out(self)).collect()
    }

    /// What tells the executor of its behaviors from others.
    #[inline]
    pub(crate) fn turn_key(&'static self) -> NonZeroUsize {
        NonNull::from(self).addr()
    }

    /// Takes in a ready behavior from a thread that is no worker of this runtime.
    pub(crate) fn inject(&self, ready: Ready) {
        self.injector.push(ready.into());
        self.idle.work_pushed();
    }

    /// Told by the thread that releases a behavior's last cown, of whatever executor the behavior is. An arrow begins where
    /// a behavior of this runtime ends: on other threads there is none.
    #[cfg(feature = "trace")]
    pub(crate) fn trace_hand_over(&'static self, ready: &Ready) {
        if !self.tracer.is_on() {
            return;
        }
        // First, since what is pinned may run inside of a body that waits, but no worker's behavior does.
        let by = if owner::running().is_some_and(|home| ptr::eq(home.shared(), self)) {
            Some(By::Owner)
        } else {
            with_current(|worker| Some(By::Worker(worker.filter(|worker| worker.works_for(self))?.index())))
        };
        if let Some(by) = by {
            self.tracer.handed_over(by, ready.as_ptr());
        }
    }

    /// Whether a behavior is visible where anybody may take it.
    pub(crate) fn work_left(&self) -> bool {
        !self.injector.is_empty() || self.remotes.iter().any(|remote| !remote.stealer.is_empty())
    }

    /// What each worker has counted since this memory exists.
    pub(crate) fn stats(&self) -> Vec<WorkerStats> {
        self.remotes.iter().enumerate().map(|(i, remote)| remote.counters.snapshot(self.ledger.counts(i))).collect()
    }
}

impl Remote {
    /// The worker's end of its queue, for the thread that is to be this worker.
    pub(crate) fn borrow_deque(&self) -> Worker<Entry> {
        self.deque.lock().unwrap_or_else(PoisonError::into_inner).take().expect("one thread is one worker")
    }

    /// Gives it back.
    pub(crate) fn return_deque(&self, deque: Worker<Entry>) {
        *self.deque.lock().unwrap_or_else(PoisonError::into_inner) = Some(deque);
    }
}
