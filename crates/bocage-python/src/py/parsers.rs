//! On CPython 3.12: keeps the process from crashing at exit over argument parsers that were first used in a
//! sub-interpreter.
//!
//! A C function with keyword parameters has a static parser, which makes a tuple of the parameters' names when
//! the function is first called. 3.12 makes it in whichever interpreter calls first, and frees all of them in
//! the main interpreter's end, into an allocator that they may not come from: the process aborts. (From 3.13
//! on they are made in the main interpreter.) All such parsers are in a list, and a new one goes to its
//! head. So, when the sub-interpreters have ended, [`make_immortal`] lets CPython initialise a parser of our
//! own and makes the tuples of all that come after it immortal.

use std::cell::UnsafeCell;
use std::ffi::{c_char, c_int};
use std::ptr;

use pyo3_ffi as ffi;

use super::{Attached, Error, Result};

/// CPython 3.12's own layout.
#[repr(C)]
struct Parser {
    initialized: c_int,
    format: *const c_char,
    keywords: *const *const c_char,
    function: *const c_char,
    message: *const c_char,
    positional_only: c_int,
    required: c_int,
    positional: c_int,
    names: *mut ffi::PyObject,
    next: *mut Parser,
}

unsafe extern "C" {
    fn _PyArg_ParseStackAndKeywords(
        args: *const *mut ffi::PyObject,
        count: ffi::Py_ssize_t,
        names: *mut ffi::PyObject,
        parser: *mut Parser,
        ...
    ) -> c_int;
}

struct Own(UnsafeCell<Parser>);
// SAFETY: used by the main interpreter alone, under its GIL, here and by CPython's own end.
unsafe impl Sync for Own {}

struct Names([*const c_char; 1]);
// SAFETY: a null pointer, never written.
unsafe impl Sync for Names {}

static NO_NAMES: Names = Names([ptr::null()]);

static OWN: Own = Own(UnsafeCell::new(Parser {
    initialized: 0,
    format: c":_at_exit".as_ptr(),
    keywords: NO_NAMES.0.as_ptr(),
    function: ptr::null(),
    message: ptr::null(),
    positional_only: 0,
    required: 0,
    positional: 0,
    names: ptr::null_mut(),
    next: ptr::null_mut(),
}));

/// Makes the parameter names of all parsers that are in use immortal. In the main interpreter, at its end, with
/// no other interpreter left.
pub(crate) fn make_immortal(py: Attached) -> Result<()> {
    // SAFETY: the parser is as CPython 3.12 expects a static one; no arguments are parsed, so none is stored.
    // The list is changed only by calls of C functions, and there is no other thread with Python code left. An
    // object with the count of immortal ones is never freed.
    unsafe {
        if _PyArg_ParseStackAndKeywords(ptr::null(), 0, ptr::null_mut(), OWN.0.get()) == 0 {
            return Err(Error::fetch(py));
        }
        let mut parser = (*OWN.0.get()).next;
        while !parser.is_null() {
            let names = (*parser).names;
            if !names.is_null() {
                // The count is an object's first field on 3.12.
                names.cast::<ffi::Py_ssize_t>().write(IMMORTAL);
            }
            parser = (*parser).next;
        }
    }
    Ok(())
}

/// The reference count of an immortal object on a 64-bit CPython 3.12.
const IMMORTAL: ffi::Py_ssize_t = u32::MAX as ffi::Py_ssize_t;
