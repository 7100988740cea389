//! The allocator of the process: the system's or, with feature `mimalloc`, that one. (The Verona runtime brings its
//! own for what it allocates itself.) With feature `counts`, its calls are counted.

/// What the suites call it.
pub const NAME: &str = if cfg!(feature = "mimalloc") {
    "mimalloc"
} else if cfg!(target_env = "gnu") {
    "glibc's malloc"
} else {
    "the system's allocator"
};

#[cfg(feature = "mimalloc")]
use mimalloc::MiMalloc as Chosen;
#[cfg(all(feature = "counts", not(feature = "mimalloc")))]
use std::alloc::System as Chosen;

#[cfg(all(feature = "mimalloc", not(feature = "counts")))]
#[global_allocator]
static ALLOCATOR: Chosen = Chosen;

#[cfg(feature = "counts")]
pub use counting::{Allocated, so_far};

#[cfg(feature = "counts")]
mod counting {
    use std::alloc::{GlobalAlloc, Layout};
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::Chosen;

    #[global_allocator]
    static ALLOCATOR: Counting = Counting;

    static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);
    static BYTES: AtomicU64 = AtomicU64::new(0);

    struct Counting;

    fn count(bytes: usize) {
        // Relaxed: only sums count, and they are read when all workers have stopped.
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    // SAFETY: all calls are passed on as they are.
    unsafe impl GlobalAlloc for Counting {
        unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller's promise.
            unsafe { Chosen.alloc(layout) }
        }

        unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
            count(layout.size());
            // SAFETY: the caller's promise.
            unsafe { Chosen.alloc_zeroed(layout) }
        }

        unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
            count(size);
            // SAFETY: the caller's promise.
            unsafe { Chosen.realloc(block, layout, size) }
        }

        unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
            // SAFETY: the caller's promise.
            unsafe { Chosen.dealloc(block, layout) }
        }
    }

    /// What was asked of the allocator; a block that grows counts again.
    #[derive(Clone, Copy, Debug)]
    pub struct Allocated {
        /// How many blocks.
        pub blocks: u64,
        /// How many bytes in all.
        pub bytes: u64,
    }

    /// Since the process began.
    pub fn so_far() -> Allocated {
        Allocated { blocks: ALLOCATIONS.load(Ordering::Relaxed), bytes: BYTES.load(Ordering::Relaxed) }
    }
}
