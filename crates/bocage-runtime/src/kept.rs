//! What a worker keeps back: one place that its owner fills and empties, and from which others may rescue.
//!
//! A worker has two: for the *newest* behavior that a body on it scheduled, and for the *turn* of the readers that come
//! after the one that it runs.
//!
//! | from    | to      | who            | when                                                                     |
//! |---------|---------|----------------|--------------------------------------------------------------------------|
//! | empty   | a token | the owner      | a body scheduled it, or it is next                                       |
//! | a token | another | the owner      | a body scheduled that; the owner moves the first to its deque            |
//! | a token | empty   | the owner      | its body has ended: it goes on with this, or shares it with others       |
//! | a token | empty   | another worker | the owner did not get to it while that one searched or watched           |
//!
//! Only the owner puts something there, so that it may fill an empty place by a store. What it takes or replaces it
//! exchanges, as somebody may rescue it at the same time: one of the two gets it.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use bocage_core::{Ready, Turn};
use crossbeam_utils::CachePadded;

use crate::sync::{AtomicPtr, Ordering};

/// What can be kept: as a pointer.
pub trait Token: Send {
    /// As such.
    fn into_raw(self) -> NonNull<()>;

    /// Back again.
    ///
    /// # Safety
    ///
    /// `raw` came from [`Token::into_raw`] of the same type and is used once.
    unsafe fn from_raw(raw: NonNull<()>) -> Self;
}

impl Token for Ready {
    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on.
        unsafe { Self::from_raw(raw) }
    }
}

impl Token for Turn {
    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on.
        unsafe { Self::from_raw(raw) }
    }
}

/// See the module's page.
pub struct Kept<T>(CachePadded<AtomicPtr<()>>, PhantomData<fn(T) -> T>);

/// What stood there when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(NonNull<()>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(CachePadded::new(AtomicPtr::new(ptr::null_mut())), PhantomData)
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl<T: Token> Kept<T> {
    /// The owner's: puts it there, and gives what was there before. `shared` says whether anybody else may look.
    #[inline]
    pub fn put(&self, token: T, shared: bool) -> Option<T> {
        let new = token.into_raw().as_ptr();
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
    pub fn take(&self, shared: bool) -> Option<T> {
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
    #[inline]
    pub fn seen(&self) -> Option<Seen> {
        // Relaxed: nothing is read on the strength of it.
        NonNull::new(self.0.load(Ordering::Relaxed)).map(Seen)
    }

    /// Another worker's: takes it, if it is the one that was seen.
    pub fn rescue(&self, seen: Seen) -> Option<T> {
        // Acquire: pairs with the Release in `put`. Relaxed on failure: nothing is read.
        let there = self.0.compare_exchange(seen.0.as_ptr(), ptr::null_mut(), Ordering::Acquire, Ordering::Relaxed);
        there.ok().and_then(Self::token)
    }

    #[inline]
    fn token(raw: *mut ()) -> Option<T> {
        // SAFETY: put there by `put`, and taken out by whoever made the exchange (or, of a place that nobody else looks
        // at, the store), which is us.
        NonNull::new(raw).map(|raw| unsafe { T::from_raw(raw) })
    }
}
