//! Python exceptions as Rust errors.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ffi::c_int;

use pyo3_ffi as ffi;

use super::{Attached, Obj, Ref};

/// What everything here returns.
pub(crate) type Result<T> = std::result::Result<T, Error>;

/// A Python exception: taken out of the thread, or still to be made.
///
/// While one of these exists nothing is pending in the thread. It becomes pending in
/// [`Error::restore`], which the trampolines call on the way back into CPython.
#[derive(Debug)]
pub(crate) enum Error {
    /// An exception object.
    Raised(Obj),
    /// An exception of a builtin type, made when it is needed.
    New(Kind, Cow<'static, str>),
}

macro_rules! kinds {
    ($($kind:ident = $symbol:ident, $make:ident;)*) => {
        /// The builtin exception types that this crate raises.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[allow(clippy::enum_variant_names)]
        pub(crate) enum Kind {
            $(#[allow(missing_docs)] $kind,)*
        }

        impl Kind {
            /// The exception type.
            pub(crate) fn class<'a>(self, _py: Attached) -> Ref<'a> {
                // SAFETY: builtin exception types are set up before any thread is attached and
                // outlive every interpreter's use of them.
                unsafe { Ref::from_ptr(match self { $(Kind::$kind => ffi::$symbol,)* }) }
            }
        }

        impl Error {
            $(
                /// An exception of that type with this message.
                #[allow(dead_code, reason = "some kinds are only looked for")]
                pub(crate) fn $make(message: impl Into<Cow<'static, str>>) -> Error {
                    Error::New(Kind::$kind, message.into())
                }
            )*
        }
    };
}

kinds! {
    AttributeError = PyExc_AttributeError, attribute_error;
    BaseException = PyExc_BaseException, base_exception;
    BufferError = PyExc_BufferError, buffer_error;
    ImportError = PyExc_ImportError, import_error;
    IndexError = PyExc_IndexError, index_error;
    KeyError = PyExc_KeyError, key_error;
    MemoryError = PyExc_MemoryError, memory_error;
    OverflowError = PyExc_OverflowError, overflow_error;
    RecursionError = PyExc_RecursionError, recursion_error;
    RuntimeError = PyExc_RuntimeError, runtime_error;
    SystemError = PyExc_SystemError, system_error;
    TimeoutError = PyExc_TimeoutError, timeout_error;
    TypeError = PyExc_TypeError, type_error;
    ValueError = PyExc_ValueError, value_error;
}

impl Error {
    /// Takes the pending exception out of the thread.
    pub(crate) fn fetch(_py: Attached) -> Error {
        // SAFETY: the thread is attached.
        match unsafe { Ref::from_ptr_or_null(ffi::PyErr_GetRaisedException()) } {
            // SAFETY: PyErr_GetRaisedException gave an owned reference.
            Some(exception) => Error::Raised(unsafe { Obj::from_owned(exception.as_ptr()) }),
            None => Error::system_error("an operation failed without setting an exception"),
        }
    }

    /// Turns a C status (negative on failure, with an exception set) into a result.
    pub(crate) fn check(py: Attached, status: c_int) -> Result<c_int> {
        if status < 0 { Err(Error::fetch(py)) } else { Ok(status) }
    }

    /// Makes this the thread's pending exception, on the way back into CPython.
    pub(crate) fn restore(self, py: Attached) {
        set(self.into_chained(py));
    }

    /// The exception object, in the context of the exception that the thread handles.
    pub(crate) fn into_chained(self, py: Attached) -> Obj {
        let exception = self.into_object(py);
        chain(&exception);
        exception
    }

    /// The exception object, made now if it wasn't yet.
    pub(crate) fn into_object(self, py: Attached) -> Obj {
        let (kind, message) = match self {
            Error::Raised(object) if object.is_instance_of(&Kind::BaseException.class(py)) => return object,
            // CPython trusts its C code in this: anything else would break it.
            Error::Raised(object) => {
                let message =
                    format!("exceptions must derive from BaseException, which {} doesn't", object.type_name());
                (Kind::TypeError, message.into())
            }
            Error::New(kind, message) => (kind, message),
        };
        let made = Obj::text(py, &message).and_then(|text| kind.class(py).call(&[(&text).into()]));
        match made {
            Ok(exception) => exception,
            // No memory for the exception: raise what the failure left instead.
            Err(Error::Raised(exception)) => exception,
            Err(Error::New(..)) => {
                // SAFETY: the thread is attached; PyErr_NoMemory uses a preallocated exception.
                unsafe {
                    ffi::PyErr_NoMemory();
                    Obj::from_owned(ffi::PyErr_GetRaisedException())
                }
            }
        }
    }

    /// Whether the exception is an instance of that builtin type.
    pub(crate) fn matches(&self, py: Attached, kind: Kind) -> bool {
        match self {
            Error::Raised(object) => object.is_instance_of(&kind.class(py)),
            // SAFETY: both are type objects.
            Error::New(own, _) => unsafe {
                ffi::PyType_IsSubtype(own.class(py).as_ptr().cast(), kind.class(py).as_ptr().cast()) != 0
            },
        }
    }

    /// The exception object, also kept here.
    pub(crate) fn to_object(&self, py: Attached) -> Obj {
        match self {
            Error::Raised(object) => Error::Raised(object.clone()).into_object(py),
            Error::New(kind, message) => Error::New(*kind, message.clone()).into_object(py),
        }
    }

    /// Type and message, as the last line of a traceback.
    pub(crate) fn describe(&self, py: Attached) -> String {
        let object = self.to_object(py);
        format!("{}: {}", object.type_name(), object.display())
    }

    /// Prints the exception with its traceback to `sys.stderr`.
    pub(crate) fn print(self, py: Attached) {
        let object = self.into_object(py);
        // SAFETY: the exception object is alive.
        unsafe { ffi::PyErr_DisplayException(object.as_ptr()) }
    }

    /// Reports the exception on `sys.unraisablehook`, for a place that can't raise it.
    pub(crate) fn report(self, py: Attached, context: Option<&Obj>) {
        // Not chained: what the thread handles just now has nothing to do with it.
        set(self.into_object(py));
        // SAFETY: an exception is pending, and `context` is alive or null.
        unsafe { ffi::PyErr_WriteUnraisable(context.map_or(std::ptr::null_mut(), Obj::as_ptr)) }
    }
}

/// Makes an exception the thread's pending one.
fn set(exception: Obj) {
    // SAFETY: PyErr_SetRaisedException takes over the owned reference; the thread is attached, as it has an object.
    unsafe { ffi::PyErr_SetRaisedException(exception.into_ptr()) }
}

/// Makes the exception that the thread handles, in an `except`, a `finally` or an `__exit__`, the context of
/// `exception`, as `raise` does.
///
/// One that has a context of its own, as a behavior's may, keeps it: what is handled becomes the context of the
/// last in its chain, as if the behavior's body had been called here.
fn chain(exception: &Obj) {
    let Some(handled) = handled(exception.py()) else { return };
    let mut seen = HashSet::new();
    let mut last = exception.clone();
    loop {
        // A circle has no end to chain anything to.
        if last.is(&handled) || !seen.insert(last.as_ptr()) {
            return;
        }
        match context(&last) {
            Some(next) => last = next,
            None => break,
        }
    }
    // What is handled may have come of this very exception: then the chain is cut there, or it would be a circle.
    let mut passed = HashSet::new();
    let mut before = handled.clone();
    while passed.insert(before.as_ptr())
        && let Some(next) = context(&before)
    {
        if seen.contains(&next.as_ptr()) {
            set_context(&before, None);
            break;
        }
        before = next;
    }
    set_context(&last, Some(handled));
}

/// The exception that the thread handles.
fn handled(_py: Attached) -> Option<Obj> {
    // SAFETY: the thread is attached; the result is owned, or null.
    unsafe { owned_or_none(ffi::PyErr_GetHandledException()) }
}

/// `exception.__context__`
fn context(exception: &Obj) -> Option<Obj> {
    // SAFETY: an exception, which is alive; the result is owned, or null.
    unsafe { owned_or_none(ffi::PyException_GetContext(exception.as_ptr())) }
}

fn set_context(exception: &Obj, context: Option<Obj>) {
    // SAFETY: an exception, which is alive; the reference to the context is taken over.
    unsafe { ffi::PyException_SetContext(exception.as_ptr(), context.map_or(std::ptr::null_mut(), Obj::into_ptr)) }
}

/// # Safety
/// `ptr` must be an owned reference or null, on an attached thread.
unsafe fn owned_or_none(ptr: *mut ffi::PyObject) -> Option<Obj> {
    // SAFETY: the caller's promise.
    (!ptr.is_null()).then(|| unsafe { Obj::from_owned(ptr) })
}

impl std::fmt::Debug for Obj {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "<{} object at {:p}>", self.type_name(), self.as_ptr())
    }
}
