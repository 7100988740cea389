//! Owned and borrowed references, and what every object can do.

use std::ffi::CStr;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ops::Deref;
use std::ptr::{self, NonNull};

use pyo3_ffi as ffi;

use super::{Attached, Error, Result};

/// One owned reference to a Python object.
///
/// Not `Send` and not `Sync` (it holds a `NonNull`), so it stays on a thread that was attached when
/// it was made. Dropping it gives the reference back, and may therefore run Python code.
#[repr(transparent)]
pub(crate) struct Obj(NonNull<ffi::PyObject>);

/// A reference borrowed from somebody who keeps the object alive for `'a`. Derefs to [`Obj`].
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(crate) struct Ref<'a>(NonNull<ffi::PyObject>, PhantomData<&'a Obj>);

impl<'a> Ref<'a> {
    /// # Safety
    /// `ptr` must be an object that stays alive for `'a`, on an attached thread.
    pub(crate) unsafe fn from_ptr(ptr: *mut ffi::PyObject) -> Ref<'a> {
        debug_assert!(!ptr.is_null());
        // SAFETY: the caller's promise.
        Ref(unsafe { NonNull::new_unchecked(ptr) }, PhantomData)
    }

    /// As [`Ref::from_ptr`], with null for none.
    ///
    /// # Safety
    /// As for [`Ref::from_ptr`], unless `ptr` is null.
    pub(crate) unsafe fn from_ptr_or_null(ptr: *mut ffi::PyObject) -> Option<Ref<'a>> {
        NonNull::new(ptr).map(|ptr| Ref(ptr, PhantomData))
    }

    /// A reference of one's own.
    pub(crate) fn own(self) -> Obj {
        Obj::clone(&self)
    }
}

impl Deref for Ref<'_> {
    type Target = Obj;

    fn deref(&self) -> &Obj {
        // SAFETY: `Obj` and `Ref` are transparent over the same pointer, and a shared reference to
        // `Obj` never drops it.
        unsafe { &*ptr::from_ref(self).cast::<Obj>() }
    }
}

impl<'a> From<&'a Obj> for Ref<'a> {
    fn from(object: &'a Obj) -> Ref<'a> {
        Ref(object.0, PhantomData)
    }
}

impl Clone for Obj {
    fn clone(&self) -> Obj {
        // SAFETY: the object is alive and the thread is attached.
        unsafe { ffi::Py_INCREF(self.as_ptr()) };
        Obj(self.0)
    }
}

impl Drop for Obj {
    fn drop(&mut self) {
        // SAFETY: this reference is owned and is given back once; the thread is attached, since
        // `Obj` never leaves it and `detached` can't reach it.
        unsafe { ffi::Py_DECREF(self.as_ptr()) }
    }
}

impl Obj {
    /// Takes over an owned reference.
    ///
    /// # Safety
    /// `ptr` must be an owned reference, not null, on an attached thread.
    pub(crate) unsafe fn from_owned(ptr: *mut ffi::PyObject) -> Obj {
        debug_assert!(!ptr.is_null());
        // SAFETY: the caller's promise.
        Obj(unsafe { NonNull::new_unchecked(ptr) })
    }

    /// Takes over what a C API function returned: an owned reference, or null with an exception set.
    ///
    /// # Safety
    /// `ptr` must be just that.
    pub(crate) unsafe fn from_result(py: Attached, ptr: *mut ffi::PyObject) -> Result<Obj> {
        match NonNull::new(ptr) {
            Some(ptr) => Ok(Obj(ptr)),
            None => Err(Error::fetch(py)),
        }
    }

    /// Makes a new reference to a borrowed object.
    ///
    /// # Safety
    /// `ptr` must be an object alive at the call, on an attached thread.
    pub(crate) unsafe fn from_borrowed(ptr: *mut ffi::PyObject) -> Obj {
        // SAFETY: the caller's promise.
        unsafe { Ref::from_ptr(ptr) }.own()
    }

    /// The raw pointer, still owned by this `Obj`.
    pub(crate) fn as_ptr(&self) -> *mut ffi::PyObject {
        self.0.as_ptr()
    }

    /// Gives the reference away, to a caller who will give it back.
    pub(crate) fn into_ptr(self) -> *mut ffi::PyObject {
        ManuallyDrop::new(self).as_ptr()
    }

    /// Whoever holds an object is attached.
    pub(crate) fn py(&self) -> Attached {
        // SAFETY: an `Obj` lives only on a thread that is attached (see the module's page).
        unsafe { Attached::assume() }
    }

    /// This object, borrowed.
    pub(crate) fn reborrow(&self) -> Ref<'_> {
        Ref::from(self)
    }

    /// `self is other`.
    pub(crate) fn is(&self, other: &Obj) -> bool {
        self.0 == other.0
    }

    /// `self is None`.
    pub(crate) fn is_none(&self) -> bool {
        // SAFETY: None exists while a thread is attached.
        self.as_ptr() == unsafe { ffi::Py_None() }
    }

    /// `type(self)`.
    pub(crate) fn type_of(&self) -> Ref<'_> {
        // SAFETY: the object is alive and keeps its type alive.
        unsafe { Ref::from_ptr(ffi::Py_TYPE(self.as_ptr()).cast()) }
    }

    /// The type as a raw pointer, for comparing.
    pub(crate) fn type_ptr(&self) -> *mut ffi::PyTypeObject {
        // SAFETY: the object is alive.
        unsafe { ffi::Py_TYPE(self.as_ptr()) }
    }

    /// The name of the object's type, as for a message.
    pub(crate) fn type_name(&self) -> String {
        // SAFETY: tp_name is a NUL-terminated string that lives as long as the type.
        unsafe { CStr::from_ptr((*self.type_ptr()).tp_name) }.to_string_lossy().into_owned()
    }

    /// `isinstance(self, class)`, by the real type only (no `__instancecheck__`).
    pub(crate) fn is_instance_of(&self, class: &Obj) -> bool {
        // SAFETY: both are alive; a non-type `class` is told apart first.
        unsafe {
            ffi::PyType_Check(class.as_ptr()) != 0 && ffi::PyObject_TypeCheck(self.as_ptr(), class.as_ptr().cast()) != 0
        }
    }

    /// `getattr(self, name)`; `name` is best an interned string of the state.
    pub(crate) fn getattr(&self, name: &Obj) -> Result<Obj> {
        // SAFETY: both are alive; the result is owned or an exception is set.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_GetAttr(self.as_ptr(), name.as_ptr())) }
    }

    /// `getattr(self, name, None)`, telling a missing attribute from other errors.
    pub(crate) fn getattr_opt(&self, name: &Obj) -> Result<Option<Obj>> {
        match self.getattr(name) {
            Ok(value) => Ok(Some(value)),
            Err(error) if error.matches(self.py(), super::Kind::AttributeError) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// `getattr(self, name)` by a literal name; for paths that aren't hot.
    pub(crate) fn attr(&self, name: &CStr) -> Result<Obj> {
        // SAFETY: the object is alive and the name is NUL-terminated.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_GetAttrString(self.as_ptr(), name.as_ptr())) }
    }

    /// `setattr(self, name, value)`.
    pub(crate) fn setattr(&self, name: &Obj, value: &Obj) -> Result<()> {
        // SAFETY: all three are alive.
        let status = unsafe { ffi::PyObject_SetAttr(self.as_ptr(), name.as_ptr(), value.as_ptr()) };
        Error::check(self.py(), status).map(drop)
    }

    /// `setattr(self, name, value)` by a literal name.
    pub(crate) fn set_attr(&self, name: &CStr, value: &Obj) -> Result<()> {
        // SAFETY: both are alive and the name is NUL-terminated.
        let status = unsafe { ffi::PyObject_SetAttrString(self.as_ptr(), name.as_ptr(), value.as_ptr()) };
        Error::check(self.py(), status).map(drop)
    }

    /// `bool(self)`.
    pub(crate) fn is_true(&self) -> Result<bool> {
        // SAFETY: the object is alive.
        let truth = unsafe { ffi::PyObject_IsTrue(self.as_ptr()) };
        Error::check(self.py(), truth).map(|truth| truth != 0)
    }

    /// `repr(self)`.
    pub(crate) fn repr(&self) -> Result<Obj> {
        // SAFETY: the object is alive.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_Repr(self.as_ptr())) }
    }

    /// `str(self)`.
    pub(crate) fn str(&self) -> Result<Obj> {
        // SAFETY: the object is alive.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_Str(self.as_ptr())) }
    }

    /// `len(self)`.
    pub(crate) fn len(&self) -> Result<usize> {
        // SAFETY: the object is alive.
        let length = unsafe { ffi::PyObject_Size(self.as_ptr()) };
        usize::try_from(length).map_err(|_| Error::fetch(self.py()))
    }

    /// `iter(self)`.
    pub(crate) fn iter(&self) -> Result<Obj> {
        // SAFETY: the object is alive.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_GetIter(self.as_ptr())) }
    }

    /// `next(self)`, `None` at the end.
    pub(crate) fn next(&self) -> Result<Option<Obj>> {
        // SAFETY: the object is alive; PyIter_Next tells its end from an error by the indicator.
        let item = unsafe { ffi::PyIter_Next(self.as_ptr()) };
        match NonNull::new(item) {
            Some(item) => Ok(Some(Obj(item))),
            // SAFETY: the thread is attached.
            None if unsafe { ffi::PyErr_Occurred() }.is_null() => Ok(None),
            None => Err(Error::fetch(self.py())),
        }
    }

    /// The reference count as it stands; immortal objects count as shared.
    pub(crate) fn refcount(&self) -> isize {
        // SAFETY: the object is alive.
        unsafe { ffi::Py_REFCNT(self.as_ptr()) }
    }
}
