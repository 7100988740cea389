//! The one aligned allocation that a matrix's elements live in.

use std::alloc::{Layout, alloc, dealloc};
use std::mem::MaybeUninit;
use std::ptr::NonNull;
use std::slice;

use crate::{Error, Shape};

/// A cache line, and the widest vector register (AVX-512): a row-major walk from the start never
/// splits a vector load over two lines.
pub(crate) const ALIGNMENT: usize = 64;

/// `length` initialised `f64`s at an address that is a multiple of [`ALIGNMENT`].
///
/// Invariant, kept by the constructors and by nobody else touching the fields: `pointer` owns a
/// live allocation of `layout(length)` whose every element is initialised.
pub(crate) struct Buffer {
    pointer: NonNull<f64>,
    length: usize,
}

// SAFETY: a `Buffer` is the only owner of its allocation, as a `Box<[f64]>` would be, and the
// global allocator frees from any thread.
unsafe impl Send for Buffer {}
// SAFETY: through a shared `Buffer` the elements can only be read.
unsafe impl Sync for Buffer {}

/// `Shape::new` has bounded the size, so that neither the product nor rounding up to the
/// alignment overflows.
fn layout(length: usize) -> Layout {
    Layout::from_size_align(length * size_of::<f64>(), ALIGNMENT).expect("a Shape bounds its length")
}

impl Buffer {
    /// Allocates for `shape` and has `fill` write the elements, which saves writing zeros first.
    ///
    /// # Safety
    ///
    /// If `fill` returns, it has initialised the whole slice.
    #[inline]
    pub(crate) unsafe fn filled_by(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f64>])) -> Result<Buffer, Error> {
        let length = shape.len();
        let layout = layout(length);
        // SAFETY: a shape is never empty, so neither is the layout.
        let pointer = unsafe { alloc(layout) }.cast::<f64>();
        let Some(pointer) = NonNull::new(pointer) else {
            return Err(Error::Memory { bytes: layout.size() });
        };
        // Made first, so that the allocation is freed if `fill` panics: `f64` has no drop glue
        // that could look at uninitialised elements.
        let buffer = Buffer { pointer, length };
        // SAFETY: the allocation holds `length` elements and nobody else knows it;
        // `MaybeUninit` asks for no initialised content.
        fill(unsafe { slice::from_raw_parts_mut(pointer.as_ptr().cast(), length) });
        Ok(buffer)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[f64] {
        // SAFETY: the type's invariant; `&self` rules out a writer.
        unsafe { slice::from_raw_parts(self.pointer.as_ptr(), self.length) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f64] {
        // SAFETY: the type's invariant; `&mut self` rules out everybody else.
        unsafe { slice::from_raw_parts_mut(self.pointer.as_ptr(), self.length) }
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut f64 {
        self.pointer.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant this is the allocation and the layout it was made with.
        unsafe { dealloc(self.pointer.as_ptr().cast(), layout(self.length)) }
    }
}

/// Views initialised elements as a place for new ones, so that a kernel has one signature for a
/// fresh buffer and for `out`.
///
/// # Safety
///
/// Through the result only initialised values are written.
#[inline]
pub(crate) unsafe fn as_place(elements: &mut [f64]) -> &mut [MaybeUninit<f64>] {
    // SAFETY: `MaybeUninit<f64>` has the layout of `f64`; the borrow passes on to the result.
    unsafe { slice::from_raw_parts_mut(elements.as_mut_ptr().cast(), elements.len()) }
}

/// Initialises `place` with a copy of `elements`.
///
/// # Panics
///
/// If the lengths differ.
#[inline]
pub(crate) fn write_copy(place: &mut [MaybeUninit<f64>], elements: &[f64]) {
    assert_eq!(place.len(), elements.len());
    for (slot, &element) in place.iter_mut().zip(elements) {
        slot.write(element);
    }
}
