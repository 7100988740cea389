//! Where CPython enters Rust: errors become pending exceptions, panics become `SystemError`.
//!
//! Nothing unwinds into C. The functions behind a table entry are zero-sized function items, so a
//! generic `extern "C"` function can name one by its type alone and needs no pointer to it; that is
//! what lets tables of methods and slots be written without a macro for each.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use pyo3_ffi as ffi;

use super::{Attached, Error, IntoPython, Obj, Result};

/// Makes the function item of type `F` out of nothing.
pub(super) fn function<F: Copy>() -> F {
    const {
        assert!(size_of::<F>() == 0, "only plain functions and closures that capture nothing");
    }
    // SAFETY: a zero-sized `Copy` type has one value and no bytes to read; one was given to the
    // table's constructor, so the type is inhabited.
    unsafe { NonNull::<F>::dangling().read() }
}

fn panicked(payload: Box<dyn Any + Send>) -> Error {
    let message = match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => {
            payload.downcast::<&'static str>().map_or_else(|_| "no message".to_owned(), |message| (*message).to_owned())
        }
    };
    Error::system_error(format!("bocage failed internally: {message}"))
}

/// Runs `body`, and gives `failure` with the exception pending if it fails or panics.
pub(super) fn guarded<R>(failure: R, body: impl FnOnce(Attached) -> Result<R>) -> R {
    // SAFETY: CPython calls its C functions on an attached thread.
    let py = unsafe { Attached::assume() };
    match catch_unwind(AssertUnwindSafe(|| body(py))) {
        Ok(Ok(value)) => value,
        Ok(Err(error)) => {
            error.restore(py);
            failure
        }
        Err(payload) => {
            panicked(payload).restore(py);
            failure
        }
    }
}

/// As [`guarded`], for functions that give an object.
pub(super) fn object<R: IntoPython>(body: impl FnOnce(Attached) -> Result<R>) -> *mut ffi::PyObject {
    guarded(std::ptr::null_mut(), |py| body(py)?.into_python(py).map(Obj::into_ptr))
}
