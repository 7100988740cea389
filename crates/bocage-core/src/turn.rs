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
//! | a turn   | granted | [`Turn::grant`], [`Turn::grant_in_rows`], [`Turn::hand_over`] | all readers that are linked in a row are counted, and go to their executors |
//! | a turn   | a reader, and the turn of the next if one is linked | [`Turn::begin`] | the reader is counted, or takes over the count that is owed |
//! | a reader | owed | [`Reader::run`] | it has run and left the queue, and is counted still |
//! | a reader | granted | the same, of a reader of another executor | it goes there |
//! | granted  | owed | [`Ready::run_owing`] | it has run and left the queue, and is counted still, beside others that are owed |
//! | owed     | nothing | [`Owed::settle`] | all are counted out: a writer that waits for that has the cown |
//!
//! # What is owed
//!
//! A reader that has run and is not counted out holds its cown still. That is no loss as long as the next one is about to
//! begin, which in a turn takes over its count: to pass a cown from reader to reader changes nothing in it. One that was
//! granted has a count of its own; then several are owed, and counted out in one step, where each step would take the cown's
//! line from other threads that read it too. Only who runs them can tell when no other follows, so it has to settle then.
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

use crate::behavior::{Arrival, Header, Ran};
use crate::cown::CownHeader;
use crate::executor::Ready;
use crate::grant;
use crate::release;
use crate::slot::Kind;
use crate::stage::Stage;

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

    /// The same, but that those of the executor with this [key](crate::Executor::turn_key) which stand one behind the other go
    /// there as [rows](crate::Executor::ready_in_row): as so many `parts`, of about the same length, or some more if there are
    /// very many. Of those that are counted at once the last part comes first.
    pub fn grant_in_rows(self, key: NonZeroUsize, parts: NonZeroUsize) {
        let header = self.0;
        mem::forget(self);
        // SAFETY: by the invariant.
        unsafe { grant::in_rows(cown_of(header), header, key, parts) }
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
    /// use bocage_core::{Cown, Executor, Inline, Owed, Ready, Stage, Turn, read, try_acquire, when_on};
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
    /// static STAGE: Stage = Stage::nowhere();
    /// let (key, mut owed) = (shelf.turn_key().unwrap(), Owed::on(&STAGE));
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
    #[inline(always)]
    pub fn begin(self, owed: &mut Owed) -> (Reader<'_>, Option<Turn>) {
        let header = self.0;
        mem::forget(self);
        // SAFETY: by the invariant its block is there until it has run, and the cown until it is released.
        unsafe {
            let slot = Header::only_slot(header);
            let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
            if !owed.take_over(cown) {
                cown.as_ref().count_reader_in_turn();
            }
            let successor = slot.word.set_granted();
            let mut next = None;
            match successor {
                Some((reader, Kind::ONLY_READS)) => {
                    Header::prefetch_slots(reader);
                    next = Some(Turn::new(reader));
                }
                Some((writer, Kind::WRITES)) => owed.put_writer(cown, writer),
                Some((reader, _)) => grant::to_readers(cown, reader, Arrival::Scheduled),
                None => {}
            }
            (Reader { header, owed, is_followed: successor.is_some() }, next)
        }
    }

    /// Whether the first reader is of the executor with this [key](crate::Executor::turn_key).
    #[inline]
    pub fn is_of(&self, key: NonZeroUsize) -> bool {
        // SAFETY: by the invariant its block is there, and it has not run.
        unsafe { Header::is_of(self.0, key) }
    }

    /// The turn as a pointer. [`Turn::from_raw`] takes it back; until then the cown is kept from all that come.
    pub fn into_raw(self) -> NonNull<()> {
        let header = self.0;
        mem::forget(self);
        header.cast()
    }

    /// The turn that [`into_raw`](Self::into_raw) made a pointer of.
    ///
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
    unsafe { grant::to_readers(cown_of(header), header, arrival) }
}

/// # Safety
///
/// The block is there, and has one slot.
unsafe fn cown_of(header: NonNull<Header>) -> NonNull<CownHeader> {
    // SAFETY: as the caller says; a cown's address is not null.
    unsafe { NonNull::new_unchecked(Header::only_slot(header).want.cown().cast_mut()) }
}

/// A reader that has its cown and is to be run now.
///
/// Dropping it cancels the behavior, as dropping a [`Ready`] does.
#[must_use = "dropping a reader cancels it"]
pub struct Reader<'a> {
    header: NonNull<Header>,
    owed: &'a mut Owed,
    /// Whether a successor has linked.
    is_followed: bool,
}

impl Reader<'_> {
    /// Runs the body, and leaves the cown to the next reader, or owes it. A panic goes to the behavior's handle.
    ///
    /// If the behavior is not of an executor with this [key](crate::Executor::turn_key), then it goes to its own instead,
    /// and this says `false`.
    #[inline]
    pub fn run(self, key: NonZeroUsize) -> bool {
        let mut this = mem::ManuallyDrop::new(self);
        let Reader { header, owed, is_followed } = &mut *this;
        let (header, is_followed) = (*header, *is_followed);
        // SAFETY: it has its cown, and there is no other token for it; no reader is owed, as `begin` saw to.
        unsafe { Header::run_in_turn(header, key, owed, is_followed) != Ran::Elsewhere }
    }
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

/// What has been left undone of a cown: to count out the readers that have run, and to let the writer enter that comes next.
/// See [`Turn::begin`] and [`Ready::run_owing`].
///
/// A writer of that cown waits until it is [settled](Self::settle), which dropping does too.
#[derive(Debug)]
#[must_use = "what is owed keeps a cown from its writers"]
pub struct Owed {
    /// The cown of one reader that is to be counted out: of the last one, whose count the next in turn takes over.
    last: Option<NonNull<CownHeader>>,
    /// Whose other readers and writer these are, if there are any.
    cown: Option<NonNull<CownHeader>>,
    /// How many others are to be counted out.
    readers: u32,
    writer: Option<NonNull<Header>>,
    /// Where who runs them says which one it runs; it is there as long as this.
    stage: NonNull<Stage>,
}

impl Owed {
    /// Nothing, yet, for a thread that says on this stage what it runs. Of one stage there should be one: who looks there sees
    /// one behavior.
    pub fn on(stage: &'static Stage) -> Self {
        // SAFETY: it is there for ever.
        unsafe { Self::at(NonNull::from(stage)) }
    }

    /// # Safety
    ///
    /// The stage is there as long as this.
    pub(crate) unsafe fn at(stage: NonNull<Stage>) -> Self {
        Self { last: None, cown: None, readers: 0, writer: None, stage }
    }

    #[inline(always)]
    pub(crate) fn stage(&self) -> &Stage {
        // SAFETY: by the invariant.
        unsafe { self.stage.as_ref() }
    }

    /// Whether that is all.
    #[inline]
    pub fn is_nothing(&self) -> bool {
        self.last.is_none() && self.readers == 0 && self.writer.is_none()
    }

    /// Whether a writer waits for it, so that no reader [goes on](Self::goes_on_with) with it.
    #[inline]
    pub fn keeps_writer(&self) -> bool {
        self.writer.is_some()
    }

    /// Whether `ready` reads the cown of which something is owed, and wants nothing else. To run it first keeps nobody waiting
    /// who would not have to wait for it anyway.
    #[inline]
    pub fn goes_on_with(&self, ready: &Ready) -> bool {
        let header = ready.header();
        // SAFETY: ready, so its block is there.
        let Some(cown) = (unsafe { Header::only_reads(header) }) else { return false };
        self.writer.is_none() && (self.last == Some(cown) || self.readers > 0 && self.cown == Some(cown))
    }

    /// Does what is owed. If a writer has the cown then, it goes to its executor, on this thread.
    #[inline]
    pub fn settle(&mut self) {
        self.put_last_with_others();
        self.settle_others();
    }

    /// Settles what does not have to do with the last reader.
    fn settle_others(&mut self) {
        let (readers, writer) = (mem::take(&mut self.readers), self.writer.take());
        let Some(cown) = self.cown else { return };
        // SAFETY: the readers have run and are counted still, or the writer is in the queue, which keeps the cown; each is told
        // once.
        unsafe {
            match writer {
                Some(writer) => release::to_writer(cown, writer, readers),
                None if readers > 0 => release::count_out(cown, readers),
                None => {}
            }
        }
    }

    /// The last reader is one of several from now on. What is owed of another cown is settled.
    fn put_last_with_others(&mut self) {
        if let Some(cown) = self.last.take() {
            self.change_cown(cown);
            self.readers += 1;
        }
    }

    /// Settles what is owed of another cown.
    fn change_cown(&mut self, cown: NonNull<CownHeader>) {
        if self.cown != Some(cown) {
            self.settle_others();
            self.cown = Some(cown);
        }
    }

    /// Takes one reader out, whose count the caller has from now on, if one of this cown is owed. Anything else is settled.
    #[inline(always)]
    fn take_over(&mut self, cown: NonNull<CownHeader>) -> bool {
        if self.last == Some(cown) {
            debug_assert!(self.writer.is_none(), "a turn comes behind the writer that is next");
            self.last = None;
            return true;
        }
        self.take_over_other(cown)
    }

    #[inline(never)]
    fn take_over_other(&mut self, cown: NonNull<CownHeader>) -> bool {
        self.put_last_with_others();
        let is_owed = self.cown == Some(cown) && self.readers > 0 && self.writer.is_none();
        if is_owed {
            self.readers -= 1;
        } else {
            self.settle_others();
        }
        is_owed
    }

    /// A reader of this cown has left the queue and is counted still.
    #[inline(always)]
    pub(crate) fn put_reader(&mut self, cown: NonNull<CownHeader>) {
        if self.last.is_some() {
            self.put_last_with_others();
            self.change_cown(cown);
        }
        self.last = Some(cown);
    }

    /// This writer comes right behind the reader of this cown that is about to run. Nothing of another cown is owed.
    #[inline]
    fn put_writer(&mut self, cown: NonNull<CownHeader>, writer: NonNull<Header>) {
        debug_assert!(self.writer.is_none() && self.last.is_none(), "a cown has one writer that is next");
        self.change_cown(cown);
        self.writer = Some(writer);
    }
}

impl Drop for Owed {
    fn drop(&mut self) {
        self.settle();
    }
}
