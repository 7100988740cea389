//! Turns: readers that are in line one after the other, and get the cown from hand to hand, as writers do.
//!
//! When it is a reader's turn, all that come right after it may have the cown as well (see [`crate::slot`]). But to
//! grant to each, to pass each to its executor and to count each out of the cown again makes a read dearer than a write,
//! which does not pay if all of them run on one thread, one after the other. So an executor is told of the [`Turn`] first.
//! It may keep that, begin with one reader, and go on with the next when that has run; and it may grant to all that are
//! left at any time, as soon as another thread could run some of them.
//!
//! | from     | to | by | what happens at the cown |
//! |----------|---|---|---|
//! | a turn   | granted | [`Turn::grant`], [`Turn::hand_over`] | all readers that are linked in a row are counted, and go to their executors |
//! | a turn   | a reader, and the turn of the next if one is linked | [`Turn::begin`] | the reader is counted, or takes over the count that is owed |
//! | a reader | owed | [`Reader::run`] | it has run and left the queue, and is counted still |
//! | a reader | granted | the same, of a reader of another executor | it goes there |
//! | owed     | nothing | [`Owed::settle`] | it is counted out: a writer that waits for that has the cown |
//!
//! # What is owed
//!
//! A reader that has run and is not counted out holds its cown still. That is no loss as long as the next one is about to
//! begin, which takes over its count: to pass a cown from reader to reader changes nothing in it. Only who runs them can
//! tell when no other follows, so it has to settle then.
//!
//! A reader whose end somebody can see, by its handle or by a scope, is counted out before that, and never owed: who has
//! waited for it finds that it holds the cown no more.
//!
//! # Invariants
//!
//! - A turn is of a reader that asks for nothing else, for which nobody is left to wait, and that has not been granted to. So
//!   its block is there, its queue is not empty, and the cown lives.
//! - Until it is granted or begun, nobody behind that reader gets the cown: a turn is never lost, dropping it grants.

use core::fmt;
use core::mem;
use core::num::NonZeroUsize;
use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::cown::CownHeader;
use crate::executor::Ready;
use crate::grant;
use crate::release;
use crate::slot::{Kind, Slot};

/// The turn of a behavior that reads one cown and nothing else, and of those of that kind that come right after it.
///
/// Dropping it is to [grant](Self::grant) it.
#[must_use = "dropping a turn grants it"]
pub struct Turn(NonNull<Header>);

// SAFETY: it stands for a behavior in line, of which all that it holds is `Send`, as for `Ready`.
unsafe impl Send for Turn {}

impl Turn {
    /// # Safety
    ///
    /// The behavior reads one cown, wants nothing else, has ended its phase 1, and it is its turn. No other token for that
    /// exists.
    pub(crate) unsafe fn new(header: NonNull<Header>) -> Self {
        Self(header)
    }

    /// Lets all of them have the cown at once. Their executors get them one by one, as [ready](crate::Executor::ready).
    pub fn grant(self) {
        drop(self);
    }

    /// The same, but that they go to [`handed_over`](crate::Executor::handed_over): for a thread that does not run a body
    /// just now.
    pub fn hand_over(self) {
        let header = self.0;
        mem::forget(self);
        // SAFETY: by the invariant.
        unsafe { grant_all(header, Arrival::HandedOver) }
    }

    /// Begins with the first reader, which is to be run now. The turn of the next comes with it, if one is linked by now.
    ///
    /// ```
    /// use bocage_core::{Cown, Executor, Inline, Owed, Ready, Turn, read, try_acquire, when_on};
    /// use std::num::NonZeroUsize;
    /// use std::sync::{Arc, Mutex};
    ///
    /// /// Runs nothing, and keeps one turn.
    /// #[derive(Clone, Default)]
    /// struct Shelf(Arc<Mutex<Option<Turn>>>);
    /// impl Executor for Shelf {
    ///     fn ready(&self, _: Ready) {
    ///         unreachable!("only turns come here");
    ///     }
    ///     fn ready_turn(&self, turn: Turn) {
    ///         *self.0.lock().unwrap() = Some(turn);
    ///     }
    ///     fn turn_key(&self) -> Option<NonZeroUsize> {
    ///         NonZeroUsize::new(Arc::as_ptr(&self.0).addr())
    ///     }
    /// }
    ///
    /// let shelf = Shelf::default();
    /// let cown = Cown::new(1);
    /// for _ in 0..3 {
    ///     drop(when_on(shelf.clone(), read(&cown), |value| assert_eq!(*value, 1)));
    /// }
    /// let (key, mut owed) = (shelf.turn_key().unwrap(), Owed::nothing());
    /// let mut turn = shelf.0.lock().unwrap().take();
    /// let mut readers = 0;
    /// while let Some((reader, next)) = turn.map(|turn| turn.begin(&mut owed)) {
    ///     readers += u32::from(reader.run(key));
    ///     turn = next;
    /// }
    /// assert_eq!(readers, 3);
    /// assert!(try_acquire(&cown).is_none());
    /// owed.settle();
    /// assert!(try_acquire(&cown).is_some());
    /// ```
    #[inline]
    pub fn begin(self, owed: &mut Owed) -> (Reader<'_>, Option<Turn>) {
        let header = self.0;
        mem::forget(self);
        // SAFETY: by the invariant its block is there until it has run, and the cown until it is released.
        unsafe {
            let slot = only_slot(header);
            let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
            if !owed.take_over(cown) {
                cown.as_ref().count_reader_in_turn();
            }
            let mut next = None;
            match slot.word.set_granted() {
                Some((reader, Kind::ONLY_READS)) => next = Some(Turn::new(reader)),
                Some((writer, Kind::WRITES)) => owed.put_writer(cown, writer),
                Some((reader, _)) => grant::to_readers(cown, reader, Arrival::Scheduled),
                None => {}
            }
            (Reader { header, owed }, next)
        }
    }

    /// The turn as a pointer. [`Turn::from_raw`] takes it back; until then the cown is kept from all that come.
    pub fn into_raw(self) -> NonNull<()> {
        let header = self.0;
        mem::forget(self);
        header.cast()
    }

    /// # Safety
    ///
    /// `raw` came from [`Turn::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        Self(raw.cast())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // SAFETY: by the invariant.
        unsafe { grant_all(self.0, Arrival::Scheduled) }
    }
}

impl fmt::Debug for Turn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Turn({:p})", self.0)
    }
}

/// # Safety
///
/// It is the behavior's turn, and nobody else knows.
unsafe fn grant_all(header: NonNull<Header>, arrival: Arrival) {
    // SAFETY: as the caller says, its block is there, and its queue is not empty, which keeps the cown.
    unsafe {
        let cown = only_slot(header).want.cown().cast_mut();
        grant::to_readers(NonNull::new_unchecked(cown), header, arrival);
    }
}

/// # Safety
///
/// The block is there, and has one slot.
#[inline]
unsafe fn only_slot<'a>(header: NonNull<Header>) -> &'a Slot {
    // SAFETY: passed on.
    unsafe { &*Header::first_slot(header, 1) }
}

/// A reader that has its cown and is to be run now.
///
/// Dropping it cancels the behavior, as dropping a [`Ready`] does.
#[must_use = "dropping a reader cancels it"]
pub struct Reader<'a> {
    header: NonNull<Header>,
    owed: &'a mut Owed,
}

impl Reader<'_> {
    /// Runs the body, and leaves the cown to the next reader, or owes it. A panic goes to the behavior's handle.
    ///
    /// If the behavior is not of an executor with this [key](crate::Executor::turn_key), then it goes to its own instead,
    /// and this says `false`.
    #[inline]
    pub fn run(self, key: NonZeroUsize) -> bool {
        let mut this = mem::ManuallyDrop::new(self);
        // SAFETY: it has its cown, and there is no other token for it; no reader is owed, as `begin` saw to.
        unsafe { Header::run_in_turn(this.header, InTurn { key, owed: this.owed }) }
    }
}

/// What the run of a reader is told.
pub(crate) struct InTurn<'a> {
    /// Of the executor that runs it.
    pub(crate) key: NonZeroUsize,
    pub(crate) owed: &'a mut Owed,
}

impl Drop for Reader<'_> {
    fn drop(&mut self) {
        // SAFETY: as for `run`.
        unsafe { drop(Ready::new(self.header)) }
    }
}

impl fmt::Debug for Reader<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reader({:p})", self.header)
    }
}

/// What has been left undone of a cown: to count the reader out that has run, and to let the writer enter that comes next.
/// See [`Turn::begin`].
///
/// A writer of that cown waits until it is [settled](Self::settle), which dropping does too.
#[derive(Debug, Default)]
#[must_use = "what is owed keeps a cown from its writers"]
pub struct Owed {
    cown: Option<NonNull<CownHeader>>,
    /// Whether a reader is to be counted out.
    reader: bool,
    writer: Option<NonNull<Header>>,
}

impl Owed {
    /// Nothing.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Does what is owed. If a writer has the cown then, it goes to its executor, on this thread.
    #[inline]
    pub fn settle(&mut self) {
        let Some(cown) = self.cown.take() else { return };
        let (reader, writer) = (mem::take(&mut self.reader), self.writer.take());
        // SAFETY: a reader of it has run and is counted still, or the writer is in its queue, which keeps it; each is told
        // once.
        unsafe {
            match writer {
                Some(writer) => release::to_writer(cown, writer, reader),
                None if reader => release::count_out(cown),
                None => {}
            }
        }
    }

    /// Takes the reader out, whose count the caller has from now on, if one of this cown is owed. Anything else is settled.
    #[inline]
    fn take_over(&mut self, cown: NonNull<CownHeader>) -> bool {
        let is_owed = self.cown == Some(cown) && self.reader && self.writer.is_none();
        if is_owed {
            self.cown = None;
            self.reader = false;
        } else {
            self.settle();
        }
        is_owed
    }

    /// A reader of this cown has left the queue and is counted still. No other is owed.
    #[inline]
    pub(crate) fn put_reader(&mut self, cown: NonNull<CownHeader>) {
        debug_assert!(self.writer.is_none() || self.cown == Some(cown), "one reader runs at a time");
        self.cown = Some(cown);
        self.reader = true;
    }

    /// This writer comes right behind the reader of this cown that is about to run.
    #[inline]
    fn put_writer(&mut self, cown: NonNull<CownHeader>, writer: NonNull<Header>) {
        self.cown = Some(cown);
        self.writer = Some(writer);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.settle();
    }
}
