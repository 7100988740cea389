//! The newest behavior of a worker: one place that its owner fills and empties, and from which others may rescue.
//!
//! | from     | to       | who              | when                                                          |
//! |----------|----------|------------------|---------------------------------------------------------------|
//! | empty    | a behavior | the owner      | a body scheduled it                                           |
//! | a behavior | another | the owner       | a body scheduled that; the owner moves the first to its deque |
//! | a behavior | empty  | the owner        | its body has ended: it runs this next, or moves it to its deque |
//! | a behavior | empty  | another worker   | the owner did not get to it for long                          |
//!
//! Only the owner puts something there, so that it may fill an empty place by a store. What it takes or replaces it
//! exchanges, as somebody may rescue it at the same time: one of the two gets it.

use std::ptr::{self, NonNull};

use bocage_core::Ready;
use crossbeam_utils::CachePadded;

use crate::sync::{AtomicPtr, Ordering};

/// See the module's page.
#[derive(Default)]
pub(crate) struct Newest(CachePadded<AtomicPtr<()>>);

/// What stood there when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen(NonNull<()>);

impl Newest {
    /// The owner's: puts it there, and gives what was there before. `shared` says whether anybody else may look.
    #[inline]
    pub(crate) fn put(&self, ready: Ready, shared: bool) -> Option<Ready> {
        let new = ready.into_raw().as_ptr();
        // Relaxed: nobody else puts anything there.
        let before = self.0.load(Ordering::Relaxed);
        if before.is_null() || !shared {
            // Release: pairs with the Acquire in `rescue`.
            self.0.store(new, Ordering::Release);
            return Self::token(before);
        }
        // Release: as above. What the owner itself put there needs no Acquire.
        Self::token(self.0.swap(new, Ordering::Release))
    }

    /// The owner's: takes what is there.
    #[inline]
    pub(crate) fn take(&self, shared: bool) -> Option<Ready> {
        // Relaxed, all: the owner put it there.
        let there = self.0.load(Ordering::Relaxed);
        if there.is_null() {
            return None;
        }
        if shared {
            return Self::token(self.0.swap(ptr::null_mut(), Ordering::Relaxed));
        }
        self.0.store(ptr::null_mut(), Ordering::Relaxed);
        Self::token(there)
    }

    /// A look.
    pub(crate) fn seen(&self) -> Option<Seen> {
        // Relaxed: nothing is read on the strength of it.
        NonNull::new(self.0.load(Ordering::Relaxed)).map(Seen)
    }

    /// Another worker's: takes it, if it is the one that was seen.
    pub(crate) fn rescue(&self, seen: Seen) -> Option<Ready> {
        // Acquire: pairs with the Release in `put`. Relaxed on failure: nothing is read.
        let there = self.0.compare_exchange(seen.0.as_ptr(), ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed);
        there.ok().and_then(Self::token)
    }

    fn token(raw: *mut ()) -> Option<Ready> {
        // SAFETY: put there by `put`, and taken out by whoever made the exchange (or, of a place that nobody else looks
        // at, the store), which is us.
        NonNull::new(raw).map(|raw| unsafe { Ready::from_raw(raw) })
    }
}
