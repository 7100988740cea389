//! Where the blocks of behaviors and cowns come from: each thread keeps a few that were freed on it, and hands on those
//! that were allocated elsewhere.
//!
//! A behavior is one small block, of a size that comes again and again, and where behaviors follow one another the
//! last one's block is just the one for the next: it is in the cache, and taking it is a load and a store. So a thread
//! keeps up to [`KEPT`] free blocks of each small size. What it has not, it asks of the depot, and then of the allocator.
//!
//! | where blocks are    | who takes them from there           | who puts them there                                |
//! |---------------------|-------------------------------------|----------------------------------------------------|
//! | the thread's stack  | the thread                          | the thread                                         |
//! | the depot           | a thread whose stack is empty, [`ROUND`] at once | a thread whose stack is full, and that has given back more than it took |
//! | the allocator       | a thread, if the depot is empty too | a thread whose stack is full, and that has taken more than it gave back; what the depot has no room for; a thread that ends |
//!
//! Where one thread schedules and another runs, all blocks are freed on another thread than the one that allocates, which
//! allocators do block by block and with atomics. The depot moves [`ROUND`] of them under one lock. What a thread allocated
//! itself is no business of the depot: the allocator takes that back at once and gives it out again in order of address,
//! which is worth more. A thread knows which of the two a block is by [counting](Stack::own) only, which is right where it
//! matters: a thread that runs what others schedule gives back more than it takes. The depot is bounded, so that it holds
//! no more than what is on its way.
//!
//! In debug builds all blocks come straight from the allocator, so that tools that watch memory see each of them.

use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::{self, NonNull};
use std::alloc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Sizes are rounded up to multiples of this, which is also how the blocks are aligned.
const GRANULE: usize = 16;
/// Blocks that are larger are left to the allocator.
const LARGEST: usize = 256;
const CLASSES: usize = LARGEST / GRANULE;
/// So many go to the depot or come from there at once.
const ROUND: usize = 32;
/// How many a thread keeps of each size: what a few behaviors that follow one another need, and no more, since
/// memory that was used long ago is no better than the allocator's.
const KEPT: usize = 2 * ROUND;
/// So many rounds the depot keeps of each size.
const DEPOT: usize = 64;

/// Whether blocks are kept at all.
const KEEPS: bool = !cfg!(any(loom, miri, debug_assertions));

/// Free blocks of one size.
struct Stack {
    count: Cell<usize>,
    /// How many blocks more the thread took from the allocator and the depot than it gave back, or none.
    own: Cell<usize>,
    blocks: UnsafeCell<[MaybeUninit<NonNull<u8>>; KEPT]>,
}

/// What one thread keeps.
struct Pool([Stack; CLASSES]);

std::thread_local! {
    static POOL: Pool = const { Pool([const { Stack::new() }; CLASSES]) };
}

/// Blocks on their way from threads that free more than they allocate to others.
#[repr(align(128))]
struct Depot {
    /// How many rounds there are, for a look without the lock.
    count: AtomicUsize,
    rounds: Mutex<Vec<Round>>,
}

/// So many blocks.
struct Round([NonNull<u8>; ROUND]);

// SAFETY: free memory, which belongs to whoever has the pointer to it.
unsafe impl Send for Round {}

static DEPOTS: [Depot; CLASSES] = [const { Depot::new() }; CLASSES];

impl Depot {
    const fn new() -> Self {
        Self { count: AtomicUsize::new(0), rounds: Mutex::new(Vec::new()) }
    }

    /// Blocks, if there are some and nobody else is at it.
    fn take(&self) -> Option<Round> {
        let mut rounds = self.rounds.try_lock().ok()?;
        let round = rounds.pop();
        // Relaxed: the lock orders the rounds, and a look may be out of date.
        self.count.store(rounds.len(), Ordering::Relaxed);
        round
    }

    /// Takes them in, unless it is full or somebody else is at it.
    fn give(&self, blocks: &[NonNull<u8>; ROUND]) -> bool {
        // Relaxed: as above.
        if self.count.load(Ordering::Relaxed) >= DEPOT {
            return false;
        }
        let Ok(mut rounds) = self.rounds.try_lock() else { return false };
        if rounds.len() == DEPOT {
            return false;
        }
        rounds.push(Round(*blocks));
        // Relaxed: as above.
        self.count.store(rounds.len(), Ordering::Relaxed);
        true
    }
}

/// The class of blocks for this layout, if there is one.
#[inline]
fn class(layout: Layout) -> Option<usize> {
    let kept = KEEPS && layout.size() <= LARGEST && layout.size() > 0 && layout.align() <= GRANULE;
    kept.then(|| (layout.size() - 1) / GRANULE)
}

/// What the allocator is asked for, for a block of this class.
#[inline]
fn layout_of(class: usize) -> Layout {
    // SAFETY: a power of two, and small.
    unsafe { Layout::from_size_align_unchecked((class + 1) * GRANULE, GRANULE) }
}

/// Memory for `layout`, which is not of size zero. Does not return if there is none.
#[inline]
pub(crate) fn take(layout: Layout) -> NonNull<u8> {
    let asked = match class(layout) {
        Some(class) => {
            // A thread that is ending has no locals any more.
            if let Ok(Some(block)) = POOL.try_with(|pool| pool.0[class].take(&DEPOTS[class])) {
                return block;
            }
            layout_of(class)
        }
        None => layout,
    };
    // SAFETY: not of size zero, as the caller says.
    NonNull::new(unsafe { alloc::alloc(asked) }).unwrap_or_else(|| alloc::handle_alloc_error(asked))
}

/// Gives memory back.
///
/// # Safety
///
/// It came from [`take`], for this layout, and is used no more.
#[inline]
pub(crate) unsafe fn give(block: NonNull<u8>, layout: Layout) {
    let asked = match class(layout) {
        Some(class) => {
            // SAFETY: as the caller says.
            let kept = |pool: &Pool| unsafe { pool.0[class].give(block, &DEPOTS[class], layout_of(class)) };
            if let Ok(true) = POOL.try_with(kept) {
                return;
            }
            layout_of(class)
        }
        None => layout,
    };
    // SAFETY: it is the allocator's, which was asked for this.
    unsafe { alloc::dealloc(block.as_ptr(), asked) }
}

impl Stack {
    const fn new() -> Self {
        Self { count: Cell::new(0), own: Cell::new(0), blocks: UnsafeCell::new([MaybeUninit::uninit(); KEPT]) }
    }

    /// A free block; without one the caller is to ask the allocator.
    #[inline]
    fn take(&self, depot: &Depot) -> Option<NonNull<u8>> {
        self.pop().or_else(|| {
            self.own.set(self.own.get() + 1);
            // Relaxed: a look, which may be out of date.
            if depot.count.load(Ordering::Relaxed) == 0 { None } else { self.refill(depot) }
        })
    }

    /// Takes a free block in; `false` if it is to go to the allocator.
    ///
    /// # Safety
    ///
    /// It and all others that were given are the allocator's, which was asked for `layout`; nobody else has them.
    #[inline]
    unsafe fn give(&self, block: NonNull<u8>, depot: &Depot, layout: Layout) -> bool {
        if self.push(block) {
            return true;
        }
        let own = self.own.get();
        if own > KEPT {
            self.own.set(own - 1);
            return false;
        }
        // SAFETY: passed on.
        unsafe { self.relieve(depot, layout) };
        self.push(block)
    }

    #[inline]
    fn pop(&self) -> Option<NonNull<u8>> {
        let left = self.count.get().checked_sub(1)?;
        self.count.set(left);
        // SAFETY: this thread's own, and the first `count` were written.
        Some(unsafe { (*self.blocks.get())[left].assume_init() })
    }

    /// Fills the empty stack from the depot, and takes one.
    #[cold]
    fn refill(&self, depot: &Depot) -> Option<NonNull<u8>> {
        let Round(blocks) = depot.take()?;
        self.own.set(self.own.get() + ROUND - 1);
        // SAFETY: this thread's own, and there is room for a round.
        unsafe { ptr::write(self.blocks.get().cast::<[NonNull<u8>; ROUND]>(), blocks) }
        self.count.set(ROUND);
        self.pop()
    }

    /// Makes room in a full stack, whose blocks are foreign.
    ///
    /// # Safety
    ///
    /// As for [`give`](Self::give).
    #[cold]
    unsafe fn relieve(&self, depot: &Depot, layout: Layout) {
        // SAFETY: this thread's own, and all of it was written.
        let oldest = unsafe { ptr::read(self.blocks.get().cast::<[NonNull<u8>; ROUND]>()) };
        if !depot.give(&oldest) {
            for block in oldest {
                // SAFETY: as the caller says.
                unsafe { alloc::dealloc(block.as_ptr(), layout) }
            }
        }
        // SAFETY: as above.
        unsafe { (*self.blocks.get()).as_mut_slice().copy_within(ROUND.., 0) }
        self.count.set(KEPT - ROUND);
    }

    #[inline]
    fn push(&self, block: NonNull<u8>) -> bool {
        let count = self.count.get();
        // SAFETY: this thread's own.
        let Some(place) = (unsafe { (*self.blocks.get()).get_mut(count) }) else { return false };
        place.write(block);
        self.count.set(count + 1);
        true
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        for (class, stack) in self.0.iter().enumerate() {
            while let Some(block) = stack.pop() {
                // SAFETY: it is free, and the allocator's, which was asked for this.
                unsafe { alloc::dealloc(block.as_ptr(), layout_of(class)) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    const LAYOUT: Layout = Layout::new::<[u128; 4]>();

    /// Two threads' stacks and the depot between them.
    struct Exchange {
        stacks: [Stack; 2],
        depot: Depot,
        /// The addresses of blocks that are in use.
        used: BTreeSet<usize>,
        /// Asked of the allocator, and not given back to it by the test.
        asked: usize,
        /// Whether the depot was ever full: what it refuses goes to the allocator, unseen by the test.
        was_full: bool,
    }

    impl Exchange {
        fn new() -> Self {
            Self {
                stacks: [Stack::new(), Stack::new()],
                depot: Depot::new(),
                used: BTreeSet::new(),
                asked: 0,
                was_full: false,
            }
        }

        fn take(&mut self, thread: usize) {
            let block = self.stacks[thread].take(&self.depot).unwrap_or_else(|| {
                self.asked += 1;
                // SAFETY: not of size zero.
                NonNull::new(unsafe { alloc::alloc(LAYOUT) }).expect("memory")
            });
            assert!(self.used.insert(block.as_ptr().expose_provenance()), "a block is given out twice");
            // SAFETY: large enough, and ours.
            unsafe { block.write_bytes(thread as u8, LAYOUT.size()) };
        }

        fn give(&mut self, thread: usize, which: usize) {
            let Some(address) = self.used.iter().nth(which % self.used.len().max(1)).copied() else { return };
            self.used.remove(&address);
            let block = NonNull::new(ptr::with_exposed_provenance_mut(address)).expect("a block has an address");
            // SAFETY: asked for by `take`, and used no more.
            unsafe {
                if !self.stacks[thread].give(block, &self.depot, LAYOUT) {
                    self.asked -= 1;
                    alloc::dealloc(block.as_ptr(), LAYOUT);
                }
            }
            self.was_full |= self.depot.count.load(Ordering::Relaxed) == DEPOT;
        }

        /// How many are neither in use nor kept.
        fn missing(&self) -> usize {
            self.asked - self.used.len() - self.kept()
        }

        fn kept(&self) -> usize {
            let stacks: usize = self.stacks.iter().map(|stack| stack.count.get()).sum();
            stacks + ROUND * self.depot.rounds.lock().unwrap().len()
        }
    }

    impl Drop for Exchange {
        fn drop(&mut self) {
            let free = |block: NonNull<u8>| {
                // SAFETY: nobody uses it, and the allocator was asked for it.
                unsafe { alloc::dealloc(block.as_ptr(), LAYOUT) }
            };
            while let Some(Round(blocks)) = self.depot.take() {
                blocks.into_iter().for_each(free);
            }
            self.stacks.iter().for_each(|stack| std::iter::from_fn(|| stack.pop()).for_each(free));
            for address in &self.used {
                free(NonNull::new(ptr::with_exposed_provenance_mut(*address)).expect("a block has an address"));
            }
        }
    }

    proptest! {
        /// Whoever takes and gives, no block is given out twice, or lost.
        #[test]
        fn each_block_is_in_one_place(runs in prop::collection::vec((any::<bool>(), 0_usize..2, 1_usize..200, any::<usize>()), 1..40)) {
            let mut exchange = Exchange::new();
            for (takes, thread, times, which) in runs {
                for n in 0..times {
                    if takes { exchange.take(thread) } else { exchange.give(thread, which.wrapping_add(n)) }
                }
                prop_assert!(exchange.missing() == 0 || exchange.was_full && exchange.missing().is_multiple_of(ROUND));
                prop_assert!(exchange.kept() <= 2 * KEPT + DEPOT * ROUND);
            }
        }
    }

    /// One thread takes, the other gives: what comes back is used again, and the allocator is asked no more.
    #[test]
    fn foreign_blocks_go_round() {
        let mut exchange = Exchange::new();
        for _ in 0..20 {
            (0..10 * ROUND).for_each(|_| exchange.take(0));
            (0..10 * ROUND).for_each(|n| exchange.give(1, n));
        }
        assert!(exchange.asked <= 10 * ROUND + KEPT + ROUND, "asked for {}", exchange.asked);
    }

    /// A thread that takes and gives for itself leaves the depot alone.
    #[test]
    fn own_blocks_stay_with_the_thread() {
        let mut exchange = Exchange::new();
        for _ in 0..3 {
            (0..100 * ROUND).for_each(|_| exchange.take(0));
            (0..100 * ROUND).for_each(|n| exchange.give(0, n));
        }
        assert_eq!(exchange.depot.rounds.lock().unwrap().len(), 0);
        assert!(exchange.kept() <= KEPT);
    }
}
