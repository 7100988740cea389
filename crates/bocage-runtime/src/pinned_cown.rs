//! Cowns whose values stay on one thread: made, used and dropped there, and so free to be no `Send`.
//!
//! The value is in the thread's own store; what the cown owns is the key to it. Whoever holds the cown and is on that
//! thread, which is to say a behavior that is pinned to it, takes the value out, and puts it back at its end. Nothing in
//! here is unsafe: on another thread the key opens nothing.
//!
//! When the last handle goes on another thread, the key is sent to the value's own, which drops the value when it pumps
//! next, or when it ends.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;
use std::ops::{Deref, DerefMut};
use std::sync::Arc;
use std::thread::ThreadId;

use bocage_core::{Cown, CownId, Guard, Read, Requests};

use crate::owner::{self, Owner};

/// A value that never leaves its thread. The handle may go anywhere: to ask for the value, in
/// [`Pinned::when`](crate::Pinned::when). Clones name the same cown.
///
/// Made by [`Pinned::cown`](crate::Pinned::cown). Only pinned behaviors can ask for it:
///
/// ```compile_fail,E0277
/// use bocage_runtime::Runtime;
///
/// let runtime = Runtime::new().unwrap();
/// let pinned = runtime.pinned().unwrap().cown(std::rc::Rc::new(1)).unwrap();
/// runtime.when(&pinned, |_| ());
/// ```
pub struct PinnedCown<T> {
    key: Cown<Key<T>>,
    owner: ThreadId,
}

/// Where the value is. It is dropped with the last handle, on whatever thread.
pub struct Key<T> {
    key: u64,
    owner: Arc<Owner>,
    value: PhantomData<fn() -> T>,
}

impl<T> Drop for Key<T> {
    fn drop(&mut self) {
        self.owner.discard(self.key);
    }
}

impl<T: 'static> PinnedCown<T> {
    pub(crate) fn new(key: u64, owner: Arc<Owner>) -> Self {
        let thread = owner.thread();
        Self { key: Cown::new(Key { key, owner, value: PhantomData }), owner: thread }
    }
}

impl<T> PinnedCown<T> {
    /// The cown's identity, the same for all its handles.
    pub fn id(&self) -> CownId {
        self.key.id()
    }
}

impl<T> Clone for PinnedCown<T> {
    fn clone(&self) -> Self {
        Self { key: self.key.clone(), owner: self.owner }
    }
}

impl<T> PartialEq for PinnedCown<T> {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl<T> Eq for PinnedCown<T> {}

impl<T> fmt::Debug for PinnedCown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PinnedCown({:#x})", self.id().get())
    }
}

/// Exclusive access to a pinned cown's value, for as long as the behavior runs, on its thread.
pub struct PinnedGuard<'a, T: 'static> {
    key: Guard<'a, Key<T>>,
    /// There until the guard is dropped.
    value: Option<Box<T>>,
    /// The value goes back to the store of the thread that drops the guard, which so must be this one.
    _not_send: PhantomData<*const ()>,
}

impl<'a, T: 'static> PinnedGuard<'a, T> {
    fn new(key: Guard<'a, Key<T>>) -> Self {
        let value = owner::lend(key.key).and_then(|value| value.downcast().ok());
        assert!(value.is_some(), "the value of a pinned cown is lost: the guard that had it was forgotten");
        Self { key, value, _not_send: PhantomData }
    }

    /// As [`Guard::is_poisoned`].
    pub fn is_poisoned(&self) -> bool {
        self.key.is_poisoned()
    }

    /// As [`Guard::clear_poison`].
    pub fn clear_poison(&mut self) {
        self.key.clear_poison();
    }
}

impl<T: 'static> Deref for PinnedGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.value.as_ref().expect("the guard is not dropped yet")
    }
}

impl<T: 'static> DerefMut for PinnedGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.value.as_mut().expect("the guard is not dropped yet")
    }
}

impl<T: 'static> Drop for PinnedGuard<'_, T> {
    fn drop(&mut self) {
        if let Some(value) = self.value.take() {
            let value: Box<dyn Any> = value;
            owner::give_back(self.key.key, value);
        }
    }
}

impl<T: fmt::Debug + 'static> fmt::Debug for PinnedGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

/// Something that [`Pinned::when`](crate::Pinned::when) takes: a [pinned cown](PinnedCown), whatever [`Requests`] there
/// is but for tuples, or a tuple of up to 12 of all these.
pub trait PinnedRequests {
    /// What it comes to in the queues.
    type Requests: Requests;
    /// What the body gets.
    type Guards<'a>;

    /// What it comes to in the queues.
    fn requests(self) -> Self::Requests;

    /// Whether no pinned cown is among them that belongs to another thread than `owner`.
    fn are_of(&self, owner: ThreadId) -> bool;

    /// What the body gets, on the thread to which it is pinned.
    fn guards(guards: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_>;
}

impl<'s, T: 'static> PinnedRequests for &'s PinnedCown<T> {
    type Requests = &'s Cown<Key<T>>;
    type Guards<'a> = PinnedGuard<'a, T>;

    fn requests(self) -> Self::Requests {
        &self.key
    }

    fn are_of(&self, owner: ThreadId) -> bool {
        self.owner == owner
    }

    fn guards(key: <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {
        PinnedGuard::new(key)
    }
}

/// Requests that pin nothing: they stay what they are.
macro_rules! unpinned {
    ($(($($bound:path),*) $request:ty;)*) => {$(
        impl<T: $($bound +)* 'static> PinnedRequests for $request {
            type Requests = Self;
            type Guards<'a> = <Self as Requests>::Guards<'a>;

            fn requests(self) -> Self {
                self
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
    (Send) &Cown<T>;
    (Send, Sync) Read<&Cown<T>>;
    (Send) &[Cown<T>];
    (Send) &Vec<Cown<T>>;
}

impl PinnedRequests for () {
    type Requests = ();
    type Guards<'a> = ();

    fn requests(self) {}

    fn are_of(&self, _: ThreadId) -> bool {
        true
    }

    fn guards((): <Self::Requests as Requests>::Guards<'_>) -> Self::Guards<'_> {}
}

macro_rules! tuple {
    ($($name:ident $index:tt),*) => {
        impl<$($name: PinnedRequests),*> PinnedRequests for ($($name,)*) {
            type Requests = ($($name::Requests,)*);
            type Guards<'a> = ($($name::Guards<'a>,)*);

            fn requests(self) -> Self::Requests {
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
