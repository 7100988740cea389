//! Admissions: a behavior is counted before it is scheduled, and given the executor that leads back to its runtime.

use std::any::type_name;
use std::cell::Cell;
use std::fmt;
use std::marker::PhantomData;
use std::mem;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};

use bocage_core::{Executor, Home, Ready, Receipt, Requests, Row, Turn, schedule_on, schedule_on_with};

use crate::error::Error;
use crate::pending::{Note, Register};
use crate::quiesce::{OUTSIDE, Shard};
use crate::shared::Shared;
use crate::worker::{Worker, with_current};

/// One behavior that a runtime has counted as scheduled, and that is still to be scheduled. Until then the
/// runtime does not come to rest. Dropping it takes the count back.
#[must_use = "the runtime waits for the behavior that was admitted"]
pub struct Admission {
    shared: &'static Shared,
    by: By,
    /// The counts of a worker are written by its own thread only.
    _not_send: PhantomData<*const ()>,
}

/// Whose counts an admission is in.
#[derive(Clone, Copy)]
enum By {
    Worker(usize),
    Outside(usize),
}

/// The executor of behaviors on a [`Runtime`](crate::Runtime): what each behavior's block holds, 8 bytes.
///
/// One gets it from [`Admission::schedule`], for one behavior. To keep it and use it for others is not
/// unsafe, but they are not counted then, and the runtime's `wait` and `quiesce` go wrong.
#[derive(Clone, Copy)]
pub struct RuntimeExecutor(&'static Shared);

impl Admission {
    #[inline]
    pub(crate) fn new(shared: &'static Shared, generation: u64) -> Result<Self, Error> {
        let by = with_current(|worker| match worker {
            Some(worker) if worker.works_for(shared) && worker.generation() == generation => {
                shared.ledger.schedule(worker.index());
                Some(By::Worker(worker.index()))
            }
            _ => {
                let shard = outside_shard();
                shared.ledger.admit(generation, shard).then_some(By::Outside(shard))
            }
        });
        match by {
            Some(by) => Ok(Self { shared, by, _not_send: PhantomData }),
            None => Err(Error::Stopped),
        }
    }

    /// Lets `schedule` put exactly one behavior into the core, with the executor that it gets. If it panics,
    /// it is taken to have scheduled nothing.
    ///
    /// ```
    /// use bocage_core::{Cown, Erased, schedule_erased};
    /// use bocage_runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let cown = Cown::new(0);
    /// runtime.admit()?.schedule(|executor| {
    ///     schedule_erased(executor, &mut [Erased::new(&cown)], Some("a result"), |_| {})
    /// });
    /// runtime.wait(None)?;
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    #[inline]
    pub fn schedule<T>(self, schedule: impl FnOnce(RuntimeExecutor) -> T) -> T {
        let scheduled = schedule(RuntimeExecutor(self.shared));
        mem::forget(self);
        scheduled
    }

    /// A note of the behavior that is about to be scheduled, with `F` for a body, if the runtime names them.
    #[inline]
    pub(crate) fn note<Q: Requests, F>(&self, requests: &Q) -> Option<Note<&'static Register>> {
        let register = self.shared.register()?;
        Some(Register::note(register, self.thread_number(), type_name::<F>(), false, requests))
    }

    /// The same, of one that is pinned and whose body has this type's name.
    pub(crate) fn note_pinned<Q: Requests>(&self, name: &'static str, requests: &Q) -> Option<Note<&'static Register>> {
        let register = self.shared.register()?;
        Some(Register::note(register, self.thread_number(), name, true, requests))
    }

    /// Of the thread that schedules.
    fn thread_number(&self) -> usize {
        match self.by {
            By::Worker(index) => index,
            By::Outside(shard) => self.shared.remotes.len() + shard % OUTSIDE,
        }
    }
}

/// Schedules from a body of the worker that calls this, on its own runtime. That is open as long as the body runs, so the
/// behavior needs no admission, but to be counted.
#[inline(always)]
pub(crate) fn schedule_in_body<Q, R, F, H>(worker: &Worker, requests: Q, body: F) -> H
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    H: Receipt<R>,
{
    /// Takes the count back if `schedule_on` panics, and so has scheduled nothing.
    struct Counted(&'static Shard);
    impl Drop for Counted {
        fn drop(&mut self) {
            self.0.finish();
        }
    }
    let shared = worker.shared();
    worker.shard().schedule();
    let counted = Counted(worker.shard());
    let note =
        shared.register().map(|register| Register::note(register, worker.index(), type_name::<F>(), false, &requests));
    #[cfg(feature = "trace")]
    let body = crate::trace::labelled(&shared.tracer, &requests, body);
    let executor = RuntimeExecutor(shared);
    let receipt = match note {
        None => schedule_on_with(executor, requests, body, |now| worker.take_in(now)),
        Some(note) => noted(executor, note, requests, body),
    };
    mem::forget(counted);
    receipt
}

/// Schedules a behavior that is counted, and noted if the runtime names them.
#[inline]
pub(crate) fn schedule<Q, R, F, H>(
    shared: &'static Shared,
    note: Option<Note<&'static Register>>,
    requests: Q,
    body: F,
) -> H
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    H: Receipt<R>,
{
    #[cfg(feature = "trace")]
    let body = crate::trace::labelled(&shared.tracer, &requests, body);
    let executor = RuntimeExecutor(shared);
    match note {
        None => schedule_on(executor, requests, body),
        Some(note) => noted(executor, note, requests, body),
    }
}

/// The same, of one that is noted. (The body's type comes last, for its name.)
fn noted<Q, R, H, F>(executor: RuntimeExecutor, note: Note<&'static Register>, requests: Q, body: F) -> H
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    H: Receipt<R>,
{
    schedule_on(executor, requests, move |guards: Q::Guards<'_>| note.run(|| body(guards)))
}

impl Drop for Admission {
    fn drop(&mut self) {
        match self.by {
            By::Worker(index) => self.shared.ledger.finish(index),
            By::Outside(shard) => self.shared.ledger.retract(shard),
        }
    }
}

impl Executor for RuntimeExecutor {
    #[inline]
    fn ready(&self, ready: Ready) {
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.0) => worker.push(ready),
            _ => self.0.inject(ready),
        });
    }

    #[inline]
    fn handed_over(&self, ready: Ready) {
        #[cfg(feature = "trace")]
        self.0.trace_hand_over(&ready);
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.0) => worker.hand_over(ready),
            _ => self.0.inject(ready),
        });
    }

    fn ready_in_row(&self, row: Row) {
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.0) => worker.queue.push_back(row),
            _ => row.into_iter().for_each(|ready| self.0.inject(ready)),
        });
    }

    fn handed_over_turn(&self, turn: Turn) {
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.0) => worker.hand_over_turn(turn),
            _ => turn.hand_over(),
        });
    }

    #[inline]
    fn ready_turn(&self, turn: Turn) {
        with_current(|worker| match worker {
            Some(worker) if worker.works_for(self.0) => worker.push_turn(turn),
            _ => turn.grant(),
        });
    }

    fn home(&self) -> Option<Home> {
        Some(Home { key: self.0.turn_key(), pinned: false })
    }

    #[inline]
    fn turn_key(&self) -> Option<NonZeroUsize> {
        Some(self.0.turn_key())
    }

    fn stalled(&self, yields: u32) {
        with_current(|worker| {
            if let Some(worker) = worker.filter(|worker| worker.works_for(self.0)) {
                worker.stalled(yields);
            }
        });
    }
}

/// Spreads threads outside over the ledger's shards.
pub(crate) fn outside_shard() -> usize {
    static THREADS: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static SHARD: Cell<Option<usize>> = const { Cell::new(None) };
    }
    SHARD.get().unwrap_or_else(|| {
        // Relaxed: only the number counts.
        let shard = THREADS.fetch_add(1, Ordering::Relaxed);
        SHARD.set(Some(shard));
        shard
    })
}

impl fmt::Debug for Admission {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Admission({:p})", self.shared)
    }
}

impl fmt::Debug for RuntimeExecutor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RuntimeExecutor({:p})", self.0)
    }
}
