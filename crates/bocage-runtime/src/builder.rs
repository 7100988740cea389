//! How a runtime is set up: its workers, and what they do besides running behaviors.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::num::NonZero;
use std::sync::{Arc, mpsc};
use std::thread;

use crate::error::Error;
use crate::runtime::Runtime;
use crate::shared::Shared;
use crate::worker;

/// More workers than any machine has processors; the protocols would bear more.
pub(crate) const MAX_WORKERS: usize = 1 << 14;

/// What dropping a [`Runtime`] does with the behaviors that are scheduled and have not begun.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnDrop {
    /// They run, and the drop waits for them; for those that are [pinned](crate::Pinned) until their thread has pumped,
    /// which it does by itself if it is the one that drops.
    #[default]
    Finish,
    /// They are cancelled: their bodies do not run, what these hold is dropped, and their handles say
    /// [`Failure::Cancelled`](bocage_core::Failure::Cancelled), or
    /// [`Failure::Missing`](bocage_core::Failure::Missing) where they asked for the result of another one that was.
    /// The drop waits for the bodies that run already and, where a behavior waits for a cown that something else than
    /// this runtime holds, until that gives it up.
    Cancel,
}

/// Sets up a [`Runtime`].
///
/// ```
/// use bocage_runtime::Builder;
///
/// let runtime = Builder::new()
///     .workers(2)
///     .name_prefix("census")
///     .on_start(|worker| {
///         println!("worker {worker} is up");
///         Ok(())
///     })
///     .build()?;
/// # drop(runtime);
/// # Ok::<(), bocage_runtime::Error>(())
/// ```
#[derive(Clone)]
#[must_use]
pub struct Builder {
    workers: Option<usize>,
    name_prefix: String,
    stack_size: Option<usize>,
    on_drop: OnDrop,
    name_pending: bool,
    #[cfg(feature = "trace")]
    trace: usize,
    hooks: Hooks,
}

type Start = Arc<dyn Fn(usize) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync>;
type Hook = Arc<dyn Fn(usize) + Send + Sync>;

/// What a worker's thread calls besides behaviors, with its index.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    start: Option<Start>,
    stop: Option<Hook>,
    before_park: Option<Hook>,
    after_park: Option<Hook>,
}

impl Hooks {
    pub(crate) fn start(&self, worker: usize) -> Result<(), Box<dyn StdError + Send + Sync>> {
        self.start.as_ref().map_or(Ok(()), |hook| hook(worker))
    }

    pub(crate) fn stop(&self, worker: usize) {
        call(&self.stop, worker);
    }

    pub(crate) fn before_park(&self, worker: usize) {
        call(&self.before_park, worker);
    }

    pub(crate) fn after_park(&self, worker: usize) {
        call(&self.after_park, worker);
    }
}

fn call(hook: &Option<Hook>, worker: usize) {
    if let Some(hook) = hook {
        hook(worker);
    }
}

// What unwinds out of a hook is not used again but by calling the hook, which is shared by all workers
// and so has to cope with one of them ending early in any case.
impl std::panic::RefUnwindSafe for Hooks {}

impl Default for Builder {
    fn default() -> Self {
        Self::new()
    }
}

impl Builder {
    /// One worker for each processor that the process may use (affinity and cgroup are respected), no
    /// hooks, and a drop that finishes what is pending.
    pub fn new() -> Self {
        Self {
            workers: None,
            name_prefix: "bocage".into(),
            stack_size: None,
            on_drop: OnDrop::Finish,
            name_pending: cfg!(debug_assertions),
            #[cfg(feature = "trace")]
            trace: 0,
            hooks: Hooks::default(),
        }
    }

    /// How many worker threads: 1 to 16 384, or [`build`](Self::build) fails.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Threads are named *prefix*`-0`, *prefix*`-1` … Must not contain a zero byte.
    pub fn name_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.name_prefix = prefix.into();
        self
    }

    /// Bytes of stack for each worker; the standard library's default otherwise.
    pub fn stack_size(mut self, bytes: usize) -> Self {
        self.stack_size = Some(bytes);
        self
    }

    /// What dropping the runtime does with pending behaviors: finish them, if nothing else is said.
    ///
    /// ```
    /// use bocage_core::{Cown, Failure};
    /// use bocage_runtime::{Builder, OnDrop};
    /// use std::sync::mpsc;
    ///
    /// let runtime = Builder::new().workers(1).on_drop(OnDrop::Cancel).build()?;
    /// let (begun, begin) = mpsc::channel();
    /// let (owner, owned) = mpsc::channel();
    /// let running = runtime.when((), move |()| {
    ///     begun.send(()).unwrap();
    ///     drop(owned.recv());
    ///     "whole"
    /// });
    /// let waiting = runtime.when((), |()| unreachable!("cancelled"));
    /// begin.recv().unwrap();
    /// owner.send(runtime).unwrap();
    /// assert_eq!(running.wait().unwrap(), "whole");
    /// assert!(matches!(waiting.wait(), Err::<(), _>(Failure::Cancelled)));
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn on_drop(mut self, what: OnDrop) -> Self {
        self.on_drop = what;
        self
    }

    /// Whether an expired [`wait`](Runtime::wait) or [`quiesce`](Runtime::quiesce) names the behaviors that are left,
    /// and their cowns, in the [`Pending`](crate::Pending) of its error. If nothing is said it is so if this crate is
    /// built with debug assertions.
    ///
    /// Otherwise what can be found is named: which behaviors run, which are ready, and which wait behind those, behind a guard
    /// of [`acquire`](bocage_core::acquire), or behind what another runtime runs, or a rayon pool. What waits for a cown that is
    /// held in another way, as on an executor that does not [say so](bocage_core::Outside::run), is counted only, and it is not
    /// said since when any of them waits.
    ///
    /// To note them costs, for each behavior, some 100 bytes in a table, which is locked when it is scheduled, when it begins
    /// and when it ends: several times what a small behavior costs without. That is why a release build has to ask for it.
    ///
    /// ```
    /// use bocage_core::{Cown, acquire};
    /// use bocage_runtime::Builder;
    /// use std::time::Duration;
    ///
    /// let runtime = Builder::new().workers(1).name_pending(true).build()?;
    /// let account = Cown::new(100);
    /// let held = acquire(&account).wait();
    /// drop(runtime.when(&account, |mut account| *account += 20));
    /// // Nothing runs, and nothing can: the guard has to go first.
    /// let error = runtime.quiesce(Some(Duration::from_millis(10))).unwrap_err().to_string();
    /// assert!(error.contains("1 behavior is pending") && error.contains("held outside"));
    /// assert!(error.contains(&format!("{:#x}", account.id().get())));
    /// drop(held);
    /// # runtime.wait(None)?;
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn name_pending(mut self, names: bool) -> Self {
        self.name_pending = names;
        self
    }

    /// Records a [trace](crate::trace) of at most so many behaviors for each worker, and for each thread that runs what is
    /// pinned to it; of those that follow it tells only how many. 0, as it is from the beginning: none. A behavior takes
    /// some 100 bytes until the trace is taken.
    #[cfg(feature = "trace")]
    pub fn trace(mut self, per_thread: usize) -> Self {
        self.trace = per_thread;
        self
    }

    /// Called on each worker's thread before its first behavior, with the worker's index. If it fails or
    /// panics, [`build`](Self::build) fails.
    pub fn on_start(
        mut self,
        hook: impl Fn(usize) -> Result<(), Box<dyn StdError + Send + Sync>> + Send + Sync + 'static,
    ) -> Self {
        self.hooks.start = Some(Arc::new(hook));
        self
    }

    /// Called on each worker's thread after its last behavior, if its start hook succeeded. As with the
    /// next two, a panic in it is reported by the panic hook and otherwise ignored.
    pub fn on_stop(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.stop = Some(Arc::new(hook));
        self
    }

    /// Called on a worker's thread right before it blocks since there is nothing to do.
    pub fn before_park(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.before_park = Some(Arc::new(hook));
        self
    }

    /// Called on a worker's thread right after it blocked, as many times as the hook before.
    pub fn after_park(mut self, hook: impl Fn(usize) + Send + Sync + 'static) -> Self {
        self.hooks.after_park = Some(Arc::new(hook));
        self
    }

    /// Starts the workers, and returns when all of them are up.
    ///
    /// # Errors
    ///
    /// [`Error::Workers`] for a count that makes no sense; [`Error::Spawn`] and [`Error::Start`], which
    /// name the worker, if one could not be started, be it for its name. The others are then stopped, and have ended when this
    /// returns.
    pub fn build(self) -> Result<Runtime, Error> {
        let count = self.workers.unwrap_or_else(|| thread::available_parallelism().map_or(1, NonZero::get));
        if count == 0 || count > MAX_WORKERS {
            return Err(Error::Workers(count));
        }
        if self.name_prefix.contains('\0') {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "a thread's name has no NUL in it");
            return Err(Error::Spawn { worker: 0, source });
        }
        let shared = Shared::take(count);
        let generation = shared.ledger.next_generation();
        shared.name_pending(self.name_pending);
        #[cfg(feature = "trace")]
        shared.tracer.restart(self.trace);
        let (started, starts) = mpsc::channel();
        let mut threads = Vec::with_capacity(count);
        let mut result = Ok(());
        for index in 0..count {
            let mut thread = thread::Builder::new().name(format!("{}-{index}", self.name_prefix));
            if let Some(bytes) = self.stack_size {
                thread = thread.stack_size(bytes);
            }
            let hooks = self.hooks.clone();
            let started = started.clone();
            let main = move || {
                worker::main(shared, generation, index, &hooks, move |start| {
                    // The receiver lives until it has heard of all.
                    let _ = started.send((index, start));
                });
            };
            match thread.spawn(main) {
                Ok(thread) => threads.push(thread),
                Err(source) => {
                    result = Err(Error::Spawn { worker: index, source });
                    break;
                }
            }
        }
        for _ in 0..threads.len() {
            if let Ok((worker, Err(source))) = starts.recv()
                && result.is_ok()
            {
                result = Err(Error::Start { worker, source });
            }
        }
        Runtime::begin(shared, generation, threads, self.on_drop, result)
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("workers", &self.workers)
            .field("name_prefix", &self.name_prefix)
            .field("stack_size", &self.stack_size)
            .field("on_drop", &self.on_drop)
            .field("name_pending", &self.name_pending)
            .finish_non_exhaustive()
    }
}
