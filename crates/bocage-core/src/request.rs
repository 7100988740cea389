//! Requests: which cowns a behavior asks for, in which shape.

use core::fmt;
use core::slice;

use crate::acquire::Erased;
use crate::cown::Cown;
use crate::guard::{Guard, ReadGuard};
use crate::guards::Guards;
use crate::slot::Slot;

/// Something that `when` takes: a cown, a tuple of up to 12 requests, or a slice or `Vec` of cowns of one
/// type; tuples nest. The body gets guards in the same shape.
///
/// | request | guards |
/// |---|---|
/// | `&Cown<T>` | `Guard<T>` |
/// | `(&Cown<A>, &Cown<B>)` | `(Guard<A>, Guard<B>)` |
/// | `&[Cown<T>]`, `&Vec<Cown<T>>` | `Guards<T>` |
/// | `read(&cown)` | `ReadGuard<T>` |
/// | `()` | `()` |
///
/// # Safety
///
/// `visit` shows as many cowns as `count` says, and `guards` takes as many from what it gets: for each in turn a guard
/// of its type, to write or to read as it was shown.
pub unsafe trait Requests {
    /// What `guards` has to know of the shape, beside its type.
    type Shape: Send + 'static;
    /// What the body gets.
    type Guards<'a>;

    /// How many cowns are named.
    fn count(&self) -> usize;

    /// Shows every cown, in the order of the guards.
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>));

    /// See [`Shape`](Requests::Shape).
    fn shape(&self) -> Self::Shape;

    /// The guards, when all cowns are held.
    ///
    /// # Safety
    ///
    /// All cowns of `held` are held for `'a`, hold a value, and have no guards yet. They were shown by a request of
    /// this shape.
    unsafe fn guards<'a>(shape: &Self::Shape, held: &mut Held<'a>) -> Self::Guards<'a>;
}

/// The cowns that a behavior holds, in the order of its requests.
pub struct Held<'a>(slice::Iter<'a, Slot>);

impl<'a> Held<'a> {
    pub(crate) fn new(slots: &'a [Slot]) -> Self {
        Self(slots.iter())
    }

    #[inline]
    fn next(&mut self) -> &'a Slot {
        self.0.next().expect("a request makes no more guards than it counts cowns")
    }

    /// So many at once.
    #[inline]
    fn some(&mut self, count: usize) -> &'a [Slot] {
        let (some, rest) = self.0.as_slice().split_at(count);
        self.0 = rest.iter();
        some
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.0.len())
    }
}

// SAFETY: one cown, one guard.
unsafe impl<T: Send + 'static> Requests for &Cown<T> {
    type Shape = ();
    type Guards<'a> = Guard<'a, T>;

    #[inline]
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        see(Erased::new(self));
    }

    fn shape(&self) {}

    #[inline]
    unsafe fn guards<'a>((): &(), held: &mut Held<'a>) -> Guard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { Guard::new(held.next().want) }
    }
}

/// Asks to read a cown: behaviors that only read it run at the same time. See [`read`].
#[derive(Clone, Copy, Debug)]
pub struct Read<C>(C);

/// Asks only to read `cown`.
///
/// Consecutive readers of a cown hold it together; a writer waits for those before it, and readers that come
/// behind a waiting writer wait for that one, so nobody starves. That is why the value must be `Sync`.
///
/// ```
/// use bocage_core::{Cown, Inline, read, when_on};
///
/// let (prices, cart) = (Cown::new(vec![3, 5]), Cown::new(0));
/// drop(when_on(Inline, (read(&prices), &cart), |(prices, mut cart)| *cart += prices.iter().sum::<i32>()));
/// assert_eq!(when_on(Inline, read(&cart), |cart| *cart).wait().unwrap(), 8);
/// ```
pub fn read<T>(cown: &Cown<T>) -> Read<&Cown<T>> {
    Read(cown)
}

// SAFETY: one cown, one guard.
unsafe impl<T: Send + Sync + 'static> Requests for Read<&Cown<T>> {
    type Shape = ();
    type Guards<'a> = ReadGuard<'a, T>;

    #[inline]
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        see(Erased::read(self.0));
    }

    fn shape(&self) {}

    #[inline]
    unsafe fn guards<'a>((): &(), held: &mut Held<'a>) -> ReadGuard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { ReadGuard::new(held.next().want) }
    }
}

// SAFETY: one guard for each cown shown.
unsafe impl<T: Send + 'static> Requests for &[Cown<T>] {
    /// How many.
    type Shape = usize;
    type Guards<'a> = Guards<'a, T>;

    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        self.iter().for_each(|c| see(Erased::new(c)));
    }

    fn shape(&self) -> usize {
        self.len()
    }

    #[inline]
    unsafe fn guards<'a>(count: &usize, held: &mut Held<'a>) -> Guards<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { Guards::new(held.some(*count)) }
    }
}

// SAFETY: as the slice does.
unsafe impl<T: Send + 'static> Requests for &Vec<Cown<T>> {
    /// How many.
    type Shape = usize;
    type Guards<'a> = Guards<'a, T>;

    #[inline]
    fn count(&self) -> usize {
        self.len()
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        self.iter().for_each(|c| see(Erased::new(c)));
    }

    fn shape(&self) -> usize {
        self.len()
    }

    #[inline]
    unsafe fn guards<'a>(count: &usize, held: &mut Held<'a>) -> Guards<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { <&[Cown<T>]>::guards(count, held) }
    }
}

// SAFETY: shows none, makes none.
unsafe impl Requests for () {
    type Shape = ();
    type Guards<'a> = ();

    fn count(&self) -> usize {
        0
    }

    fn visit<'s>(&'s self, _: &mut impl FnMut(Erased<'s>)) {}

    fn shape(&self) {}

    unsafe fn guards((): &(), _: &mut Held<'_>) {}
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        // SAFETY: each member makes guards for what it shows, in turn.
        unsafe impl<$($name: Requests),*> Requests for ($($name,)*) {
            type Shape = ($($name::Shape,)*);
            type Guards<'a> = ($($name::Guards<'a>,)*);

            #[inline]
            fn count(&self) -> usize {
                0 $(+ self.$index.count())*
            }

            #[inline]
            fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
                $(self.$index.visit(see);)*
            }

            #[inline]
            fn shape(&self) -> Self::Shape {
                ($(self.$index.shape(),)*)
            }

            #[inline]
            unsafe fn guards<'a>(shape: &Self::Shape, held: &mut Held<'a>) -> Self::Guards<'a> {
                // SAFETY: passed on from the caller.
                unsafe { ($($name::guards(&shape.$index, held),)*) }
            }
        }
    };
}

tuple!(A 0);
tuple!(A 0, B 1);
tuple!(A 0, B 1, C 2);
tuple!(A 0, B 1, C 2, D 3);
tuple!(A 0, B 1, C 2, D 3, E 4);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10);
tuple!(A 0, B 1, C 2, D 3, E 4, F 5, G 6, H 7, I 8, J 9, K 10, L 11);
