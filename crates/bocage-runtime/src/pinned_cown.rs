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

use bocage_core::{Cown, CownId, Guard};

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
///
/// # Always to write
///
/// Who reads a cown shares it with others that read it *at the same time*, on other threads. Here there is one thread, so
/// that those who read would take turns all the same; what is left of `read` is a `&T`, which a guard gives too. So there
/// is no `read(&pinned)`, and a value need not be `Sync`; what stands beside a pinned cown in a request may be
/// [read](bocage_core::read) as ever.
///
/// One thing is lost: a pinned behavior that waits for some other cown keeps those behind it from the pinned cown, also
/// if both only look. If that other cown may be held for long, wait for it in a behavior of its own, which then schedules
/// the one that needs the pinned cown.
///
/// ```compile_fail,E0277
/// use bocage_core::read;
/// use bocage_runtime::Runtime;
///
/// let here = Runtime::new().unwrap().pinned().unwrap();
/// let pinned = here.cown(1).unwrap();
/// here.when(read(&pinned), |_| ());
/// ```
pub struct PinnedCown<T> {
    pub(crate) key: Cown<Key<T>>,
    pub(crate) owner: ThreadId,
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
///
/// If a request names the cown more than once, the first guard has the value, and the others are
/// [aliases](Guard#aliases).
pub struct PinnedGuard<'a, T: 'static> {
    key: Guard<'a, Key<T>>,
    /// There until the guard is dropped; never there in an alias.
    value: Option<Box<T>>,
    /// The value goes back to the store of the thread that drops the guard, which so must be this one.
    _not_send: PhantomData<*const ()>,
}

impl<'a, T: 'static> PinnedGuard<'a, T> {
    pub(crate) fn new(key: Guard<'a, Key<T>>) -> Self {
        if key.is_alias() {
            return Self { key, value: None, _not_send: PhantomData };
        }
        let value = owner::lend(key.key).and_then(|value| value.downcast().ok());
        assert!(value.is_some(), "the value of a pinned cown is lost: the guard that had it was forgotten");
        Self { key, value, _not_send: PhantomData }
    }

    /// As [`Guard::is_alias`].
    ///
    /// ```
    /// use bocage_runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let here = runtime.pinned()?;
    /// let (left, right) = (here.cown(3)?, here.cown(4)?);
    /// for [from, to] in [[&left, &right], [&left, &left]] {
    ///     drop(here.when((from, to), |(mut from, mut to)| {
    ///         if !to.is_alias() {
    ///             std::mem::swap(&mut *from, &mut *to);
    ///         }
    ///     }));
    /// }
    /// assert_eq!(here.when(&left, |left| *left).wait().unwrap(), 4);
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn is_alias(&self) -> bool {
        self.key.is_alias()
    }

    /// As [`Guard::is_poisoned`].
    pub fn is_poisoned(&self) -> bool {
        self.key.is_poisoned()
    }

    /// As [`Guard::clear_poison`].
    pub fn clear_poison(&mut self) {
        self.key.clear_poison();
    }

    /// Says why there is no value.
    #[cold]
    #[track_caller]
    fn refuse(&self) -> ! {
        let Key { .. } = &*self.key;
        unreachable!("only an alias has none, and its key can't be reached either")
    }
}

impl<T: 'static> Deref for PinnedGuard<'_, T> {
    type Target = T;

    /// # Panics
    ///
    /// If this is an [alias](Self::is_alias).
    #[track_caller]
    fn deref(&self) -> &T {
        let Some(value) = &self.value else { self.refuse() };
        value
    }
}

impl<T: 'static> DerefMut for PinnedGuard<'_, T> {
    /// # Panics
    ///
    /// If this is an [alias](Self::is_alias).
    #[track_caller]
    fn deref_mut(&mut self) -> &mut T {
        if self.value.is_none() {
            self.refuse();
        }
        self.value.as_mut().expect("looked at just now")
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
        match &self.value {
            Some(value) => value.fmt(f),
            None => f.write_str("<alias>"),
        }
    }
}
