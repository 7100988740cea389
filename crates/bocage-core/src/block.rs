//! A behavior's block with its types: how it is made, run and freed. Its layout stands in [`crate::behavior`].

use core::alloc::Layout;
use core::any::Any;
use core::cell::UnsafeCell;
use core::mem::{self, ManuallyDrop};
use core::num::NonZeroUsize;
use core::ptr::{self, NonNull};
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::behavior::{Arrival, BATCHED, Counts, Header, Mode, Ran, Vtable};
use crate::body::{Body, Ticket};
use crate::cown::{CownBox, CownHeader, EMPTY, MISSING, PANICKED, Payload, Storage};
use crate::executor::{Executor, Home, Ready};
use crate::pool;
use crate::quietly::quietly;
use crate::release;
use crate::row::Row;
use crate::slot::{Slot, Want};
use crate::stage::Stage;
use crate::sync::AtomicU32;
use crate::turn::{Owed, Turn};

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
/// result's cown, for which a reference is counted beside the run's if it `has_handle`.
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
    has_handle: bool,
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
            run_in_turn: const {
                if may_only_read::<R, B>() { Front::<E, R, B>::run_in_turn } else { Vtable::never_in_turn }
            },
            ready: Front::<E, R, B>::ready,
            hand_over_turn: Front::<E, R, B>::hand_over_turn,
            turn_key: Front::<E, R, B>::turn_key,
            ready_in_row: Front::<E, R, B>::ready_in_row,
            stalled: Front::<E, R, B>::stalled,
            home: Front::<E, R, B>::home,
            nests: mem::needs_drop::<R>() || mem::needs_drop::<E>(),
            name: B::name,
            label: Front::<E, R, B>::label,
        }
    };
    debug_assert!(B::REQUESTS.is_none_or(|known| known == requests));
    let requests = B::REQUESTS.unwrap_or(requests);
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
                header: CownHeader::held(header.as_ptr().cast(), 1 + u32::from(has_handle), flags, vtable),
                storage: UnsafeCell::new(storage),
            },
            executor: UnsafeCell::new(Who { executor: ManuallyDrop::new(executor) }),
            body: UnsafeCell::new(ManuallyDrop::new(body)),
        });
        mem::forget(memory);
        (header, front.cast())
    }
}

/// How many requests there are.
///
/// # Safety
///
/// `header` is of a live block of these types.
#[inline]
pub(crate) unsafe fn requests<E: Executor, R: Send + 'static, B: Body<R>>(header: NonNull<Header>) -> usize {
    // SAFETY: passed on.
    unsafe { Front::<E, R, B>::requests(header) }
}

/// Whether such a behavior may be one that reads one cown and wants nothing else.
pub(crate) const fn may_only_read<R, B: Body<R>>() -> bool {
    B::READS && matches!(B::REQUESTS, None | Some(1))
}

/// A copy of the executor of a behavior, which may run it, and so free it, inside its own methods.
///
/// # Safety
///
/// The behavior is of these types, and has not run.
#[inline]
pub(crate) unsafe fn executor_of<E: Executor, R: Send + 'static, B: Body<R>>(header: NonNull<Header>) -> E {
    // SAFETY: passed on.
    unsafe { Front::<E, R, B>::executor(header).clone() }
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

    /// How many requests there are, which the type may tell.
    ///
    /// # Safety
    ///
    /// `header` is of a live block of these types.
    #[inline]
    unsafe fn requests(header: NonNull<Header>) -> usize {
        // SAFETY: passed on.
        B::REQUESTS.unwrap_or_else(|| unsafe { Header::requests(header) })
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

    unsafe fn home(header: NonNull<Header>) -> Option<Home> {
        // SAFETY: called for one that has not run, or is kept from the end of that.
        unsafe { Self::executor(header).home() }
    }

    unsafe fn label(header: NonNull<Header>) -> Option<String> {
        // SAFETY: called for one whose body has not begun, and does not as long as this lasts, so that it is there, and nobody
        // changes it. What is read of it may be read here, as `Body::label` says.
        unsafe { (*Self::of(header).as_ref().body.get()).label() }
    }

    #[inline]
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

    unsafe fn hand_over_turn(header: NonNull<Header>, turn: Turn) {
        // SAFETY: as for `ready`.
        let executor = unsafe { Self::executor(header).clone() };
        executor.handed_over_turn(turn);
    }

    unsafe fn turn_key(header: NonNull<Header>) -> Option<NonZeroUsize> {
        // SAFETY: passed on.
        unsafe { Self::executor(header).turn_key() }
    }

    unsafe fn ready_in_row(header: NonNull<Header>, row: Row) {
        // SAFETY: as for `ready`.
        let executor = unsafe { Self::executor(header).clone() };
        executor.ready_in_row(row);
    }

    unsafe fn run(header: NonNull<Header>, mode: Mode, owed: &mut Owed) -> Ran {
        // SAFETY: ready, so all cowns are held by us, the result's too; run once, so the closure is there.
        unsafe {
            let slots = Header::so_many_slots(header, Self::requests(header));
            slots.iter().for_each(|slot| slot.word.prefetch_successor());
            let ticket = Self::perform(header, slots, mode, owed.stage());
            let (ran, is_last) = match slots {
                [slot] if Self::MAY_OWE && mode == Mode::RunOwing && slot.want.reads() => {
                    release::owing(header, slot, owed)
                }
                _ => (Ran::Ended, release::all(header, slots)),
            };
            Self::finish(header, ticket, is_last);
            ran
        }
    }

    unsafe fn run_in_turn(header: NonNull<Header>, key: NonZeroUsize, owed: &mut Owed, is_followed: bool) -> Ran {
        // SAFETY: as for `run`; it reads one cown and wants nothing else.
        unsafe {
            if Self::executor(header).turn_key() != Some(key) {
                Self::ready(header, Arrival::Scheduled);
                return Ran::Elsewhere;
            }
            let slots = Header::so_many_slots(header, 1);
            let ticket = Self::perform(header, slots, Mode::RunOwing, owed.stage());
            let (ran, is_last) = if !Self::MAY_OWE {
                (Ran::Ended, release::all(header, slots))
            } else if is_followed {
                release::owing_followed(header, &slots[0], owed)
            } else {
                release::owing(header, &slots[0], owed)
            };
            Self::finish(header, ticket, is_last);
            ran
        }
    }

    /// Frees the block if that is left to the caller, and then drops the ticket.
    ///
    /// # Safety
    ///
    /// The behavior has released its cowns, which said `is_last`.
    #[inline(always)]
    unsafe fn finish(header: NonNull<Header>, ticket: B::Ticket, is_last: bool) {
        if is_last {
            // SAFETY: as the caller says, nobody else can reach it.
            unsafe { Self::free_here(Header::result(header)) }
        }
        drop(ticket);
    }

    /// Whether its count as a reader may be owed: nobody has a ticket, who would be told of the end.
    const MAY_OWE: bool = may_only_read::<R, B>() && size_of::<B::Ticket>() == 0;

    /// Runs the body, or drops it, and puts what comes of that into the result's cown. Meanwhile the behavior is on `stage`.
    ///
    /// # Safety
    ///
    /// The behavior, whose slots these are, holds all its cowns. Called once.
    #[inline(always)]
    unsafe fn perform(header: NonNull<Header>, slots: &[Slot], mode: Mode, stage: &Stage) -> B::Ticket {
        // SAFETY: as the caller says, and called once, so the closure is there.
        unsafe {
            let missing =
                slots.iter().fold(false, |missing, slot| missing | ((*slot.want.cown()).flags() & EMPTY != 0));
            let this = Self::of(header);
            let front = this.as_ref();
            let mut body = ManuallyDrop::take(&mut *front.body.get());
            let ticket = body.ticket();
            let cown = &front.result.header;
            let storage = &mut *front.result.storage.get();
            let mut full = cown.flags() & EMPTY == 0;
            stage.enter(header);
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                if mode != Mode::Cancel && !missing {
                    body.run(Place { storage, full: &mut full, slots });
                } else {
                    drop(body);
                }
            }));
            stage.leave();
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
            ticket
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
        // SAFETY: passed on.
        unsafe { Self::free_here(cown) }
    }

    /// [`free`](Vtable::free), for the run, of which it is the end.
    #[inline(always)]
    unsafe fn free_here(cown: NonNull<CownHeader>) {
        let this = cown.cast::<Self>();
        // SAFETY: nobody else can reach the block. The closure was taken by the run, without which the run's reference
        // would still be there.
        unsafe {
            let header = cown.cast::<Header>();
            let requests = Self::requests(header);
            ptr::drop_in_place(ptr::slice_from_raw_parts_mut(Header::first_slot(header, requests), requests));
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
            // Nothing above panics: what the program's own drops do is caught.
            let (layout, at) = Self::known_layout(requests);
            pool::give(this.cast::<u8>().sub(at), layout);
        }
    }
}
