//! A behavior's block: the one allocation that holds all of it.
//!
//! ```text
//!   one for each request                      front of type Front<E, R, B>
//!  +--------+ ... +--------+------------------+--------------------------+----------+---------+
//!  | slot   |     | slot   | counts           | result's cown            | executor | closure |
//!  |        |     |        | pending requests | tail word vtable … value |          |         |
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

use core::alloc::Layout;
use core::any::Any;
use core::cell::UnsafeCell;
use core::mem::{self, ManuallyDrop};
use core::ptr::{self, NonNull};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cown::{CownBox, CownHeader, EMPTY, MISSING, PANICKED, POISONED, Payload, Storage, quietly};
use crate::executor::{Executor, Ready};
use crate::pool;
use crate::release;
use crate::slot::{Slot, Want};
use crate::sync::{AtomicU32, Ordering};

/// What the queues know of a behavior: its address, which is that of its result's cown, and what stands before that.
#[repr(transparent)]
pub(crate) struct Header {
    result: CownHeader,
}

/// What stands right before the header.
#[repr(C, align(8))]
struct Counts {
    pending: AtomicU32,
    /// Requests, duplicates included. With `BATCHED`.
    requests: u32,
}

/// The behavior is one of a batch: it uses its pending count whatever the number of its requests.
const BATCHED: u32 = 1 << 31;

/// What is done with a cown, or a behavior, whose types are forgotten.
pub(crate) struct Vtable {
    /// Drops the value and frees the memory. Nobody can reach it any more.
    pub(crate) free: unsafe fn(NonNull<CownHeader>),
    /// The rest is for behaviors.
    run: unsafe fn(NonNull<Header>, Mode),
    ready: unsafe fn(NonNull<Header>, Arrival),
    stalled: unsafe fn(NonNull<Header>, u32),
}

impl Vtable {
    /// Of a cown that is no behavior's result.
    pub(crate) const fn of_cown(free: unsafe fn(NonNull<CownHeader>)) -> Self {
        Self {
            free,
            run: |_, _| unreachable!("a cown does not run"),
            ready: |_, _| unreachable!("a cown is never ready"),
            stalled: |_, _| unreachable!("a cown waits for nobody"),
        }
    }
}

/// Whether a ready behavior's body is to run.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    Run,
    Cancel,
}

/// How a behavior became ready.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// All its cowns were free when it was scheduled.
    Scheduled,
    /// The calling thread just released the last cown that it waited for.
    HandedOver,
}

#[repr(C)]
struct Front<E, R, B> {
    result: CownBox<R>,
    executor: UnsafeCell<Who<E>>,
    body: UnsafeCell<ManuallyDrop<B>>,
}

/// The executor or, if the flags say `PANICKED`, the payload, which [`CownBox::payload`] finds here.
#[repr(C)]
union Who<E> {
    executor: ManuallyDrop<E>,
    payload: ManuallyDrop<Option<Payload>>,
}

/// Where a running body puts its result.
///
/// A behavior scheduled with a value for its result finds it here and may change it in place; any other
/// has to [`set`](Place::set) it.
pub struct Place<'a, R> {
    storage: &'a mut Storage<R>,
    full: &'a mut bool,
    slots: &'a [Slot],
}

impl<'a, R> Place<'a, R> {
    /// The slots of the requests, in their order.
    pub(crate) fn slots(&self) -> &'a [Slot] {
        self.slots
    }

    /// Puts `value` there, and drops what was there before.
    pub fn set(&mut self, value: R) {
        if let Some(old) = self.get_mut() {
            *old = value;
        } else {
            self.storage.value = ManuallyDrop::new(value);
            *self.full = true;
        }
    }

    /// What is there now.
    pub fn get_mut(&mut self) -> Option<&mut R> {
        // SAFETY: `full` says that the value is the live field; `set` and the block's start keep it so.
        self.full.then(|| unsafe { &mut *self.storage.value })
    }
}

/// What runs when a behavior has its cowns.
///
/// A closure is one. Another kind may leave a ticket behind, which outlives the body and is dropped when the behavior
/// has released its cowns: then nothing of the body is left, and nothing that it borrowed is used any more.
pub(crate) trait Body<R>: Send {
    type Ticket: Ticket;

    /// Called first, and once, whether the body is to run or is cancelled.
    fn ticket(&mut self) -> Self::Ticket;

    fn run(self, place: Place<'_, R>);
}

/// See [`Body`].
pub(crate) trait Ticket {
    /// The body panicked.
    fn panicked(&self);
}

impl Ticket for () {
    fn panicked(&self) {}
}

impl<R, F: FnOnce(Place<'_, R>) + Send> Body<R> for F {
    type Ticket = ();

    fn ticket(&mut self) {}

    fn run(self, place: Place<'_, R>) {
        self(place);
    }
}

impl Header {
    /// # Safety
    ///
    /// `this` is the header of a live block.
    unsafe fn counts<'a>(this: NonNull<Self>) -> &'a Counts {
        // SAFETY: they stand before each behavior's header, in its block.
        unsafe { this.cast::<Counts>().sub(1).as_ref() }
    }

    /// The slots of the requests, in the order of the requests.
    ///
    /// # Safety
    ///
    /// `this` is the header of a live block.
    pub(crate) unsafe fn slots<'a>(this: NonNull<Self>) -> &'a [Slot] {
        // SAFETY: the slots end where the counts start, in the block, which the caller keeps alive.
        unsafe {
            let requests = Self::requests(this);
            core::slice::from_raw_parts(Self::first_slot(this, requests), requests)
        }
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
    unsafe fn first_slot(this: NonNull<Self>, requests: usize) -> *mut Slot {
        // SAFETY: in the same block.
        unsafe { this.cast::<Counts>().sub(1).cast::<Slot>().sub(requests).as_ptr() }
    }

    /// The slot that stands in the queue of `cown`.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; there is one.
    pub(crate) unsafe fn slot_for<'a>(this: NonNull<Self>, cown: NonNull<CownHeader>) -> &'a Slot {
        // SAFETY: passed on.
        let slots = unsafe { Self::slots(this) };
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

    /// How many requests there are, duplicates included.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    unsafe fn requests(this: NonNull<Self>) -> usize {
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

    /// Tells the executor that the enqueue had to yield.
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

    /// Takes back a behavior that got no place in any queue: drops the closure and the run's reference. Its cowns
    /// must not be released, since it never had them.
    ///
    /// # Safety
    ///
    /// Fresh from [`allocate`], known to nobody else, and used no more.
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

    /// Frees the block.
    ///
    /// # Safety
    ///
    /// Nobody can reach it any more.
    pub(crate) unsafe fn free(this: NonNull<Self>) {
        // SAFETY: passed on.
        unsafe { (this.as_ref().result.vtable.free)(this.cast()) }
    }

    /// Runs (or cancels) the behavior and releases its cowns.
    ///
    /// # Safety
    ///
    /// The behavior is ready, and this is called once.
    pub(crate) unsafe fn run(this: NonNull<Self>, mode: Mode) {
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().result.vtable.run)(this, mode) }
    }
}

/// How many references a new block has: the run's and the handle's.
const FIRST_REFS: u32 = 2;

/// Memory that is to be given back, also if a panic comes.
struct Memory(NonNull<u8>, Layout);

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: taken with this layout, and without content that is to be dropped.
        unsafe { pool::give(self.0, self.1) }
    }
}

/// Where a new block's slots are written.
pub(crate) struct Fill {
    next: NonNull<Slot>,
    left: usize,
}

impl Fill {
    /// The next request wants this.
    ///
    /// # Panics
    ///
    /// If there were as many as the block has room for.
    #[inline]
    pub(crate) fn want(&mut self, want: Want) {
        assert!(self.left > 0, "a request shows more cowns than it counts");
        self.left -= 1;
        // SAFETY: within the slots of a fresh block, as `left` was not zero.
        unsafe {
            self.next.write(Slot::enqueuing(want));
            self.next = self.next.add(1);
        }
    }
}

/// Makes the block of a behavior of so many requests, which `fill` tells in their order. Returns the header and the
/// result's cown.
///
/// What the body borrows is not looked at before the behavior runs.
///
/// # Panics
///
/// If `fill` does not tell of that many.
#[inline]
pub(crate) fn allocate<E, R, B>(
    executor: E,
    requests: usize,
    fill: impl FnOnce(&mut Fill),
    initial: Option<R>,
    body: B,
) -> (NonNull<Header>, NonNull<CownBox<R>>)
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
{
    let vtable = &const {
        Vtable {
            free: Front::<E, R, B>::free,
            run: Front::<E, R, B>::run,
            ready: Front::<E, R, B>::ready,
            stalled: Front::<E, R, B>::stalled,
        }
    };
    let (layout, front_at) = Front::<E, R, B>::layout(requests);
    let count = u32::try_from(requests).ok().filter(|n| *n < BATCHED);
    let count = count.expect("a behavior asks for fewer than two thousand million cowns");
    let memory = Memory(pool::take(layout), layout);
    let block = memory.0;
    // SAFETY: fresh memory of the layout of slots, counts and a front; everything in it is written here, before
    // anybody else knows it.
    unsafe {
        let front = block.add(front_at).cast::<Front<E, R, B>>();
        let header = front.cast::<Header>();
        header.cast::<Counts>().sub(1).write(Counts { pending: AtomicU32::new(count), requests: count });
        let mut slots = Fill { next: NonNull::new_unchecked(Header::first_slot(header, requests)), left: requests };
        fill(&mut slots);
        assert!(slots.left == 0, "a request shows fewer cowns than it counts");
        let flags = if initial.is_some() { 0 } else { EMPTY };
        let storage = match initial {
            Some(value) => Storage { value: ManuallyDrop::new(value) },
            None => Storage { nothing: () },
        };
        front.write(Front {
            result: CownBox {
                header: CownHeader::held(header.as_ptr().cast(), FIRST_REFS, flags, vtable),
                storage: UnsafeCell::new(storage),
            },
            executor: UnsafeCell::new(Who { executor: ManuallyDrop::new(executor) }),
            body: UnsafeCell::new(ManuallyDrop::new(body)),
        });
        mem::forget(memory);
        (header, front.cast())
    }
}

impl<E, R, B> Front<E, R, B>
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
{
    /// Of a block, and where its front is.
    #[inline]
    fn layout(requests: usize) -> (Layout, usize) {
        let too_large = "a block is smaller than the address space";
        let slots = Layout::array::<Slot>(requests).expect(too_large);
        let (before, _) = slots.extend(Layout::new::<Counts>()).expect(too_large);
        // The counts end where the front starts, so what the front's alignment asks for is left free at the start.
        let front = Layout::new::<Self>();
        let at = before.align_to(front.align()).expect(too_large).pad_to_align().size();
        let whole = Layout::from_size_align(at + front.size(), before.align().max(front.align()));
        (whole.expect(too_large), at)
    }

    /// The same, for so many requests as [`layout`](Self::layout) has seen to fit.
    ///
    /// # Safety
    ///
    /// It has.
    #[inline]
    unsafe fn known_layout(requests: usize) -> (Layout, usize) {
        let front = Layout::new::<Self>();
        let before = requests * size_of::<Slot>() + size_of::<Counts>();
        let at = before.next_multiple_of(front.align());
        // SAFETY: the same numbers as there, where they were checked.
        let known = (unsafe { Layout::from_size_align_unchecked(at + front.size(), front.align()) }, at);
        debug_assert_eq!(known, Self::layout(requests));
        known
    }

    unsafe fn of(header: NonNull<Header>) -> NonNull<Self> {
        header.cast()
    }

    /// # Safety
    ///
    /// The behavior has not run.
    unsafe fn executor<'a>(header: NonNull<Header>) -> &'a E {
        // SAFETY: as the caller says, and it is replaced only by the run.
        unsafe { &(*Self::of(header).as_ref().executor.get()).executor }
    }

    unsafe fn stalled(header: NonNull<Header>, yields: u32) {
        // SAFETY: called by the enqueuer, before the behavior can be ready.
        unsafe { Self::executor(header).stalled(yields) }
    }

    unsafe fn ready(header: NonNull<Header>, arrival: Arrival) {
        // SAFETY: ready is not yet run, so that the run's reference keeps the block. The executor may run
        // it, and so free the block, inside its own method: hence the clone.
        unsafe {
            let executor = Self::executor(header).clone();
            let ready = Ready::new(header);
            match arrival {
                Arrival::Scheduled => executor.ready(ready),
                Arrival::HandedOver => executor.handed_over(ready),
            }
        }
    }

    unsafe fn run(header: NonNull<Header>, mode: Mode) {
        // SAFETY: ready, so all cowns are held by us, the result's too; run once, so the closure is there.
        unsafe {
            let slots = Header::slots(header);
            let mut missing = false;
            for slot in slots {
                slot.word.prefetch_successor();
                missing |= (*slot.want.cown()).flags() & EMPTY != 0;
            }
            let this = Self::of(header);
            let front = this.as_ref();
            let mut body = ManuallyDrop::take(&mut *front.body.get());
            let ticket = body.ticket();
            let cown = &front.result.header;
            let storage = &mut *front.result.storage.get();
            let mut full = cown.flags() & EMPTY == 0;
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                if mode == Mode::Run && !missing {
                    body.run(Place { storage, full: &mut full, slots });
                } else {
                    drop(body);
                }
            }));
            let mut flags = if full { 0 } else { EMPTY };
            if missing {
                flags |= MISSING;
            }
            if let Err(payload) = outcome {
                flags = Self::store_panic(this, full, payload);
                Header::poison(header);
                ticket.panicked();
            }
            cown.set_flags(flags);
            release::all(header, slots);
            drop(ticket);
        }
    }

    /// Puts the payload of a panic where the executor is, which is needed no more, and drops the value if one is there
    /// that was given up front; returns the flags.
    unsafe fn store_panic(this: NonNull<Self>, full: bool, payload: Box<dyn Any + Send>) -> u8 {
        // SAFETY: called by `run`, which holds the result's cown; nobody looks at the executor any more.
        unsafe {
            // A drop may panic too; that second panic has nowhere to go.
            if full {
                let storage = &mut *this.as_ref().result.storage.get();
                quietly(|| ManuallyDrop::drop(&mut storage.value));
            }
            let who = &mut *this.as_ref().executor.get();
            quietly(|| ManuallyDrop::drop(&mut who.executor));
            const { assert!(mem::offset_of!(Self, executor) == size_of::<CownBox<R>>(), "an executor is 8-aligned at most") };
            who.payload = ManuallyDrop::new(Some(Box::new(payload)));
        }
        EMPTY | PANICKED
    }

    unsafe fn free(cown: NonNull<CownHeader>) {
        let this = cown.cast::<Self>();
        // SAFETY: nobody else can reach the block. The closure was taken by the run, without which the run's reference
        // would still be there.
        unsafe {
            let header = cown.cast::<Header>();
            let requests = Header::requests(header);
            let (layout, at) = Self::known_layout(requests);
            let _memory = Memory(this.cast::<u8>().sub(at), layout);
            for slot in Header::fresh_slots(header) {
                ptr::drop_in_place(slot);
            }
            ptr::drop_in_place(header.cast::<Counts>().sub(1).as_ptr());
            let Front { result, executor, .. } = &mut *this.as_ptr();
            if result.header.flags() & PANICKED == 0 {
                if mem::needs_drop::<R>() {
                    quietly(|| CownBox::drop_content(NonNull::from(&mut *result)));
                }
                if mem::needs_drop::<E>() {
                    quietly(|| ManuallyDrop::drop(&mut executor.get_mut().executor));
                }
            } else {
                quietly(|| ManuallyDrop::drop(&mut executor.get_mut().payload));
            }
            ptr::drop_in_place(&raw mut (*this.as_ptr()).result.header);
        }
    }
}
