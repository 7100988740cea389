//! Acquisition: puts a behavior into the queues of its cowns, in two phases.
//!
//! The protocol stands in [`crate::slot`]; this file is the enqueuer's side of it, and its door,
//! [`schedule_erased`], for layers that keep their own types, and upon it
//! [`when_on`](crate::when_on), for Rust programs.

use core::ptr::NonNull;

use crate::behavior::{self, Arrival, Header, Place};
use crate::cown::{Cown, CownHeader};
use crate::executor::{Executor, Ready};
use crate::slot::{Linked, Slot};
use crate::sync::Ordering;

/// One cown whose type is forgotten, as something to ask for. Borrows the handle it was made from.
#[derive(Clone, Copy)]
pub struct Erased<'a> {
    header: NonNull<CownHeader>,
    _handle: core::marker::PhantomData<&'a ()>,
}

impl<'a> Erased<'a> {
    /// The cown of `handle`.
    pub fn new<T>(handle: &'a Cown<T>) -> Self {
        Self { header: handle.header(), _handle: core::marker::PhantomData }
    }

    /// Whether both are the same cown.
    pub fn same(&self, other: &Erased<'_>) -> bool {
        self.header == other.header
    }
}

/// Schedules `body` to run on `executor` when all of `cowns` are acquired, each once however often it is
/// listed, and returns the cown of its result.
///
/// `initial` is the result's value until the body changes it; without it, the result's cown is empty
/// until the body [sets](Place::set) it. The body gets no guards: it reaches the cowns' values through
/// pointers of its own ([`Cown::value_ptr`]), which stay valid while it runs. For layers that keep their
/// own types (the Python one does); Rust programs use [`when_on`](crate::when_on).
///
/// Behaviors that share a cown run in the order in which they were scheduled. Takes O(n log n) for n
/// cowns, one allocation, one atomic swap for each cown. It may wait, briefly, for another thread that is
/// in the middle of scheduling on one of the same cowns.
pub fn schedule_erased<E, R, F>(executor: E, cowns: &mut [Erased<'_>], initial: Option<R>, body: F) -> Cown<R>
where
    E: Executor,
    R: Send + 'static,
    F: FnOnce(Place<'_, R>) + Send + 'static,
{
    let stalled = executor.clone();
    sort(cowns);
    // SAFETY: `Erased` is a non-null pointer to a header and a zero-sized marker.
    let pointers = unsafe { core::slice::from_raw_parts(cowns.as_ptr().cast(), cowns.len()) };
    let (header, result) = behavior::allocate(executor, pointers, initial, body);
    // SAFETY: fresh from `allocate`; each cown is kept alive by the handle that its `Erased` borrows.
    unsafe { enqueue(header, |yields| stalled.stalled(yields)) };
    // SAFETY: the handle's reference, which `allocate` counted.
    unsafe { Cown::from_counted(result) }
}

/// Takes one cown if nobody holds it, without waiting and without a place in its queue otherwise.
///
/// The token holds the cown until it is dropped (or run, which is the same: there is no body). Behaviors
/// scheduled meanwhile wait for it. `executor` is not used to run anything.
///
/// ```
/// use bocage_core::{Cown, Inline, try_acquire, when_on};
///
/// let cown = Cown::new(1);
/// let held = try_acquire(Inline, &cown).expect("nobody has it");
/// assert!(try_acquire(Inline, &cown).is_none());
/// let later = when_on(Inline, &cown, |c| *c);
/// drop(held);
/// assert_eq!(later.wait().unwrap(), 1);
/// ```
pub fn try_acquire<E: Executor, T>(executor: E, cown: &Cown<T>) -> Option<Ready> {
    let target = cown.header();
    // SAFETY: the handle keeps the cown alive. Relaxed: a look that saves the allocation; the exchange
    // below decides.
    if !unsafe { target.as_ref() }.tail.load(Ordering::Relaxed).is_null() {
        return None;
    }
    let (header, result) = behavior::allocate(executor, &[target.as_ptr().cast_const()], Some(()), |_| {});
    // SAFETY: fresh from `allocate`, which counted a reference for the handle that we don't need: dropped at
    // the end, when the token (or the cancelled run) has its own.
    let _handle = unsafe { Cown::from_counted(result) };
    // SAFETY: as above; the block has one slot, and nobody else knows it yet.
    unsafe {
        let [slot] = Header::slots(header) else { unreachable!("one cown, one slot") };
        slot.finish_enqueue();
        let us = core::ptr::from_ref(slot).cast_mut();
        // AcqRel: Release publishes the slot to the next enqueuer; Acquire pairs with the Release of the
        // tail's reset. Relaxed on failure: nothing is read then.
        let tail = &target.as_ref().tail;
        if tail.compare_exchange(core::ptr::null_mut(), us, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
            target.as_ref().keep();
            return Some(Ready::new(header));
        }
        Header::abandon(header);
    }
    None
}

/// Ascending order of address, the total order that makes deadlock impossible.
pub(crate) fn sort(cowns: &mut [Erased<'_>]) {
    match cowns {
        [] | [_] => {}
        [a, b] => {
            if a.header > b.header {
                core::mem::swap(a, b);
            }
        }
        more => more.sort_unstable_by_key(|c| c.header),
    }
}

/// Both phases; afterwards the behavior may already be done.
///
/// # Safety
///
/// `header` is of a fresh block that nobody else knows, its cowns are sorted and alive.
unsafe fn enqueue(header: NonNull<Header>, stalled: impl Fn(u32)) {
    // SAFETY: the run's reference keeps the block alive until the behavior is ready, and it can't be ready
    // before the last step below, after which the block is not used.
    let slots = unsafe { Header::slots(header) };
    if let [slot] = slots {
        // SAFETY: as above.
        unsafe { enqueue_one(header, slot, stalled) };
        return;
    }
    let mut acquired = 0;
    let mut wanted = 0;
    for slot in slots.iter().filter(|s| !s.cown.is_null()) {
        wanted += 1;
        // SAFETY: the cown is alive by the caller's promise, and a predecessor by the queue's invariant.
        unsafe {
            match swap_tail(slot, &stalled) {
                None => acquired += 1,
                Some(predecessor) => acquired += u32::from(link(predecessor, header)),
            }
        }
    }
    for slot in slots.iter().filter(|s| !s.cown.is_null()) {
        slot.finish_enqueue();
    }
    // Nobody else counts if everything was free: the read-modify-write can be saved.
    // SAFETY: all cowns are acquired then, and it was this thread that took the count to zero.
    unsafe {
        if acquired == wanted || header.as_ref().acquired(acquired + 1) {
            Header::make_ready(header, Arrival::Scheduled);
        }
    }
}

/// Phase 1 and 2 for a behavior of one cown. Its slot must still not pass for enqueued before its
/// predecessor is: a third behavior that came behind it would otherwise overtake that predecessor on
/// another cown. But it can be marked before it links, so that linking is the end of the enqueue and no
/// pending count is needed.
///
/// # Safety
///
/// As for [`enqueue`].
unsafe fn enqueue_one(header: NonNull<Header>, slot: &Slot, stalled: impl Fn(u32)) {
    // SAFETY: as for `enqueue`; once linked, the block is used only if the link acquired the cown.
    unsafe {
        let predecessor = swap_tail(slot, &stalled);
        slot.finish_enqueue();
        if predecessor.is_none_or(|p| link(p, header)) {
            Header::make_ready(header, Arrival::Scheduled);
        }
    }
}

/// Takes the slot's place in its cown's queue. Returns the predecessor, which has ended its phase 1, or
/// `None` if the cown was free and is now ours.
///
/// # Safety
///
/// The cown is alive.
unsafe fn swap_tail<'a>(slot: &'a Slot, stalled: &impl Fn(u32)) -> Option<&'a Slot> {
    // SAFETY: the caller keeps the cown alive.
    let cown = unsafe { &*slot.cown };
    // AcqRel: Release publishes our slot to the next enqueuer; Acquire shows us the predecessor's slot or,
    // if there is none, pairs with the Release of the tail's reset, whose body's writes we now own.
    let before = cown.tail.swap(core::ptr::from_ref(slot).cast_mut(), Ordering::AcqRel);
    if before.is_null() {
        cown.keep();
        return None;
    }
    // SAFETY: a slot stays in memory until its successor, which is us, has linked.
    let predecessor = unsafe { &*before };
    let yields = predecessor.await_enqueued();
    if yields > 0 {
        stalled(yields);
    }
    Some(predecessor)
}

/// Links the behavior behind `predecessor`; `true` if the cown is acquired, as that one released it.
///
/// # Safety
///
/// `predecessor` came from the own swap of the tail and is used no more.
unsafe fn link(predecessor: &Slot, header: NonNull<Header>) -> bool {
    match predecessor.link(header.as_ptr()) {
        Linked::Waits => false,
        Linked::Acquired(block) => {
            // SAFETY: the releaser left us one reference to its block.
            unsafe { CownHeader::unkeep(Header::result(NonNull::new_unchecked(block)), 1) };
            true
        }
    }
}
