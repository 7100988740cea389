//! Tuples, lists and dicts.

use pyo3_ffi as ffi;

use super::{Attached, Error, Obj, Ref, Result};

impl Obj {
    /// A tuple of the items.
    pub(crate) fn tuple<I>(py: Attached, items: I) -> Result<Obj>
    where
        I: IntoIterator<Item = Obj>,
        I::IntoIter: ExactSizeIterator,
    {
        let items = items.into_iter();
        let expected = items.len();
        // SAFETY: a tuple of `expected` null slots, each filled once below. CPython frees a
        // partly filled tuple correctly, should the iterator panic.
        unsafe {
            let tuple = Obj::from_result(py, ffi::PyTuple_New(expected as isize))?;
            let mut filled = 0;
            for item in items.take(expected) {
                ffi::PyTuple_SET_ITEM(tuple.as_ptr(), filled as isize, item.into_ptr());
                filled += 1;
            }
            if filled != expected {
                return Err(Error::system_error("a tuple got fewer items than announced"));
            }
            Ok(tuple)
        }
    }

    /// A list of the items.
    pub(crate) fn list<I>(py: Attached, items: I) -> Result<Obj>
    where
        I: IntoIterator<Item = Obj>,
        I::IntoIter: ExactSizeIterator,
    {
        let items = items.into_iter();
        let expected = items.len();
        // SAFETY: as for the tuple.
        unsafe {
            let list = Obj::from_result(py, ffi::PyList_New(expected as isize))?;
            let mut filled = 0;
            for item in items.take(expected) {
                ffi::PyList_SET_ITEM(list.as_ptr(), filled as isize, item.into_ptr());
                filled += 1;
            }
            if filled != expected {
                return Err(Error::system_error("a list got fewer items than announced"));
            }
            Ok(list)
        }
    }

    /// An empty dict.
    pub(crate) fn dict(py: Attached) -> Result<Obj> {
        // SAFETY: the thread is attached.
        unsafe { Obj::from_result(py, ffi::PyDict_New()) }
    }

    /// Whether this is a tuple or of a subclass.
    pub(crate) fn is_tuple(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyTuple_Check(self.as_ptr()) != 0 }
    }

    /// Whether this is a list or of a subclass.
    pub(crate) fn is_list(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyList_Check(self.as_ptr()) != 0 }
    }

    /// Whether this is a dict or of a subclass.
    pub(crate) fn is_dict(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyDict_Check(self.as_ptr()) != 0 }
    }

    /// The items of a tuple (`None` for another type). A tuple can't change, so they can be lent.
    pub(crate) fn tuple_items(&self) -> Option<&[Ref<'_>]> {
        if !self.is_tuple() {
            return None;
        }
        // SAFETY: the type is checked; a finished tuple has no null slot and never changes, and it
        // keeps its items alive; `Ref` is transparent over an object pointer.
        unsafe {
            let tuple = self.as_ptr().cast::<ffi::PyTupleObject>();
            let items = (&raw const (*tuple).ob_item).cast::<Ref<'_>>();
            let length = ffi::PyTuple_GET_SIZE(self.as_ptr()) as usize;
            Some(std::slice::from_raw_parts(items, length))
        }
    }

    /// The items of a list or tuple, as new references (a list may change under one's hands);
    /// `None` for another type.
    pub(crate) fn sequence_items(&self) -> Option<Vec<Obj>> {
        if let Some(items) = self.tuple_items() {
            return Some(items.iter().map(|item| item.own()).collect());
        }
        if !self.is_list() {
            return None;
        }
        // SAFETY: the type is checked, the index is below the length, which is read each time;
        // the reference is taken before anything else can run.
        unsafe {
            let length = ffi::PyList_GET_SIZE(self.as_ptr());
            Some(
                (0..length)
                    .map_while(|index| {
                        (index < ffi::PyList_GET_SIZE(self.as_ptr()))
                            .then(|| Obj::from_borrowed(ffi::PyList_GET_ITEM(self.as_ptr(), index)))
                    })
                    .collect(),
            )
        }
    }

    /// `dict[key]`, `None` if there is no such key.
    pub(crate) fn dict_get(&self, key: &Obj) -> Result<Option<Obj>> {
        debug_assert!(self.is_dict());
        // SAFETY: both are alive; a borrowed result is turned into an owned one at once.
        unsafe {
            let found = ffi::PyDict_GetItemWithError(self.as_ptr(), key.as_ptr());
            if !found.is_null() {
                return Ok(Some(Obj::from_borrowed(found)));
            }
            if ffi::PyErr_Occurred().is_null() { Ok(None) } else { Err(Error::fetch(self.py())) }
        }
    }

    /// `dict[key] = value`.
    pub(crate) fn dict_set(&self, key: &Obj, value: &Obj) -> Result<()> {
        // SAFETY: all three are alive; the function refuses what is no dict.
        let status = unsafe { ffi::PyDict_SetItem(self.as_ptr(), key.as_ptr(), value.as_ptr()) };
        Error::check(self.py(), status).map(drop)
    }

    /// The pairs of a dict, as new references. Empty for another type.
    pub(crate) fn dict_pairs(&self) -> Vec<(Obj, Obj)> {
        let mut pairs = Vec::new();
        if !self.is_dict() {
            return pairs;
        }
        let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: the type is checked; nothing runs between the steps that could change the dict,
        // and references are taken at once.
        unsafe {
            while ffi::PyDict_Next(self.as_ptr(), &mut position, &mut key, &mut value) != 0 {
                pairs.push((Obj::from_borrowed(key), Obj::from_borrowed(value)));
            }
        }
        pairs
    }
}

/// The items of a tuple, lent for as long as the tuple is; none for another type.
pub(crate) fn items_of(tuple: Ref<'_>) -> &[Ref<'_>] {
    // SAFETY: whoever lent the reference keeps the tuple alive for its lifetime, a tuple keeps its items, and
    // `Ref` borrows from there, not from the variable that holds it.
    unsafe { std::mem::transmute::<&[Ref<'_>], &[Ref<'_>]>(tuple.tuple_items().unwrap_or_default()) }
}
