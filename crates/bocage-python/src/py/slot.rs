//! Rows of a type's slot table: what the interpreter calls for operators and protocols.
//!
//! Each constructor names the slot that it fills and fixes the shape of its function, so a row
//! can't pair a slot with a function of another signature.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use super::class::This;
use super::{Args, Attached, IntoPython, Obj, Payload, Ref, Result, class, entry};

/// One row of a slot table.
#[derive(Clone, Copy)]
pub(crate) struct Slot(pub(super) ffi::PyType_Slot);

// SAFETY: the row holds a pointer to a function.
unsafe impl Sync for Slot {}

const fn row(slot: c_int, function: *mut c_void) -> Slot {
    Slot(ffi::PyType_Slot { slot, pfunc: function })
}

/// `__new__`: makes the payload of a new instance.
pub(crate) const fn new<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(Args<'_>) -> Result<T> + Copy,
{
    unsafe extern "C" fn run<T: Payload, F: Fn(Args<'_>) -> Result<T> + Copy>(
        class: *mut ffi::PyTypeObject,
        args: *mut ffi::PyObject,
        keywords: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject {
        entry::object(|py| {
            // SAFETY: `tp_new` gets a subtype of the class that the row was built into, whose
            // instances hold a `T`, and its arguments outlive the call.
            unsafe {
                let payload = entry::function::<F>()(Args::from_tuple(py, args, keywords))?;
                class::allocate(py, class, payload)
            }
        })
    }
    row(ffi::Py_tp_new, run::<T, F> as ffi::newfunc as *mut c_void)
}

macro_rules! unary {
    ($($(#[$doc:meta])* $name:ident = $slot:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) const fn $name<T, R, F>(_f: F) -> Slot
        where
            T: Payload,
            R: IntoPython,
            F: Fn(This<'_, T>) -> Result<R> + Copy,
        {
            row(ffi::$slot, run_unary::<T, R, F> as ffi::unaryfunc as *mut c_void)
        }
    )*};
}

unsafe extern "C" fn run_unary<T, R, F>(this: *mut ffi::PyObject) -> *mut ffi::PyObject
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>) -> Result<R> + Copy,
{
    // SAFETY: CPython calls a slot of a type with an instance of it.
    entry::object(|_| entry::function::<F>()(unsafe { This::new(this) }))
}

unary! {
    /// `repr(self)`.
    repr = Py_tp_repr;
    /// `str(self)`.
    str = Py_tp_str;
    /// `iter(self)`.
    iter = Py_tp_iter;
    /// `-self`.
    negative = Py_nb_negative;
    /// `abs(self)`.
    absolute = Py_nb_absolute;
    /// `await self`.
    awaiter = Py_am_await;
}

/// `next(self)`: `None` ends the iteration.
pub(crate) const fn iter_next<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>) -> Result<Option<Obj>> + Copy,
{
    unsafe extern "C" fn run<T, F>(this: *mut ffi::PyObject) -> *mut ffi::PyObject
    where
        T: Payload,
        F: Fn(This<'_, T>) -> Result<Option<Obj>> + Copy,
    {
        entry::guarded(std::ptr::null_mut(), |_| {
            // SAFETY: CPython calls a slot of a type with an instance of it.
            let item = entry::function::<F>()(unsafe { This::new(this) })?;
            Ok(item.map_or(std::ptr::null_mut(), Obj::into_ptr))
        })
    }
    row(ffi::Py_tp_iternext, run::<T, F> as ffi::iternextfunc as *mut c_void)
}

/// `hash(self)`.
pub(crate) const fn hash<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>) -> Result<isize> + Copy,
{
    unsafe extern "C" fn run<T, F>(this: *mut ffi::PyObject) -> isize
    where
        T: Payload,
        F: Fn(This<'_, T>) -> Result<isize> + Copy,
    {
        entry::guarded(-1, |_| {
            // SAFETY: CPython calls a slot of a type with an instance of it.
            let hash = entry::function::<F>()(unsafe { This::new(this) })?;
            // -1 says that an exception is pending.
            Ok(if hash == -1 { -2 } else { hash })
        })
    }
    row(ffi::Py_tp_hash, run::<T, F> as ffi::hashfunc as *mut c_void)
}

/// No hash: instances are mutable.
pub(crate) const fn unhashable() -> Slot {
    row(ffi::Py_tp_hash, ffi::PyObject_HashNotImplemented as ffi::hashfunc as *mut c_void)
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Comparison {
    Less,
    LessEqual,
    Equal,
    NotEqual,
    Greater,
    GreaterEqual,
}

/// The comparisons. Give `NotImplemented` for operands that don't compare.
pub(crate) const fn compare<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>, Ref<'_>, Comparison) -> Result<Obj> + Copy,
{
    unsafe extern "C" fn run<T, F>(
        this: *mut ffi::PyObject,
        other: *mut ffi::PyObject,
        operator: c_int,
    ) -> *mut ffi::PyObject
    where
        T: Payload,
        F: Fn(This<'_, T>, Ref<'_>, Comparison) -> Result<Obj> + Copy,
    {
        entry::object(|py| {
            let comparison = match operator {
                ffi::Py_LT => Comparison::Less,
                ffi::Py_LE => Comparison::LessEqual,
                ffi::Py_EQ => Comparison::Equal,
                ffi::Py_NE => Comparison::NotEqual,
                ffi::Py_GT => Comparison::Greater,
                ffi::Py_GE => Comparison::GreaterEqual,
                _ => return Ok(py.not_implemented()),
            };
            // SAFETY: CPython calls a slot of a type with an instance of it; the other is alive.
            let (this, other) = unsafe { (This::new(this), Ref::from_ptr(other)) };
            entry::function::<F>()(this, other, comparison)
        })
    }
    row(ffi::Py_tp_richcompare, run::<T, F> as ffi::richcmpfunc as *mut c_void)
}

macro_rules! binary {
    ($($(#[$doc:meta])* $name:ident = $slot:ident;)*) => {$(
        $(#[$doc])*
        pub(crate) const fn $name<F>(_f: F) -> Slot
        where
            F: Fn(Attached, Ref<'_>, Ref<'_>) -> Result<Obj> + Copy,
        {
            row(ffi::$slot, run_binary::<F> as ffi::binaryfunc as *mut c_void)
        }
    )*};
}

unsafe extern "C" fn run_binary<F>(left: *mut ffi::PyObject, right: *mut ffi::PyObject) -> *mut ffi::PyObject
where
    F: Fn(Attached, Ref<'_>, Ref<'_>) -> Result<Obj> + Copy,
{
    entry::object(|py| {
        // SAFETY: both operands outlive the call.
        let (left, right) = unsafe { (Ref::from_ptr(left), Ref::from_ptr(right)) };
        entry::function::<F>()(py, left, right)
    })
}

binary! {
    /// `left + right`: either operand may be the instance. `NotImplemented` leaves it to the other.
    add = Py_nb_add;
    /// `left - right`, as [`add`].
    subtract = Py_nb_subtract;
    /// `left * right`, as [`add`].
    multiply = Py_nb_multiply;
    /// `left / right`, as [`add`].
    true_divide = Py_nb_true_divide;
    /// `left @ right`, as [`add`].
    matrix_multiply = Py_nb_matrix_multiply;
    /// `left += right`; gives the left operand back.
    add_in_place = Py_nb_inplace_add;
    /// `left -= right`, as [`add_in_place`].
    subtract_in_place = Py_nb_inplace_subtract;
    /// `left *= right`, as [`add_in_place`].
    multiply_in_place = Py_nb_inplace_multiply;
    /// `left /= right`, as [`add_in_place`].
    true_divide_in_place = Py_nb_inplace_true_divide;
}

/// `bool(self)`.
pub(crate) const fn truth<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>) -> Result<bool> + Copy,
{
    unsafe extern "C" fn run<T, F>(this: *mut ffi::PyObject) -> c_int
    where
        T: Payload,
        F: Fn(This<'_, T>) -> Result<bool> + Copy,
    {
        // SAFETY: CPython calls a slot of a type with an instance of it.
        entry::guarded(-1, |_| entry::function::<F>()(unsafe { This::new(this) }).map(c_int::from))
    }
    row(ffi::Py_nb_bool, run::<T, F> as ffi::inquiry as *mut c_void)
}

/// `len(self)`.
pub(crate) const fn length<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>) -> Result<usize> + Copy,
{
    unsafe extern "C" fn run<T, F>(this: *mut ffi::PyObject) -> isize
    where
        T: Payload,
        F: Fn(This<'_, T>) -> Result<usize> + Copy,
    {
        entry::guarded(-1, |_| {
            // SAFETY: CPython calls a slot of a type with an instance of it.
            let length = entry::function::<F>()(unsafe { This::new(this) })?;
            isize::try_from(length).map_err(|_| super::Error::overflow_error("too long for len()"))
        })
    }
    row(ffi::Py_mp_length, run::<T, F> as ffi::lenfunc as *mut c_void)
}

/// `self[key]`.
pub(crate) const fn subscript<T, R, F>(_f: F) -> Slot
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>, Ref<'_>) -> Result<R> + Copy,
{
    unsafe extern "C" fn run<T, R, F>(this: *mut ffi::PyObject, key: *mut ffi::PyObject) -> *mut ffi::PyObject
    where
        T: Payload,
        R: IntoPython,
        F: Fn(This<'_, T>, Ref<'_>) -> Result<R> + Copy,
    {
        entry::object(|_| {
            // SAFETY: CPython calls a slot of a type with an instance of it; the key is alive.
            let (this, key) = unsafe { (This::new(this), Ref::from_ptr(key)) };
            entry::function::<F>()(this, key)
        })
    }
    row(ffi::Py_mp_subscript, run::<T, R, F> as ffi::binaryfunc as *mut c_void)
}

/// `self[key] = value`, and with `None` `del self[key]`.
pub(crate) const fn assign_subscript<T, F>(_f: F) -> Slot
where
    T: Payload,
    F: Fn(This<'_, T>, Ref<'_>, Option<Ref<'_>>) -> Result<()> + Copy,
{
    unsafe extern "C" fn run<T, F>(
        this: *mut ffi::PyObject,
        key: *mut ffi::PyObject,
        value: *mut ffi::PyObject,
    ) -> c_int
    where
        T: Payload,
        F: Fn(This<'_, T>, Ref<'_>, Option<Ref<'_>>) -> Result<()> + Copy,
    {
        entry::guarded(-1, |_| {
            // SAFETY: CPython calls a slot of a type with an instance of it; the others are
            // alive, and null says `del`.
            let (this, key, value) = unsafe { (This::new(this), Ref::from_ptr(key), Ref::from_ptr_or_null(value)) };
            entry::function::<F>()(this, key, value).map(|()| 0)
        })
    }
    row(ffi::Py_mp_ass_subscript, run::<T, F> as ffi::objobjargproc as *mut c_void)
}

/// `self(...)`.
pub(crate) const fn call<T, R, F>(_f: F) -> Slot
where
    T: Payload,
    R: IntoPython,
    F: Fn(This<'_, T>, Args<'_>) -> Result<R> + Copy,
{
    unsafe extern "C" fn run<T, R, F>(
        this: *mut ffi::PyObject,
        args: *mut ffi::PyObject,
        keywords: *mut ffi::PyObject,
    ) -> *mut ffi::PyObject
    where
        T: Payload,
        R: IntoPython,
        F: Fn(This<'_, T>, Args<'_>) -> Result<R> + Copy,
    {
        entry::object(|py| {
            // SAFETY: CPython calls a slot of a type with an instance of it; the arguments
            // outlive the call.
            unsafe {
                let args = Args::from_tuple(py, args, keywords);
                entry::function::<F>()(This::new(this), args)
            }
        })
    }
    row(ffi::Py_tp_call, run::<T, R, F> as ffi::ternaryfunc as *mut c_void)
}
