//! Every difference among CPython 3.12, 3.13, 3.14 and 3.15, and what `pyo3-ffi` doesn't declare.

use std::ffi::c_void;

use pyo3_ffi as ffi;

use super::exact::Width;
use super::{Attached, Error, Result};

/// How many slots [`module_slots`] gives.
pub(crate) const MODULE_SLOTS: usize = if cfg!(Py_3_13) { 4 } else { 3 };

/// The slots of a module that runs in interpreters with their own GIL. From 3.13 on it also says
/// that it wants the GIL (on a free-threaded build): payloads of objects rely on it.
pub(crate) const fn module_slots(exec: *mut c_void) -> [ffi::PyModuleDef_Slot; MODULE_SLOTS] {
    [
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: exec },
        ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        },
        #[cfg(Py_3_13)]
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_gil, value: ffi::Py_MOD_GIL_USED },
        ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut() },
    ]
}

/// Where the characters of a compact `str` are. Every `str` that isn't of a subclass is compact: its
/// characters follow the header, which is shorter for ASCII.
///
/// # Safety
/// `text` is an exact str, or one under construction.
pub(crate) unsafe fn compact_data(text: *mut ffi::PyObject, ascii: bool) -> *mut u8 {
    let header = if ascii { size_of::<ffi::PyASCIIObject>() } else { size_of::<ffi::PyCompactUnicodeObject>() };
    // SAFETY: the object is at least as long as its header.
    unsafe { text.cast::<u8>().add(header) }
}

/// Width and stored characters of a `str`.
///
/// # Safety
/// `text` is an exact str, alive for `'a`.
#[inline]
pub(crate) unsafe fn str_data<'a>(text: *mut ffi::PyObject) -> (Width, &'a [u8]) {
    // SAFETY: an exact str is compact. From 3.14 on its state bits are private, and two functions
    // tell: where the data starts says whether it is ASCII.
    unsafe {
        let data = ffi::PyUnicode_DATA(text).cast::<u8>();
        let length = ffi::PyUnicode_GET_LENGTH(text) as usize;
        let width = if data == compact_data(text, true) {
            Width::Ascii
        } else {
            match ffi::PyUnicode_KIND(text) {
                ffi::PyUnicode_1BYTE_KIND => Width::Latin1,
                ffi::PyUnicode_2BYTE_KIND => Width::Two,
                _ => Width::Four,
            }
        };
        let bytes = std::slice::from_raw_parts(data, length * width.bytes());
        (width, bytes)
    }
}

#[cfg(not(Py_3_13))]
unsafe extern "C" {
    fn _PyLong_NumBits(object: *mut ffi::PyObject) -> usize;
}

unsafe extern "C" {
    /// A dict with room for that many entries. Private, and exported by every version so far for
    /// CPython's own extension modules.
    fn _PyDict_NewPresized(entries: isize) -> *mut ffi::PyObject;
}

/// A new dict with room for `entries`.
pub(crate) fn new_dict(_py: Attached, entries: usize) -> *mut ffi::PyObject {
    // SAFETY: the thread is attached.
    unsafe { _PyDict_NewPresized(entries as isize) }
}

/// Appends the two's complement of an int, little-endian.
///
/// # Safety
/// `int` is an exact int.
#[cfg(not(Py_3_13))]
pub(crate) unsafe fn int_to_bytes(py: Attached, int: *mut ffi::PyObject, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    // SAFETY: an exact int; the room for its bits and a sign is made before it is written.
    unsafe {
        let length = _PyLong_NumBits(int) / 8 + 1;
        out.resize(start + length, 0);
        let status = ffi::_PyLong_AsByteArray(int.cast(), out[start..].as_mut_ptr(), length, 1, 1);
        Error::check(py, status).map(drop)
    }
}

/// Appends the two's complement of an int, little-endian.
///
/// # Safety
/// `int` is an exact int.
#[cfg(Py_3_13)]
pub(crate) unsafe fn int_to_bytes(py: Attached, int: *mut ffi::PyObject, out: &mut Vec<u8>) -> Result<()> {
    let start = out.len();
    let flags = ffi::Py_ASNATIVEBYTES_LITTLE_ENDIAN;
    // SAFETY: an exact int; asked without a buffer, the function gives the room that it needs.
    unsafe {
        let length = ffi::PyLong_AsNativeBytes(int, std::ptr::null_mut(), 0, flags);
        let Ok(room) = usize::try_from(length) else {
            return Err(Error::fetch(py));
        };
        out.resize(start + room, 0);
        let written = ffi::PyLong_AsNativeBytes(int, out[start..].as_mut_ptr().cast(), length, flags);
        if written < 0 {
            return Err(Error::fetch(py));
        }
        Ok(())
    }
}

/// An int from its two's complement, little-endian; null with an exception set on failure.
///
/// # Safety
/// The thread is attached.
pub(crate) unsafe fn int_from_bytes(bytes: &[u8]) -> *mut ffi::PyObject {
    // SAFETY: pointer and length are of one slice.
    unsafe {
        #[cfg(not(Py_3_13))]
        return ffi::_PyLong_FromByteArray(bytes.as_ptr(), bytes.len(), 1, 1);
        #[cfg(Py_3_13)]
        return ffi::PyLong_FromNativeBytes(bytes.as_ptr().cast(), bytes.len(), ffi::Py_ASNATIVEBYTES_LITTLE_ENDIAN);
    }
}

/// `sys.getrecursionlimit()`.
pub(crate) fn recursion_limit(_py: Attached) -> usize {
    // SAFETY: the thread is attached.
    usize::try_from(unsafe { ffi::Py_GetRecursionLimit() }).unwrap_or(0)
}

/// On 3.12 an interpreter's first thread state can't be deleted before its end: the place in the interpreter
/// that it lived in would be taken for initialised by the next one, a fatal error.
pub(crate) const FIRST_THREAD_STATE_STAYS: bool = !cfg!(Py_3_13);

unsafe extern "C" {
    #[cfg_attr(not(Py_3_13), link_name = "_PyThreadState_UncheckedGet")]
    fn PyThreadState_GetUnchecked() -> *mut ffi::PyThreadState;
}

/// The calling thread's current thread state; null if it is attached to nothing. Private before 3.13.
pub(crate) fn current_thread_state() -> *mut ffi::PyThreadState {
    // SAFETY: takes nothing and reads this thread's own variable.
    unsafe { PyThreadState_GetUnchecked() }
}
