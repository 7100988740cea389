//! A behavior's block: the one allocation that holds all of it.
//!
//! ```text
//!   one for each request                      front of type Front<E, R, B>
//!  +--------+ ... +--------+------------------+--------------------------+----------+---------+
//!  | slot   |     | slot   | counts           | result's cown            | executor | closure |
//!  |        |     |        | pending requests | tail vtable word … value |          |         |
//!  +--------+ ... +--------+------------------+--------------------------+----------+---------+
//!                                             ^ everybody points here
//! ```
//!
//! The block *is* the cown of the result, so that a handle costs no allocation and a behavior can ask for
//! another one's result as for any cown. That cown starts out held by its own behavior: its tail is the
//! word in its own header, and no swap was needed, since nobody else could know it.
//!
//! What is before the front is found from its address by subtraction, whatever the types of the front are. A
//! behavior of one cown whose body captures nothing takes 64 bytes: one cache line.
//!
//! # References
//!
//! The result's cown counts them. A block starts with one for the run and one for the handle. A release that finds
//! a successor which has not linked yet adds one for it (see [`crate::slot`]). The block goes when all are gone; the
//! closure is dropped already when the body ends.
//!
//! # The pending count
//!
//! With two requests or more: the number of cowns still to come; in a batch one more, so that none of the
//! batch runs before all are in line. Whoever takes it to zero makes the behavior ready. With one request
//! the count is not used: linking is the last thing that the enqueuer does, so the one hand-over finds
//! everything in place.

use core::num::{NonZeroU32, NonZeroUsize};
use core::ptr::NonNull;

use crate::cown::{CownHeader, EMPTY, POISONED};
use crate::executor::Home;
use crate::row::Row;
use crate::slot::Slot;
use crate::stage::Stage;
use crate::sync::{AtomicU32, Ordering};
use crate::turn::{Owed, Turn};

/// What the queues know of a behavior: its address, which is that of its result's cown, and what stands before that.
#[repr(transparent)]
pub(crate) struct Header {
    result: CownHeader,
}

/// What stands right before the header.
#[repr(C, align(8))]
pub(crate) struct Counts {
    pub(crate) pending: AtomicU32,
    /// Requests, duplicates included. With `BATCHED`.
    pub(crate) requests: u32,
}

/// The behavior is one of a batch: it uses its pending count whatever the number of its requests.
pub(crate) const BATCHED: u32 = 1 << 31;

/// What is done with a cown, or a behavior, whose types are forgotten.
pub(crate) struct Vtable {
    /// Drops the value and frees the memory. Nobody can reach it any more.
    pub(crate) free: unsafe fn(NonNull<CownHeader>),
    /// Whether to drop the value may be the end of other cowns.
    pub(crate) nests: bool,
    /// The rest is for behaviors.
    pub(crate) run: unsafe fn(NonNull<Header>, Mode, &mut Owed) -> Ran,
    /// Of a reader in turn; see [`Header::run_in_turn`].
    pub(crate) run_in_turn: unsafe fn(NonNull<Header>, NonZeroUsize, &mut Owed, bool) -> Ran,
    pub(crate) ready: unsafe fn(NonNull<Header>, Arrival),
    pub(crate) hand_over_turn: unsafe fn(NonNull<Header>, Turn),
    pub(crate) turn_key: unsafe fn(NonNull<Header>) -> Option<NonZeroUsize>,
    pub(crate) ready_in_row: unsafe fn(NonNull<Header>, Row),
    pub(crate) stalled: unsafe fn(NonNull<Header>, u32),
    pub(crate) home: unsafe fn(NonNull<Header>) -> Option<Home>,
    /// The body's, for reports.
    pub(crate) name: fn() -> &'static str,
    /// The same of this one, whose body has not begun.
    pub(crate) label: unsafe fn(NonNull<Header>) -> Option<String>,
}

impl Vtable {
    /// Of a cown that is no behavior's result.
    pub(crate) const fn of_cown(free: unsafe fn(NonNull<CownHeader>), nests: bool) -> Self {
        Self {
            free,
            nests,
            run: |_, _, _| unreachable!("a cown does not run"),
            run_in_turn: Self::never_in_turn,
            ready: |_, _| unreachable!("a cown is never ready"),
            hand_over_turn: |_, _| unreachable!("a cown reads nothing"),
            turn_key: |_| unreachable!("a cown has no executor"),
            ready_in_row: |_, _| unreachable!("a cown reads nothing"),
            stalled: |_, _| unreachable!("a cown waits for nobody"),
            home: |_| unreachable!("a cown has no executor"),
            name: || unreachable!("a cown has no body"),
            label: |_| unreachable!("a cown has no body"),
        }
    }

    /// Of what has no turn.
    pub(crate) fn never_in_turn(_: NonNull<Header>, _: NonZeroUsize, _: &mut Owed, _: bool) -> Ran {
        unreachable!("only readers come in turn")
    }
}

/// Whether a ready behavior's body is to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Run,
    /// It is, and its count as a reader may be owed.
    RunOwing,
    Cancel,
}

/// What a run came to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ran {
    /// The behavior has ended, and holds nothing.
    Ended,
    /// It has, and its count as a reader is owed.
    Owed,
    /// It has gone to its own executor.
    Elsewhere,
}

/// How a behavior became ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// All its cowns were free when it was scheduled.
    Scheduled,
    /// The calling thread just released the last cown that it waited for.
    HandedOver,
}

impl Header {
    /// # Safety
    ///
    /// `this` is the header of a live block.
    unsafe fn counts<'a>(this: NonNull<Self>) -> &'a Counts {
        // SAFETY: they stand before each behavior's header, in its block.
        unsafe { this.cast::<Counts>().sub(1).as_ref() }
    }

    /// What is done with it.
    ///
    /// # Safety
    ///
    /// `this` is the header of a live block.
    pub(crate) unsafe fn vtable(this: NonNull<Self>) -> &'static Vtable {
        // SAFETY: passed on.
        unsafe { this.as_ref().result.vtable }
    }

    /// The slots of the requests, in the order of the requests.
    ///
    /// # Safety
    ///
    /// `this` is the header of a live block.
    pub(crate) unsafe fn slots<'a>(this: NonNull<Self>) -> &'a [Slot] {
        // SAFETY: passed on.
        unsafe { Self::so_many_slots(this, Self::requests(this)) }
    }

    /// The same, for whoever knows how many there are.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`], and there are so many.
    #[inline]
    pub(crate) unsafe fn so_many_slots<'a>(this: NonNull<Self>, requests: usize) -> &'a [Slot] {
        // SAFETY: the slots end where the counts start, in the block, which the caller keeps alive.
        unsafe { core::slice::from_raw_parts(Self::first_slot(this, requests), requests) }
    }

    /// The same, to change what they want.
    ///
    /// # Safety
    ///
    /// `this` is the header of a fresh block that nobody else knows.
    pub(crate) unsafe fn fresh_slots<'a>(this: NonNull<Self>) -> &'a mut [Slot] {
        // SAFETY: as for `slots`, and nobody else looks.
        unsafe {
            let requests = Self::requests(this);
            core::slice::from_raw_parts_mut(Self::first_slot(this, requests), requests)
        }
    }

    /// Where these slots are, and how many.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    pub(crate) unsafe fn first_slot_of(this: NonNull<Self>) -> (NonNull<Slot>, usize) {
        // SAFETY: passed on; within the block.
        unsafe {
            let requests = Self::requests(this);
            (NonNull::new_unchecked(Self::first_slot(this, requests)), requests)
        }
    }

    /// # Safety
    ///
    /// `this` is the header of a block with so many requests.
    pub(crate) unsafe fn first_slot(this: NonNull<Self>, requests: usize) -> *mut Slot {
        // SAFETY: in the same block.
        unsafe { this.cast::<Counts>().sub(1).cast::<Slot>().sub(requests).as_ptr() }
    }

    /// The slot of a behavior that has one.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; it is so.
    #[inline]
    pub(crate) unsafe fn only_slot<'a>(this: NonNull<Self>) -> &'a Slot {
        // SAFETY: passed on.
        unsafe { &*Self::first_slot(this, 1) }
    }

    /// The slot that stands in the queue of `cown`.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; there is one.
    pub(crate) unsafe fn slot_for<'a>(this: NonNull<Self>, cown: NonNull<CownHeader>) -> &'a Slot {
        // SAFETY: passed on.
        let slots = unsafe { Self::slots(this) };
        if let [slot] = slots {
            return slot;
        }
        let slot = slots.iter().find(|slot| slot.want.cown() == cown.as_ptr() && !slot.want.is_included());
        slot.expect("a behavior in a cown's queue has a slot for it")
    }

    /// Counts `acquired` cowns as acquired; `true` if that was all that it waited for.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`], until the count is zero.
    #[inline]
    pub(crate) unsafe fn acquired(this: NonNull<Self>, acquired: u32) -> bool {
        // SAFETY: passed on.
        let pending = unsafe { &Self::counts(this).pending };
        // Acquire: pairs with the Release below. If it waits for nothing but these, then nobody else counts any more, and
        // the read-modify-write can be saved.
        //
        // AcqRel: Release publishes what the acquired cowns hold to the thread that takes the count to
        // zero, and Acquire is that thread's side of it.
        pending.load(Ordering::Acquire) == acquired || pending.fetch_sub(acquired, Ordering::AcqRel) == acquired
    }

    /// The same for cowns that were acquired in phase 1, of `others`, which are all but the one that comes last, and which
    /// is still to come.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; it is still in phase 1, or its last slot is not linked yet.
    #[inline]
    pub(crate) unsafe fn acquired_in_phase_1(this: NonNull<Self>, acquired: u32, others: u32) {
        // SAFETY: passed on.
        let pending = unsafe { &Self::counts(this).pending };
        if acquired == others {
            // Relaxed: nobody else counts before the last slot is linked, which publishes it.
            pending.store(1, Ordering::Relaxed);
        } else if acquired > 0 {
            // Release: as in `acquired`. It can't be the last.
            pending.fetch_sub(acquired, Ordering::Release);
        }
    }

    /// Says how many cowns are to be acquired, if that is not the number of requests.
    ///
    /// # Safety
    ///
    /// As for [`Header::fresh_slots`].
    pub(crate) unsafe fn set_distinct(this: NonNull<Self>, cowns: u32) {
        // SAFETY: passed on.
        let Counts { pending, requests } = unsafe { Self::counts(this) };
        // Relaxed: published with the slots.
        pending.store(cowns + u32::from(requests & BATCHED != 0), Ordering::Relaxed);
    }

    /// Whether the behavior asks for exactly one cown and so does not use its pending count.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    pub(crate) unsafe fn is_single(this: NonNull<Self>) -> bool {
        // SAFETY: passed on.
        unsafe { Self::counts(this).requests == 1 }
    }

    /// Notes how many readers stand in a row from this one on, where it would count what it waits for.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; [it is single](Self::is_single), so that it does not, and nobody else has that row.
    pub(crate) unsafe fn note_readers(this: NonNull<Self>, readers: NonZeroU32) {
        // Relaxed: published with the pointer to it.
        // SAFETY: passed on.
        unsafe { Self::counts(this).pending.store(readers.get(), Ordering::Relaxed) };
    }

    /// What was noted.
    ///
    /// # Safety
    ///
    /// As for [`note_readers`](Self::note_readers), which was called.
    pub(crate) unsafe fn noted_readers(this: NonNull<Self>) -> NonZeroU32 {
        // Relaxed: as above.
        // SAFETY: passed on; what was noted is not zero.
        unsafe { NonZeroU32::new_unchecked(Self::counts(this).pending.load(Ordering::Relaxed)) }
    }

    /// How many requests there are, duplicates included.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    pub(crate) unsafe fn requests(this: NonNull<Self>) -> usize {
        // SAFETY: passed on.
        unsafe { (Self::counts(this).requests & !BATCHED) as usize }
    }

    /// Makes it one of a batch.
    ///
    /// # Safety
    ///
    /// As for [`Header::fresh_slots`].
    pub(crate) unsafe fn set_batched(this: NonNull<Self>) {
        // SAFETY: nobody else knows the block.
        let counts = unsafe { this.cast::<Counts>().sub(1).as_mut() };
        counts.requests |= BATCHED;
        // Relaxed: published with the slots.
        counts.pending.fetch_add(1, Ordering::Relaxed);
    }

    /// The result's cown, which counts the block's references.
    pub(crate) fn result(this: NonNull<Self>) -> NonNull<CownHeader> {
        this.cast()
    }

    /// Whether one of the cowns holds no value.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; the behavior holds its cowns.
    pub(crate) unsafe fn misses_values(this: NonNull<Self>) -> bool {
        // SAFETY: held, so the cowns are alive and their flags ours to read.
        unsafe { Self::slots(this).iter().any(|slot| (*slot.want.cown()).flags() & EMPTY != 0) }
    }

    /// Marks the cowns as left by a panic.
    ///
    /// # Safety
    ///
    /// As for [`Header::misses_values`].
    pub(crate) unsafe fn poison(this: NonNull<Self>) {
        // SAFETY: held, so the cowns are alive, and the flags of those held to write are ours.
        unsafe {
            for want in Self::slots(this).iter().map(|slot| slot.want) {
                // What was only read is as it was.
                if !want.is_included() && !want.reads() {
                    (*want.cown()).set_flags((*want.cown()).flags() | POISONED);
                }
            }
        }
    }

    /// Tells the executor that the enqueue had to yield or park.
    ///
    /// # Safety
    ///
    /// The behavior is in phase 1 still.
    pub(crate) unsafe fn stalled(this: NonNull<Self>, yields: u32) {
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().result.vtable.stalled)(this, yields) }
    }

    /// Gives a ready behavior to its executor.
    ///
    /// # Safety
    ///
    /// All its cowns are acquired and nobody else makes it ready.
    pub(crate) unsafe fn make_ready(this: NonNull<Self>, arrival: Arrival) {
        // SAFETY: as above; the run's reference keeps the block alive until then.
        unsafe { (this.as_ref().result.vtable.ready)(this, arrival) }
    }

    /// Tells the executor that it is the behavior's turn.
    ///
    /// # Safety
    ///
    /// As for [`Turn::new`].
    pub(crate) unsafe fn hand_over_turn(this: NonNull<Self>) {
        // SAFETY: as above; who waits for its turn has not run.
        unsafe { (this.as_ref().result.vtable.hand_over_turn)(this, Turn::new(this)) }
    }

    /// Whether the behavior reads one cown, wants nothing else, and is of the executor with this key.
    ///
    /// # Safety
    ///
    /// Its block is there.
    pub(crate) unsafe fn goes_in_row(this: NonNull<Self>, key: NonZeroUsize) -> bool {
        // SAFETY: passed on.
        unsafe { Self::only_reads(this).is_some() && Self::is_of(this, key) }
    }

    /// Whether the behavior is of the executor with this key.
    ///
    /// # Safety
    ///
    /// Its block is there, and it has not run.
    #[inline]
    pub(crate) unsafe fn is_of(this: NonNull<Self>, key: NonZeroUsize) -> bool {
        // SAFETY: as the caller says; the vtable was made for this block's types.
        unsafe { (this.as_ref().result.vtable.turn_key)(this) == Some(key) }
    }

    /// Gives a row to the executor of its first behavior.
    ///
    /// # Safety
    ///
    /// `this` is that.
    pub(crate) unsafe fn ready_in_row(this: NonNull<Self>, row: Row) {
        // SAFETY: as for `make_ready`.
        unsafe { (this.as_ref().result.vtable.ready_in_row)(this, row) }
    }

    /// Takes back a behavior that got no place in any queue: drops the closure and the run's reference. Its cowns
    /// must not be released, since it never had them.
    ///
    /// # Safety
    ///
    /// Fresh from [`allocate`](crate::block::allocate), known to nobody else, and used no more.
    pub(crate) unsafe fn abandon(this: NonNull<Self>) {
        // SAFETY: the slots are the block's own until the references are dropped; a slot for which another stands is
        // skipped.
        unsafe {
            for slot in Self::fresh_slots(this) {
                slot.want = slot.want.included_in(slot.want);
            }
            Self::run(this, Mode::Cancel);
        }
    }

    /// Runs (or cancels) the behavior and releases its cowns.
    ///
    /// # Safety
    ///
    /// The behavior is ready, and this is called once.
    pub(crate) unsafe fn run(this: NonNull<Self>, mode: Mode) {
        let stage = Stage::nowhere();
        // SAFETY: the stage outlives what uses it. The vtable was made for this block's types.
        unsafe {
            let mut owed = Owed::at(NonNull::from(&stage));
            (this.as_ref().result.vtable.run)(this, mode, &mut owed);
        }
    }

    /// Runs the behavior. If it reads one cown and wants nothing else, and nobody can learn of its end, then its count is owed.
    ///
    /// # Safety
    ///
    /// As for [`Header::run`].
    #[inline]
    pub(crate) unsafe fn run_owing(this: NonNull<Self>, owed: &mut Owed) -> Ran {
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().result.vtable.run)(this, Mode::RunOwing, owed) }
    }

    /// The same of a behavior that does so for sure; `is_followed` says that a successor has linked. If its executor has another
    /// key then it is made ready instead.
    ///
    /// # Safety
    ///
    /// As for [`Header::run`].
    #[inline]
    pub(crate) unsafe fn run_in_turn(
        this: NonNull<Self>,
        key: NonZeroUsize,
        owed: &mut Owed,
        is_followed: bool,
    ) -> Ran {
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().result.vtable.run_in_turn)(this, key, owed, is_followed) }
    }

    /// The cown, of a behavior that reads one and wants nothing else.
    ///
    /// # Safety
    ///
    /// Its block is there.
    #[inline]
    pub(crate) unsafe fn only_reads(this: NonNull<Self>) -> Option<NonNull<CownHeader>> {
        // SAFETY: as the caller says; of one slot, the first.
        unsafe {
            let want = if Self::is_single(this) { Self::only_slot(this).want } else { return None };
            want.reads().then(|| NonNull::new_unchecked(want.cown().cast_mut()))
        }
    }
}
