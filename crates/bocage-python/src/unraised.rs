//! Exceptions that a behavior raised and nobody looked at: reported once, when their cown goes away.
//!
//! A cown can go away on any thread, attached to any interpreter or to none. So the exception waits here for
//! the main interpreter, which calls `sys.unraisablehook`, as soon as it next runs Python code.

use std::ffi::{c_int, c_void};
use std::sync::{Mutex, PoisonError};

use crate::fork;
use crate::py::{self, Attached};
use crate::state::State;
use crate::value::Value;

static WAITING: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// More than this are not kept: a program that loses so many has been told.
const MOST: usize = 1000;

/// Leaves an exception to be reported.
pub(crate) fn report(exception: Value) {
    // It was the parent's, who reports it; and no lock can be had here for sure.
    if fork::is_orphan() {
        return;
    }
    let mut waiting = WAITING.lock().unwrap_or_else(PoisonError::into_inner);
    if waiting.len() < MOST {
        waiting.push(exception);
    }
    drop(waiting);
    py::call_soon(drain_soon);
}

extern "C" fn drain_soon(_: *mut c_void) -> c_int {
    // SAFETY: CPython makes pending calls on the main thread, attached to the main interpreter.
    let py = unsafe { Attached::assume() };
    if let Ok(state) = State::current(py) {
        drain(&state);
    }
    0
}

/// Reports what waits. In the main interpreter only.
pub(crate) fn drain(state: &State) {
    let py = state.py();
    if !py.is_main_interpreter() {
        return;
    }
    let waiting = std::mem::take(&mut *WAITING.lock().unwrap_or_else(PoisonError::into_inner));
    for value in waiting {
        let exception = match value.to_object(state) {
            Ok(exception) => exception,
            Err(error) => error.into_object(py),
        };
        py.write_unraisable(exception, "a behavior whose result nobody looked at");
    }
}
