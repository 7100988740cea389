//! Guards: how a body reaches the values of its cowns.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Deref, DerefMut};

use crate::cown::{CownBox, CownId, POISONED};
use crate::slot::Want;

/// The block of a cown that is held.
///
/// # Panics
///
/// If another guard of the same request has the value.
#[inline]
#[track_caller]
pub(crate) fn valued<T>(want: Want) -> *const CownBox<T> {
    if want.is_alias() {
        refuse_alias(want);
    }
    want.cown().cast()
}

#[cold]
#[track_caller]
fn refuse_alias(want: Want) -> ! {
    panic!(
        "this guard is an alias: its request names {:?} more than once, and the first guard that writes it has the value. Use that one, and ask `is_alias` where cowns are picked at run time",
        CownId::of(want.cown())
    )
}

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
///
/// # Aliases
///
/// If a request names one cown more than once, the first of its guards that writes is the cown's, and the
/// others are [aliases](Guard::is_alias): two guards that both gave a `&mut T` would be unsound, and nothing tells when a
/// reference that a guard gave out is no longer used. So an alias panics when it is asked for the value. A
/// program that picks its cowns at run time asks before:
///
/// ```
/// use bocage_core::{Cown, Inline, when_on};
///
/// fn transfer(from: &Cown<i64>, to: &Cown<i64>, amount: i64) {
///     drop(when_on(Inline, (from, to), move |(mut from, mut to)| {
///         if !to.is_alias() {
///             *from -= amount;
///             *to += amount;
///         }
///     }));
/// }
///
/// let accounts = [Cown::new(100), Cown::new(100)];
/// transfer(&accounts[0], &accounts[1], 30);
/// transfer(&accounts[0], &accounts[0], 30);
/// let sum = when_on(Inline, (&accounts, &accounts), |(all, _again)| all.iter().map(|account| **account).sum::<i64>());
/// assert_eq!(sum.wait().unwrap(), 200);
/// ```
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
    /// The cown is held to write for the guard's lifetime and holds a value; all its other guards are aliases, or this
    /// one is.
    pub(crate) unsafe fn new(want: Want) -> Self {
        Self { want, _held: PhantomData }
    }

    /// Whether another guard of the same request has this cown's value, so that this one panics when asked for it.
    ///
    /// That is so if the request names the cown more than once, and this is not the first of its guards that
    /// write. It depends on the request alone, not on what the body did.
    ///
    /// ```
    /// use bocage_core::{Cown, Inline, when_on};
    ///
    /// let (a, b) = (Cown::new(1), Cown::new(2));
    /// let counted = when_on(Inline, [&a, &b, &a], |mut guards| {
    ///     guards.iter_mut().filter(|guard| !guard.is_alias()).for_each(|guard| **guard *= 10);
    ///     guards.map(|guard| guard.is_alias())
    /// });
    /// assert_eq!(counted.wait().unwrap(), [false, false, true]);
    /// assert_eq!(when_on(Inline, (&a, &b), |(a, b)| (*a, *b)).wait().unwrap(), (10, 20));
    /// ```
    #[inline]
    pub fn is_alias(&self) -> bool {
        self.want.is_alias()
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
        // SAFETY: a guard means that its cown is held, to write. If an alias and its cown's guard do this at once, on two
        // threads, both take away the same bit, and nobody else changes the flags.
        unsafe {
            let header = &*self.want.cown();
            header.set_flags(header.flags() & !POISONED);
        }
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    /// # Panics
    ///
    /// If this is an [alias](Self::is_alias).
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        // SAFETY: the cown is held and its value is there, as `new` asked for.
        unsafe { &(*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T> DerefMut for Guard<'_, T> {
    /// # Panics
    ///
    /// If this is an [alias](Self::is_alias).
    #[inline]
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        // SAFETY: as for `deref`, and this guard is the only one.
        unsafe { &mut (*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T: fmt::Debug> fmt::Debug for Guard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_alias() {
            return write!(f, "<alias of {:?}>", CownId::of(self.want.cown()));
        }
        (**self).fmt(f)
    }
}

/// Shared access to a cown's value, for as long as the behavior runs.
///
/// Any number of them may name one cown. But if the same request also writes it, they are
/// [aliases](ReadGuard::is_alias) of the guard that does, as explained [there](Guard#aliases).
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
    /// The cown is held, to read, for the guard's lifetime, and holds a value; or it is held to write and this is an
    /// alias.
    pub(crate) unsafe fn new(want: Want) -> Self {
        Self { want, _held: PhantomData }
    }

    /// Whether a guard of the same request writes this cown, so that this one panics when asked for the value.
    ///
    /// ```
    /// use bocage_core::{Cown, Inline, read, when_on};
    ///
    /// let cown = Cown::new(1);
    /// let aliases = when_on(Inline, (read(&cown), read(&cown)), |(one, other)| (one.is_alias(), other.is_alias()));
    /// assert_eq!(aliases.wait().unwrap(), (false, false));
    /// let aliases = when_on(Inline, (read(&cown), &cown), |(one, other)| (one.is_alias(), other.is_alias()));
    /// assert_eq!(aliases.wait().unwrap(), (true, false));
    /// ```
    #[inline]
    pub fn is_alias(&self) -> bool {
        self.want.is_alias()
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

    /// # Panics
    ///
    /// If this is an [alias](Self::is_alias).
    #[inline]
    #[track_caller]
    fn deref(&self) -> &T {
        // SAFETY: the cown is held to read, so nobody writes, and its value is there, as `new` asked for.
        unsafe { &(*(*valued::<T>(self.want)).storage.get()).value }
    }
}

impl<T: fmt::Debug> fmt::Debug for ReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_alias() {
            return write!(f, "<alias of {:?}>", CownId::of(self.want.cown()));
        }
        (**self).fmt(f)
    }
}
