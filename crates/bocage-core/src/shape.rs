//! Shapes: requests of several cowns. Lists of one type, and tuples of any.
//!
//! There are two kinds of lists: of cowns, which are all written or, in a [`Read`], all read; and of requests, each of
//! which says for itself what it is. Each comes as a slice, as a `Vec` and as an array.

use core::array;

use crate::acquire::Erased;
use crate::cown::Cown;
use crate::guard::{Guard, ReadGuard};
use crate::guards::{Guards, ReadGuards};
use crate::request::{Held, Read, Requests};

/// A list of cowns whose length is known when it is asked for.
macro_rules! some_cowns {
    ($list:ty, $lasting:ty, $self:ident => $cowns:expr, $erased:ident, $guards:ident, $($bound:tt)*) => {
        // SAFETY: a guard for each cown of the list.
        unsafe impl<T: $($bound)*> Requests for $list {
            /// How many.
            type Shape = usize;
            type Guards<'a> = $guards<'a, T>;
            type Lasting = $lasting;

            #[inline]
            fn count(&$self) -> usize {
                $cowns.len()
            }

            #[inline]
            fn visit<'s>(&'s $self, see: &mut impl FnMut(Erased<'s>)) {
                $cowns.iter().for_each(|cown| see(Erased::$erased(cown)));
            }

            fn shape(&$self) -> usize {
                $cowns.len()
            }

            #[inline]
            unsafe fn guards<'a>(count: &usize, held: &mut Held<'a>) -> $guards<'a, T> {
                // SAFETY: passed on from the caller.
                unsafe { $guards::new(held.some(*count)) }
            }
        }
    };
}

some_cowns!(&[Cown<T>], &'static [Cown<T>], self => self, new, Guards, Send + 'static);
some_cowns!(&Vec<Cown<T>>, &'static [Cown<T>], self => self, new, Guards, Send + 'static);
some_cowns!(Read<&[Cown<T>]>, Read<&'static [Cown<T>]>, self => self.0, read, ReadGuards, Send + Sync + 'static);
some_cowns!(Read<&Vec<Cown<T>>>, Read<&'static [Cown<T>]>, self => self.0, read, ReadGuards, Send + Sync + 'static);

/// A list of `N` cowns.
macro_rules! cowns {
    ($list:ty, $lasting:ty, $self:ident => $cowns:expr, $erased:ident, $guard:ident, $($bound:tt)*) => {
        // SAFETY: a guard for each cown of the list.
        unsafe impl<T: $($bound)*, const N: usize> Requests for $list {
            type Shape = ();
            type Guards<'a> = [$guard<'a, T>; N];
            type Lasting = $lasting;

            const COUNT: Option<usize> = Some(N);

            #[inline]
            fn count(&$self) -> usize {
                N
            }

            #[inline]
            fn visit<'s>(&'s $self, see: &mut impl FnMut(Erased<'s>)) {
                $cowns.iter().for_each(|cown| see(Erased::$erased(cown)));
            }

            fn shape(&$self) {}

            #[inline]
            unsafe fn guards<'a>((): &(), held: &mut Held<'a>) -> [$guard<'a, T>; N] {
                // SAFETY: passed on from the caller.
                array::from_fn(|_| unsafe { $guard::new(held.next().want) })
            }
        }
    };
}

cowns!(&[Cown<T>; N], &'static [Cown<T>; N], self => self, new, Guard, Send + 'static);
cowns!(Read<&[Cown<T>; N]>, Read<&'static [Cown<T>; N]>, self => self.0, read, ReadGuard, Send + Sync + 'static);

/// A list of requests whose length is known when they are asked for.
macro_rules! some_requests {
    ($list:ty) => {
        // SAFETY: each member deals with its own cowns, in turn.
        unsafe impl<Q: Requests> Requests for $list {
            /// Each one's, which takes no memory if they are single cowns.
            type Shape = Vec<Q::Shape>;
            type Guards<'a> = Vec<Q::Guards<'a>>;
            type Lasting = Vec<Q::Lasting>;

            fn count(&self) -> usize {
                self.iter().map(Q::count).sum()
            }

            fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
                self.iter().for_each(|request| request.visit(see));
            }

            fn shape(&self) -> Self::Shape {
                self.iter().map(Q::shape).collect()
            }

            unsafe fn guards<'a>(shapes: &Self::Shape, held: &mut Held<'a>) -> Self::Guards<'a> {
                // SAFETY: passed on from the caller.
                shapes.iter().map(|shape| unsafe { Q::guards(shape, held) }).collect()
            }
        }
    };
}

some_requests!(&[Q]);
some_requests!(Vec<Q>);
some_requests!(&Vec<Q>);

// SAFETY: each member deals with its own cowns, in turn.
unsafe impl<Q: Requests, const N: usize> Requests for [Q; N] {
    /// Each one's.
    type Shape = [Q::Shape; N];
    type Guards<'a> = [Q::Guards<'a>; N];
    type Lasting = [Q::Lasting; N];

    const COUNT: Option<usize> = match Q::COUNT {
        Some(count) => Some(N * count),
        None => None,
    };
    const READS: bool = Q::READS;

    #[inline]
    fn count(&self) -> usize {
        self.iter().map(Q::count).sum()
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        self.iter().for_each(|request| request.visit(see));
    }

    fn shape(&self) -> Self::Shape {
        self.each_ref().map(Q::shape)
    }

    #[inline]
    unsafe fn guards<'a>(shapes: &Self::Shape, held: &mut Held<'a>) -> Self::Guards<'a> {
        // SAFETY: passed on from the caller.
        array::from_fn(|at| unsafe { Q::guards(&shapes[at], held) })
    }
}

// SAFETY: shows none, makes none.
unsafe impl Requests for () {
    type Shape = ();
    type Guards<'a> = ();
    type Lasting = ();

    const COUNT: Option<usize> = Some(0);

    fn count(&self) -> usize {
        0
    }

    fn visit<'s>(&'s self, _: &mut impl FnMut(Erased<'s>)) {}

    fn shape(&self) {}

    unsafe fn guards((): &(), _: &mut Held<'_>) {}
}

/// Both, if both are known.
const fn sum(one: Option<usize>, other: Option<usize>) -> Option<usize> {
    match (one, other) {
        (Some(one), Some(other)) => Some(one + other),
        _ => None,
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        // SAFETY: each member makes guards for what it shows, in turn.
        unsafe impl<$($name: Requests),*> Requests for ($($name,)*) {
            type Shape = ($($name::Shape,)*);
            type Guards<'a> = ($($name::Guards<'a>,)*);
            type Lasting = ($($name::Lasting,)*);

            const COUNT: Option<usize> = {
                let count = Some(0);
                $(let count = sum(count, $name::COUNT);)*
                count
            };
            const READS: bool = false $(|| $name::READS)*;

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
