//! Containers under construction.
//!
//! A container may be referred to before it is full (that is how a cycle is rebuilt), so each one is
//! at any time an object that CPython can traverse and free.

use pyo3_ffi as ffi;

use super::{Attached, Error, Obj, Result, version};

/// A list or tuple being filled from the front.
pub(crate) struct Sequence {
    object: Obj,
    items: *mut *mut ffi::PyObject,
    filled: usize,
    length: usize,
    /// Whether the slots hold `None` rather than null until they are filled.
    prefilled: bool,
}

impl Sequence {
    /// A list of `length` items to come.
    #[inline]
    pub(crate) fn list(py: Attached, length: usize) -> Result<Sequence> {
        // SAFETY: a new list with null slots; the items' memory moves only if the list grows, which
        // nobody does before it is handed out.
        unsafe {
            let object = Obj::from_result(py, ffi::PyList_New(length as isize))?;
            let items = (*object.as_ptr().cast::<ffi::PyListObject>()).ob_item;
            Ok(Sequence { object, items, filled: 0, length, prefilled: false })
        }
    }

    /// A tuple of `length` items to come. With `shared`, something inside it may refer to it.
    #[inline]
    pub(crate) fn tuple(py: Attached, length: usize, shared: bool) -> Result<Sequence> {
        // SAFETY: a new tuple with null slots, at least one of them (CPython shares the empty
        // tuple, which has none to fill).
        unsafe {
            let object = Obj::from_result(py, ffi::PyTuple_New(length as isize))?;
            let tuple = object.as_ptr().cast::<ffi::PyTupleObject>();
            let items = (&raw mut (*tuple).ob_item).cast::<*mut ffi::PyObject>();
            if shared {
                for index in 0..length {
                    *items.add(index) = py.none().into_ptr();
                }
            }
            Ok(Sequence { object, items, filled: 0, length, prefilled: shared })
        }
    }

    /// Whether nothing is left to fill.
    #[inline]
    pub(crate) fn is_full(&self) -> bool {
        self.filled == self.length
    }

    /// Puts an item into the next slot.
    #[inline]
    pub(crate) fn push(&mut self, item: Obj) {
        assert!(self.filled < self.length, "a sequence got too many items");
        // SAFETY: the slot exists and holds null, or `None` (which is owned).
        unsafe {
            let slot = self.items.add(self.filled);
            if self.prefilled {
                drop(Obj::from_owned(*slot));
            }
            *slot = item.into_ptr();
        }
        self.filled += 1;
    }

    /// The container, full or not.
    #[inline]
    pub(crate) fn object(&self) -> &Obj {
        &self.object
    }

    /// The full container.
    ///
    /// # Panics
    /// If a slot is still to be filled.
    #[inline]
    pub(crate) fn finish(self) -> Obj {
        assert!(self.is_full(), "a sequence got too few items");
        self.object
    }
}

/// An empty dict with room for `entries`.
#[inline]
pub(crate) fn dict(py: Attached, entries: usize) -> Result<Obj> {
    // SAFETY: gives an owned dict, or null with an exception set.
    unsafe { Obj::from_result(py, version::new_dict(py, entries)) }
}

/// An empty set.
pub(crate) fn set(py: Attached) -> Result<Obj> {
    // SAFETY: the thread is attached.
    unsafe { Obj::from_result(py, ffi::PySet_New(std::ptr::null_mut())) }
}

/// An empty frozenset, which [`add`] may fill while this is the only reference to it.
pub(crate) fn frozenset(py: Attached) -> Result<Obj> {
    // SAFETY: the thread is attached.
    unsafe { Obj::from_result(py, ffi::PyFrozenSet_New(std::ptr::null_mut())) }
}

/// Adds to a set, or to a frozenset that nobody else refers to.
pub(crate) fn add(set: &Obj, member: &Obj) -> Result<()> {
    // SAFETY: both are alive; the function refuses anything else.
    Error::check(set.py(), unsafe { ffi::PySet_Add(set.as_ptr(), member.as_ptr()) }).map(drop)
}

/// `slice(start, stop, step)`.
pub(crate) fn slice(start: &Obj, stop: &Obj, step: &Obj) -> Result<Obj> {
    // SAFETY: all three are alive.
    unsafe { Obj::from_result(start.py(), ffi::PySlice_New(start.as_ptr(), stop.as_ptr(), step.as_ptr())) }
}

/// `range(start, stop, step)`.
pub(crate) fn range(start: &Obj, stop: &Obj, step: &Obj) -> Result<Obj> {
    // SAFETY: the type is static, builtin and alive.
    let class = unsafe { super::Ref::from_ptr((&raw mut ffi::PyRange_Type).cast()) };
    class.call(&[start.reborrow(), stop.reborrow(), step.reborrow()])
}
