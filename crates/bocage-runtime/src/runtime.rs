//! The runtime as its user sees it: its owner, references to it, and what schedules on it.

use std::fmt;
use std::mem;
use std::ptr;
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use bocage_core::{Handle, Receipt, Requests};

use crate::admission::{self, Admission, outside_shard};
use crate::batch::Batch;
use crate::builder::{Builder, OnDrop};
use crate::error::Error;
use crate::owner;
use crate::quiesce::Goal;
use crate::shared::Shared;
use crate::stats::WorkerStats;
use crate::worker::with_current;

/// Worker threads that run behaviors, and their owner.
///
/// Dropping it waits until everything that is scheduled is done or, if the [`Builder`] was told
/// [`OnDrop::Cancel`], cancelled; and stops the workers. (On a worker of its own it can't wait; there a thread that is
/// started for it does so.)
pub struct Runtime {
    pub(crate) reference: RuntimeRef,
    /// Empty once they are joined.
    pub(crate) threads: Mutex<Vec<JoinHandle<()>>>,
    on_drop: OnDrop,
    /// What the counters stood at when it began.
    base: Vec<WorkerStats>,
}

/// Refers to a [`Runtime`], to schedule on it. `Copy`, and valid for ever: once the runtime has stopped it
/// refuses.
#[derive(Clone, Copy)]
pub struct RuntimeRef {
    shared: &'static Shared,
    generation: u64,
}

impl Runtime {
    /// With one worker for each processor that the process may use.
    ///
    /// # Errors
    ///
    /// If a thread can't be started.
    pub fn new() -> Result<Self, Error> {
        Builder::new().build()
    }

    /// Opens for work, or, if `started` says that it is not to be, ends the threads.
    pub(crate) fn begin(
        shared: &'static Shared,
        generation: u64,
        threads: Vec<JoinHandle<()>>,
        on_drop: OnDrop,
        started: Result<(), Error>,
    ) -> Result<Self, Error> {
        match started {
            Ok(()) => {
                let base = shared.stats();
                shared.ledger.open(generation);
                Ok(Self { reference: RuntimeRef { shared, generation }, threads: Mutex::new(threads), on_drop, base })
            }
            Err(error) => {
                stop(shared, threads);
                shared.give_back();
                Err(error)
            }
        }
    }

    /// Schedules `body` to run when all cowns of `requests` are acquired; see [`when_on`](bocage_core::when_on).
    ///
    /// # Panics
    ///
    /// If the runtime has stopped ([`try_when`](Self::try_when) says so instead).
    pub fn when<Q, R, F>(&self, requests: Q, body: F) -> Handle<R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.reference.when(requests, body)
    }

    /// [`when`](Self::when), for a runtime that may have stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_when<Q, R, F>(&self, requests: Q, body: F) -> Result<Handle<R>, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.reference.try_when(requests, body)
    }

    /// [`when`](Self::when), for a behavior whose result nobody asks for: there is no handle, and the behavior costs a little
    /// less for that. See [`spawn_on`](bocage_core::spawn_on).
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    pub fn spawn<Q, F>(&self, requests: Q, body: F)
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.reference.spawn(requests, body);
    }

    /// [`spawn`](Self::spawn), for a runtime that may have stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_spawn<Q, F>(&self, requests: Q, body: F) -> Result<(), Error>
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.reference.try_spawn(requests, body)
    }

    /// Schedules all behaviors that `add` adds to the batch in one step, when `add` is over: no other behavior comes
    /// between them on any cown that two of them share, and among themselves they run in the order in which they
    /// were added. Returns what `add` does. If `add` panics, what it added is scheduled all the same.
    ///
    /// `add` must not wait for any of them: not for its handle, nor for the runtime to come to rest. They have yet
    /// to be scheduled, so it would wait for ever. Behaviors that are [pinned](crate::Pinned) to a thread may be among
    /// them ([`Batch::when_pinned`]).
    ///
    /// O(n log n) for n cowns asked for in all.
    ///
    /// ```
    /// use bocage_core::{Cown, read};
    /// use bocage_runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let (a, b) = (Cown::new(1), Cown::new(2));
    /// let seen = runtime.batch(|batch| {
    ///     batch.spawn((&a, &b), |(mut a, mut b)| std::mem::swap(&mut *a, &mut *b));
    ///     // Nobody can have changed them since.
    ///     batch.when((read(&a), read(&b)), |(a, b)| (*a, *b))
    /// });
    /// assert_eq!(seen.wait().unwrap(), (2, 1));
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn batch<T>(&self, add: impl FnOnce(&mut Batch) -> T) -> T {
        self.reference.batch(add)
    }

    /// Counts a behavior as scheduled, for callers that schedule by the core's own functions.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn admit(&self) -> Result<Admission, Error> {
        self.reference.admit()
    }

    /// A reference to it, which can be copied anywhere.
    pub fn reference(&self) -> RuntimeRef {
        self.reference
    }

    /// How many workers it has.
    pub fn workers(&self) -> usize {
        self.reference.shared.remotes.len()
    }

    /// How many behaviors are scheduled and not finished, those that run included. [`look`](Self::look) tells which.
    pub fn pending(&self) -> u64 {
        self.reference.shared.ledger.pending()
    }

    /// What each worker did so far.
    pub fn stats(&self) -> Vec<WorkerStats> {
        self.reference.shared.stats().into_iter().zip(&self.base).map(|(now, base)| now.since(*base)).collect()
    }

    /// What the workers did, and the threads that ran what is pinned to them, since the runtime was built, or since the
    /// last trace was taken; empty if the builder was not told to [trace](Builder::trace). Best when nothing runs: the
    /// behaviors that do are in the next one.
    #[cfg(feature = "trace")]
    pub fn take_trace(&self) -> crate::trace::Trace {
        self.reference.shared.tracer.take()
    }
}

/// Ends the workers of a runtime that has nothing left to do.
pub(crate) fn stop(shared: &Shared, threads: Vec<JoinHandle<()>>) {
    shared.idle.stop();
    shared.wake_owners();
    for thread in threads {
        // It does not panic: hooks and behaviors are caught.
        let _ = thread.join();
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        let shared = self.reference.shared;
        let threads = mem::take(self.threads.get_mut().unwrap_or_else(PoisonError::into_inner));
        if self.on_drop == OnDrop::Cancel {
            shared.cancel();
        }
        let end = move || {
            // Without a deadline and a callback nothing but the goal ends it.
            let _ = owner::wait(&shared.ledger, Goal::Closed, None, None);
            stop(shared, threads);
            shared.give_back();
        };
        if is_in_behavior_of(shared) {
            // A worker can't wait for itself. If there is no thread to be had, the workers stay, asleep.
            let _ = thread::Builder::new().name("bocage-end".into()).spawn(end);
        } else {
            end();
        }
    }
}

/// Whether the calling thread is a worker of this runtime, or runs a behavior of it that is pinned.
pub(crate) fn is_in_behavior_of(shared: &'static Shared) -> bool {
    with_current(|worker| worker.is_some_and(|worker| ptr::eq(worker.shared(), shared)))
        || owner::running().is_some_and(|home| ptr::eq(home.shared, shared))
}

impl RuntimeRef {
    /// The runtime whose behavior the calling thread runs.
    pub fn current() -> Option<Self> {
        with_current(|worker| {
            let worker = worker.filter(|worker| worker.works_for(worker.shared()))?;
            Some(Self { shared: worker.shared(), generation: worker.generation() })
        })
        .or_else(owner::running)
    }

    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Whether it takes in behaviors, or may again.
    pub(crate) fn is_open(&self) -> bool {
        self.shared.ledger.is_open(self.generation)
    }

    /// Counts a behavior as finished that a thread outside has run or cancelled.
    pub(crate) fn finish_outside(&self) {
        self.shared.ledger.retract(outside_shard());
    }

    /// As [`Runtime::when`].
    ///
    /// # Panics
    ///
    /// As [`Runtime::when`].
    pub fn when<Q, R, F>(&self, requests: Q, body: F) -> Handle<R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.try_when(requests, body).unwrap_or_else(|error| panic!("`when` on a runtime: {error}"))
    }

    /// As [`Runtime::try_when`].
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_when<Q, R, F>(&self, requests: Q, body: F) -> Result<Handle<R>, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.schedule(requests, body)
    }

    /// As [`Runtime::spawn`].
    ///
    /// # Panics
    ///
    /// As [`Runtime::when`].
    pub fn spawn<Q, F>(&self, requests: Q, body: F)
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.try_spawn(requests, body).unwrap_or_else(|error| panic!("`spawn` on a runtime: {error}"));
    }

    /// As [`Runtime::try_spawn`].
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_spawn<Q, F>(&self, requests: Q, body: F) -> Result<(), Error>
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.schedule(requests, body)
    }

    fn schedule<Q, R, F, H>(&self, requests: Q, body: F) -> Result<H, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.shared) && worker.generation() == self.generation => {
                Ok(admission::schedule_in_body(worker, requests, body))
            }
            _ => self.schedule_outside(requests, body),
        })
    }

    /// [`schedule`](Self::schedule), for a thread that is no worker of the runtime, or in a hook.
    #[inline(never)]
    fn schedule_outside<Q, R, F, H>(&self, requests: Q, body: F) -> Result<H, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        let admission = self.admit()?;
        let note = admission.note::<Q, F>(&requests);
        Ok(admission.schedule(|_| admission::schedule(self.shared, note, requests, body)))
    }

    /// Schedules `body` on the runtime whose behavior the calling thread runs, as [`when`](Self::when) or
    /// [`spawn`](Self::spawn) does on [`current`](Self::current), but faster.
    ///
    /// # Errors
    ///
    /// If it runs none, or a pinned one: then it gives both back, and nothing is scheduled.
    #[inline]
    pub fn schedule_in_body<Q, R, F, H>(requests: Q, body: F) -> Result<H, (Q, F)>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        with_current(|worker| match worker {
            Some(worker) if worker.is_at_work() => Ok(admission::schedule_in_body(worker, requests, body)),
            _ => Err((requests, body)),
        })
    }

    /// What a trace tells of a behavior with `F` for a body.
    #[cfg(feature = "trace")]
    pub(crate) fn label<Q: Requests, F>(&self, requests: &Q) -> Option<crate::trace::Label> {
        crate::trace::label::<Q, F>(&self.shared.tracer, requests)
    }

    /// As [`Runtime::batch`].
    pub fn batch<T>(&self, add: impl FnOnce(&mut Batch) -> T) -> T {
        Batch::on_runtime(*self, add)
    }

    /// As [`Runtime::admit`].
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    #[inline]
    pub fn admit(&self) -> Result<Admission, Error> {
        Admission::new(self.shared, self.generation)
    }
}

/// Two references are equal if they refer to the same run of the same runtime.
impl PartialEq for RuntimeRef {
    fn eq(&self, other: &Self) -> bool {
        ptr::eq(self.shared, other.shared) && self.generation == other.generation
    }
}

impl Eq for RuntimeRef {}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").field("workers", &self.workers()).field("pending", &self.pending()).finish()
    }
}

impl fmt::Debug for RuntimeRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuntimeRef({:p}, {})", self.shared, self.generation)
    }
}
