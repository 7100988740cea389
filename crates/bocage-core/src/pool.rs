//! Where the blocks of behaviors and cowns come from: each thread keeps a few that were freed on it.
//!
//! A behavior is one small block, of a size that comes again and again, and where behaviors follow one another the
//! last one's block is just the one for the next: it is in the cache, and taking it is a load and a store. So a thread
//! keeps up to [`ROUNDS`] free blocks of each small size; what is more than that, and what it has not, is left to the
//! allocator, to which all blocks belong and go back when the thread ends.
//!
//! In debug builds all blocks come straight from the allocator, so that tools that watch memory see each of them.

use core::alloc::Layout;
use core::cell::{Cell, UnsafeCell};
use core::mem::MaybeUninit;
use core::ptr::NonNull;
use std::alloc;

/// Sizes are rounded up to multiples of this, which is also how the blocks are aligned.
const GRANULE: usize = 16;
/// Blocks that are larger are left to the allocator.
const LARGEST: usize = 256;
const CLASSES: usize = LARGEST / GRANULE;
/// How many a thread keeps of each size: what a few behaviors that follow one another need, and no more, since
/// memory that was used long ago is no better than the allocator's.
const ROUNDS: usize = 32;

/// Whether blocks are kept at all.
const KEEPS: bool = !cfg!(any(loom, miri, debug_assertions));

/// Free blocks of one size.
struct Stack {
    count: Cell<usize>,
    blocks: UnsafeCell<[MaybeUninit<NonNull<u8>>; ROUNDS]>,
}

/// What one thread keeps.
struct Pool([Stack; CLASSES]);

std::thread_local! {
    static POOL: Pool = const { Pool([const { Stack::new() }; CLASSES]) };
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
            if let Ok(Some(block)) = POOL.try_with(|pool| pool.0[class].pop()) {
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
            if let Ok(true) = POOL.try_with(|pool| pool.0[class].push(block)) {
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
        Self { count: Cell::new(0), blocks: UnsafeCell::new([MaybeUninit::uninit(); ROUNDS]) }
    }

    #[inline]
    fn pop(&self) -> Option<NonNull<u8>> {
        let left = self.count.get().checked_sub(1)?;
        self.count.set(left);
        // SAFETY: this thread's own, and the first `count` were written.
        Some(unsafe { (*self.blocks.get())[left].assume_init() })
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
