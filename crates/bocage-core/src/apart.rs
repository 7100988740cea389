//! Where a cown stands in its memory: so that a cache line ends within its header.
//!
//! ```text
//!   up to 48 bytes    header                                      value …
//!  +----- - - - ----+--------+--------+----------------+------+-------+------- - -
//!  |                | tail   | vtable | word           | refs | state |
//!  +----- - - - ----+--------+--------+----------------+------+-------+------- - -
//!                                     ^ a line begins
//! ```
//!
//! Who schedules on a cown swaps `tail`, and so takes its line away from all others. Whoever holds the cown meanwhile is at
//! work on another line: the one of the flags, where the value begins too. Memory is aligned to 16 bytes only, so there are
//! four ways to get that, and for each a vtable that knows its offset.
//!
//! This is for cowns of their own. The block of a behavior, of which there are more, is no larger than it has to be.

use core::alloc::Layout;
use core::marker::PhantomData;
use core::mem;
use core::ptr::{self, NonNull};

use crate::behavior::Vtable;
use crate::cown::{CownBox, CownHeader};
use crate::pool;
use crate::quietly::quietly;

/// See the module's page.
pub(crate) struct Apart<T>(PhantomData<T>);

impl<T> Apart<T> {
    /// Most processors'. Others have longer ones: then this gains nothing.
    const LINE: usize = 64;
    const STEP: usize = 16;
    const STEPS: usize = Self::LINE / Self::STEP;
    /// A value of stricter alignment is on another line than the header anyway; and where pointers are shorter, `word` stands
    /// elsewhere, and memory may.
    const IS: bool = align_of::<CownBox<T>>() <= Self::STEP && mem::offset_of!(CownHeader, word) == Self::STEP;
    const LAYOUT: Layout = {
        let block = Layout::new::<CownBox<T>>();
        let before = if Self::IS { Self::LINE - Self::STEP } else { 0 };
        let align = if Self::IS { Self::STEP } else { block.align() };
        match Layout::from_size_align(before + block.size(), align) {
            Ok(layout) => layout,
            Err(_) => panic!("a value is smaller than the address space"),
        }
    };
    /// By the offset, in steps.
    const VTABLES: [Vtable; 4] = [
        Vtable::of_cown(Self::free::<0>, mem::needs_drop::<T>()),
        Vtable::of_cown(Self::free::<1>, mem::needs_drop::<T>()),
        Vtable::of_cown(Self::free::<2>, mem::needs_drop::<T>()),
        Vtable::of_cown(Self::free::<3>, mem::needs_drop::<T>()),
    ];

    /// Memory for a block, and its vtable, which gives it back.
    #[inline]
    pub(crate) fn take() -> (NonNull<CownBox<T>>, &'static Vtable)
    where
        T: 'static,
    {
        let vtables = &const { Self::VTABLES };
        const { assert!(Self::STEPS == Self::VTABLES.len()) };
        // Models have larger atomics.
        const {
            assert!(
                mem::offset_of!(CownHeader, word) == Self::STEP || cfg!(any(loom, not(target_pointer_width = "64")))
            )
        };
        let memory = pool::take(Self::LAYOUT);
        // So that the block's second step begins a line.
        let steps =
            if Self::IS { (Self::STEPS - 1).wrapping_sub(memory.addr().get() / Self::STEP) % Self::STEPS } else { 0 };
        // SAFETY: less than a line, for which there is room before the block.
        (unsafe { memory.add(steps * Self::STEP) }.cast(), &vtables[steps])
    }

    /// [`Vtable::free`] for a block at this offset.
    unsafe fn free<const STEPS: usize>(header: NonNull<CownHeader>) {
        let this = header.cast::<CownBox<T>>();
        // SAFETY: the last reference is gone, and nobody can reach the block, which `Cown::new` made. The content is
        // dropped by then; the storage is a union, which drops nothing.
        unsafe {
            if mem::needs_drop::<T>() {
                quietly(|| CownBox::drop_content(this));
            }
            ptr::drop_in_place(this.as_ptr());
            pool::give(this.cast::<u8>().sub(STEPS * Self::STEP), Self::LAYOUT);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use crate::Cown;
    use std::sync::Arc;

    fn line_of<T>(at: *const T) -> usize {
        at.addr() / 64
    }

    #[test]
    fn who_schedules_and_who_holds_are_on_different_lines() {
        // So many that they come to stand at all offsets.
        let cowns: Vec<_> = (0..100_u64).map(Cown::new).collect();
        for cown in &cowns {
            // SAFETY: the handle keeps it.
            let header = unsafe { cown.header().as_ref() };
            assert_ne!(line_of(&raw const header.tail), line_of(&raw const header.word));
            assert_eq!(line_of(&raw const header.word), line_of(cown.value_ptr()));
        }
        let larger: Vec<_> = (0..100).map(|n| Cown::new([n; 100])).collect();
        for cown in &larger {
            // SAFETY: as above.
            let header = unsafe { cown.header().as_ref() };
            assert_ne!(line_of(&raw const header.tail), line_of(&raw const header.word));
        }
    }

    #[test]
    fn values_of_any_size_and_alignment_are_where_they_belong_and_dropped() {
        #[repr(align(128))]
        struct Wide(#[expect(dead_code, reason = "it is there to be dropped")] Arc<()>, u8);
        let count = Arc::new(());
        for round in 0..50_u8 {
            let wide = Cown::new(Wide(count.clone(), round));
            assert!(wide.value_ptr().addr().is_multiple_of(128));
            // SAFETY: nobody else knows it.
            assert_eq!(unsafe { (*wide.value_ptr()).1 }, round);
            let narrow = Cown::new(round);
            // SAFETY: as above.
            assert_eq!(unsafe { *narrow.value_ptr() }, round);
            let nothing = Cown::new(());
            let shared = Cown::new(count.clone());
            assert_eq!(Arc::strong_count(&count), 3);
            drop((nothing, shared, wide));
            assert_eq!(Arc::strong_count(&count), 1);
        }
    }
}
