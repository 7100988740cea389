//! Guards of several cowns of one type, as a slice of their values.

use core::fmt;
use core::marker::PhantomData;
use core::ops::{Index, IndexMut};
use core::slice;

use crate::guard::{Guard, ReadGuard, valued};
use crate::slot::Slot;

/// A slot's value.
///
/// # Safety
///
/// The cown is held for `'a`, and holds a value.
#[track_caller]
unsafe fn value<'a, T>(slot: &Slot) -> &'a T {
    // SAFETY: passed on.
    unsafe { &(*(*valued::<T>(slot.want)).storage.get()).value }
}

/// A slot's value, to change.
///
/// # Safety
///
/// As for [`value`], to write, and nobody else uses it.
#[track_caller]
unsafe fn value_mut<'a, T>(slot: &Slot) -> &'a mut T {
    // SAFETY: passed on.
    unsafe { &mut (*(*valued::<T>(slot.want)).storage.get()).value }
}

/// Exclusive access to the values of several cowns of one type: what a body gets for a slice of them.
///
/// It is used as a slice of the values would be; to walk over it by value gives a [`Guard`] for each. If the
/// request names a cown more than once, only one of its places has the value, and to look at the others panics (see
/// [`Guard`](Guard#aliases)).
///
/// ```
/// use bocage_core::{Cown, Inline, when_on};
///
/// let cowns: Vec<Cown<u32>> = (0..4).map(Cown::new).collect();
/// let sum = when_on(Inline, &cowns, |mut all| {
///     all.iter_mut().for_each(|n| *n *= 2);
///     all[0] = 100;
///     all.iter().sum::<u32>()
/// });
/// assert_eq!(sum.wait().unwrap(), 112);
/// ```
pub struct Guards<'a, T> {
    slots: &'a [Slot],
    _held: PhantomData<&'a mut T>,
}

// SAFETY: as several guards.
unsafe impl<T: Send> Send for Guards<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Guards<'_, T> {}

/// Shared access to the values of several cowns of one type: what a body gets for a slice of them that it only
/// [`read`](crate::read)s. See [`Guards`].
pub struct ReadGuards<'a, T> {
    slots: &'a [Slot],
    _held: PhantomData<&'a T>,
}

// SAFETY: as several guards.
unsafe impl<T: Sync> Send for ReadGuards<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for ReadGuards<'_, T> {}

/// The values of [`Guards`] or [`ReadGuards`], in the order of the request.
pub struct Values<'a, T> {
    slots: slice::Iter<'a, Slot>,
    _held: PhantomData<&'a T>,
}

/// The values of [`Guards`], in the order of the request, to change.
pub struct ValuesMut<'a, T> {
    slots: slice::Iter<'a, Slot>,
    _held: PhantomData<&'a mut T>,
}

// SAFETY: each of the slots stands for a `&'a T` that nobody else gets from this, or gets too, if it is shared.
unsafe impl<T: Sync> Send for Values<'_, T> {}
// SAFETY: as above.
unsafe impl<T: Sync> Sync for Values<'_, T> {}
// SAFETY: each of the slots stands for a `&'a mut T` that nobody else gets.
unsafe impl<T: Send> Send for ValuesMut<'_, T> {}
// SAFETY: shared, it gives nothing but how many are left.
unsafe impl<T> Sync for ValuesMut<'_, T> {}

/// The guards of [`Guards`], one by one.
pub struct IntoGuards<'a, T>(ValuesMut<'a, T>);

/// The guards of [`ReadGuards`], one by one.
pub struct IntoReadGuards<'a, T>(Values<'a, T>);

macro_rules! list {
    ($list:ident, $guard:ident, $into:ident, $inner:ident) => {
        impl<'a, T> $list<'a, T> {
            /// # Safety
            ///
            /// As for the guards, for each of the slots' cowns.
            pub(crate) unsafe fn new(slots: &'a [Slot]) -> Self {
                Self { slots, _held: PhantomData }
            }

            /// How many there are.
            pub fn len(&self) -> usize {
                self.slots.len()
            }

            /// Whether there is none.
            pub fn is_empty(&self) -> bool {
                self.slots.is_empty()
            }

            /// The values, to look at.
            pub fn iter(&self) -> Values<'_, T> {
                Values { slots: self.slots.iter(), _held: PhantomData }
            }
        }

        impl<T> Index<usize> for $list<'_, T> {
            type Output = T;

            #[track_caller]
            fn index(&self, index: usize) -> &T {
                // SAFETY: held, and borrowed as a whole.
                unsafe { value(&self.slots[index]) }
            }
        }

        impl<'a, T> IntoIterator for &'a $list<'_, T> {
            type Item = &'a T;
            type IntoIter = Values<'a, T>;

            fn into_iter(self) -> Values<'a, T> {
                self.iter()
            }
        }

        impl<'a, T> IntoIterator for $list<'a, T> {
            type Item = $guard<'a, T>;
            type IntoIter = $into<'a, T>;

            fn into_iter(self) -> $into<'a, T> {
                $into($inner { slots: self.slots.iter(), _held: PhantomData })
            }
        }

        impl<T: fmt::Debug> fmt::Debug for $list<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                // SAFETY: held, and borrowed as a whole; such a guard is used here only, to show its value.
                let guards = self.slots.iter().map(|slot| unsafe { $guard::<T>::new(slot.want) });
                f.debug_list().entries(guards).finish()
            }
        }
    };
}

list!(Guards, Guard, IntoGuards, ValuesMut);
list!(ReadGuards, ReadGuard, IntoReadGuards, Values);

impl<T> Guards<'_, T> {
    /// The values, to change.
    pub fn iter_mut(&mut self) -> ValuesMut<'_, T> {
        ValuesMut { slots: self.slots.iter(), _held: PhantomData }
    }

    /// The guard of the cown at `index`; `None` if there are fewer.
    pub fn get(&mut self, index: usize) -> Option<Guard<'_, T>> {
        // SAFETY: it borrows all of them.
        self.slots.get(index).map(|slot| unsafe { Guard::new(slot.want) })
    }
}

impl<T> IndexMut<usize> for Guards<'_, T> {
    #[track_caller]
    fn index_mut(&mut self, index: usize) -> &mut T {
        // SAFETY: held, and borrowed as a whole.
        unsafe { value_mut(&self.slots[index]) }
    }
}

impl<'a, T> IntoIterator for &'a mut Guards<'_, T> {
    type Item = &'a mut T;
    type IntoIter = ValuesMut<'a, T>;

    fn into_iter(self) -> ValuesMut<'a, T> {
        self.iter_mut()
    }
}

macro_rules! iterator {
    ($name:ident, $item:ty, $inner:tt, $slot:ident => $each:expr) => {
        impl<'a, T> Iterator for $name<'a, T> {
            type Item = $item;

            #[inline]
            #[track_caller]
            fn next(&mut self) -> Option<$item> {
                let $slot = self.$inner.next_slot()?;
                // SAFETY: held for `'a`, and each place comes once, of which one for each cown is no alias.
                Some(unsafe { $each })
            }

            fn size_hint(&self) -> (usize, Option<usize>) {
                let left = self.$inner.left();
                (left, Some(left))
            }
        }

        impl<T> ExactSizeIterator for $name<'_, T> {}

        impl<T> fmt::Debug for $name<'_, T> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.$inner.left())
            }
        }
    };
}

/// What walks over slots.
trait Slots<'a> {
    fn next_slot(&mut self) -> Option<&'a Slot>;
    fn left(&self) -> usize;
}

impl<'a> Slots<'a> for slice::Iter<'a, Slot> {
    #[inline]
    fn next_slot(&mut self) -> Option<&'a Slot> {
        self.next()
    }

    fn left(&self) -> usize {
        self.len()
    }
}

impl<'a, T> Slots<'a> for Values<'a, T> {
    fn next_slot(&mut self) -> Option<&'a Slot> {
        self.slots.next()
    }

    fn left(&self) -> usize {
        self.slots.len()
    }
}

impl<'a, T> Slots<'a> for ValuesMut<'a, T> {
    fn next_slot(&mut self) -> Option<&'a Slot> {
        self.slots.next()
    }

    fn left(&self) -> usize {
        self.slots.len()
    }
}

iterator!(Values, &'a T, slots, slot => value(slot));
iterator!(ValuesMut, &'a mut T, slots, slot => value_mut(slot));
iterator!(IntoGuards, Guard<'a, T>, 0, slot => Guard::new(slot.want));
iterator!(IntoReadGuards, ReadGuard<'a, T>, 0, slot => ReadGuard::new(slot.want));
