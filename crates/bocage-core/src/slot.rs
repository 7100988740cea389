//! A behavior's place in one cown's queue, and the whole of the queue protocol.
//!
//! # The queue
//!
//! A cown holds one atomic `tail`: null while nobody holds or waits for the cown, otherwise the slot
//! that came last. Each slot belongs to one behavior and names one cown. The queue is an MCS lock
//! (Mellor-Crummey and Scott, 1991) whose nodes are acquired by two-phase locking, as in "When
//! Concurrency Matters: Behaviour-Oriented Concurrency" (OOPSLA 2023, section 4), with one change: a
//! release never waits.
//!
//! # The word of a slot
//!
//! | value       | meaning                                                              |
//! |-------------|----------------------------------------------------------------------|
//! | `ENQUEUING` | the behavior is still in phase 1                                     |
//! | `ENQUEUED`  | the behavior has its place in every queue; no successor is known yet |
//! | *successor* | the behavior that comes next on this cown (its header's address)     |
//! | *released*  | own header's address with `RELEASED_TAG`: the cown was given up      |
//!
//! | from        | to          | who                   | when                                     |
//! |-------------|-------------|-----------------------|------------------------------------------|
//! | `ENQUEUING` | `ENQUEUED`  | the enqueuing thread  | phase 2                                  |
//! | `ENQUEUED`  | *successor* | the successor's enqueuer | its phase 1, once it saw `ENQUEUED` or later |
//! | `ENQUEUED`  | *released*  | the releasing thread  | the tail is no longer this slot          |
//!
//! Only `ENQUEUED` is contended: the successor and the releaser both leave it by one atomic swap, and
//! whoever swaps second sees what the first left there. If the releaser comes second it finds the
//! successor and hands the cown over; if the successor comes second it finds *released*, has the cown at
//! once, and gives up the block that the releaser left behind for it. No side ever waits for the other.
//!
//! # Enqueue (phase 1, in ascending order of cown address, then phase 2)
//!
//! 1. Swap the own slot into `tail`.
//! 2. No predecessor: the cown is acquired. Otherwise wait while the predecessor's word is `ENQUEUING`,
//!    then swap the own header in.
//! 3. When all slots went through 1 and 2, set every own word to `ENQUEUED`.
//!
//! A successor goes on to its next cown only after its predecessor ended phase 1, hence (by induction
//! along the queue) after everybody before it there did. So two behaviors that share several cowns stand
//! in the same order in all of these queues, and a cycle of waits cannot arise.
//!
//! # Release
//!
//! 1. If a successor is linked, hand over. Otherwise reset `tail` from the own slot to null; that worked:
//!    done.
//! 2. Otherwise somebody swapped `tail` but has not linked yet. Take one reference to the own block (for
//!    whoever links), swap in *released*; if that yields a successor after all, hand over and give the
//!    reference back.
//!
//! # Invariants
//!
//! - A queue that is not empty holds one reference to its cown: the behavior whose swap found `tail` null
//!   takes it, each hand-over passes it on, the release that resets `tail` drops it.
//! - A slot's memory lives until its successor has linked, or until `tail` was reset.
//! - The word is written once in each of its states, so there is no ABA.

use core::ptr;

use crate::behavior::Header;
use crate::cown::CownHeader;
use crate::sync::{AtomicPtr, Ordering, spin_loop, thread};

/// The behavior is still in phase 1.
const ENQUEUING: usize = 0;
/// The behavior has its place in all its queues, and no successor is known.
const ENQUEUED: usize = 1;
/// Marks an own header's address as "released". Headers are 8-aligned, so that the bit is free.
const RELEASED_TAG: usize = 2;

/// How often an enqueuer looks at a predecessor that is in the middle of its own phase 1 before it
/// yields. A phase 1 takes some tens of nanoseconds a cown; this is in the order of a microsecond.
const SPINS_BEFORE_YIELD: u32 = 100;

/// One request of one behavior for one cown.
#[repr(C)]
pub(crate) struct Slot {
    /// Null for a duplicate of the slot before it, which every walk skips.
    pub(crate) cown: *const CownHeader,
    word: AtomicPtr<Header>,
}

/// What linking behind a predecessor gave.
pub(crate) enum Linked {
    /// The predecessor still holds the cown, and will hand it over.
    Waits,
    /// The predecessor had released it: the cown is acquired, and this block of the predecessor's has one
    /// reference that is now ours to drop.
    Acquired(*mut Header),
}

/// What a release found.
pub(crate) enum Released {
    /// Nobody waits; the queue is empty and its reference to the cown is to be dropped.
    Empty,
    /// This behavior comes next.
    To(*mut Header),
    /// Somebody comes next but has not linked yet; it will find the cown released. The block must stay
    /// for it: one reference, taken through `keep`, now belongs to it.
    Left,
}

impl Slot {
    /// A slot whose behavior has yet to go through phase 1.
    pub(crate) fn enqueuing(cown: *const CownHeader) -> Self {
        Self { cown, word: AtomicPtr::new(ptr::without_provenance_mut(ENQUEUING)) }
    }

    /// A slot at the head of a queue that nobody else can reach yet.
    pub(crate) fn enqueued(cown: *const CownHeader) -> Self {
        Self { cown, word: AtomicPtr::new(ptr::without_provenance_mut(ENQUEUED)) }
    }

    /// Phase 2.
    pub(crate) fn finish_enqueue(&self) {
        // Release: pairs with the Acquire load in `await_enqueued`; a successor that goes on to its next
        // cown must find our slots in all the tails that we swapped.
        self.word.store(ptr::without_provenance_mut(ENQUEUED), Ordering::Release);
    }

    /// Waits until the behavior of this slot ended phase 1; returns how often it had to yield.
    pub(crate) fn await_enqueued(&self) -> u32 {
        let mut spins = 0_u32;
        let mut yields = 0_u32;
        // Acquire: pairs with the Release store in `finish_enqueue`.
        while self.word.load(Ordering::Acquire).addr() == ENQUEUING {
            if spins < SPINS_BEFORE_YIELD && !cfg!(loom) {
                spins += 1;
                spin_loop();
            } else {
                yields += 1;
                thread::yield_now();
            }
        }
        yields
    }

    /// Names `successor` as the next on this cown. Called once, by the enqueuer that found this slot in
    /// the tail, and after `await_enqueued`.
    pub(crate) fn link(&self, successor: *mut Header) -> Linked {
        // AcqRel: Release publishes the successor's block to the releaser (its Acquire in `release`);
        // Acquire pairs with the releaser's swap, whose body's writes we are about to own.
        let before = self.word.swap(successor, Ordering::AcqRel);
        if before.addr() == ENQUEUED {
            return Linked::Waits;
        }
        debug_assert_eq!(before.addr() & RELEASED_TAG, RELEASED_TAG);
        Linked::Acquired(before.map_addr(|a| a & !RELEASED_TAG))
    }

    /// Gives the cown up. `own` is the header of this slot's behavior; `keep` takes one reference to its
    /// block, `unkeep` drops it again.
    ///
    /// # Safety
    ///
    /// The behavior holds this slot's cown, which its queue keeps alive, and calls this once.
    pub(crate) unsafe fn release(&self, own: *mut Header, keep: impl FnOnce(), unkeep: impl FnOnce()) -> Released {
        // Acquire: pairs with the Release in `link`; the successor's block is about to be used.
        let seen = self.word.load(Ordering::Acquire);
        if seen.addr() != ENQUEUED {
            return Released::To(seen);
        }
        // SAFETY: the queue is not empty, as our slot is in it, so it keeps the cown alive.
        let tail = unsafe { &(*self.cown).tail };
        let us = ptr::from_ref(self).cast_mut();
        // Release: publishes the body's writes to the next enqueuer's swap. Relaxed on failure: the swap
        // below does the acquiring.
        if tail.compare_exchange(us, ptr::null_mut(), Ordering::Release, Ordering::Relaxed).is_ok() {
            return Released::Empty;
        }
        keep();
        // AcqRel: Release publishes the body's writes to the successor's swap in `link`; Acquire as for
        // the load above.
        let before = self.word.swap(own.map_addr(|a| a | RELEASED_TAG), Ordering::AcqRel);
        if before.addr() == ENQUEUED {
            return Released::Left;
        }
        unkeep();
        Released::To(before)
    }
}
