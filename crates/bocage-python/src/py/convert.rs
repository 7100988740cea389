//! Numbers, booleans and singletons, both ways.

use pyo3_ffi as ffi;

use super::{Attached, Error, Obj, Ref, Result};

impl Attached {
    /// `None`.
    pub(crate) fn none(self) -> Obj {
        // SAFETY: None exists while a thread is attached.
        unsafe { Obj::from_borrowed(ffi::Py_None()) }
    }

    /// `NotImplemented`, for operators that leave the case to the other operand.
    pub(crate) fn not_implemented(self) -> Obj {
        // SAFETY: NotImplemented exists while a thread is attached.
        unsafe { Obj::from_borrowed(ffi::Py_NotImplemented()) }
    }

    /// `Ellipsis`.
    pub(crate) fn ellipsis(self) -> Obj {
        // SAFETY: Ellipsis exists while a thread is attached.
        unsafe { Obj::from_borrowed(ffi::Py_Ellipsis()) }
    }

    /// `True` or `False`.
    pub(crate) fn bool(self, value: bool) -> Obj {
        // SAFETY: both exist while a thread is attached.
        unsafe { Obj::from_borrowed(if value { ffi::Py_True() } else { ffi::Py_False() }) }
    }

    /// An `int`.
    pub(crate) fn int(self, value: i64) -> Result<Obj> {
        // SAFETY: the thread is attached.
        unsafe { Obj::from_result(self, ffi::PyLong_FromLongLong(value)) }
    }

    /// An `int` from an unsigned number.
    pub(crate) fn uint(self, value: u64) -> Result<Obj> {
        // SAFETY: the thread is attached.
        unsafe { Obj::from_result(self, ffi::PyLong_FromUnsignedLongLong(value)) }
    }

    /// A `float`.
    pub(crate) fn float(self, value: f64) -> Result<Obj> {
        // SAFETY: the thread is attached.
        unsafe { Obj::from_result(self, ffi::PyFloat_FromDouble(value)) }
    }
}

impl Obj {
    /// Whether this is an `int` or of a subclass (`bool` is one).
    pub(crate) fn is_int(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyLong_Check(self.as_ptr()) != 0 }
    }

    /// Whether this is `True` or `False`.
    pub(crate) fn is_bool(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyBool_Check(self.as_ptr()) != 0 }
    }

    /// Whether this is a `float` or of a subclass.
    pub(crate) fn is_float(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyFloat_Check(self.as_ptr()) != 0 }
    }

    /// The number as an index: `int` or anything with `__index__`; too large is `OverflowError`.
    pub(crate) fn to_i64(&self) -> Result<i64> {
        // SAFETY: the object is alive; -1 tells an error only if an exception is pending.
        unsafe {
            let index = Obj::from_result(self.py(), ffi::PyNumber_Index(self.as_ptr()))?;
            let value = ffi::PyLong_AsLongLong(index.as_ptr());
            if value == -1 && !ffi::PyErr_Occurred().is_null() {
                return Err(Error::fetch(self.py()));
            }
            Ok(value)
        }
    }

    /// The number as a C double: `float`, `int`, `__float__` or `__index__`.
    pub(crate) fn to_f64(&self) -> Result<f64> {
        // SAFETY: the object is alive; -1 tells an error only if an exception is pending.
        unsafe {
            let value = ffi::PyFloat_AsDouble(self.as_ptr());
            if value == -1.0 && !ffi::PyErr_Occurred().is_null() {
                return Err(Error::fetch(self.py()));
            }
            Ok(value)
        }
    }
}

/// What a method may return.
pub(crate) trait IntoPython {
    /// The object that the Python caller gets.
    fn into_python(self, py: Attached) -> Result<Obj>;
}

impl IntoPython for Obj {
    fn into_python(self, _py: Attached) -> Result<Obj> {
        Ok(self)
    }
}

impl IntoPython for Ref<'_> {
    fn into_python(self, _py: Attached) -> Result<Obj> {
        Ok(self.own())
    }
}

impl IntoPython for () {
    fn into_python(self, py: Attached) -> Result<Obj> {
        Ok(py.none())
    }
}

impl IntoPython for bool {
    fn into_python(self, py: Attached) -> Result<Obj> {
        Ok(py.bool(self))
    }
}

impl IntoPython for i64 {
    fn into_python(self, py: Attached) -> Result<Obj> {
        py.int(self)
    }
}

impl IntoPython for usize {
    fn into_python(self, py: Attached) -> Result<Obj> {
        py.uint(self as u64)
    }
}

impl IntoPython for f64 {
    fn into_python(self, py: Attached) -> Result<Obj> {
        py.float(self)
    }
}

impl IntoPython for String {
    fn into_python(self, py: Attached) -> Result<Obj> {
        Obj::text(py, &self)
    }
}

impl<T: IntoPython> IntoPython for Option<T> {
    fn into_python(self, py: Attached) -> Result<Obj> {
        match self {
            Some(value) => value.into_python(py),
            None => Ok(py.none()),
        }
    }
}
