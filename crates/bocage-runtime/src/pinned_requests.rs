//! What a pinned behavior asks for: pinned cowns beside others, in the shapes that requests come in.
//!
//! To the core a pinned cown is the cown of a key. So a request of both kinds is turned into one that the core knows,
//! and what the core gives for it into what the body gets: on the thread that the keys belong to.

use std::thread::ThreadId;

use bocage_core::{Cown, Read, Requests};

use crate::pinned_cown::{Key, PinnedCown, PinnedGuard};

/// Something that [`Pinned::when`](crate::Pinned::when) takes: [pinned cowns](PinnedCown), always to write, and other cowns,
/// to write or to [`read`](bocage_core::read), in tuples (up to 12), arrays, slices and `Vec`s. They nest. The body gets
/// guards in the same shape and order.
///
/// | request | guards |
/// |---|---|
/// | `&PinnedCown<T>` | `PinnedGuard<T>` |
/// | `&[PinnedCown<T>]`, `&Vec<PinnedCown<T>>` | `Vec<PinnedGuard<T>>` |
/// | `&[PinnedCown<T>; N]` | `[PinnedGuard<T>; N]` |
/// | all that is made of `Cown`s | as in [`Requests`] |
/// | tuples, arrays and lists of all these | those of their guards, as in [`Requests`] |
///
/// ```
/// use bocage_core::{Cown, read};
/// use bocage_runtime::Runtime;
/// use std::rc::Rc;
///
/// let runtime = Runtime::new()?;
/// let here = runtime.pinned()?;
/// let windows = [here.cown(Rc::new(String::new()))?, here.cown(Rc::new(String::new()))?];
/// let (title, shown) = (Cown::new("Accounts"), vec![Cown::new(0), Cown::new(0)]);
/// drop(here.when((&windows, read(&title), &shown), |(mut windows, title, mut shown)| {
///     for (window, shown) in windows.iter_mut().zip(shown.iter_mut()) {
///         **window = Rc::new(title.to_string());
///         *shown += 1;
///     }
/// }));
/// assert_eq!(here.when((&windows[1], read(&shown)), |(window, shown)| (window.len(), shown[1])).wait().unwrap(), (8, 1));
/// # Ok::<(), bocage_runtime::Error>(())
/// ```
pub trait PinnedRequests {
    /// What it comes to in the queues.
    type Requests: Requests;
    /// What the body gets.
    type Guards<'a>;

    /// What it comes to in the queues.
    fn requests(&self) -> Self::Requests;

    /// Whether no pinned cown is among them that belongs to another thread than `owner`.
    fn are_of(&self, owner: ThreadId) -> bool;

    /// What the body gets, on the thread to which it is pinned.
    fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_>;
}

impl<'s, T: 'static> PinnedRequests for &'s PinnedCown<T> {
    type Requests = &'s Cown<Key<T>>;
    type Guards<'a> = PinnedGuard<'a, T>;

    fn requests(&self) -> Self::Requests {
        &self.key
    }

    fn are_of(&self, owner: ThreadId) -> bool {
        self.owner == owner
    }

    fn guards(key: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
        PinnedGuard::new(key)
    }
}

/// A list of pinned cowns whose length is known when it is asked for.
macro_rules! some_pinned {
    ($list:ty) => {
        impl<'s, T: 'static> PinnedRequests for $list {
            type Requests = Vec<&'s Cown<Key<T>>>;
            type Guards<'a> = Vec<PinnedGuard<'a, T>>;

            fn requests(&self) -> Self::Requests {
                self.iter().map(|pinned| &pinned.key).collect()
            }

            fn are_of(&self, owner: ThreadId) -> bool {
                self.iter().all(|pinned| pinned.are_of(owner))
            }

            fn guards(keys: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
                keys.into_iter().map(PinnedGuard::new).collect()
            }
        }
    };
}

some_pinned!(&'s [PinnedCown<T>]);
some_pinned!(&'s Vec<PinnedCown<T>>);

impl<'s, T: 'static, const N: usize> PinnedRequests for &'s [PinnedCown<T>; N] {
    type Requests = [&'s Cown<Key<T>>; N];
    type Guards<'a> = [PinnedGuard<'a, T>; N];

    fn requests(&self) -> Self::Requests {
        self.each_ref().map(|pinned| &pinned.key)
    }

    fn are_of(&self, owner: ThreadId) -> bool {
        self.iter().all(|pinned| pinned.are_of(owner))
    }

    fn guards(keys: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
        keys.map(PinnedGuard::new)
    }
}

/// Requests that pin nothing: they stay what they are.
macro_rules! unpinned {
    ($([$($parameters:tt)*] $request:ty;)*) => {$(
        impl<$($parameters)*> PinnedRequests for $request {
            type Requests = Self;
            type Guards<'a> = <Self as Requests>::Guards<'a>;

            fn requests(&self) -> Self {
                *self
            }

            fn are_of(&self, _: ThreadId) -> bool {
                true
            }

            fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
                guards
            }
        }
    )*};
}

unpinned! {
    [T: Send + 'static] &Cown<T>;
    [T: Send + 'static] &[Cown<T>];
    [T: Send + 'static] &Vec<Cown<T>>;
    [T: Send + 'static, const N: usize] &[Cown<T>; N];
    [T: Send + Sync + 'static] Read<&Cown<T>>;
    [T: Send + Sync + 'static] Read<&[Cown<T>]>;
    [T: Send + Sync + 'static] Read<&Vec<Cown<T>>>;
    [T: Send + Sync + 'static, const N: usize] Read<&[Cown<T>; N]>;
    [] ();
}

/// A list of requests whose length is known when they are asked for.
macro_rules! some_requests {
    ($list:ty) => {
        impl<Q: PinnedRequests> PinnedRequests for $list {
            type Requests = Vec<Q::Requests>;
            type Guards<'a> = Vec<Q::Guards<'a>>;

            fn requests(&self) -> Self::Requests {
                self.iter().map(Q::requests).collect()
            }

            fn are_of(&self, owner: ThreadId) -> bool {
                self.iter().all(|request| request.are_of(owner))
            }

            fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
                guards.into_iter().map(|guards| Q::guards(guards)).collect()
            }
        }
    };
}

some_requests!(&[Q]);
some_requests!(Vec<Q>);
some_requests!(&Vec<Q>);

impl<Q: PinnedRequests, const N: usize> PinnedRequests for [Q; N] {
    type Requests = [Q::Requests; N];
    type Guards<'a> = [Q::Guards<'a>; N];

    fn requests(&self) -> Self::Requests {
        self.each_ref().map(Q::requests)
    }

    fn are_of(&self, owner: ThreadId) -> bool {
        self.iter().all(|request| request.are_of(owner))
    }

    fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
        guards.map(|guards| Q::guards(guards))
    }
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: PinnedRequests),*> PinnedRequests for ($($name,)*) {
            type Requests = ($($name::Requests,)*);
            type Guards<'a> = ($($name::Guards<'a>,)*);

            fn requests(&self) -> Self::Requests {
                ($(self.$index.requests(),)*)
            }

            fn are_of(&self, owner: ThreadId) -> bool {
                $(self.$index.are_of(owner))&&*
            }

            fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
                ($($name::guards(guards.$index),)*)
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
