//! Requests: which cowns a behavior asks for, in which shape.

use core::ptr::NonNull;

use crate::acquire::Erased;
use crate::cown::{Cown, CownBox};
use crate::guard::{Guard, ReadGuard};

/// Something that `when` takes: a cown, a tuple of up to 12 requests, or a slice or `Vec` of cowns of one
/// type; tuples nest. The body gets guards in the same shape.
///
/// | request | guards |
/// |---|---|
/// | `&Cown<T>` | `Guard<T>` |
/// | `(&Cown<A>, &Cown<B>)` | `(Guard<A>, Guard<B>)` |
/// | `&[Cown<T>]`, `&Vec<Cown<T>>` | `Vec<Guard<T>>` |
/// | `read(&cown)` | `ReadGuard<T>` |
/// | `()` | `()` |
///
/// # Safety
///
/// `guards` makes a guard only for a cown that `visit` showed, of the kind that it was shown for, and one for each.
pub unsafe trait Requests {
    /// What stays with the behavior until it runs.
    type Keys: Send + 'static;
    /// What the body gets.
    type Guards<'a>;

    /// Shows every cown, in any order.
    fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>));

    /// What [`guards`](Requests::guards) needs later.
    fn keys(&self) -> Self::Keys;

    /// The guards, when all cowns are held.
    ///
    /// # Safety
    ///
    /// All cowns of `keys` are held for `'a`, hold a value, are distinct (but for those that are only read), and
    /// have no guards yet.
    unsafe fn guards<'a>(keys: &'a Self::Keys) -> Self::Guards<'a>;
}

/// Where to find one cown's value once it is held.
pub struct Key<T>(NonNull<CownBox<T>>);

// SAFETY: a key is used only by the behavior that holds the cown, on whatever thread that runs.
unsafe impl<T: Send> Send for Key<T> {}

// SAFETY: one guard for the one cown shown.
unsafe impl<T: Send + 'static> Requests for &Cown<T> {
    type Keys = Key<T>;
    type Guards<'a> = Guard<'a, T>;

    fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>)) {
        see(Erased::new(self));
    }

    fn keys(&self) -> Key<T> {
        Key(self.as_box())
    }

    unsafe fn guards<'a>(keys: &'a Key<T>) -> Guard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { Guard::new(keys.0) }
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

/// Where to find one cown's value once it is held to read.
pub struct ReadKey<T>(NonNull<CownBox<T>>);

// SAFETY: a key is used only by a behavior that holds the cown to read, on whatever thread that runs, to make
// references that are shared with other threads.
unsafe impl<T: Send + Sync> Send for ReadKey<T> {}

// SAFETY: one guard to read for the one cown shown to read.
unsafe impl<T: Send + Sync + 'static> Requests for Read<&Cown<T>> {
    type Keys = ReadKey<T>;
    type Guards<'a> = ReadGuard<'a, T>;

    fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>)) {
        see(Erased::read(self.0));
    }

    fn keys(&self) -> ReadKey<T> {
        ReadKey(self.0.as_box())
    }

    unsafe fn guards<'a>(keys: &'a ReadKey<T>) -> ReadGuard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { ReadGuard::new(keys.0) }
    }
}

// SAFETY: one guard for each cown shown.
unsafe impl<T: Send + 'static> Requests for &[Cown<T>] {
    type Keys = Box<[Key<T>]>;
    type Guards<'a> = Vec<Guard<'a, T>>;

    fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>)) {
        self.iter().for_each(|c| see(Erased::new(c)));
    }

    fn keys(&self) -> Self::Keys {
        self.iter().map(|c| Key(c.as_box())).collect()
    }

    unsafe fn guards<'a>(keys: &'a Self::Keys) -> Self::Guards<'a> {
        // SAFETY: passed on from the caller, who says that they are distinct.
        keys.iter().map(|k| unsafe { Guard::new(k.0) }).collect()
    }
}

// SAFETY: as the slice does.
unsafe impl<T: Send + 'static> Requests for &Vec<Cown<T>> {
    type Keys = Box<[Key<T>]>;
    type Guards<'a> = Vec<Guard<'a, T>>;

    fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>)) {
        self.iter().for_each(|c| see(Erased::new(c)));
    }

    fn keys(&self) -> Self::Keys {
        self.as_slice().keys()
    }

    unsafe fn guards<'a>(keys: &'a Self::Keys) -> Self::Guards<'a> {
        // SAFETY: passed on from the caller.
        unsafe { <&[Cown<T>]>::guards(keys) }
    }
}

// SAFETY: shows none, makes none.
unsafe impl Requests for () {
    type Keys = ();
    type Guards<'a> = ();

    fn visit<'s>(&'s self, _: &mut dyn FnMut(Erased<'s>)) {}

    fn keys(&self) {}

    unsafe fn guards((): &()) {}
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        // SAFETY: each member makes guards for what it shows.
        unsafe impl<$($name: Requests),*> Requests for ($($name,)*) {
            type Keys = ($($name::Keys,)*);
            type Guards<'a> = ($($name::Guards<'a>,)*);

            fn visit<'s>(&'s self, see: &mut dyn FnMut(Erased<'s>)) {
                $(self.$index.visit(see);)*
            }

            fn keys(&self) -> Self::Keys {
                ($(self.$index.keys(),)*)
            }

            unsafe fn guards<'a>(keys: &'a Self::Keys) -> Self::Guards<'a> {
                // SAFETY: passed on from the caller; distinct in all means distinct in each member.
                unsafe { ($($name::guards(&keys.$index),)*) }
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
