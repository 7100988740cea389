//! Interpreters: making one with a GIL of its own, attaching threads to it, ending it.
//!
//! A thread is attached to at most one interpreter. [`Interpreter`] names one that no thread needs to be
//! attached to; [`Interpreter::attach`] makes a thread state for the calling thread and takes that
//! interpreter's GIL. Thread states are never carried from one system thread to another, since CPython keeps
//! the bounds of the thread's stack in them (3.14).

use std::ffi::CStr;
use std::ptr;

use pyo3_ffi as ffi;

use super::Attached;
use super::version::FIRST_THREAD_STATE_STAYS;

/// A sub-interpreter with its own GIL. Never ended by itself; see [`Interpreter::end`].
pub(crate) struct Interpreter {
    this: *mut ffi::PyInterpreterState,
    /// The thread state that it was made with, where that has to stay ([`FIRST_THREAD_STATE_STAYS`]). No
    /// thread is attached by it until the end.
    first: Option<*mut ffi::PyThreadState>,
}

// SAFETY: the pointer is only a name; whatever is done with the interpreter needs a thread state of the
// calling thread and the interpreter's GIL.
unsafe impl Send for Interpreter {}

/// The calling thread's attachment to an interpreter that it took itself. Not sent to another thread.
pub(crate) struct Attachment(*mut ffi::PyThreadState);

impl Interpreter {
    /// Makes one, from a thread that is attached to nothing. Takes the main interpreter's GIL for the time
    /// it takes (some 20 ms).
    pub(crate) fn create() -> Result<Interpreter, String> {
        let config = ffi::PyInterpreterConfig {
            use_main_obmalloc: 0,
            allow_fork: 0,
            allow_exec: 0,
            allow_threads: 1,
            allow_daemon_threads: 0,
            check_multi_interp_extensions: 1,
            gil: ffi::PyInterpreterConfig_OWN_GIL,
        };
        // SAFETY: the runtime is initialised (this library was loaded by it) and does not end while workers
        // live (the exit hook ends them first). The new thread state of the main interpreter is attached,
        // swapped for the new interpreter's by CPython, and in the end deleted by the thread that made it.
        unsafe {
            let own = Attachment::to(ffi::PyInterpreterState_Main())?;
            let mut first: *mut ffi::PyThreadState = ptr::null_mut();
            let status = ffi::Py_NewInterpreterFromConfig(&mut first, &config);
            if ffi::PyStatus_Exception(status) != 0 {
                let reason = if status.err_msg.is_null() {
                    "CPython gave no reason".to_owned()
                } else {
                    CStr::from_ptr(status.err_msg).to_string_lossy().into_owned()
                };
                own.leave();
                return Err(format!("CPython could not make an interpreter: {reason}"));
            }
            let interpreter = ffi::PyThreadState_GetInterpreter(first);
            // Whoever uses the interpreter makes a thread state of his own.
            if !FIRST_THREAD_STATE_STAYS {
                ffi::PyThreadState_Clear(first);
            }
            ffi::PyThreadState_Swap(own.0);
            if !FIRST_THREAD_STATE_STAYS {
                ffi::PyThreadState_Delete(first);
            }
            own.leave();
            Ok(Interpreter { this: interpreter, first: FIRST_THREAD_STATE_STAYS.then_some(first) })
        }
    }

    /// Attaches the calling thread, which is attached to nothing.
    pub(crate) fn attach(&self) -> Result<Attachment, String> {
        // SAFETY: the interpreter is alive, as nobody ended it (that takes the value).
        unsafe { Attachment::to(self.this) }
    }

    /// Ends the interpreter, from a thread that is attached to nothing.
    pub(crate) fn end(self) -> Result<(), String> {
        let last = match self.first {
            Some(first) => {
                // SAFETY: no thread is attached by it; 3.12 lets any thread do so.
                unsafe { ffi::PyEval_AcquireThread(first) };
                first
            }
            None => self.attach()?.0,
        };
        // SAFETY: the only thread state of this interpreter, current here; gone afterwards.
        unsafe { ffi::Py_EndInterpreter(last) };
        Ok(())
    }
}

impl Attachment {
    /// # Safety
    /// `interpreter` is alive, and the thread is attached to nothing.
    unsafe fn to(interpreter: *mut ffi::PyInterpreterState) -> Result<Attachment, String> {
        // SAFETY: the caller's promise; the thread state is this thread's own.
        unsafe {
            let state = ffi::PyThreadState_New(interpreter);
            if state.is_null() {
                return Err("no memory for a thread state".to_owned());
            }
            ffi::PyEval_AcquireThread(state);
            Ok(Attachment(state))
        }
    }

    /// Proof of it.
    pub(crate) fn py(&self) -> Attached {
        // SAFETY: attached by `to`, until `leave` takes the value; while `pause` lasts, its caller can't use
        // a token, having none in scope that is `Send`.
        unsafe { Attached::assume() }
    }

    /// Detaches the thread and deletes its thread state.
    pub(crate) fn leave(self) {
        // SAFETY: current on this thread, made by it, and used no more.
        unsafe {
            ffi::PyThreadState_Clear(self.0);
            ffi::PyThreadState_DeleteCurrent();
        }
    }

    /// Releases the GIL until [`Attachment::resume`].
    pub(crate) fn pause(&self) {
        // SAFETY: the thread is attached by this very state.
        unsafe {
            ffi::PyEval_SaveThread();
        }
    }

    /// Takes the GIL again after [`Attachment::pause`].
    pub(crate) fn resume(&self) {
        // SAFETY: the state is this thread's and was paused by it.
        unsafe { ffi::PyEval_RestoreThread(self.0) }
    }
}
