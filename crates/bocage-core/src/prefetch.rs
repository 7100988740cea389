//! Asking for memory before it is needed.

use core::ptr::NonNull;

use crate::behavior::{Counts, Header};
use crate::cown::CownHeader;

/// Lets the line at this address come into the cache. A hint: nothing happens where there is no such line, or no such hint.
#[inline(always)]
pub(crate) fn prefetch<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: a hint, for whatever address.
    unsafe {
        core::arch::x86_64::_mm_prefetch::<{ core::arch::x86_64::_MM_HINT_T0 }>(at.cast());
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = at;
}

/// The same, of a line that is to be written soon: other threads lose it, if they have it.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(at: *const T) {
    #[cfg(all(target_arch = "x86_64", not(loom), not(miri)))]
    // SAFETY: a hint, for whatever address; where there is no such hint, it does nothing.
    unsafe {
        core::arch::asm!("prefetchw [{}]", in(reg) at, options(nostack, preserves_flags, readonly));
    }
    #[cfg(not(all(target_arch = "x86_64", not(loom), not(miri))))]
    let _ = at;
}

impl Header {
    /// Lets the part of the block come into the cache that its run will want: where the executor and the body begin.
    #[inline]
    pub(crate) fn prefetch(this: NonNull<Self>) {
        prefetch(this.as_ptr().cast::<u8>().wrapping_add(size_of::<CownHeader>() + size_of::<usize>()));
    }

    /// Lets the block come, or most of it, for whoever is to run it soon, and so to write there.
    #[inline]
    pub(crate) fn prefetch_to_run(this: NonNull<Self>) {
        let this = this.as_ptr().cast::<u8>();
        prefetch_to_write(this.wrapping_sub(size_of::<Counts>()));
        prefetch_to_write(this.wrapping_add(size_of::<CownHeader>() + size_of::<usize>()));
    }

    /// Lets the part come that a release to it will want, and the beginning of its turn: where its slots end.
    #[inline]
    pub(crate) fn prefetch_slots(this: NonNull<Self>) {
        prefetch(this.as_ptr().cast::<u8>().wrapping_sub(size_of::<Counts>()));
    }
}
