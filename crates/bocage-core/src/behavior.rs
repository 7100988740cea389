//! A behavior's block: the one allocation that holds all of it.
//!
//! ```text
//!   front of type Front<E, R, B>                                       one for each request, and one more
//!  +--------------------+----------+---------+------------------------+--------+ ... +--------+----------+
//!  | result's cown      | executor | closure | header                 | slot   |     | slot   | result's |
//!  | tail refs … value  |          |         | vtable pending slots   |        |     |        | slot     |
//!  +--------------------+----------+---------+------------------------+--------+ ... +--------+----------+
//!  ^ Cown<R> points here                     ^ everybody else points here
//! ```
//!
//! The block *is* the cown of the result, so that a handle costs no allocation and a behavior can ask for
//! another one's result as for any cown. That cown starts out held by its own behavior: its tail is the
//! last slot of the block, and no swap was needed, since nobody else could know it.
//!
//! # References
//!
//! The result's cown counts them. A block starts with one for the run, one for the result's queue (as any
//! queue that is not empty) and one for the handle. A release that finds a successor which has not linked
//! yet adds one for it (see [`crate::slot`]). The block goes when all are gone; the closure is dropped
//! already when the body ends.
//!
//! # The pending count
//!
//! With two requests or more: the number of cowns still to come, plus one that stands for phase 1, so that
//! nothing runs before phase 2 ended. Whoever takes it to zero makes the behavior ready. With one request
//! the count is not used: linking is the last thing that the enqueuer does, so the one hand-over finds
//! everything in place.

use core::alloc::Layout;
use core::any::Any;
use core::cell::UnsafeCell;
use core::mem::{self, ManuallyDrop};
use core::ptr::{self, NonNull};
use std::alloc;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::cown::{CownBox, CownHeader, CownVtable, EMPTY, MISSING, PANICKED, POISONED, Storage};
use crate::executor::{Executor, Ready};
use crate::release;
use crate::slot::{Slot, Want};
use crate::sync::{AtomicU32, Ordering};

/// What the queues know of a behavior; its slots follow it in memory.
#[repr(C)]
pub(crate) struct Header {
    vtable: &'static Vtable,
    pending: AtomicU32,
    /// Requests, duplicates included; the result's slot comes after them and is not counted. With `BATCHED`.
    requests: u32,
}

/// The behavior is one of a batch: it uses its pending count whatever the number of its requests.
const BATCHED: u32 = 1 << 31;

/// What is done with a behavior whose types are forgotten.
struct Vtable {
    run: unsafe fn(NonNull<Header>, Mode),
    ready: unsafe fn(NonNull<Header>, Arrival),
    result: unsafe fn(NonNull<Header>) -> NonNull<CownHeader>,
    stalled: unsafe fn(NonNull<Header>, u32),
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
    executor: E,
    body: UnsafeCell<ManuallyDrop<B>>,
    header: Header,
}

/// Where a running body puts its result.
///
/// A behavior scheduled with a value for its result finds it here and may change it in place; any other
/// has to [`set`](Place::set) it.
pub struct Place<'a, R> {
    storage: &'a mut Storage<R>,
    full: &'a mut bool,
}

impl<R> Place<'_, R> {
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
    /// The slots of the requests, in acquisition order.
    ///
    /// # Safety
    ///
    /// `this` is the header of a live block.
    pub(crate) unsafe fn slots<'a>(this: NonNull<Self>) -> &'a [Slot] {
        // SAFETY: the slots follow the header in the block, which the caller keeps alive.
        unsafe { core::slice::from_raw_parts(Self::first_slot(this), this.as_ref().requests()) }
    }

    /// The result's slot.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    pub(crate) unsafe fn result_slot<'a>(this: NonNull<Self>) -> &'a Slot {
        // SAFETY: it comes after the requests' slots.
        unsafe { &*Self::first_slot(this).add(this.as_ref().requests()) }
    }

    fn first_slot(this: NonNull<Self>) -> *mut Slot {
        // SAFETY: in the same block, or one past a header without slots.
        unsafe { this.as_ptr().add(1).cast() }
    }

    /// The slot that wants `cown`.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; there is one.
    pub(crate) unsafe fn slot_for<'a>(this: NonNull<Self>, cown: NonNull<CownHeader>) -> &'a Slot {
        // SAFETY: passed on.
        let slots = unsafe { Self::slots(this) };
        let slot = slots.iter().find(|slot| slot.want.cown() == cown.as_ptr());
        slot.expect("a behavior in a cown's queue has a slot for it")
    }

    /// Counts `acquired` cowns as acquired; `true` if that was all that it waited for.
    pub(crate) fn acquired(&self, acquired: u32) -> bool {
        // AcqRel: Release publishes what the acquired cowns hold to the thread that takes the count to
        // zero, and Acquire is that thread's side of it.
        self.pending.fetch_sub(acquired, Ordering::AcqRel) == acquired
    }

    /// Whether the behavior asks for exactly one cown and so does not use its pending count.
    pub(crate) fn is_single(&self) -> bool {
        self.requests == 1
    }

    /// How many requests there are, duplicates included.
    fn requests(&self) -> usize {
        (self.requests & !BATCHED) as usize
    }

    /// Makes it one of a batch. For a block that nobody else knows.
    ///
    /// # Safety
    ///
    /// `this` is the header of a live block.
    pub(crate) unsafe fn set_batched(this: NonNull<Self>) {
        // SAFETY: nobody else knows the block.
        unsafe { (*this.as_ptr()).requests |= BATCHED }
    }

    /// The result's cown, which counts the block's references.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`].
    pub(crate) unsafe fn result(this: NonNull<Self>) -> NonNull<CownHeader> {
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().vtable.result)(this) }
    }

    /// Whether one of the cowns holds no value.
    ///
    /// # Safety
    ///
    /// As for [`Header::slots`]; the behavior holds its cowns.
    pub(crate) unsafe fn misses_values(this: NonNull<Self>) -> bool {
        // SAFETY: held, so the cowns are alive and their flags ours to read.
        unsafe {
            Self::slots(this).iter().any(|slot| {
                let cown = slot.want.cown();
                !cown.is_null() && (*cown).flags() & EMPTY != 0
            })
        }
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
                if !want.cown().is_null() && !want.reads() {
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
        unsafe { (this.as_ref().vtable.stalled)(this, yields) }
    }

    /// Gives a ready behavior to its executor.
    ///
    /// # Safety
    ///
    /// All its cowns are acquired and nobody else makes it ready.
    pub(crate) unsafe fn make_ready(this: NonNull<Self>, arrival: Arrival) {
        // SAFETY: as above; the run's reference keeps the block alive until then.
        unsafe { (this.as_ref().vtable.ready)(this, arrival) }
    }

    /// Takes back a behavior that got no place in any queue: drops the closure, and the references of the
    /// run and of the result's queue. Its cowns must not be released, since it never had them.
    ///
    /// # Safety
    ///
    /// Fresh from [`allocate`], known to nobody else, and used no more.
    pub(crate) unsafe fn abandon(this: NonNull<Self>) {
        // SAFETY: the slots are the block's own until the references are dropped; nulled, they are skipped.
        unsafe {
            for i in 0..this.as_ref().requests() {
                (*Self::first_slot(this).add(i)).want = Want::NOTHING;
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
        // SAFETY: the vtable was made for this block's types.
        unsafe { (this.as_ref().vtable.run)(this, mode) }
    }
}

/// How many references a new block has: the run's, the result queue's and the handle's.
const FIRST_REFS: u32 = 3;

/// Makes the block of a behavior with these wants, which are sorted; those of the same cown become one request.
/// Returns the header and the result's cown.
///
/// What the body borrows is not looked at before the behavior runs.
pub(crate) fn allocate<E, R, B>(
    executor: E,
    wants: &[Want],
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
            run: Front::<E, R, B>::run,
            ready: Front::<E, R, B>::ready,
            result: Front::<E, R, B>::result_of,
            stalled: Front::<E, R, B>::stalled,
        }
    };
    let cown_vtable = &const { CownVtable { free: Front::<E, R, B>::free } };
    let requests = u32::try_from(wants.len()).ok().filter(|n| *n < BATCHED);
    let requests = requests.expect("a behavior asks for fewer than two thousand million cowns");
    let layout = Front::<E, R, B>::layout(requests);
    // SAFETY: the layout is not empty: it holds a header at least.
    let Some(front) = NonNull::new(unsafe { alloc::alloc(layout) }.cast::<Front<E, R, B>>()) else {
        alloc::handle_alloc_error(layout)
    };
    // SAFETY: fresh memory of the layout of a front and its slots; everything in it is written here, before
    // anybody else knows it.
    unsafe {
        let header = &raw mut (*front.as_ptr()).header;
        let slots = header.add(1).cast::<Slot>();
        let mut distinct = 0;
        for (i, want) in wants.iter().enumerate() {
            // A write comes before a read of the same cown, and includes it.
            let duplicate = i > 0 && wants[i - 1].cown() == want.cown();
            slots.add(i).write(Slot::enqueuing(if duplicate { Want::NOTHING } else { *want }));
            distinct += u32::from(!duplicate);
        }
        let result_slot = slots.add(requests as usize);
        result_slot.write(Slot::enqueued(Want::write(front.as_ptr().cast())));
        let flags = if initial.is_some() { 0 } else { EMPTY };
        let storage = match initial {
            Some(value) => Storage { value: ManuallyDrop::new(value) },
            None => Storage { nothing: () },
        };
        front.as_ptr().write(Front {
            result: CownBox {
                header: CownHeader::new(result_slot, FIRST_REFS, flags, cown_vtable),
                storage: UnsafeCell::new(storage),
            },
            executor,
            body: UnsafeCell::new(ManuallyDrop::new(body)),
            header: Header { vtable, pending: AtomicU32::new(distinct + 1), requests },
        });
        (NonNull::new_unchecked(header), front.cast())
    }
}

impl<E, R, B> Front<E, R, B>
where
    E: Executor,
    R: Send + 'static,
    B: Body<R>,
{
    fn layout(requests: u32) -> Layout {
        let header_end = mem::offset_of!(Self, header) + size_of::<Header>();
        let size = header_end + (requests as usize + 1) * size_of::<Slot>();
        let align = align_of::<Self>().max(align_of::<Slot>());
        // The front is written whole, so that the block is at least as long as it (its padding included).
        Layout::from_size_align(size.max(size_of::<Self>()), align).expect("a block is smaller than the address space")
    }

    unsafe fn of(header: NonNull<Header>) -> NonNull<Self> {
        // SAFETY: the vtables of this type are only in headers of such fronts.
        unsafe { header.byte_sub(mem::offset_of!(Self, header)).cast() }
    }

    unsafe fn result_of(header: NonNull<Header>) -> NonNull<CownHeader> {
        // SAFETY: the result is the front's first field.
        unsafe { Self::of(header).cast() }
    }

    unsafe fn stalled(header: NonNull<Header>, yields: u32) {
        // SAFETY: called by the enqueuer, before the behavior can be ready.
        unsafe { Self::of(header).as_ref().executor.stalled(yields) }
    }

    unsafe fn ready(header: NonNull<Header>, arrival: Arrival) {
        // SAFETY: ready is not yet run, so that the run's reference keeps the block. The executor may run
        // it, and so free the block, inside its own method: hence the clone.
        unsafe {
            let executor = Self::of(header).as_ref().executor.clone();
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
            let this = Self::of(header);
            let front = this.as_ref();
            let mut body = ManuallyDrop::take(&mut *front.body.get());
            let ticket = body.ticket();
            let cown = &front.result.header;
            let storage = &mut *front.result.storage.get();
            let mut full = cown.flags() & EMPTY == 0;
            let missing = Header::misses_values(header);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                if mode == Mode::Run && !missing {
                    body.run(Place { storage, full: &mut full });
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
            release::all(header);
            drop(ticket);
        }
    }

    /// Puts the payload of a panic where the value would be, unless a value is there that was given up
    /// front; returns the flags.
    unsafe fn store_panic(this: NonNull<Self>, full: bool, payload: Box<dyn Any + Send>) -> u8 {
        // SAFETY: called by `run`, which holds the result's cown.
        unsafe {
            let storage = &mut *this.as_ref().result.storage.get();
            if full {
                // A value's own drop may panic too; that second panic has nowhere to go.
                let _ = catch_unwind(AssertUnwindSafe(|| ManuallyDrop::drop(&mut storage.value)));
            }
            storage.panic = ManuallyDrop::new(Box::new(payload));
        }
        EMPTY | PANICKED
    }

    unsafe fn free(cown: NonNull<CownHeader>) {
        let this = cown.cast::<Self>();
        // SAFETY: the last reference is gone: nobody else can reach the block. The closure was taken by the
        // run, without which the run's reference would still be there.
        unsafe {
            let layout = Self::layout(this.as_ref().header.requests() as u32);
            struct Memory(NonNull<u8>, Layout);
            impl Drop for Memory {
                fn drop(&mut self) {
                    // SAFETY: allocated with this layout, and all its content is dropped.
                    unsafe { alloc::dealloc(self.0.as_ptr(), self.1) }
                }
            }
            let _memory = Memory(this.cast(), layout);
            let header = NonNull::from(&this.as_ref().header);
            for i in 0..=this.as_ref().header.requests() {
                ptr::drop_in_place(Header::first_slot(header).add(i));
            }
            ptr::drop_in_place(&raw mut (*this.as_ptr()).header);
            let executor = ptr::read(&raw const (*this.as_ptr()).executor);
            drop(executor);
            CownBox::drop_content(this.cast::<CownBox<R>>());
        }
    }
}
