//! Pinned behaviors: those that one given thread runs, when it chooses to *pump*.
//!
//! A window, an interpreter, a handle of a graphics card may be used by the thread only that made it. A behavior that is
//! [pinned](Pinned::when) to that thread gets in line on its cowns as any other does. When it has them all it goes to the
//! thread ([`crate::owner`]), and there it stays until the thread pumps: in [`Pinned::pump`], or, since it has nothing
//! better to do, in whatever else of Bocage it blocks in.
//!
//! A pinned behavior is counted as any that a thread outside schedules, and is finished when a thread outside, this
//! one, has run it. So its runtime does not come to rest before. If the thread ends, what is pinned to it is cancelled,
//! then and from then on, so that the runtime can come to rest all the same.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bocage_core::{Executor, Handle, Home, Ready, Requests, when_on};

use crate::admission::Admission;
use crate::error::Error;
use crate::owner::{self, Owner};
use crate::pinned_cown::PinnedCown;
use crate::pinned_requests::PinnedRequests;
use crate::runtime::{Runtime, RuntimeRef};

/// One thread, as the place where behaviors of one runtime run: those that must run there and nowhere else.
///
/// The thread makes it ([`Runtime::pinned`]). Any thread may have a copy, and schedule; only the thread itself can
/// [`pump`](Self::pump).
///
/// ```
/// use bocage_core::Cown;
/// use bocage_runtime::Runtime;
/// use std::rc::Rc;
/// use std::time::Duration;
///
/// let runtime = Runtime::new()?;
/// let main = runtime.pinned()?;
/// // Whatever this is, it never leaves this thread.
/// let window = main.cown(Rc::new(std::cell::Cell::new(0)))?;
/// let model = Cown::new(0);
/// for _ in 0..3 {
///     // On some worker.
///     drop(runtime.when(&model, |mut model| *model += 1));
///     // Here, and after it.
///     drop(main.when((&window, &model), |(window, model)| window.set(*model)));
/// }
/// let mut shown = 0;
/// while shown < 3 {
///     shown += main.pump(usize::MAX, Duration::from_secs(60))?;
/// }
/// assert_eq!(main.when(&window, |window| window.get()).wait().unwrap(), 3);
/// # Ok::<(), bocage_runtime::Error>(())
/// ```
#[derive(Clone)]
pub struct Pinned {
    runtime: RuntimeRef,
    owner: Arc<Owner>,
}

/// The executor of pinned behaviors.
#[derive(Clone)]
pub(crate) struct ToOwner(Pinned);

impl Executor for ToOwner {
    fn ready(&self, ready: Ready) {
        // This is in the behavior's block, which may go as soon as another thread has the behavior.
        let Pinned { runtime, owner } = self.0.clone();
        owner.take_in(ready, runtime);
    }

    fn home(&self) -> Option<Home> {
        Some(Home { key: self.0.runtime.shared().turn_key(), pinned: true })
    }

    #[cfg(feature = "trace")]
    fn handed_over(&self, ready: Ready) {
        // Before another thread may have it.
        self.0.runtime.shared().trace_hand_over(&ready);
        self.ready(ready);
    }
}

/// What the core gives for the requests of a pinned behavior.
type Guards<'a, Q> = <<Q as PinnedRequests>::Requests as Requests>::Guards<'a>;

/// A pinned behavior that is counted, and still to be scheduled.
pub(crate) struct Prepared<Q, B> {
    admission: Admission,
    executor: ToOwner,
    requests: Q,
    body: B,
}

impl<Q, B> Prepared<Q, B> {
    /// Lets `schedule` put it into the core, or into a batch.
    pub(crate) fn schedule<T>(self, schedule: impl FnOnce(ToOwner, Q, B) -> T) -> T {
        let Self { admission, executor, requests, body } = self;
        admission.schedule(|_| schedule(executor, requests, body))
    }
}

impl Runtime {
    /// The calling thread, as a place for behaviors of this runtime to run.
    ///
    /// From now on the thread pumps whenever it blocks in something of Bocage, such as [`wait`](Runtime::wait) or
    /// [`Handle::wait`]; in between, it has to [`pump`](Pinned::pump).
    ///
    /// # Errors
    ///
    /// [`Error::CannotPump`] in a behavior or a [deterministic](crate::deterministic) program: the thread has other
    /// things to run. [`Error::Stopped`].
    pub fn pinned(&self) -> Result<Pinned, Error> {
        self.reference().pinned()
    }
}

impl RuntimeRef {
    /// As [`Runtime::pinned`].
    ///
    /// # Errors
    ///
    /// As [`Runtime::pinned`].
    pub fn pinned(&self) -> Result<Pinned, Error> {
        if owner::runs_behaviors() {
            return Err(Error::CannotPump);
        }
        // Counted, so that the runtime does not stop before it knows the thread.
        let _admission = self.admit()?;
        let owner = Owner::current().ok_or(Error::CannotPump)?;
        self.shared().add_owner(&owner);
        Ok(Pinned { runtime: *self, owner })
    }
}

impl Pinned {
    /// Schedules `body` to run on the thread when all cowns of `requests` are acquired. As [`Runtime::when`], but that
    /// it may ask for [pinned cowns](PinnedCown) too. To schedule it in one step with others there is
    /// [`Batch::when_pinned`](crate::Batch::when_pinned).
    ///
    /// # Panics
    ///
    /// As [`Runtime::when`], and if a pinned cown belongs to another thread ([`try_when`](Self::try_when) says so
    /// instead).
    pub fn when<Q, R, F>(&self, requests: Q, body: F) -> Handle<R>
    where
        Q: PinnedRequests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.try_when(requests, body).unwrap_or_else(|error| panic!("a pinned `when`: {error}"))
    }

    /// [`when`](Self::when), for a runtime that may have stopped.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`]; [`Error::WrongThread`] if a pinned cown belongs to another thread.
    pub fn try_when<Q, R, F>(&self, requests: Q, body: F) -> Result<Handle<R>, Error>
    where
        Q: PinnedRequests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        Ok(self.prepare(&requests, body)?.schedule(when_on))
    }

    /// Counts a behavior, and turns it into one that the core knows.
    #[expect(clippy::type_complexity, reason = "the body's type has no name that an alias could have")]
    pub(crate) fn prepare<Q, R, F>(
        &self,
        requests: &Q,
        body: F,
    ) -> Result<Prepared<Q::Requests, impl for<'a> FnOnce(Guards<'a, Q>) -> R + Send + 'static + use<Q, R, F>>, Error>
    where
        Q: PinnedRequests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        if !requests.are_of(self.owner.thread()) {
            return Err(Error::WrongThread);
        }
        let admission = self.runtime.admit()?;
        let requests = requests.requests();
        let note = admission.note_pinned(type_name::<F>(), &requests);
        #[cfg(feature = "trace")]
        let label = self.runtime.label::<_, F>(&requests);
        let body = move |guards: Guards<'_, Q>| {
            let body = || {
                #[cfg(feature = "trace")]
                crate::trace::begin(label);
                body(Q::guards(guards))
            };
            match note {
                Some(note) => note.run(body),
                None => body(),
            }
        };
        Ok(Prepared { admission, executor: ToOwner(self.clone()), requests, body })
    }

    /// A cown whose value never leaves this thread, and so need not be `Send`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongThread`] on another thread. There, let a pinned behavior make it.
    pub fn cown<T: 'static>(&self, value: T) -> Result<PinnedCown<T>, Error> {
        if self.owner.thread() != thread::current().id() {
            return Err(Error::WrongThread);
        }
        let key = owner::keep(Box::new(value)).ok_or(Error::WrongThread)?;
        Ok(PinnedCown::new(key, self.owner.clone()))
    }

    /// Runs behaviors that are pinned to this thread and ready, on whatever runtime, at most `most`. If none is ready it
    /// waits for one, at most for `timeout`. Returns how many ran: 0 if the time was over.
    ///
    /// What becomes ready meanwhile runs in this call too, so that `most` should be a number if behaviors schedule
    /// others for ever. A panic of a body goes to its handle, as on a worker.
    ///
    /// # Errors
    ///
    /// [`Error::WrongThread`] on another thread than the one that it stands for; [`Error::CannotPump`] in a behavior;
    /// [`Error::Stopped`] if the runtime has stopped, so that there is nothing to wait for.
    pub fn pump(&self, most: usize, timeout: Duration) -> Result<usize, Error> {
        if self.owner.thread() != thread::current().id() {
            return Err(Error::WrongThread);
        }
        if owner::runs_behaviors() {
            return Err(Error::CannotPump);
        }
        // A time that is too far away to be told is as good as none.
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let ran = self.owner.run(most);
            if ran > 0 || most == 0 {
                return Ok(ran);
            }
            if !self.runtime.is_open() {
                return Err(Error::Stopped);
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if left == Some(Duration::ZERO) {
                return Ok(0);
            }
            self.owner.park(left);
        }
    }

    /// The runtime on which it schedules.
    pub fn runtime(&self) -> RuntimeRef {
        self.runtime
    }

    /// Whether the calling thread is the one that it stands for.
    pub fn is_here(&self) -> bool {
        self.owner.thread() == thread::current().id()
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("runtime", &self.runtime).field("thread", &self.owner.thread()).finish()
    }
}
