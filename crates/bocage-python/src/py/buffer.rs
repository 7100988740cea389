//! The buffer protocol, both ways.

use std::ffi::{c_int, c_void};

use pyo3_ffi as ffi;

use super::class::This;
use super::slot::Slot;
use super::{Attached, Error, Obj, Payload, Result, entry};

/// A contiguous buffer lent by an object, given back on drop. Not `Send`: the view holds a pointer.
pub(crate) struct Buffer {
    view: Box<ffi::Py_buffer>,
}

impl Buffer {
    /// Asks `object` for its content as contiguous bytes.
    pub(crate) fn of(object: &Obj) -> Result<Buffer> {
        Buffer::with_flags(object, ffi::PyBUF_SIMPLE)
    }

    /// Asks `object` for a buffer with those `PyBUF_` flags.
    pub(crate) fn with_flags(object: &Obj, flags: c_int) -> Result<Buffer> {
        let mut view = Box::new(ffi::Py_buffer::new());
        // SAFETY: the object is alive; the view stays where it is (boxed) until it is released.
        let status = unsafe { ffi::PyObject_GetBuffer(object.as_ptr(), &mut *view, flags) };
        Error::check(object.py(), status)?;
        Ok(Buffer { view })
    }

    /// The view as CPython filled it.
    pub(crate) fn view(&self) -> &ffi::Py_buffer {
        &self.view
    }

    /// Whether the exporter forbids writing.
    pub(crate) fn is_readonly(&self) -> bool {
        self.view.readonly != 0
    }

    /// The bytes of a contiguous buffer.
    pub(crate) fn bytes(&self) -> &[u8] {
        if self.view.len == 0 {
            return &[];
        }
        // SAFETY: the exporter keeps `len` bytes at `buf` while the view is held. Python code could
        // write to them meanwhile, but none runs while the slice is in use: callers copy at once.
        unsafe { std::slice::from_raw_parts(self.view.buf.cast(), self.view.len as usize) }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: the view was filled by PyObject_GetBuffer and is released once.
        unsafe { ffi::PyBuffer_Release(&mut *self.view) }
    }
}

/// A view that an instance exports. Shape and strides, where asked for, live in the payload or in a
/// box that `release` frees.
pub(crate) type View = ffi::Py_buffer;

/// The two buffer slots. `get` fills the view but for `obj`, which is set here; `release` undoes it.
pub(crate) const fn buffer<T, G, R>(_get: G, _release: R) -> [Slot; 2]
where
    T: Payload,
    G: Fn(This<'_, T>, &mut View, c_int) -> Result<()> + Copy,
    R: Fn(This<'_, T>, &mut View) + Copy,
{
    unsafe extern "C" fn run_get<T, G>(this: *mut ffi::PyObject, view: *mut ffi::Py_buffer, flags: c_int) -> c_int
    where
        T: Payload,
        G: Fn(This<'_, T>, &mut View, c_int) -> Result<()> + Copy,
    {
        // SAFETY: CPython gives a view to fill, whose `obj` must be null on failure and an owned
        // reference to the exporter on success.
        unsafe { (*view).obj = std::ptr::null_mut() };
        entry::guarded(-1, |_| {
            // SAFETY: CPython calls a slot of a type with an instance of it.
            unsafe {
                entry::function::<G>()(This::new(this), &mut *view, flags)?;
                (*view).obj = Obj::from_borrowed(this).into_ptr();
            }
            Ok(0)
        })
    }
    unsafe extern "C" fn run_release<T, R>(this: *mut ffi::PyObject, view: *mut ffi::Py_buffer)
    where
        T: Payload,
        R: Fn(This<'_, T>, &mut View) + Copy,
    {
        entry::guarded((), |_| {
            // SAFETY: as above; CPython itself gives back the reference in `obj`.
            unsafe { entry::function::<R>()(This::new(this), &mut *view) };
            Ok(())
        });
    }
    [
        Slot(ffi::PyType_Slot {
            slot: ffi::Py_bf_getbuffer,
            pfunc: run_get::<T, G> as ffi::getbufferproc as *mut c_void,
        }),
        Slot(ffi::PyType_Slot {
            slot: ffi::Py_bf_releasebuffer,
            pfunc: run_release::<T, R> as ffi::releasebufferproc as *mut c_void,
        }),
    ]
}

/// `memoryview(object)`.
pub(crate) fn memoryview(object: &Obj) -> Result<Obj> {
    // SAFETY: the object is alive.
    unsafe { Obj::from_result(object.py(), ffi::PyMemoryView_FromObject(object.as_ptr())) }
}

/// Calls `use_view` with a read-only memoryview of the bytes, which is released afterwards: whoever
/// kept it can't read from it any more. `release` is that method's interned name.
pub(crate) fn lend<R>(
    py: Attached,
    bytes: &[u8],
    release: &Obj,
    use_view: impl FnOnce(&Obj) -> Result<R>,
) -> Result<R> {
    // SAFETY: the view is read-only and is released, or known to be unreachable, before `bytes`
    // can go; see below.
    let view = unsafe {
        Obj::from_result(
            py,
            ffi::PyMemoryView_FromMemory(bytes.as_ptr().cast_mut().cast(), bytes.len() as isize, ffi::PyBUF_READ),
        )?
    };
    let result = use_view(&view);
    match view.call_method(release, &[]) {
        Ok(_) => result,
        // Somebody took an export of the view and still has it, through the collector's lists: no
        // sound way leads on from there.
        Err(error) => {
            error.report(py, Some(&view));
            std::process::abort()
        }
    }
}
