//! `str` and `bytes`.

use std::ffi::CStr;

use pyo3_ffi as ffi;

use super::{Attached, Error, Obj, Result};

impl Obj {
    /// A `str`.
    pub(crate) fn text(py: Attached, text: &str) -> Result<Obj> {
        // SAFETY: pointer and length are of a valid UTF-8 string; a Rust slice fits isize.
        unsafe { Obj::from_result(py, ffi::PyUnicode_FromStringAndSize(text.as_ptr().cast(), text.len() as isize)) }
    }

    /// An interned `str`, for a name that is looked up again and again.
    pub(crate) fn interned(py: Attached, text: &CStr) -> Result<Obj> {
        // SAFETY: the text is NUL-terminated; literals of this crate are UTF-8.
        unsafe { Obj::from_result(py, ffi::PyUnicode_InternFromString(text.as_ptr())) }
    }

    /// A `bytes`.
    pub(crate) fn bytes(py: Attached, bytes: &[u8]) -> Result<Obj> {
        // SAFETY: pointer and length are of one slice, which fits isize.
        unsafe { Obj::from_result(py, ffi::PyBytes_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)) }
    }

    /// Whether this is a `str` or of a subclass.
    pub(crate) fn is_str(&self) -> bool {
        // SAFETY: the object is alive.
        unsafe { ffi::PyUnicode_Check(self.as_ptr()) != 0 }
    }

    /// The UTF-8 of a `str`, cached in it. `TypeError` for another type, `UnicodeEncodeError` for lone
    /// surrogates.
    pub(crate) fn to_utf8(&self) -> Result<&str> {
        let mut length = 0;
        // SAFETY: the object is alive; the function itself refuses what is not a str.
        let data = unsafe { ffi::PyUnicode_AsUTF8AndSize(self.as_ptr(), &mut length) };
        if data.is_null() {
            return Err(Error::fetch(self.py()));
        }
        // SAFETY: CPython gives valid UTF-8 of that length, kept by the str while it lives.
        Ok(unsafe { std::str::from_utf8_unchecked(std::slice::from_raw_parts(data.cast(), length as usize)) })
    }

    /// `str(self)` for a message: never fails.
    pub(crate) fn display(&self) -> String {
        let shown = self.str().and_then(|text| text.to_utf8().map(str::to_owned));
        shown.unwrap_or_else(|_| format!("<{} object>", self.type_name()))
    }

    /// The content of a `bytes`; `None` for another type.
    pub(crate) fn as_bytes(&self) -> Option<&[u8]> {
        // SAFETY: the type is checked first; a bytes object is immutable and keeps its buffer.
        unsafe {
            if ffi::PyBytes_Check(self.as_ptr()) == 0 {
                return None;
            }
            Some(std::slice::from_raw_parts(
                ffi::PyBytes_AsString(self.as_ptr()).cast(),
                ffi::PyBytes_Size(self.as_ptr()) as usize,
            ))
        }
    }
}
