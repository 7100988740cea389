//! Batches: several behaviors scheduled in one step.
//!
//! A batch goes through phase 1 as one behavior with all its behaviors' cowns would (see [`crate::slot`]): in
//! ascending order, at each cown with all the slots that want it, chained in the order in which the behaviors
//! were added. None of the behaviors is ready before all of them are in line, as each keeps the count that stands
//! for phase 1 until then.

use core::fmt;
use core::ptr::NonNull;

use crate::acquire::{link, swap_tail};
use crate::behavior::{Arrival, Header};
use crate::block::{self, Fill};
use crate::cown::{Cown, CownHeader};
use crate::executor::Executor;
use crate::grant;
use crate::handle::{Handle, Receipt, fill, with_guards};
use crate::leftover::Leftover;
use crate::order::in_order;
use crate::request::Requests;
use crate::slot::Slot;

/// Behaviors to be scheduled in one step: no other behavior comes between them on any cown that two of them
/// share, and among themselves they run in the order in which they were added.
///
/// They are scheduled when the batch is dropped. Until then nobody waits for them, so that there is no way to
/// deadlock here either; but a thread that waits for the result of one before it drops the batch waits for ever.
///
/// ```
/// use bocage_core::{Batch, Cown, Inline, read};
///
/// let (a, b) = (Cown::new(1), Cown::new(2));
/// let mut batch = Batch::new();
/// batch.spawn_on(Inline, (&a, &b), |(mut a, mut b)| std::mem::swap(&mut *a, &mut *b));
/// // Nobody can have changed them since.
/// let seen = batch.when_on(Inline, (read(&a), read(&b)), |(a, b)| (*a, *b));
/// drop(batch);
/// assert_eq!(seen.wait().unwrap(), (2, 1));
/// ```
#[derive(Default)]
#[must_use = "a batch is scheduled when it is dropped"]
pub struct Batch {
    behaviors: Vec<Pending>,
    slots: Vec<Member>,
}

/// A behavior of a batch.
struct Pending {
    header: NonNull<Header>,
    /// Its cowns that phase 1 acquired.
    acquired: u32,
}

/// One slot of one of the behaviors. The batch keeps its cown.
struct Member {
    cown: NonNull<CownHeader>,
    slot: NonNull<Slot>,
    /// Index of the behavior.
    behavior: usize,
}

impl Batch {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many behaviors were added.
    pub fn len(&self) -> usize {
        self.behaviors.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.behaviors.is_empty()
    }

    /// Adds a behavior; as [`when_on`](crate::when_on), but that it is scheduled with the batch.
    pub fn when_on<E, Q, R, F>(&mut self, executor: E, requests: Q, body: F) -> Handle<R>
    where
        E: Executor,
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.schedule_on(executor, requests, body)
    }

    /// Adds a behavior; as [`spawn_on`](crate::spawn_on), but that it is scheduled with the batch.
    pub fn spawn_on<E, Q, F>(&mut self, executor: E, requests: Q, body: F)
    where
        E: Executor,
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.schedule_on(executor, requests, body)
    }

    /// Adds a behavior; as [`schedule_on`](crate::schedule_on), but that it is scheduled with the batch.
    pub fn schedule_on<E, Q, R, F, H>(&mut self, executor: E, requests: Q, body: F) -> H
    where
        E: Executor,
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        let run = with_guards(&requests, body);
        let fill = |slots: &mut Fill| fill(&requests, slots);
        let (header, result) = block::allocate(executor, requests.count(), fill, None, run, H::COUNTED);
        self.add(header);
        // SAFETY: asked for once, and only if `allocate` has counted a reference for it.
        H::of(|| unsafe { Cown::from_counted(result) })
    }

    fn add(&mut self, header: NonNull<Header>) {
        let behavior = self.behaviors.len();
        // SAFETY: fresh, known to nobody else, with cowns that are alive; the batch keeps them from here on.
        unsafe {
            Header::set_batched(header);
            in_order(header, |slots| {
                for slot in slots {
                    let cown = NonNull::new_unchecked(slot.as_ref().want.cown().cast_mut());
                    cown.as_ref().keep();
                    self.slots.push(Member { cown, slot: *slot, behavior });
                }
            });
        }
        self.behaviors.push(Pending { header, acquired: 0 });
    }

    /// Phase 1 at one cown, for all the slots that want it.
    fn enqueue(behaviors: &mut [Pending], slots: &[Member], left: &mut Leftover) {
        let [first, .., last] = slots else {
            if let [only] = slots {
                Self::enqueue_chain(behaviors, only, only, left);
            }
            return;
        };
        for pair in slots.windows(2) {
            let next = behaviors[pair[1].behavior].header;
            // SAFETY: the blocks are known to nobody else yet.
            unsafe { pair[0].slot.as_ref().word.chain(next.as_ptr(), pair[1].slot.as_ref().want.kind()) };
        }
        Self::enqueue_chain(behaviors, first, last, left);
    }

    fn enqueue_chain(behaviors: &mut [Pending], first: &Member, last: &Member, left: &mut Leftover) {
        let cown = first.cown;
        let header = behaviors[first.behavior].header;
        // SAFETY: the batch keeps the cown, and each behavior the count for phase 1, so that no block goes and
        // none gets ready here. Nobody else grants to the first if it is to enter.
        unsafe {
            let (first_slot, last_slot) = (first.slot.as_ref(), last.slot.as_ref());
            let predecessor = swap_tail(header, last_slot);
            if !predecessor.is_none_or(|p| link(p, header, first_slot.want.kind(), left)) {
                return;
            }
            if first_slot.want.reads() {
                grant::to_readers(cown, header, Arrival::Scheduled);
            } else if grant::enter(cown.as_ref(), header, first_slot) {
                behaviors[first.behavior].acquired += 1;
            }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        let Self { behaviors, slots } = self;
        let mut left = Leftover::none();
        // Stable: on one cown they stay in the order in which they were added.
        slots.sort_by_key(|member| member.cown);
        for of_one_cown in slots.chunk_by(|a, b| a.cown == b.cown) {
            Self::enqueue(behaviors, of_one_cown, &mut left);
        }
        for of_one_cown in slots.chunk_by(|a, b| a.cown == b.cown) {
            if let Some(last) = of_one_cown.last() {
                // SAFETY: its behavior is not ready yet.
                unsafe {
                    let slot = last.slot.as_ref();
                    slot.word.finish_enqueue(slot.want.reads());
                }
            }
        }
        for Pending { header, acquired } in behaviors.drain(..) {
            // SAFETY: not ready before its count for phase 1 is taken, here.
            unsafe {
                if Header::acquired(header, acquired + 1) {
                    Header::make_ready(header, Arrival::Scheduled);
                }
            }
        }
        for member in slots.drain(..) {
            // SAFETY: the batch's own reference, used no more.
            unsafe { CownHeader::unkeep(member.cown) };
        }
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("behaviors", &self.behaviors.len()).finish()
    }
}
