//! The process's default runtime, and `when` and `quiesce` upon it, or upon whatever else the caller runs on.

use std::sync::OnceLock;
use std::time::Duration;

use bocage_core::{Handle, Requests};
use bocage_runtime::deterministic::Program;
use bocage_runtime::{Batch, Error, Runtime, RuntimeRef};

static DEFAULT: OnceLock<Runtime> = OnceLock::new();

/// Schedules `body` to run when all cowns of `requests` are acquired, and returns at once.
///
/// In a behavior it schedules on the runtime that runs it, in a [deterministic](crate::deterministic) program on that
/// one's thread, elsewhere on the [`default_runtime`]. Behaviors that share a cown run in the order in which they were scheduled (by one thread, or by causality). A body
/// may schedule on cowns that it holds: that runs after it. A cown that is named more than once is acquired once, and one
/// of its guards has the value: see [`Guard`](crate::Guard#aliases).
///
/// One allocation; O(n log n) for n cowns.
///
/// # Panics
///
/// If the default runtime can't be started, as the system refuses a thread.
///
/// ```
/// use bocage::{Cown, when};
///
/// let count = Cown::new(0);
/// let again = count.clone();
/// let inner = when(&count, move |mut count| {
///     *count += 1;
///     when(&again, |mut count| {
///         *count += 1;
///         *count
///     })
/// });
/// // A handle may be a result too: the outer `wait` gives the inner behavior's.
/// assert_eq!(inner.wait()?.wait()?, 2);
/// # Ok::<(), bocage::Failure>(())
/// ```
#[inline]
pub fn when<Q, R, F>(requests: Q, body: F) -> Handle<R>
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
{
    RuntimeRef::schedule_in_body(requests, body).unwrap_or_else(|(requests, body)| when_elsewhere(requests, body))
}

/// [`when`], for a thread that is no worker, or is in a hook.
#[inline(never)]
fn when_elsewhere<Q, R, F>(requests: Q, body: F) -> Handle<R>
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
{
    match Place::current() {
        Place::Runtime(runtime) => runtime.when(requests, body),
        Place::Program(program) => program.when(requests, body),
    }
}

/// [`when`], for a behavior whose result nobody asks for: there is no handle, and the behavior costs a little less for that.
///
/// A panic in its body shows in what the panic hook prints, and in its cowns, which are
/// [poisoned](crate::Guard::is_poisoned).
///
/// # Panics
///
/// As [`when`].
///
/// ```
/// use bocage::{Cown, spawn, when};
///
/// let log = Cown::new(Vec::new());
/// for n in 0..3 {
///     spawn(&log, move |mut log| log.push(n));
/// }
/// assert_eq!(when(&log, |log| log.clone()).wait()?, [0, 1, 2]);
/// # Ok::<(), bocage::Failure>(())
/// ```
#[inline]
pub fn spawn<Q, F>(requests: Q, body: F)
where
    Q: Requests,
    F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
{
    RuntimeRef::schedule_in_body(requests, body).unwrap_or_else(|(requests, body)| spawn_elsewhere(requests, body));
}

/// [`spawn`], for a thread that is no worker, or is in a hook.
#[inline(never)]
fn spawn_elsewhere<Q, F>(requests: Q, body: F)
where
    Q: Requests,
    F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
{
    match Place::current() {
        Place::Runtime(runtime) => runtime.spawn(requests, body),
        Place::Program(program) => program.spawn(requests, body),
    }
}

/// Schedules all behaviors that `add` adds to the batch in one step, where [`when`] would schedule them, and when
/// `add` is over: no other behavior comes between them on any cown that two of them share. See [`Runtime::batch`].
///
/// `add` must not wait for any of them: they have yet to be scheduled. Those that are [pinned](crate::Pinned) to a thread may
/// be among them ([`Batch::when_pinned`]).
///
/// # Panics
///
/// If `add` panics; what it added is scheduled all the same. If the default runtime can't be started.
///
/// ```
/// use bocage::{Cown, batch, read, when};
///
/// let (checking, savings) = (Cown::new(100), Cown::new(0));
/// let sum = batch(|batch| {
///     batch.spawn(&checking, |mut checking| *checking -= 40);
///     batch.spawn(&savings, |mut savings| *savings += 40);
///     batch.when((read(&checking), read(&savings)), |(checking, savings)| *checking + *savings)
/// });
/// assert_eq!(sum.wait()?, 100);
/// # Ok::<(), bocage::Failure>(())
/// ```
pub fn batch<T>(add: impl FnOnce(&mut Batch) -> T) -> T {
    match Place::current() {
        Place::Runtime(runtime) => runtime.batch(add),
        Place::Program(program) => program.batch(add),
    }
}

/// Where what the calling thread schedules runs.
pub(crate) enum Place {
    Runtime(RuntimeRef),
    Program(Program),
}

impl Place {
    #[inline]
    pub(crate) fn current() -> Self {
        RuntimeRef::current().map_or_else(Self::outside, Self::Runtime)
    }

    #[cold]
    fn outside() -> Self {
        Program::current().map_or_else(|| Self::Runtime(default_runtime().reference()), Self::Program)
    }
}

/// Blocks until nothing is scheduled and unfinished on the [`default_runtime`], at most for `timeout`. What
/// the behaviors did is then visible to the caller. The runtime goes on, and may be used again.
///
/// In a [deterministic](crate::deterministic) program it runs that one's behaviors instead, for as long as they take.
///
/// Returns at once if nothing was ever scheduled. Behaviors on other runtimes are not waited for.
///
/// # Errors
///
/// [`Error::Pending`] if the time is over; nothing is lost, and one may wait again. [`Error::OnWorker`] in a
/// behavior, of whatever runtime: it would wait for itself, or keep a worker from its work.
///
/// ```
/// use bocage::{Cown, quiesce, when};
/// use std::time::Duration;
///
/// let cowns: Vec<Cown<u32>> = (0..100).map(Cown::new).collect();
/// for cown in &cowns {
///     when(cown, |mut number| *number *= 2);
/// }
/// quiesce(Some(Duration::from_secs(60)))?;
/// # Ok::<(), bocage::Error>(())
/// ```
pub fn quiesce(timeout: Option<Duration>) -> Result<(), Error> {
    if RuntimeRef::current().is_some() {
        return Err(Error::OnWorker);
    }
    if let Some(program) = Program::current() {
        return program.quiesce();
    }
    DEFAULT.get().map_or(Ok(()), |runtime| runtime.quiesce(timeout))
}

/// The runtime on which [`when`] schedules outside of behaviors. Starts it if it isn't running yet: one
/// worker for each processor that the process may use.
///
/// It lives as long as the process. [`Runtime::wait`] on it would stop it for good, after which `when`
/// panics; use [`quiesce`].
///
/// # Panics
///
/// If the system refuses a thread.
pub fn default_runtime() -> &'static Runtime {
    DEFAULT.get_or_init(|| Runtime::new().unwrap_or_else(|error| panic!("bocage's default runtime: {error}")))
}
