//! Acquisition: puts a behavior into the queues of its cowns, in two phases.
//!
//! The protocol stands in [`crate::slot`]; this file is the enqueuer's side of it, and its door,
//! [`schedule_erased`], for layers that keep their own types, and upon it
//! [`when_on`](crate::when_on), for Rust programs.

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::block::{self, Fill, Place};
use crate::body::{Body, Label, Labelled};
use crate::cown::{Cown, CownId};
use crate::executor::{Executor, Ready};
use crate::grant;
use crate::handle::Receipt;
use crate::leftover::Leftover;
use crate::mailbox::{self, Nothing};
use crate::order::in_order;
use crate::slot::{Kind, Linked, Slot, Want, Word};
use crate::turn::Turn;

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
    unsafe { schedule_wants(executor, cowns, initial, body) }
}

/// [`schedule_erased`], for a body that says what it is to [whoever looks](crate::Seen::label) before it begins. One that nobody
/// looks at costs the same.
///
/// ```
/// use bocage_core::{Cown, Erased, Holder, Inline, Labelled, Place, acquire, look_behind, schedule_labelled};
/// use std::ops::ControlFlow;
///
/// struct Add(i32);
/// impl Labelled<i32> for Add {
///     fn label(&self) -> String {
///         format!("add {}", self.0)
///     }
///     fn run(self, mut place: Place<'_, i32>) {
///         *place.get_mut().unwrap() += self.0;
///     }
/// }
///
/// let cown = Cown::new(());
/// let held = acquire(&cown).wait();
/// let sum = schedule_labelled(Inline, &mut [Erased::new(&cown)], Some(1), Add(2));
/// let mut labels = Vec::new();
/// bocage_core::Outside::look(|holders| {
///     look_behind(holders.iter().copied(), |seen| {
///         labels.extend(seen.label());
///         ControlFlow::Continue(())
///     });
/// });
/// assert_eq!(labels, ["add 2"]);
/// drop(held);
/// assert_eq!(*acquire(&sum).wait().guards(), 3);
/// ```
pub fn schedule_labelled<E, R, B>(executor: E, cowns: &mut [Erased<'_>], initial: Option<R>, body: B) -> Cown<R>
where
    E: Executor,
    R: Send + 'static,
    B: Labelled<R>,
{
    // SAFETY: the body borrows nothing that could end.
    unsafe { schedule_wants(executor, cowns, initial, Label(body)) }
}

/// [`schedule`], for these cowns.
///
/// # Safety
///
/// As for that, of what `body` borrows.
unsafe fn schedule_wants<E, R, B>(executor: E, cowns: &[Erased<'_>], initial: Option<R>, body: B) -> Cown<R>
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
{
    let fill = |slots: &mut Fill| cowns.iter().for_each(|cown| slots.want(cown.want));
    // SAFETY: passed on; the cowns are borrowed.
    unsafe { schedule(executor, cowns.len(), fill, initial, body) }
}

/// [`schedule_erased`], for a body that may borrow, cowns that `fill` tells, and whatever the caller wants to have.
///
/// # Safety
///
/// What `body` borrows lasts until its ticket is dropped, or it borrows nothing. The cowns are alive until this returns.
#[inline]
pub(crate) unsafe fn schedule<E, R, B, H>(
    executor: E,
    cowns: usize,
    fill: impl FnOnce(&mut Fill),
    initial: Option<R>,
    body: B,
) -> H
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
    H: Receipt<R>,
{
    // SAFETY: passed on. What is ready has not run, so that its executor is there.
    unsafe {
        schedule_now(executor, cowns, fill, initial, body, |header, now| match now {
            Now::Ready(ready) => block::executor_of::<E, R, B>(header).ready(ready),
            Now::Turn(turn) => block::executor_of::<E, R, B>(header).ready_turn(turn),
        })
    }
}

/// A behavior that waits for nothing, right when it is scheduled. See [`schedule_on_with`](crate::schedule_on_with).
#[derive(Debug)]
#[must_use = "dropping it cancels the behavior, or lets its executor have it"]
pub enum Now {
    /// It has all its cowns.
    Ready(Ready),
    /// It only reads a cown, and it is its turn.
    Turn(Turn),
}

/// [`schedule`], but that `now` gets the behavior if it waits for nothing.
///
/// # Safety
///
/// As for that.
#[inline(always)]
pub(crate) unsafe fn schedule_now<E, R, B, H>(
    executor: E,
    cowns: usize,
    fill: impl FnOnce(&mut Fill),
    initial: Option<R>,
    body: B,
    now: impl FnOnce(NonNull<Header>, Now),
) -> H
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
    H: Receipt<R>,
{
    let (header, result) = block::allocate(executor, cowns, fill, initial, body, H::COUNTED);
    // SAFETY: fresh from `allocate`; each cown is kept alive by the caller. After its run the block holds nothing of
    // the body, whoever frees it. That it is ready is said to nobody else.
    unsafe {
        let mut left = Leftover::none();
        let requests = block::requests::<E, R, B>(header);
        match enqueue(header, requests, block::may_only_read::<R, B>(), &mut left) {
            Enqueued::Waits => {}
            Enqueued::Ready => now(header, Now::Ready(Ready::new(header))),
            Enqueued::Turn => now(header, Now::Turn(Turn::new(header))),
        }
    }
    // SAFETY: asked for once, and only if `allocate` has counted a reference for it.
    H::of(|| unsafe { Cown::from_counted(result) })
}

/// The token of one cown, to write, if nobody holds that or waits for it.
pub(crate) fn claim_now<T>(cown: &Cown<T>) -> Option<Ready> {
    let target = cown.header();
    // SAFETY: the handle keeps the cown alive.
    let target = unsafe { target.as_ref() };
    // A look that saves the allocation; the claim below decides.
    if !target.tail.is_empty() || !target.is_without_readers() {
        return None;
    }
    let fill = |slots: &mut Fill| slots.want(Want::write(target));
    let (header, result) = block::allocate(Nowhere, 1, fill, Some(()), Nothing, true);
    // SAFETY: fresh from `allocate`, which counted a reference for the handle that we don't need: dropped at
    // the end, when the token (or the cancelled run) has its own.
    let _handle = unsafe { Cown::from_counted(result) };
    // SAFETY: as above; the block has one slot, and nobody else knows it yet.
    unsafe {
        let [slot] = Header::slots(header) else { unreachable!("one cown, one slot") };
        slot.word.finish_enqueue(false);
        if !target.tail.claim(&slot.word) {
            Header::abandon(header);
            return None;
        }
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

/// What a behavior that has been enqueued waits for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Enqueued {
    /// For others. It may already be done.
    Waits,
    /// For nothing: it has all its cowns, and the caller is to make it ready.
    Ready,
    /// That the caller grants it the one cown that it wants to read, as a [turn](crate::turn).
    Turn,
}

impl From<bool> for Enqueued {
    fn from(has_all: bool) -> Self {
        if has_all { Self::Ready } else { Self::Waits }
    }
}

/// Both phases.
///
/// # Safety
///
/// `header` is of a fresh block with so many requests that nobody else knows, its cowns are alive, and what its body
/// borrows lasts as [`schedule`] says.
#[inline(always)]
unsafe fn enqueue(header: NonNull<Header>, requests: usize, may_only_read: bool, left: &mut Leftover) -> Enqueued {
    // SAFETY: the run's reference keeps the block alive until the behavior is ready, and it can't be ready
    // before the last step below, after which the block is not used.
    unsafe {
        match Header::so_many_slots(header, requests) {
            [] => Enqueued::Ready,
            [slot] => enqueue_one(header, slot, may_only_read, left),
            [a, b] if a.want.cown() != b.want.cown() => {
                // As in `in_order`.
                b.want.prefetch();
                a.want.prefetch();
                let ordered = if a.want.cown() < b.want.cown() { [a, b] } else { [b, a] };
                enqueue_all(header, &ordered.map(NonNull::from), left).into()
            }
            _ => enqueue_in_order(header, left).into(),
        }
    }
}

/// The same, for any number of cowns.
///
/// # Safety
///
/// As for [`enqueue`].
#[inline(never)]
unsafe fn enqueue_in_order(header: NonNull<Header>, left: &mut Leftover) -> bool {
    // SAFETY: passed on.
    unsafe { in_order(header, |slots| enqueue_all(header, slots, left)) }
}

/// Phase 1 and 2 for a behavior of several cowns, whose slots are in order.
///
/// Phase 1 is over when the predecessor of the last slot has ended its own. So phase 2 comes before the last slot
/// is linked: that is the end of the enqueue, and since its cown is still to come until then, nobody makes the
/// behavior ready before.
///
/// # Safety
///
/// As for [`enqueue`].
#[inline]
unsafe fn enqueue_all(header: NonNull<Header>, slots: &[NonNull<Slot>], left: &mut Leftover) -> bool {
    // SAFETY: as for `enqueue`.
    let slots = || slots.iter().map(|slot| unsafe { slot.as_ref() });
    let Some(last) = slots().next_back() else { return true };
    let others = slots().len() as u32 - 1;
    let mut acquired = 0;
    for slot in slots().take(others as usize) {
        // SAFETY: the cown is alive by the caller's promise, and a predecessor by the queue's invariant. A
        // reader that has the cown is marked before anybody can link behind it.
        unsafe {
            let predecessor = swap_tail(header, slot);
            let kind = slot.want.kind();
            if predecessor.is_none_or(|p| link(p, header, kind, left)) && grant::enter(&*slot.want.cown(), header, slot)
            {
                acquired += 1;
                if slot.want.reads() {
                    slot.word.set_granted_in_phase_1();
                }
            }
        }
    }
    // SAFETY: as above. The last cown is still to come, so that the block is there until it is linked or has it.
    unsafe {
        let cown = NonNull::new_unchecked(last.want.cown().cast_mut());
        let predecessor = swap_tail(header, last);
        if predecessor.is_none() && last.want.reads() {
            grant::enter(cown.as_ref(), header, last);
            last.word.set_granted_in_phase_1();
        }
        slots().for_each(|slot| slot.word.finish_enqueue(slot.want.reads()));
        Header::acquired_in_phase_1(header, acquired, others);
        let has_it = match predecessor {
            Some(predecessor) if !link(predecessor, header, last.want.kind(), left) => false,
            // Others may be in line behind it already.
            Some(_) if last.want.reads() => {
                grant::to_readers(cown, header, Arrival::Scheduled);
                false
            }
            None if last.want.reads() => true,
            _ => grant::enter(cown.as_ref(), header, last),
        };
        has_it && Header::acquired(header, 1)
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
#[inline(always)]
unsafe fn enqueue_one(header: NonNull<Header>, slot: &Slot, may_read: bool, left: &mut Leftover) -> Enqueued {
    // SAFETY: as for `enqueue`; once linked, the block is used only if that led to the cown, and then by
    // nobody else.
    unsafe {
        let predecessor = swap_tail(header, slot);
        slot.word.finish_enqueue(false);
        debug_assert!(may_read || !slot.want.reads(), "a type that denies it shows a cown to read");
        let reads = may_read && slot.want.reads();
        let kind = if reads { Kind::ONLY_READS } else { Kind::WRITES };
        if let Some(predecessor) = predecessor
            && !link(predecessor, header, kind, left)
        {
            return Enqueued::Waits;
        }
        if reads { Enqueued::Turn } else { grant::enter(&*slot.want.cown(), header, slot).into() }
    }
}

/// Takes the slot's place in its cown's queue. Returns the predecessor, which has ended its phase 1, or
/// `None` if the queue was empty.
///
/// # Safety
///
/// The cown is alive, and the slot is `header`'s, which is in phase 1.
#[inline(always)]
pub(crate) unsafe fn swap_tail(header: NonNull<Header>, slot: &Slot) -> Option<&Word> {
    // SAFETY: the caller keeps the cown alive.
    let cown = unsafe { &*slot.want.cown() };
    let predecessor = cown.tail.swap(&slot.word)?;
    // SAFETY: a slot stays in memory until its successor, which is us, has linked.
    let predecessor = unsafe { predecessor.as_ref() };
    let yields = predecessor.await_enqueued();
    if yields > 0 {
        // SAFETY: we are in phase 1.
        unsafe { Header::stalled(header, yields) };
    }
    Some(predecessor)
}

/// Links the slot behind `predecessor`; `true` if that is nobody to wait for, so that the slot is to enter. What is left
/// of the predecessor may be ours to free, when phase 1 is over.
///
/// # Safety
///
/// `predecessor` came from the own swap of the tail and is used no more.
#[inline(always)]
pub(crate) unsafe fn link(predecessor: &Word, header: NonNull<Header>, kind: Kind, left: &mut Leftover) -> bool {
    match predecessor.link(header.as_ptr(), kind) {
        Linked::Waits => false,
        Linked::BehindReader => true,
        Linked::BehindNobody(block) => {
            // SAFETY: the releaser left us one reference to its block.
            unsafe { left.unkeep(Header::result(block)) };
            true
        }
    }
}
