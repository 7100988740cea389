//! Pinned behaviors: those that one given thread runs, when it chooses to *pump*.
//!
//! A window, an interpreter, a handle of a graphics card may be used by the thread only that made it. A behavior that is
//! [pinned](Pinned::when) to that thread gets in line on its cowns as any other does. When it has them all it goes into
//! the thread's inbox ([`crate::inbox`]), and there it stays until the thread pumps: in [`Pinned::pump`], or, since it
//! has nothing better to do, in whatever else of Bocage it blocks in.
//!
//! | the thread blocks in                               | it pumps since                                               |
//! |----------------------------------------------------|--------------------------------------------------------------|
//! | `Pinned::pump`                                     | it is there for that                                         |
//! | `Runtime::wait`, `quiesce`, the drop of a `Runtime` | the ledger's wait asks the inbox before it sleeps           |
//! | `Handle::wait`, `Acquire::wait`, the end of a scope | it is what the core calls while the thread would block      |
//!
//! A thread has one inbox, for all runtimes: what it waits for on one may need what is pinned to it on another.
//!
//! A pinned behavior is counted as any that a thread outside schedules, and is finished when a thread outside, this
//! one, has run it. So its runtime does not come to rest before. If the thread ends, what is pinned to it is cancelled,
//! then and from then on, so that the runtime can come to rest all the same.

use std::any::{Any, type_name};
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::fmt;
use std::ops::ControlFlow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use bocage_core::{Executor, Handle, Helping, Ready, enter_worker, help_while_waiting, when_on};

use crate::deterministic::Program;
use crate::error::Error;
use crate::inbox::Inbox;
use crate::pinned_cown::{PinnedCown, PinnedRequests};
use crate::quiesce::{Goal, Ledger, Tick, Unquiet};
use crate::runtime::{Runtime, RuntimeRef};
use crate::shared::Shared;

/// A thread that waits for its runtime runs so many pinned behaviors before it looks at the clock.
const IN_A_ROW: usize = 32;

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

/// A thread to which behaviors are pinned, as others see it.
pub(crate) struct Owner {
    thread: ThreadId,
    inbox: Inbox<Mail, &'static Ledger>,
}

enum Mail {
    /// A behavior that has its cowns.
    Turn(Turn),
    /// The last handle of a pinned cown is gone: the value with this key is to be dropped.
    Discard(u64),
}

/// A pinned behavior that is ready. Dropped before it ran it is cancelled; it is finished in any case.
struct Turn {
    ready: Option<Ready>,
    home: RuntimeRef,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.ready.take());
        self.home.finish_outside();
    }
}

/// What a thread to which behaviors are pinned keeps for itself.
struct Here {
    owner: Arc<Owner>,
    /// The values of its pinned cowns; none in place of one that a body has now.
    values: RefCell<HashMap<u64, Option<Box<dyn Any>>>>,
    next: Cell<u64>,
    /// From now on, and until the thread ends.
    _helping: Helping,
}

thread_local! {
    static HERE: OnceCell<Here> = const { OnceCell::new() };
    /// The runtime whose pinned behavior this thread runs.
    static RUNNING: Cell<Option<RuntimeRef>> = const { Cell::new(None) };
}

impl Drop for Here {
    fn drop(&mut self) {
        for mail in self.owner.inbox.close() {
            if let Mail::Turn(turn) = mail {
                cancel(turn);
            }
        }
        for value in std::mem::take(self.values.get_mut()).into_values() {
            drop_quietly(value);
        }
    }
}

/// What the calling thread keeps, if behaviors are or were pinned to it.
fn here<T>(f: impl FnOnce(&Here) -> T) -> Option<T> {
    HERE.try_with(|here| here.get().map(f)).ok().flatten()
}

/// The runtime whose pinned behavior the calling thread runs.
pub(crate) fn running() -> Option<RuntimeRef> {
    RUNNING.get()
}

/// Whether the calling thread can't pump, nor wait until another does: it runs behaviors.
fn runs_behaviors() -> bool {
    RuntimeRef::current().is_some() || Program::current().is_some()
}

/// Waits as the ledger does, and pumps meanwhile, if behaviors may be pinned to the calling thread.
pub(crate) fn wait(
    ledger: &'static Ledger,
    goal: Goal,
    deadline: Option<Instant>,
    tick: Option<Tick<'_>>,
) -> Result<(), Unquiet> {
    /// Gets up, though a callback panics.
    struct Bed<'a>(&'a Owner, Option<&'static Ledger>);
    impl Drop for Bed<'_> {
        fn drop(&mut self) {
            self.0.inbox.make_bed(self.1);
        }
    }
    let Some(owner) = here(|here| here.owner.clone()) else { return ledger.wait(goal, deadline, tick) };
    let _bed = Bed(&owner, owner.inbox.make_bed(Some(ledger)));
    let (every, mut on_tick) = tick.map_or((Duration::MAX, None), |(every, on_tick)| (every, Some(on_tick)));
    let mut pump = || {
        owner.run(IN_A_ROW);
        on_tick.as_mut().map_or(ControlFlow::Continue(()), |on_tick| on_tick())
    };
    ledger.wait_in(goal, deadline, Some((every, &mut pump)), || owner.inbox.has_mail())
}

/// What the thread does while the core would block it.
fn help() -> bool {
    here(|here| here.owner.run(1) > 0).unwrap_or(false)
}

impl Owner {
    /// The calling thread.
    fn current() -> Option<Arc<Self>> {
        let make = || Here {
            owner: Arc::new(Self { thread: thread::current().id(), inbox: Inbox::new() }),
            values: RefCell::default(),
            next: Cell::new(0),
            _helping: help_while_waiting(help),
        };
        HERE.try_with(|here| here.get_or_init(make).owner.clone()).ok()
    }

    /// Which thread it is.
    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Whether the thread has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Wakes it, to see whether its runtime has stopped.
    pub(crate) fn wake(&self) {
        self.inbox.wake();
    }

    fn push(&self, mail: Mail) -> Result<(), Mail> {
        if let Some(bed) = self.inbox.push(mail)? {
            bed.disturb();
        }
        Ok(())
    }

    fn take_in(&self, turn: Turn) {
        let shared = turn.home.shared();
        if let Err(Mail::Turn(turn)) = self.push(Mail::Turn(turn)) {
            cancel(turn);
        } else if shared.cancels() {
            // Pushed after `cancel_all` had been here, or else it is gone by now.
            self.cancel_all(shared);
        }
    }

    /// Cancels what waits here to run for the runtime of `shared`.
    pub(crate) fn cancel_all(&self, shared: &'static Shared) {
        let unwanted = |mail: &Mail| matches!(mail, Mail::Turn(turn) if ptr::eq(turn.home.shared(), shared));
        for mail in self.inbox.take_out(unwanted) {
            if let Mail::Turn(turn) = mail {
                cancel(turn);
            }
        }
    }

    /// Runs at most so many behaviors, as long as there are some; returns how many. On its own thread.
    fn run(&self, most: usize) -> usize {
        let mut ran = 0;
        while ran < most {
            match self.inbox.take() {
                None => break,
                Some(Mail::Discard(key)) => discard(key),
                Some(Mail::Turn(turn)) => {
                    turn.run();
                    ran += 1;
                }
            }
        }
        ran
    }

    /// The value with this key is not used any more.
    pub(crate) fn discard(&self, key: u64) {
        if self.thread == thread::current().id() {
            discard(key);
        } else {
            // If the thread has ended, its values are gone.
            let _ = self.push(Mail::Discard(key));
        }
    }
}

impl Turn {
    fn run(mut self) {
        /// Says that a pinned behavior runs; there may be one further down the stack, of another runtime.
        struct Running(Option<RuntimeRef>);
        impl Drop for Running {
            fn drop(&mut self) {
                RUNNING.set(self.0);
            }
        }
        if self.home.shared().cancels() {
            return cancel(self);
        }
        if let Some(ready) = self.ready.take() {
            let _mark = enter_worker();
            let _running = Running(RUNNING.replace(Some(self.home)));
            ready.run();
        }
    }
}

/// Cancels a behavior. What that hands over may have to be cancelled too, and so on: it is left to the call that is
/// first on this thread's stack, so that a long chain takes no stack.
fn cancel(turn: Turn) {
    thread_local! {
        /// While a call is under way: the turns left to it.
        static LEFT: RefCell<Option<Vec<Turn>>> = const { RefCell::new(None) };
    }
    let mut next = Some(turn);
    // If the thread is ending and has no locals any more, it does without.
    let first = LEFT.try_with(|left| {
        let left = &mut *left.borrow_mut();
        if let Some(left) = left {
            left.extend(next.take());
            return false;
        }
        *left = Some(Vec::new());
        true
    });
    while let Some(turn) = next {
        drop(turn);
        next = LEFT.try_with(|left| left.borrow_mut().as_mut().and_then(Vec::pop)).ok().flatten();
    }
    if matches!(first, Ok(true)) {
        LEFT.with(|left| *left.borrow_mut() = None);
    }
}

/// Keeps a value of the calling thread, to which behaviors may be pinned; returns its key.
fn keep(value: Box<dyn Any>) -> Option<u64> {
    here(|here| {
        let key = here.next.get();
        here.next.set(key + 1);
        here.values.borrow_mut().insert(key, Some(value));
        key
    })
}

/// Takes the value with this key, for a body to have it.
pub(crate) fn lend(key: u64) -> Option<Box<dyn Any>> {
    here(|here| here.values.borrow_mut().get_mut(&key).and_then(Option::take)).flatten()
}

/// Gives it back.
pub(crate) fn give_back(key: u64, value: Box<dyn Any>) {
    here(|here| here.values.borrow_mut().insert(key, Some(value)));
}

/// Drops the value with this key.
fn discard(key: u64) {
    if let Some(value) = here(|here| here.values.borrow_mut().remove(&key)).flatten() {
        drop_quietly(value);
    }
}

/// Drops a value. A panic in it has been reported by the panic hook, and must not end whatever is under way, be it the
/// thread itself.
fn drop_quietly(value: Option<Box<dyn Any>>) {
    let _ = catch_unwind(AssertUnwindSafe(|| drop(value)));
}

/// The executor of pinned behaviors.
#[derive(Clone)]
struct ToOwner(Pinned);

impl Executor for ToOwner {
    fn ready(&self, ready: Ready) {
        // This is in the behavior's block, which may go as soon as another thread has the behavior.
        let Pinned { runtime, owner } = self.0.clone();
        owner.take_in(Turn { ready: Some(ready), home: runtime });
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
        if runs_behaviors() {
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
    /// it may ask for [pinned cowns](PinnedCown) too.
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
        if !requests.are_of(self.owner.thread) {
            return Err(Error::WrongThread);
        }
        let admission = self.runtime.admit()?;
        let requests = requests.requests();
        let note = admission.note_pinned(type_name::<F>(), &requests);
        Ok(admission.schedule(|_| {
            when_on(ToOwner(self.clone()), requests, move |guards| {
                let body = || body(Q::guards(guards));
                match note {
                    Some(note) => note.run(body),
                    None => body(),
                }
            })
        }))
    }

    /// A cown whose value never leaves this thread, and so need not be `Send`.
    ///
    /// # Errors
    ///
    /// [`Error::WrongThread`] on another thread. There, let a pinned behavior make it.
    pub fn cown<T: 'static>(&self, value: T) -> Result<PinnedCown<T>, Error> {
        if self.owner.thread != thread::current().id() {
            return Err(Error::WrongThread);
        }
        let key = keep(Box::new(value)).ok_or(Error::WrongThread)?;
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
        if self.owner.thread != thread::current().id() {
            return Err(Error::WrongThread);
        }
        if runs_behaviors() {
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
            self.owner.inbox.park(left);
        }
    }

    /// The runtime on which it schedules.
    pub fn runtime(&self) -> RuntimeRef {
        self.runtime
    }

    /// Whether the calling thread is the one that it stands for.
    pub fn is_here(&self) -> bool {
        self.owner.thread == thread::current().id()
    }
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pinned").field("runtime", &self.runtime).field("thread", &self.owner.thread).finish()
    }
}
