//! Executors: where ready behaviors run.

use core::fmt;
use core::mem;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::behavior::{Arrival, Header, Mode, Ran};
use crate::row::Row;
use crate::turn::{Owed, Turn};

/// A behavior that has all its cowns: a token that can be run once.
///
/// It is one pointer, so that an executor's queues stay small. Dropping it cancels the behavior: the
/// cowns are released, the body does not run, and its handle says [`Failure::Cancelled`].
///
/// [`Failure::Cancelled`]: crate::Failure::Cancelled
pub struct Ready(NonNull<Header>);

// SAFETY: whatever a behavior holds (closure, result, the cowns' values) is `Send`, as scheduling asks for.
unsafe impl Send for Ready {}
// SAFETY: shared, it tells of the behavior: its address, what it asks for, and what its executor, which is `Sync`, says.
unsafe impl Sync for Ready {}

impl Ready {
    /// # Safety
    ///
    /// The behavior is ready and no other token for it exists.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// Runs the body, releases the cowns, and gives what thereby became ready to its executors.
    ///
    /// A panic of the body goes to the behavior's handle; this never unwinds.
    pub fn run(self) {
        let header = self.into_header();
        // SAFETY: the token was the only one.
        unsafe { Header::run(header, Mode::Run) }
    }

    /// [`run`](Self::run), for a thread that has more to run: if the behavior reads one cown and wants nothing else, it may still
    /// be counted as a reader afterwards, which is to be [settled](Owed::settle), at the latest before anything is run with
    /// which it does not [go on](Owed::goes_on_with). So readers of one cown that one thread runs one after the other
    /// are counted out in one step. `true` if it is so.
    ///
    /// A reader whose end somebody can see, by its handle or by a scope, is counted out before that, and never owed.
    ///
    /// ```
    /// use bocage_core::{Cown, Executor, Owed, Ready, Stage, read, try_acquire, when_on};
    /// use std::sync::{Arc, Mutex};
    ///
    /// /// Runs nothing, and keeps what is ready.
    /// #[derive(Clone, Default)]
    /// struct Shelf(Arc<Mutex<Vec<Ready>>>);
    /// impl Executor for Shelf {
    ///     fn ready(&self, ready: Ready) {
    ///         self.0.lock().unwrap().push(ready);
    ///     }
    /// }
    ///
    /// let (shelf, cown) = (Shelf::default(), Cown::new(1));
    /// for _ in 0..3 {
    ///     drop(when_on(shelf.clone(), read(&cown), |value| assert_eq!(*value, 1)));
    /// }
    /// static STAGE: Stage = Stage::nowhere();
    /// let mut owed = Owed::on(&STAGE);
    /// for ready in shelf.0.lock().unwrap().drain(..) {
    ///     if !owed.goes_on_with(&ready) {
    ///         owed.settle();
    ///     }
    ///     assert!(ready.run_owing(&mut owed));
    /// }
    /// assert!(try_acquire(&cown).is_none());
    /// owed.settle();
    /// assert!(try_acquire(&cown).is_some());
    /// ```
    #[inline]
    pub fn run_owing(self, owed: &mut Owed) -> bool {
        let header = self.into_header();
        // SAFETY: the token was the only one.
        unsafe { Header::run_owing(header, owed) == Ran::Owed }
    }

    /// Gives the behavior to its own executor, as if it had just become ready.
    pub fn dispatch(self) {
        let header = self.into_header();
        // SAFETY: the token was the only one.
        unsafe { Header::make_ready(header, Arrival::Scheduled) }
    }

    /// What [`into_raw`](Self::into_raw) would give: the behavior's identity among those that are alive.
    pub fn as_ptr(&self) -> NonNull<()> {
        self.0.cast()
    }

    /// The token as a pointer, for queues that keep pointers. [`Ready::from_raw`] takes it back; until
    /// then its cowns stay held.
    pub fn into_raw(self) -> NonNull<()> {
        self.into_header().cast()
    }

    /// The token that [`into_raw`](Self::into_raw) made a pointer of.
    ///
    /// # Safety
    ///
    /// `raw` came from [`Ready::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }

    pub(crate) fn header(&self) -> NonNull<Header> {
        self.0
    }

    pub(crate) fn into_header(self) -> NonNull<Header> {
        let header = self.0;
        mem::forget(self);
        header
    }
}

impl Drop for Ready {
    fn drop(&mut self) {
        // SAFETY: the token was the only one.
        unsafe { Header::run(self.0, Mode::Cancel) }
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Ready({:p})", self.0)
    }
}

/// Where an executor's behaviors are at home.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Home {
    /// What tells it from others: the address of what it stands for, say.
    pub key: NonZeroUsize,
    /// Whether only one thread runs them.
    pub pinned: bool,
}

/// Runs ready behaviors, on threads of its own choice.
///
/// Each behavior's block holds its executor by value, so this should be as small as a pointer; and it is aligned to 8 bytes at
/// most, or scheduling does not compile. Neither
/// method may block or run the behavior recursively without bound: [`Ready::run`] calls `handed_over`, so
/// an executor that ran it there and then would use stack for each behavior of a chain.
///
/// One whose threads have no [stage](crate::Stages) runs behaviors by [`Outside::run`](crate::Outside::run), or else nobody can
/// tell what they keep waiting.
pub trait Executor: Clone + Send + Sync + 'static {
    /// Takes in a behavior whose cowns were all free when it was scheduled, or that is dispatched anew.
    fn ready(&self, ready: Ready);

    /// Takes in a behavior that became ready since the calling thread released a cown: its data is in
    /// this thread's cache, so a good executor runs it here, next.
    fn handed_over(&self, ready: Ready) {
        self.ready(ready);
    }

    /// Told that it is the turn of a behavior of this executor, and of others that come right after it, to read a cown that
    /// the calling thread released just now. An executor that would run them here, one after the other, may keep the
    /// turn and [begin](Turn::begin) with the first when it gets to it.
    fn handed_over_turn(&self, turn: Turn) {
        turn.hand_over();
    }

    /// The same, when the first of them has just been scheduled.
    fn ready_turn(&self, turn: Turn) {
        turn.grant();
    }

    /// Takes in some of the readers that the calling thread lets have a cown at once, by [`Turn::grant_in_rows`]. An executor
    /// that calls that may put them all where others can take them, and tell the others afterwards.
    fn ready_in_row(&self, row: Row) {
        row.into_iter().for_each(|ready| self.ready(ready));
    }

    /// What tells this executor from all others that keep turns, of whatever type, if it does: the address of what it stands
    /// for, say.
    fn turn_key(&self) -> Option<NonZeroUsize> {
        None
    }

    /// Whose behaviors these are, for [whoever looks](crate::look_behind) at those that wait. Others stand still meanwhile, so it
    /// must not wait for anything.
    fn home(&self) -> Option<Home> {
        None
    }

    /// Told that an enqueue had to yield or park `yields` times, since the thread that came before it in a cown's
    /// queue was stopped in the middle of its own. For statistics.
    fn stalled(&self, yields: u32) {
        let _ = yields;
    }
}

/// Runs each behavior on the thread that made it ready: the one that schedules it or, if it had to wait,
/// the one that releases its last cown.
///
/// For tests and small programs. What is handed over while a behavior runs is run after it, not inside
/// it, so that a long chain takes no stack. Hence a body can't [wait](crate::Handle::wait), which panics.
#[derive(Clone, Copy, Debug, Default)]
pub struct Inline;

impl Executor for Inline {
    fn ready(&self, ready: Ready) {
        inline::run(ready);
    }
}

mod inline {
    use super::Ready;
    use crate::worker::enter_worker;
    use std::cell::{Cell, RefCell};
    use std::collections::VecDeque;

    thread_local! {
        static RUNNING: Cell<bool> = const { Cell::new(false) };
        static QUEUE: RefCell<VecDeque<Ready>> = const { RefCell::new(VecDeque::new()) };
    }

    /// Runs `ready` and all that follows from it, or leaves it to a call further up the stack.
    pub(super) fn run(ready: Ready) {
        let mut ready = Some(ready);
        // If the thread is ending and has no locals any more, it does without.
        if QUEUE.try_with(|queue| queue.borrow_mut().extend(ready.take())).is_err() {
            let _mark = enter_worker();
            return ready.into_iter().for_each(Ready::run);
        }
        if RUNNING.replace(true) {
            return;
        }
        let _mark = enter_worker();
        while let Some(next) = QUEUE.with_borrow_mut(VecDeque::pop_front) {
            next.run();
        }
        RUNNING.set(false);
    }
}
