//! Guards: how a body reaches the values of its cowns.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::cown::{CownBox, POISONED};
use crate::slot::Want;

/// The block of a cown that is held.
///
/// # Panics
///
/// If another guard of the same request has the value.
#[inline]
#[track_caller]
pub(crate) fn valued<T>(want: Want) -> *const CownBox<T> {
    assert!(!want.is_alias(), "{ALIAS}");
    want.cown().cast()
}

const ALIAS: &str = "this guard is an alias: its request names the cown more than once, and the first guard that writes has the value. Use that one, and ask `is_alias` where cowns are picked at run time";

/// # Safety
///
/// The cown is held.
unsafe fn is_poisoned(want: Want) -> bool {
    // SAFETY: held.
    unsafe { (*want.cown()).flags() & POISONED != 0 }
}

/// Exclusive access to a cown's value, for as long as the behavior runs (or the acquisition is held).
///
/// It can't be kept: its lifetime is the acquisition. Within that it may be sent to another thread, as a `&mut T` may.
pub struct Guard<'a, T> {
    want: Want,
    _held: PhantomData<&'a mut T>,
}

// SAFETY: a `&'a mut T` and the flags of the cown, which belong to whoever holds it. It ends before the acquisition
// does, and nothing happens when it is dropped; who sends it to another thread orders the accesses.
unsafe impl<T: Send> Send for Guard<'_, T> {}
// SAFETY: shared, it gives a `&T` and a look at the flags, which only `&mut` access changes.
unsafe impl<T: Sync> Sync for Guard<'_, T> {}

impl<T> Guard<'_, T> {
    /// # Safety
    ///
    /// The cown is held for the guard's lifetime, holds a value, and has no other guard.
    pub(crate) unsafe fn new(want: Want) -> Self {
        Self { want, _held: PhantomData }
    }

    /// Whether a behavior that held this cown panicked since the last [`clear_poison`](Guard::clear_poison).
    ///
    /// What it left in the value is whatever it had got to.
    pub fn is_poisoned(&self) -> bool {
        // SAFETY: a guard means that its cown is held by us.
        unsafe { is_poisoned(self.want) }
    }

    /// Says that the value is in order again.
    pub fn clear_poison(&mut self) {
        // SAFETY: a guard means that its cown is held by us.
        unsafe {
            let header = &*self.want.cown();
            header.set_flags(header.flags() & !POISONED);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        // SAFETY: the cown is held and its value is there, as `new` asked for.
        unsafe { &(*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and this guard is the only one.
        unsafe { &mut (*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Shared access to a cown's value, for as long as the behavior runs.
pub struct ReadGuard<'a, T> {
    want: Want,
    _held: PhantomData<&'a T>,
}

// SAFETY: a `&'a T` and a look at the flags of the cown, which nobody changes while it is held to read. It ends
// before the acquisition does, and nothing happens when it is dropped.
unsafe impl<T: Sync> Send for ReadGuard<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for ReadGuard<'_, T> {}

impl<T> ReadGuard<'_, T> {
    /// # Safety
    ///
    /// The cown is held, to read, for the guard's lifetime, and holds a value.
    pub(crate) unsafe fn new(want: Want) -> Self {
        Self { want, _held: PhantomData }
    }

    /// Whether a behavior that held this cown to write panicked since the last
    /// [`clear_poison`](Guard::clear_poison).
    pub fn is_poisoned(&self) -> bool {
        // SAFETY: a guard means that its cown is held by us.
        unsafe { is_poisoned(self.want) }
    }
}

impl<T> Deref for ReadGuard<'_, T> {
    type Target = T;

    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        // SAFETY: the cown is held to read, so nobody writes, and its value is there, as `new` asked for.
        unsafe { &(*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}
