//! A small checked layer over CPython's C API: the only folder that touches raw references.
//!
//! Past this border the crate is ordinary Rust. What makes it so:
//!
//! * [`Attached`] is proof that the calling thread is attached to an interpreter (it holds that
//!   interpreter's GIL). It is made at the border only: by the trampolines that CPython calls, and
//!   by whoever attaches a thread. It is `Copy`, zero-sized and neither `Send` nor `Sync`.
//! * [`Obj`] owns one reference and lends [`Ref`]s. Neither is `Send` or `Sync`, so no object ever
//!   reaches a thread of another interpreter, and [`Attached::detached`] takes a `Send` closure,
//!   so nothing can touch an object while the GIL is released.
//! * [`Error`] is a Python exception that was taken *out of* the thread, or one yet to be made. The
//!   thread's error indicator is set only on the way back into CPython, so destructors that run
//!   in between never see a pending exception.
//! * Every function that CPython calls goes through [`entry`]: a panic becomes a `SystemError`.
//!
//! Reading order: [`object`], [`error`], [`convert`], [`container`], [`text`], [`call`], then [`entry`],
//! [`method`], [`slot`], [`class`], [`module`], [`buffer`]; [`exact`] and [`build`] take containers apart
//! and put them together; [`version`] holds every difference among CPython versions.

pub(crate) mod buffer;
pub(crate) mod build;
pub(crate) mod call;
pub(crate) mod class;
pub(crate) mod container;
pub(crate) mod convert;
pub(crate) mod entry;
pub(crate) mod error;
pub(crate) mod exact;
#[cfg(unix)]
pub(crate) mod fork;
pub(crate) mod frame;
pub(crate) mod function;
pub(crate) mod interpreter;
pub(crate) mod method;
pub(crate) mod module;
pub(crate) mod object;
#[cfg(not(Py_3_13))]
pub(crate) mod parsers;
pub(crate) mod slot;
pub(crate) mod text;
pub(crate) mod version;

use std::marker::PhantomData;

use pyo3_ffi as ffi;

pub(crate) use call::{Args, Signature};
pub(crate) use class::{ClassOf, Payload, This};
pub(crate) use convert::IntoPython;
pub(crate) use error::{Error, Kind, Result};
pub(crate) use object::{Obj, Ref};

/// Proof that this thread is attached to an interpreter.
#[derive(Clone, Copy)]
pub(crate) struct Attached(PhantomData<*mut ()>);

impl Attached {
    /// Vouches that the calling thread is attached.
    ///
    /// # Safety
    /// The thread must hold the GIL of some interpreter, and must go on holding it wherever the
    /// token can be used (releasing it through [`Attached::detached`] is fine).
    pub(crate) const unsafe fn assume() -> Attached {
        Attached(PhantomData)
    }

    /// Runs `work` with the GIL released. Objects can't be reached from it: they aren't `Sync`.
    pub(crate) fn detached<R, F: FnOnce() -> R + Send>(self, work: F) -> R {
        struct Reattach(*mut ffi::PyThreadState);
        impl Drop for Reattach {
            fn drop(&mut self) {
                // SAFETY: the pointer is what PyEval_SaveThread gave to this very thread.
                unsafe { ffi::PyEval_RestoreThread(self.0) }
            }
        }
        // SAFETY: `self` proves that the thread is attached; the guard attaches it again, also
        // when `work` panics.
        let guard = Reattach(unsafe { ffi::PyEval_SaveThread() });
        let result = work();
        drop(guard);
        result
    }

    /// The interpreter that this thread is attached to, as an identity. Never dereferenced.
    pub(crate) fn interpreter(self) -> *mut ffi::PyInterpreterState {
        // SAFETY: the thread is attached.
        unsafe { ffi::PyInterpreterState_Get() }
    }

    /// Whether this thread is attached to the main interpreter.
    pub(crate) fn is_main_interpreter(self) -> bool {
        // SAFETY: takes no argument and reads a pointer that is set for the runtime's lifetime.
        self.interpreter() == unsafe { ffi::PyInterpreterState_Main() }
    }

    /// Runs pending signal handlers; an exception that one raises (Ctrl-C) comes back.
    pub(crate) fn check_signals(self) -> Result<()> {
        // SAFETY: the thread is attached.
        Error::check(self, unsafe { ffi::PyErr_CheckSignals() }).map(drop)
    }
}

/// The interpreter that the calling thread is attached to, if any.
pub(crate) fn attached_interpreter() -> Option<*mut ffi::PyInterpreterState> {
    // SAFETY: reads this thread's own variable; the thread state in it is current, so alive.
    unsafe {
        let state = version::current_thread_state();
        (!state.is_null()).then(|| ffi::PyThreadState_GetInterpreter(state))
    }
}

/// Asks the main thread to call `function` as soon as it runs Python code again. From any thread, attached or
/// not. Lost if too many calls are pending already, so it only hurries what is done elsewhere, too.
pub(crate) fn call_soon(function: extern "C" fn(*mut std::ffi::c_void) -> std::ffi::c_int) {
    // SAFETY: CPython allows this from any thread.
    unsafe {
        let _ = ffi::Py_AddPendingCall(Some(function), std::ptr::null_mut());
    }
}

impl Attached {
    /// Flushes `sys.stdout` and `sys.stderr`, as far as they can be.
    pub(crate) fn flush_standard_streams(self) {
        let Ok(sys) = self.import(c"sys") else { return };
        for name in [c"stdout", c"stderr"] {
            // A stream that is closed or gone has nothing to flush.
            let _ = sys.attr(name).and_then(|stream| stream.attr(c"flush")?.call0());
        }
    }

    /// Gives an exception to `sys.unraisablehook`.
    pub(crate) fn write_unraisable(self, exception: Obj, context: &Obj) {
        Error::Raised(exception).report(self, Some(context));
    }
}
