//! A behavior's place in one cown's queue, and the whole of the queue protocol.
//!
//! # The queue
//!
//! A cown holds one atomic `tail`: null while the queue is empty, otherwise the word of the slot that came last. Each
//! slot belongs to one behavior and names one cown, to write or to read. The queue is an MCS lock
//! (Mellor-Crummey and Scott, 1991) whose nodes are acquired by two-phase locking, as in "When Concurrency
//! Matters: Behaviour-Oriented Concurrency" (OOPSLA 2023, section 4), with two changes: a release never
//! waits, and consecutive readers hold the cown together.
//!
//! # The word of a slot
//!
//! | value            | bits                                   | meaning                                           |
//! |------------------|----------------------------------------|---------------------------------------------------|
//! | *enqueuing*      | 0                                      | the behavior is still in phase 1                  |
//! | *enqueued*       | `ENQUEUED`                             | it has its place in every queue; no successor yet |
//! | *successor*      | address, and its [`Kind`]              | the behavior that comes next on this cown         |
//! | *released*       | own address, `RELEASED`                | the cown was given up before a successor linked   |
//!
//! A reader's word has `GRANTED` besides, from when it holds the cown, unless its successor has linked by then. (`ENQUEUED`
//! and a kind that reads have a bit in common, which the address tells apart; `RELEASED` and a kind that only reads have
//! one, which tells somebody about the other side only.)
//!
//! | from        | to          | who                      | when                                            |
//! |-------------|-------------|--------------------------|-------------------------------------------------|
//! | *enqueuing* | *enqueued*  | the enqueuing thread     | phase 2                                         |
//! | *enqueued*  | *successor* | the successor's enqueuer | its phase 1, once it saw that this one's ended  |
//! | *enqueued*  | *released*  | the releasing thread     | the tail is no longer this slot                 |
//! | any         | + `GRANTED` | who grants to a reader   | once at most, before its release                |
//!
//! Only *enqueued* is contended: the successor and the releaser both leave it by one exchange, and whoever
//! comes second sees what the first left there. If the releaser comes second it finds the successor; if the
//! successor comes second it finds *released*, and drops the reference to the block that was left for it. No
//! side ever waits for the other.
//!
//! # The state of a cown
//!
//! Beside its flags it counts the readers that hold the cown now (`READER` each), and says whether a writer
//! waits for them (`WRITER_WAITS`; which one stands beside it). There is at most one such writer: it comes
//! right after the last of the readers, and all others come after it.
//!
//! # Enqueue (phase 1, in ascending order of cown address, then phase 2)
//!
//! 1. Swap the own slot into `tail`.
//! 2. No predecessor: enter. Otherwise wait while the predecessor is *enqueuing*, then link behind it; if it
//!    was *released*, or is a reader that holds the cown: enter.
//! 3. When all slots went through 1 and 2, but for the last one's link, set every own word to *enqueued*; then link it.
//!    So the behavior is not ready, and its block is there, until its enqueue is over.
//!
//! The block of a *released* predecessor may have to be freed by who links behind it, and a value that it drops may
//! schedule again: that, too, waits until phase 1 is over.
//!
//! To *enter*: a reader counts itself, and has the cown. A writer has it if no reader is counted; otherwise
//! it says that it waits and, if the last reader left just before that, has it all the same.
//!
//! A *batch* of behaviors does this as if it were one: at each cown its slots are chained beforehand, the last of
//! them is swapped in, and the first links behind the predecessor; at the end the last ones become *enqueued*. So
//! no stranger comes between them.
//!
//! A successor goes on to its next cown only after its predecessor ended phase 1, hence (by induction
//! along the queue) after everybody before it there did. So two behaviors that share several cowns stand
//! in the same order in all of these queues, and a cycle of waits cannot arise.
//!
//! # Release
//!
//! *Leave the queue*: if a successor is linked, nothing. Otherwise reset `tail` from the own word to null; if
//! that fails somebody swapped `tail` but has not linked yet: take one reference to the own block (for whoever
//! links), and exchange *enqueued* for *released*; if a successor linked meanwhile, give the reference back.
//!
//! A writer leaves the queue and hands over to the successor, if it found one. A reader leaves the queue, where
//! its successor is no longer its business, and then counts itself out; the last one that does grants to the
//! writer that waits. Readers that come one after the other may also pass the count on: see [`crate::turn`].
//!
//! What a behavior of several cowns gives up, one after the other, to the same successor, is counted for that one in a
//! single step.
//!
//! # Grant
//!
//! To a writer: it has the cown. To a reader: count it and the readers that are linked behind it, in one step; then set
//! `GRANTED` in the word of the last. Behind it, if one that reads has linked meanwhile, grant to that one
//! next; if one that writes, that one enters.
//!
//! # The life of a cown
//!
//! Only handles count as references: not a request, nor the queue, nor who holds the cown, so that to acquire and to
//! release a free cown is one exchange each. Instead whoever drops the last reference looks at `tail`: if the queue is
//! not empty it leaves its reference to that, by the mark `ORPHAN` on `tail`. If it is, readers may hold the cown
//! all the same; then it leaves it to the last of them, by the mark `ADOPTED` on the cown's state. Otherwise it frees
//! the cown.
//!
//! | `tail`          | meaning                                                         |
//! |-----------------|-----------------------------------------------------------------|
//! | null            | the queue is empty                                              |
//! | word            | whose slot came last                                            |
//! | word, `ORPHAN`  | the same, and the queue owns a reference; nobody else comes     |
//!
//! Only a handle lets one enqueue, so an orphan's `tail` stays as it is until the behavior that it names releases,
//! which resets it and drops the reference. That may leave it to readers in turn.
//!
//! # The result's slot
//!
//! A behavior holds its own result's cown from the start. Its slot for that is the word in the cown's header, where
//! later the writer stands that waits for readers: by the time there is a reader, whoever came behind the slot has
//! linked, and looks at it no more.
//!
//! # Invariants
//!
//! - A cown lives while it has references, its queue is not empty, or readers hold it.
//! - A slot's memory lives until its successor has linked, or until `tail` was reset.
//! - A reader is counted before anybody can link behind it as behind one that holds the cown, and a writer
//!   enters only behind such a one (or behind none): so the count is never taken for zero too early.
//! - The word of a slot only ever goes down its table, so there is no ABA.

use core::ptr;

use crate::behavior::Header;
use crate::cown::CownHeader;
use crate::prefetch::prefetch;
use crate::stall;
use crate::sync::{AtomicPtr, AtomicUsize, Ordering};

/// The behavior has its place in all its queues (with no address).
const ENQUEUED: usize = 1;
/// The reader holds the cown.
const GRANTED: usize = 2;
/// The cown was given up (with the own address).
const RELEASED: usize = 4;
/// Headers are 8-aligned.
const FLAGS: usize = 7;

/// What a successor wants of the cown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kind(usize);

impl Kind {
    pub(crate) const WRITES: Self = Self(0);
    pub(crate) const READS: Self = Self(1);
    /// It reads, and wants no other cown.
    pub(crate) const ONLY_READS: Self = Self(1 | 4);
    const BITS: usize = 5;
}

/// On a tail: the queue owns the cown's last reference.
const ORPHAN: usize = 1;

/// On a want: the cown is only to be read.
const READS: usize = 1;
/// On a want: another slot of the same behavior asks for the cown, and for this one too.
const INCLUDED: usize = 2;
/// On a want: that slot is for a write, so that it alone has the value.
const ALIAS: usize = 4;

/// What a behavior wants of a cown: its address, with flags.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Want(*const CownHeader);

impl Want {
    pub(crate) fn write(cown: *const CownHeader) -> Self {
        Self(cown)
    }

    pub(crate) fn read(cown: *const CownHeader) -> Self {
        Self(cown.map_addr(|a| a | READS))
    }

    /// The cown.
    pub(crate) fn cown(self) -> *const CownHeader {
        self.0.map_addr(|a| a & !FLAGS)
    }

    pub(crate) fn reads(self) -> bool {
        self.0.addr() & READS != 0
    }

    /// By which requests are put in order, before any is included in another: first by the cown, of which a write comes first.
    pub(crate) fn order(self) -> usize {
        debug_assert!(!self.is_included());
        self.0.addr()
    }

    /// Lets the cown's front come into the cache.
    #[inline]
    pub(crate) fn prefetch(self) {
        prefetch(self.cown());
    }

    /// Of a behavior that may want others too.
    pub(crate) fn kind(self) -> Kind {
        if self.reads() { Kind::READS } else { Kind::WRITES }
    }

    /// Whether another slot stands for this one in the queue.
    pub(crate) fn is_included(self) -> bool {
        self.0.addr() & INCLUDED != 0
    }

    /// Whether that one is for a write.
    pub(crate) fn is_alias(self) -> bool {
        self.0.addr() & ALIAS != 0
    }

    /// The same, for a slot for which `other` stands in the queue.
    pub(crate) fn included_in(self, other: Want) -> Self {
        let alias = if other.reads() { 0 } else { ALIAS };
        Self(self.0.map_addr(|a| a | INCLUDED | alias))
    }
}

/// One request of one behavior for one cown.
#[repr(C)]
pub(crate) struct Slot {
    pub(crate) want: Want,
    pub(crate) word: Word,
}

impl Slot {
    /// A slot whose behavior has yet to go through phase 1.
    pub(crate) fn enqueuing(want: Want) -> Self {
        Self { want, word: Word(AtomicUsize::new(0)) }
    }
}

/// Where a cown's queue ends.
pub(crate) struct Tail(AtomicPtr<Word>);

impl Tail {
    /// Of a queue in which `word` is alone, or nobody.
    pub(crate) fn new(word: *const Word) -> Self {
        Self(AtomicPtr::new(word.cast_mut()))
    }

    /// Puts `word` at the end; returns what was there.
    #[inline]
    pub(crate) fn swap(&self, word: &Word) -> Option<ptr::NonNull<Word>> {
        // AcqRel: Release publishes our slot to the next enqueuer; Acquire shows us the predecessor's slot or,
        // if there is none, pairs with the Release of the tail's reset, whose body's writes we now own.
        ptr::NonNull::new(self.0.swap(ptr::from_ref(word).cast_mut(), Ordering::AcqRel))
    }

    /// Puts `word` at the end if nobody is there.
    pub(crate) fn claim(&self, word: &Word) -> bool {
        let us = ptr::from_ref(word).cast_mut();
        // AcqRel: as for `swap`. Relaxed on failure: nothing is read then.
        self.0.compare_exchange(ptr::null_mut(), us, Ordering::AcqRel, Ordering::Relaxed).is_ok()
    }

    /// A look.
    pub(crate) fn is_empty(&self) -> bool {
        // Acquire: pairs with the Release of the reset: what those did who were in the queue comes before.
        self.0.load(Ordering::Acquire).is_null()
    }

    /// Whether `word` is at the end, for whoever knows that nobody can enqueue.
    pub(crate) fn is_last(&self, word: &Word) -> bool {
        // Relaxed: those who enqueued did so before they dropped their handles, which the caller saw.
        ptr::eq(self.0.load(Ordering::Relaxed), word)
    }

    /// Leaves the caller's reference, which is the cown's last, to the queue; `false` if that is empty, or has
    /// changed.
    pub(crate) fn adopt(&self) -> bool {
        // Acquire: as for `is_empty`.
        let end = self.0.load(Ordering::Acquire);
        if end.is_null() {
            return false;
        }
        // Release: our use of the cown comes before the drop of it by whoever resets the tail. Relaxed on failure:
        // nothing is read then.
        let orphan = end.map_addr(|a| a | ORPHAN);
        self.0.compare_exchange(end, orphan, Ordering::Release, Ordering::Relaxed).is_ok()
    }

    /// Empties the queue if `word` is at its end.
    fn reset(&self, word: &Word) -> Option<Reset> {
        let us = ptr::from_ref(word).cast_mut();
        // Release: publishes the body's writes to the next enqueuer's swap. Acquire on failure: pairs with the
        // Release in `adopt`.
        match self.0.compare_exchange(us, ptr::null_mut(), Ordering::Release, Ordering::Acquire) {
            Ok(_) => Some(Reset::Empty),
            Err(end) if end == us.map_addr(|a| a | ORPHAN) => {
                // Release: as above, for who finds the queue empty by `is_empty`. Nobody changes an orphan's tail but
                // the one that it names.
                self.0.store(ptr::null_mut(), Ordering::Release);
                Some(Reset::Orphan)
            }
            Err(_) => None,
        }
    }
}

enum Reset {
    Empty,
    Orphan,
}

/// Where linking behind a predecessor led.
pub(crate) enum Linked {
    /// In line: somebody will grant.
    Waits,
    /// Behind a reader that holds the cown: to enter.
    BehindReader,
    /// The predecessor had released the cown: to enter. This block of the predecessor's has one reference
    /// that is now ours to drop.
    BehindNobody(ptr::NonNull<Header>),
}

/// What a behavior found when it left a queue.
pub(crate) enum Left {
    /// Nobody came after it: the queue is empty.
    Empty,
    /// The same, and the queue had a reference to the cown, which is now to be dropped.
    Orphan,
    /// This behavior comes next.
    Successor(ptr::NonNull<Header>, Kind),
    /// Somebody comes next but has not linked yet; it will find the word *released*. The block must stay for
    /// it: one reference, taken through `keep`, now belongs to it.
    Unlinked,
}

fn address(word: usize) -> Option<ptr::NonNull<Header>> {
    // The addresses in words are exposed by `link` and `leave`.
    ptr::NonNull::new(ptr::with_exposed_provenance_mut(word & !FLAGS))
}

fn successor(word: usize) -> Option<(ptr::NonNull<Header>, Kind)> {
    address(word).map(|successor| (successor, Kind(word & Kind::BITS)))
}

/// The word of a slot; see the table above.
#[repr(transparent)]
pub(crate) struct Word(AtomicUsize);

impl Word {
    /// Of a slot at the head of a queue that nobody else can reach yet.
    pub(crate) fn enqueued() -> Self {
        Self(AtomicUsize::new(ENQUEUED))
    }

    /// Of no slot: where the writer stands that waits for readers.
    pub(crate) fn unused() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Notes the writer that waits for readers, or the next of a list, in a word that is no slot's any more.
    pub(crate) fn note(&self, header: Option<ptr::NonNull<Header>>) {
        let header = header.map_or(0, |header| header.as_ptr().expose_provenance());
        // Relaxed: a writer is published by the count of the cown's state, and a list is one thread's.
        self.0.store(header, Ordering::Relaxed);
    }

    /// What was noted.
    pub(crate) fn noted(&self) -> Option<ptr::NonNull<Header>> {
        // Relaxed: as above.
        ptr::NonNull::new(ptr::with_exposed_provenance_mut(self.0.load(Ordering::Relaxed)))
    }

    /// Names the next of the same batch, before anybody else knows this slot. It passes for enqueued then; those
    /// behind the batch look at its last slot only.
    pub(crate) fn chain(&self, next: *mut Header, kind: Kind) {
        let word = next.expose_provenance() | kind.0;
        // Relaxed: published by the swap of the tail, or by the link to the first of the batch.
        self.0.store(word, Ordering::Relaxed);
    }

    /// Phase 2, of a slot that may be granted already, since it reads and has no predecessor or is linked, or of any other.
    #[inline]
    pub(crate) fn finish_enqueue(&self, may_be_granted: bool) {
        // Release: pairs with the Acquire load in `await_enqueued`; a successor that goes on to its next
        // cown must find our slots in all the tails that we swapped.
        if may_be_granted {
            // Somebody may grant at the same time, or have done so.
            self.0.fetch_or(ENQUEUED, Ordering::Release);
        } else {
            self.0.store(ENQUEUED, Ordering::Release);
        }
        stall::over(&self.0);
    }

    /// Sets `GRANTED` during the own phase 1, when nobody else can reach the word.
    pub(crate) fn set_granted_in_phase_1(&self) {
        // Relaxed: published by `finish_enqueue`.
        self.0.store(GRANTED, Ordering::Relaxed);
    }

    /// The successor, if there is one already.
    pub(crate) fn successor(&self) -> Option<(ptr::NonNull<Header>, Kind)> {
        // Acquire: pairs with the Release in `link`: the successor's block is about to be used.
        successor(self.0.load(Ordering::Acquire))
    }

    /// Sets `GRANTED`, or returns the successor, if there is one already.
    #[inline]
    pub(crate) fn set_granted(&self) -> Option<(ptr::NonNull<Header>, Kind)> {
        // AcqRel: Release publishes the count that the reader is in to whoever links behind it; Acquire
        // pairs with the Release in `link`: the successor's block is about to be used.
        self.successor().or_else(|| successor(self.0.fetch_or(GRANTED, Ordering::AcqRel)))
    }

    #[cfg(all(test, not(loom)))]
    pub(crate) fn atomic(&self) -> &AtomicUsize {
        &self.0
    }

    /// Waits until the behavior of this slot ended phase 1; returns how often it had to yield or to park.
    #[inline]
    pub(crate) fn await_enqueued(&self) -> u32 {
        // Acquire: pairs with the Release in `finish_enqueue`.
        let has_ended = || self.0.load(Ordering::Acquire) & !GRANTED != 0;
        if has_ended() { 0 } else { stall::wait(&self.0, has_ended) }
    }

    /// Names `successor` as the next on this cown. Called once, by the enqueuer that found this slot in
    /// the tail, and after `await_enqueued`.
    #[inline]
    pub(crate) fn link(&self, successor: *mut Header, kind: Kind) -> Linked {
        let next = successor.expose_provenance() | kind.0;
        // Acquire: pairs with the releaser's exchange, whose body's writes we may be about to own.
        let mut word = self.0.load(Ordering::Acquire);
        // Twice at most: besides us only a grant and a release change the word, each once, and the release
        // ends the loop.
        while word & RELEASED == 0 {
            let linked = next | word & GRANTED;
            // AcqRel: Release publishes the successor's block to whoever grants; Acquire as above.
            match self.0.compare_exchange_weak(word, linked, Ordering::AcqRel, Ordering::Acquire) {
                Ok(_) if word & GRANTED != 0 => return Linked::BehindReader,
                Ok(_) => return Linked::Waits,
                Err(now) => word = now,
            }
        }
        Linked::BehindNobody(address(word).expect("a released word names its own behavior"))
    }

    /// Lets the successor's block come into the cache, if there is one already: the release will want it.
    #[inline]
    pub(crate) fn prefetch_successor(&self) {
        // A model has no use for one step more.
        #[cfg(not(loom))]
        // Relaxed: nothing is read there.
        if let Some(successor) = address(self.0.load(Ordering::Relaxed)) {
            Header::prefetch_slots(successor);
        }
    }

    /// Leaves the queue of `cown`. `own` is the header of this slot's behavior; `keep` takes one reference to its
    /// block, `unkeep` drops it again.
    ///
    /// # Safety
    ///
    /// The behavior holds the cown, this is the word of its slot there, and this is called once.
    #[inline(always)]
    pub(crate) unsafe fn leave(
        &self,
        cown: *const CownHeader,
        own: *mut Header,
        keep: impl FnOnce(),
        unkeep: impl FnOnce(),
    ) -> Left {
        // Acquire: pairs with the Release in `link`; the successor's block is about to be used.
        let word = self.0.load(Ordering::Acquire);
        if let Some((next, kind)) = successor(word) {
            return Left::Successor(next, kind);
        }
        // SAFETY: held, so in its queue, which keeps it alive.
        match unsafe { &(*cown).tail }.reset(self) {
            Some(Reset::Empty) => return Left::Empty,
            Some(Reset::Orphan) => return Left::Orphan,
            None => {}
        }
        keep();
        // AcqRel: Release publishes the body's writes to the successor in `link`; Acquire as for the load
        // above. `word` can't have changed but by the successor: a reader that releases was granted before.
        let released = own.expose_provenance() | RELEASED;
        match self.0.compare_exchange(word, released, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => Left::Unlinked,
            Err(now) => {
                unkeep();
                let (next, kind) = successor(now).expect("only a successor changes the word of a holder");
                Left::Successor(next, kind)
            }
        }
    }
}
