//! Acquisition: puts a behavior into the queues of its cowns, in two phases.
//!
//! The protocol stands in [`crate::slot`]; this file is the enqueuer's side of it, and its door,
//! [`schedule_erased`], for layers that keep their own types, and upon it
//! [`when_on`](crate::when_on), for Rust programs.

use core::ptr::NonNull;

use crate::behavior::{self, Arrival, Body, Header, Place};
use crate::cown::{Cown, CownHeader, CownId};
use crate::executor::{Executor, Ready};
use crate::grant;
use crate::mailbox;
use crate::slot::{Linked, Slot, Want};
use crate::sync::Ordering;

/// One cown whose type is forgotten, as something to ask for. Borrows the handle it was made from.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Erased<'a> {
    pub(crate) want: Want,
    _handle: core::marker::PhantomData<&'a ()>,
}

impl<'a> Erased<'a> {
    /// The cown of `handle`, to write.
    pub fn new<T>(handle: &'a Cown<T>) -> Self {
        Self { want: Want::write(handle.header().as_ptr()), _handle: core::marker::PhantomData }
    }

    /// The cown of `handle`, to read: others may read it at the same time.
    pub fn read<T: Sync>(handle: &'a Cown<T>) -> Self {
        Self { want: Want::read(handle.header().as_ptr()), _handle: core::marker::PhantomData }
    }

    /// The cown's identity.
    pub fn id(&self) -> CownId {
        CownId::of(self.want.cown())
    }

    /// Whether both are the same cown.
    pub fn same(&self, other: &Erased<'_>) -> bool {
        self.want.cown() == other.want.cown()
    }

    /// Whether it is only to be read.
    pub fn reads(&self) -> bool {
        self.want.reads()
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
    // SAFETY: the body borrows nothing that could end.
    unsafe { schedule(executor, cowns, initial, body) }
}

/// [`schedule_erased`], for a body that may borrow.
///
/// # Safety
///
/// What `body` borrows lasts until its ticket is dropped, or it borrows nothing.
pub(crate) unsafe fn schedule<E, R, B>(executor: E, cowns: &mut [Erased<'_>], initial: Option<R>, body: B) -> Cown<R>
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
{
    let (header, result) = behavior::allocate(executor, schedule_order(cowns), initial, body);
    // SAFETY: fresh from `allocate`; each cown is kept alive by the handle that its `Erased` borrows. After its run
    // the block holds nothing of the body, whoever frees it.
    unsafe { enqueue(header) };
    // SAFETY: the handle's reference, which `allocate` counted.
    unsafe { Cown::from_counted(result) }
}

/// Takes one cown to write if nobody holds it, without waiting.
///
/// The token holds the cown until it is dropped (or run, which is the same: there is no body). Behaviors
/// scheduled meanwhile wait for it.
///
/// ```
/// use bocage_core::{Cown, Inline, try_acquire, when_on};
///
/// let cown = Cown::new(1);
/// let held = try_acquire(&cown).expect("nobody has it");
/// assert!(try_acquire(&cown).is_none());
/// let later = when_on(Inline, &cown, |c| *c);
/// drop(held);
/// assert_eq!(later.wait().unwrap(), 1);
/// ```
pub fn try_acquire<T>(cown: &Cown<T>) -> Option<Ready> {
    let target = cown.header();
    // SAFETY: the handle keeps the cown alive.
    let target = unsafe { target.as_ref() };
    // Relaxed: a look that saves the allocation; the exchange below decides.
    if !target.tail.load(Ordering::Relaxed).is_null() || !target.is_without_readers() {
        return None;
    }
    let (header, result) = behavior::allocate(Nowhere, &[Want::write(target)], Some(()), |_: Place<'_, ()>| {});
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
        let tail = &target.tail;
        if tail.compare_exchange(core::ptr::null_mut(), us, Ordering::AcqRel, Ordering::Relaxed).is_err() {
            Header::abandon(header);
            return None;
        }
        target.keep();
        // Readers that came and left the queue meanwhile: then the request stays in line behind them, and
        // `Nowhere` cancels it when it is its turn.
        grant::enter(target, header, slot).then(|| Ready::new(header))
    }
}

/// The executor of a token: it cancels what it gets.
#[derive(Clone, Copy)]
struct Nowhere;

impl Executor for Nowhere {
    fn ready(&self, ready: Ready) {
        mailbox::cancel(ready);
    }
}

/// The wants of these cowns, in the order in which they are to be visited.
pub(crate) fn schedule_order<'s>(cowns: &'s mut [Erased<'_>]) -> &'s [Want] {
    sort(cowns);
    // SAFETY: `Erased` is a `Want` and a zero-sized marker.
    unsafe { core::slice::from_raw_parts(cowns.as_ptr().cast::<Want>(), cowns.len()) }
}

/// Ascending order of address, the total order that makes deadlock impossible.
pub(crate) fn sort(cowns: &mut [Erased<'_>]) {
    match cowns {
        [] | [_] => {}
        [a, b] => {
            if a.want > b.want {
                core::mem::swap(a, b);
            }
        }
        more => more.sort_unstable_by_key(|c| c.want),
    }
}

/// Both phases; afterwards the behavior may already be done.
///
/// # Safety
///
/// `header` is of a fresh block that nobody else knows, its cowns are sorted and alive, and what its body borrows lasts
/// as [`schedule`] says.
unsafe fn enqueue(header: NonNull<Header>) {
    // SAFETY: the run's reference keeps the block alive until the behavior is ready, and it can't be ready
    // before the last step below, after which the block is not used.
    let slots = unsafe { Header::slots(header) };
    if let [slot] = slots {
        // SAFETY: as above.
        unsafe { enqueue_one(header, slot) };
        return;
    }
    let mut acquired = 0;
    let mut wanted = 0;
    for slot in slots.iter().filter(|s| !s.want.cown().is_null()) {
        wanted += 1;
        // SAFETY: the cown is alive by the caller's promise, and a predecessor by the queue's invariant. A
        // reader that has the cown is marked before anybody can link behind it.
        unsafe {
            let predecessor = swap_tail(header, slot);
            if predecessor.is_none_or(|p| link(p, header, slot)) && grant::enter(&*slot.want.cown(), header, slot) {
                acquired += 1;
                if slot.want.reads() {
                    slot.set_granted_in_phase_1();
                }
            }
        }
    }
    for slot in slots.iter().filter(|s| !s.want.cown().is_null()) {
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
unsafe fn enqueue_one(header: NonNull<Header>, slot: &Slot) {
    // SAFETY: as for `enqueue`; once linked, the block is used only if that led to the cown, and then by
    // nobody else.
    unsafe {
        let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
        match swap_tail(header, slot) {
            None if slot.want.reads() => {
                grant::enter(cown.as_ref(), header, slot);
                slot.finish_granted();
            }
            None => {
                slot.finish_enqueue();
                if !grant::enter(cown.as_ref(), header, slot) {
                    return;
                }
            }
            Some(predecessor) => {
                slot.finish_enqueue();
                if !link(predecessor, header, slot) {
                    return;
                }
                if slot.want.reads() {
                    // Others may be in line behind it already.
                    grant::to_readers(cown, header, Arrival::Scheduled);
                    return;
                }
                if !grant::enter(cown.as_ref(), header, slot) {
                    return;
                }
            }
        }
        Header::make_ready(header, Arrival::Scheduled);
    }
}

/// Takes the slot's place in its cown's queue. Returns the predecessor, which has ended its phase 1, or
/// `None` if the queue was empty.
///
/// # Safety
///
/// The cown is alive, and the slot is `header`'s, which is in phase 1.
pub(crate) unsafe fn swap_tail(header: NonNull<Header>, slot: &Slot) -> Option<&Slot> {
    // SAFETY: the caller keeps the cown alive.
    let cown = unsafe { &*slot.want.cown() };
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
        // SAFETY: we are in phase 1.
        unsafe { Header::stalled(header, yields) };
    }
    Some(predecessor)
}

/// Links the slot behind `predecessor`; `true` if that is nobody to wait for, so that the slot is to enter.
///
/// # Safety
///
/// `predecessor` came from the own swap of the tail and is used no more.
pub(crate) unsafe fn link(predecessor: &Slot, header: NonNull<Header>, slot: &Slot) -> bool {
    match predecessor.link(header.as_ptr(), slot.want.reads()) {
        Linked::Waits => false,
        Linked::BehindReader => true,
        Linked::BehindNobody(block) => {
            // SAFETY: the releaser left us one reference to its block.
            unsafe { CownHeader::unkeep(Header::result(NonNull::new_unchecked(block)), 1) };
            true
        }
    }
}
