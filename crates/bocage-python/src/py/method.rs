//! Rows of method and property tables.

use std::ffi::{CStr, c_int, c_void};

use pyo3_ffi as ffi;

use super::class::This;
use super::{Args, IntoPython, Payload, Ref, Result, entry};
use crate::state::State;

/// One row of a method table. A table ends with [`Method::END`].
#[repr(transparent)]
pub(crate) struct Method(ffi::PyMethodDef);

// SAFETY: the row holds pointers to static strings and functions only, and CPython reads it.
unsafe impl Sync for Method {}

impl Method {
    /// The last row.
    pub(crate) const END: Method = Method(ffi::PyMethodDef::zeroed());

    pub(super) const fn is_end(&self) -> bool {
        self.0.ml_name.is_null()
    }

    const fn row(name: &'static CStr, pointer: ffi::PyMethodDefPointer, flags: c_int, doc: &'static CStr) -> Method {
        Method(ffi::PyMethodDef { ml_name: name.as_ptr(), ml_meth: pointer, ml_flags: flags, ml_doc: doc.as_ptr() })
    }
}

/// A method of a class whose instances hold a `T`.
pub(crate) const fn method<T, R, F>(name: &'static CStr, _f: F, doc: &'static CStr) -> Method
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>, Args<'_>) -> Result<R> + Copy,
{
    Method::row(
        name,
        ffi::PyMethodDefPointer { PyCMethod: run_method::<T, R, F> },
        ffi::METH_METHOD | ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        doc,
    )
}

unsafe extern "C" fn run_method<T, R, F>(
    this: *mut ffi::PyObject,
    class: *mut ffi::PyTypeObject,
    args: *const *mut ffi::PyObject,
    positional: isize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>, Args<'_>) -> Result<R> + Copy,
{
    entry::object(|py| {
        // SAFETY: the method descriptor has checked that `this` is of the class that the row was
        // built into, whose instances hold a `T`; the arguments outlive the call.
        unsafe {
            let state = State::of_defining_class(py, class)?;
            let this = This::<T>::with_state(this, state);
            entry::function::<F>()(this, Args::from_vector(py, args, positional, names))
        }
    })
}

/// A class method: `f(state, class, args)`.
///
/// Not `METH_METHOD`: CPython's type for those hides the docstring of what is bound to a class.
pub(crate) const fn class_method<R, F>(name: &'static CStr, _f: F, doc: &'static CStr) -> Method
where
    R: IntoPython,
    F: Fn(&State, Ref<'_>, Args<'_>) -> Result<R> + Copy,
{
    Method::row(
        name,
        ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: run_class_method::<R, F> },
        ffi::METH_FASTCALL | ffi::METH_KEYWORDS | ffi::METH_CLASS,
        doc,
    )
}

unsafe extern "C" fn run_class_method<R, F>(
    class: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    positional: isize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    R: IntoPython,
    F: Fn(&State, Ref<'_>, Args<'_>) -> Result<R> + Copy,
{
    entry::object(|py| {
        // SAFETY: the class and the arguments outlive the call.
        unsafe {
            let state = State::of_type_ptr(py, class.cast())?;
            let args = Args::from_vector(py, args, positional, names);
            entry::function::<F>()(state, Ref::from_ptr(class), args)
        }
    })
}

/// A function of the module: `f(state, args)`.
pub(crate) const fn function<R, F>(name: &'static CStr, _f: F, doc: &'static CStr) -> Method
where
    R: IntoPython,
    F: Fn(&State, Args<'_>) -> Result<R> + Copy,
{
    Method::row(
        name,
        ffi::PyMethodDefPointer { PyCFunctionFastWithKeywords: run_function::<R, F> },
        ffi::METH_FASTCALL | ffi::METH_KEYWORDS,
        doc,
    )
}

unsafe extern "C" fn run_function<R, F>(
    module: *mut ffi::PyObject,
    args: *const *mut ffi::PyObject,
    positional: isize,
    names: *mut ffi::PyObject,
) -> *mut ffi::PyObject
where
    R: IntoPython,
    F: Fn(&State, Args<'_>) -> Result<R> + Copy,
{
    entry::object(|py| {
        // SAFETY: a module's function gets its module; the arguments outlive the call.
        unsafe {
            let state = State::of_module_ptr(py, module)?;
            entry::function::<F>()(state, Args::from_vector(py, args, positional, names))
        }
    })
}

/// One row of a property table. A table ends with [`Property::END`].
#[repr(transparent)]
pub(crate) struct Property(ffi::PyGetSetDef);

// SAFETY: the row holds pointers to static strings and functions only, and CPython reads it.
unsafe impl Sync for Property {}

impl Property {
    /// The last row.
    pub(crate) const END: Property = Property(ffi::PyGetSetDef {
        name: std::ptr::null(),
        get: None,
        set: None,
        doc: std::ptr::null(),
        closure: std::ptr::null_mut(),
    });

    pub(super) const fn is_end(&self) -> bool {
        self.0.name.is_null()
    }
}

/// A property that can only be read.
pub(crate) const fn getter<T, R, F>(name: &'static CStr, _f: F, doc: &'static CStr) -> Property
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>) -> Result<R> + Copy,
{
    Property(ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(run_get::<T, R, F>),
        set: None,
        doc: doc.as_ptr(),
        closure: std::ptr::null_mut(),
    })
}

/// A property that can be read and set; the setter gets `None` for `del`.
pub(crate) const fn property<T, R, G, S>(name: &'static CStr, _get: G, _set: S, doc: &'static CStr) -> Property
where
    T: Payload,
    R: IntoPython,
    G: Fn(This<'_, T>) -> Result<R> + Copy,
    S: Fn(This<'_, T>, Option<Ref<'_>>) -> Result<()> + Copy,
{
    Property(ffi::PyGetSetDef {
        name: name.as_ptr(),
        get: Some(run_get::<T, R, G>),
        set: Some(run_set::<T, S>),
        doc: doc.as_ptr(),
        closure: std::ptr::null_mut(),
    })
}

unsafe extern "C" fn run_get<T, R, F>(this: *mut ffi::PyObject, _closure: *mut c_void) -> *mut ffi::PyObject
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>) -> Result<R> + Copy,
{
    // SAFETY: the descriptor has checked the type of `this`, as for a method.
    entry::object(|_| entry::function::<F>()(unsafe { This::new(this) }))
}

unsafe extern "C" fn run_set<T, F>(this: *mut ffi::PyObject, value: *mut ffi::PyObject, _closure: *mut c_void) -> c_int
where
    T: Payload,
    F: Fn(This<'_, T>, Option<Ref<'_>>) -> Result<()> + Copy,
{
    entry::guarded(-1, |_| {
        // SAFETY: as for the getter; the value is alive or null for `del`.
        let (this, value) = unsafe { (This::new(this), Ref::from_ptr_or_null(value)) };
        entry::function::<F>()(this, value).map(|()| 0)
    })
}
