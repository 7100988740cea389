//! The buffer protocol, both ways, and `pickle` and `copy` on top of it.

use std::ffi::{CStr, c_int};

use bocage_matrix::{Matrix, Shape};
use pyo3_ffi as ffi;

use super::argument::missing;
use super::handle::Handle;
use super::new_object;
use crate::py::buffer::{Buffer, View};
use crate::py::{Args, Error, Obj, Ref, Result, Signature, This};
use crate::state::State;

const FORMAT: &CStr = c"d";
const ITEM: isize = size_of::<f64>() as isize;

/// Shape and strides of one export, which its consumer may read until it gives the buffer back.
struct Layout {
    shape: [isize; 2],
    strides: [isize; 2],
}

/// `memoryview(m)`, `numpy.asarray(m)`: the elements themselves, writable.
pub(super) fn get(this: This<'_, Handle>, view: &mut View, flags: c_int) -> Result<()> {
    let matrix = this.lend()?;
    let (rows, columns) = (matrix.rows() as isize, matrix.columns() as isize);
    let asks = |flag: c_int| flags & flag == flag;
    if asks(ffi::PyBUF_F_CONTIGUOUS) && !asks(ffi::PyBUF_ANY_CONTIGUOUS) && !matrix.shape().is_vector() {
        return Err(Error::buffer_error("a Matrix is row-major, not Fortran contiguous"));
    }
    let layout = Box::into_raw(Box::new(Layout { shape: [rows, columns], strides: [columns * ITEM, ITEM] }));
    // SAFETY: just made; freed by `release`, to which CPython hands back `internal` unchanged.
    let places = unsafe { (&raw mut (*layout).shape, &raw mut (*layout).strides) };
    view.internal = layout.cast();
    view.buf = matrix.as_ptr().cast();
    view.len = rows * columns * ITEM;
    view.itemsize = ITEM;
    view.readonly = 0;
    // CPython declares the format as mutable, and nobody may write to it.
    view.format = if asks(ffi::PyBUF_FORMAT) { FORMAT.as_ptr().cast_mut() } else { std::ptr::null_mut() };
    let shaped = asks(ffi::PyBUF_ND);
    view.ndim = if shaped { 2 } else { 1 };
    view.shape = if shaped { places.0.cast() } else { std::ptr::null_mut() };
    view.strides = if asks(ffi::PyBUF_STRIDES) { places.1.cast() } else { std::ptr::null_mut() };
    view.suboffsets = std::ptr::null_mut();
    this.export();
    Ok(())
}

/// The end of one export.
pub(super) fn release(this: This<'_, Handle>, view: &mut View) {
    let layout = std::mem::replace(&mut view.internal, std::ptr::null_mut());
    // SAFETY: CPython releases each view once, with the `internal` that `get` put there.
    drop(unsafe { Box::from_raw(layout.cast::<Layout>()) });
    this.end_export();
}

pub(super) const FROM_BUFFER_DOC: &CStr = c"from_buffer($type, obj)\n--\n\n\
    A Matrix with a copy of the elements of a buffer of numbers: an array.array, a NumPy array, a\n\
    memoryview. One dimension makes a row, two a matrix; rows and columns may be strided. Integers\n\
    and 32-bit floats are converted. TypeError for other elements, ValueError for more dimensions.";

static FROM_BUFFER: Signature<1> = Signature::new("from_buffer", ["obj"], 1);

pub(super) fn from_buffer(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(object)] = FROM_BUFFER.bind(&args)? else {
        return Err(missing());
    };
    let buffer = Buffer::with_flags(&object, ffi::PyBUF_STRIDED_RO | ffi::PyBUF_FORMAT)?;
    let matrix = read(buffer.view())?;
    // Giving the buffer back may run Python code of the exporter.
    drop(buffer);
    new_object(state, matrix)
}

/// How the elements of a buffer become `f64`.
type Read = unsafe fn(*const u8) -> f64;

/// The reader for a `struct` format of one native number.
fn reader(format: &[u8], size: isize) -> Option<Read> {
    /// # Safety
    /// A `T` can be read at `at`, aligned or not.
    unsafe fn read<T: Copy>(at: *const u8) -> T {
        // SAFETY: the caller's promise.
        unsafe { at.cast::<T>().read_unaligned() }
    }
    macro_rules! readers {
        ($($pattern:pat => $kind:ty,)*) => {
            match (format, size) {
                $($pattern => Some(|at| {
                    // SAFETY: the caller of the reader promises an element of this kind at `at`.
                    let element = unsafe { read::<$kind>(at) };
                    #[allow(clippy::cast_lossless, clippy::unnecessary_cast)]
                    { element as f64 }
                }),)*
                _ => None,
            }
        };
    }
    // Signed and unsigned letters differ in case; the size tells the platform's widths.
    readers! {
        (b"d", 8) => f64,
        (b"f", 4) => f32,
        (b"b", 1) => i8,
        (b"B" | b"?", 1) => u8,
        (b"h", 2) => i16,
        (b"H", 2) => u16,
        (b"i" | b"l", 4) => i32,
        (b"I" | b"L", 4) => u32,
        (b"l" | b"q" | b"n", 8) => i64,
        (b"L" | b"Q" | b"N", 8) => u64,
    }
}

fn read(view: &ffi::Py_buffer) -> Result<Matrix> {
    let format = if view.format.is_null() {
        c"B"
    } else {
        // SAFETY: the exporter keeps a NUL-terminated format while the view is held.
        unsafe { CStr::from_ptr(view.format) }
    };
    let native = match format.to_bytes() {
        [b'@' | b'=', rest @ ..] => rest,
        #[cfg(target_endian = "little")]
        [b'<', rest @ ..] => rest,
        #[cfg(target_endian = "big")]
        [b'>' | b'!', rest @ ..] => rest,
        format => format,
    };
    let Some(reader) = reader(native, view.itemsize) else {
        return Err(Error::type_error(format!(
            "the buffer's elements have format '{}', which is no native real number",
            format.to_string_lossy()
        )));
    };
    let dimensions = view.ndim as usize;
    let wrong_dimensions = || Error::value_error(format!("a Matrix has two dimensions, the buffer has {dimensions}"));
    if dimensions == 0 {
        return Err(wrong_dimensions());
    }
    // SAFETY: a strided view that is held has `ndim` lengths and strides.
    let (lengths, strides) = unsafe {
        (std::slice::from_raw_parts(view.shape, dimensions), std::slice::from_raw_parts(view.strides, dimensions))
    };
    let (rows, columns, down, across) = match (lengths, strides) {
        (&[columns], &[across]) => (1, columns, 0, across),
        (&[rows, columns], &[down, across]) => (rows, columns, down, across),
        _ => return Err(wrong_dimensions()),
    };
    let shape = Shape::new(rows as usize, columns as usize)?;
    let start = view.buf.cast::<u8>().cast_const();
    // SAFETY: the buffer has an element of the format at each index within its lengths, at the
    // offset that the strides say; no Python code runs meanwhile.
    Ok(Matrix::from_fn(shape, |i, j| unsafe { reader(start.offset(i as isize * down + j as isize * across)) })?)
}

/// `copy.copy(m)` and `copy.deepcopy(m)`.
pub(super) fn copy(this: This<'_, Handle>, _args: Args<'_>) -> Result<Obj> {
    let copy = this.lend()?.copy()?;
    new_object(this.state()?, copy)
}

pub(super) const REDUCE_DOC: &CStr = c"__reduce_ex__($self, protocol)\n--\n\n\
    For pickle: the elements, in native byte order. With protocol 5 the pickler may take them out of\n\
    band, without a copy.";

static REDUCE: Signature<1> = Signature::new("__reduce_ex__", ["protocol"], 1);

/// `(Matrix._from_elements, (rows, columns, elements))`.
pub(super) fn reduce(this: This<'_, Handle>, args: Args<'_>) -> Result<Obj> {
    let [Some(protocol)] = REDUCE.bind(&args)? else {
        return Err(missing());
    };
    let py = this.py();
    let shape = this.lend()?.shape();
    let elements = if protocol.to_i64()? >= 5 {
        py.import(c"pickle")?.attr(c"PickleBuffer")?.call1(&this.object())?
    } else {
        let buffer = Buffer::of(&this.object())?;
        Obj::bytes(py, buffer.bytes())?
    };
    let rows = py.uint(shape.rows() as u64)?;
    let columns = py.uint(shape.columns() as u64)?;
    let rebuild = this.state()?.matrix.object().attr(c"_from_elements")?;
    let arguments = Obj::tuple(py, [rows, columns, elements])?;
    Obj::tuple(py, [rebuild, arguments])
}

static REBUILD: Signature<3> = Signature::new("_from_elements", ["rows", "columns", "elements"], 3);

/// What [`reduce`] names.
pub(super) fn rebuild(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(rows), Some(columns), Some(elements)] = REBUILD.bind(&args)? else {
        return Err(missing());
    };
    let shape = super::argument::shape(&rows, &columns)?;
    let buffer = Buffer::of(&elements)?;
    let bytes = buffer.bytes();
    if bytes.len() != shape.len() * size_of::<f64>() {
        return Err(Error::value_error(format!(
            "a {shape} matrix takes {} bytes, not {}",
            shape.len() * size_of::<f64>(),
            bytes.len()
        )));
    }
    let mut chunks = bytes.chunks_exact(size_of::<f64>());
    let matrix = Matrix::from_fn(shape, |_, _| {
        let element = chunks.next().and_then(|chunk| chunk.try_into().ok());
        f64::from_ne_bytes(element.unwrap_or_default())
    })?;
    drop(buffer);
    new_object(state, matrix)
}
