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
/// The allocation is a little larger than that and aligned as the allocator likes it: allocators keep
/// small blocks of ordinary alignment at hand, and search for others.
///
/// Invariant, kept by the constructor and by nobody else touching the fields: `base` owns a live
/// allocation of `layout(length)`; `elements` points into it, has room for `length` elements there, and
/// all of them are initialised.
pub(crate) struct Buffer {
    elements: NonNull<f64>,
    length: usize,
    base: NonNull<u8>,
}

// SAFETY: a `Buffer` is the only owner of its allocation, as a `Box<[f64]>` would be, and the
// global allocator frees from any thread.
unsafe impl Send for Buffer {}
// SAFETY: through a shared `Buffer` the elements can only be read.
unsafe impl Sync for Buffer {}

/// `Shape::new` has bounded the size, so that neither the product nor the slack overflows.
fn layout(length: usize) -> Layout {
    let natural = align_of::<f64>();
    let slack = ALIGNMENT - natural;
    Layout::from_size_align(length * size_of::<f64>() + slack, natural).expect("a Shape bounds its length")
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
        let base = NonNull::new(unsafe { alloc(layout) });
        let base = base.ok_or(Error::Memory { bytes: layout.size() })?;
        // SAFETY: the way to the next multiple of the alignment is at most the slack of the layout,
        // since the base is aligned for `f64` already; so `length` elements fit behind it.
        let elements = unsafe { base.add(base.align_offset(ALIGNMENT)) }.cast::<f64>();
        // Made first, so that the allocation is freed if `fill` panics: `f64` has no drop glue
        // that could look at uninitialised elements.
        let buffer = Buffer { elements, length, base };
        // SAFETY: the allocation holds `length` elements here and nobody else knows it;
        // `MaybeUninit` asks for no initialised content.
        fill(unsafe { slice::from_raw_parts_mut(elements.as_ptr().cast(), length) });
        Ok(buffer)
    }

    #[inline]
    pub(crate) fn as_slice(&self) -> &[f64] {
        // SAFETY: the type's invariant; `&self` rules out a writer.
        unsafe { slice::from_raw_parts(self.elements.as_ptr(), self.length) }
    }

    #[inline]
    pub(crate) fn as_mut_slice(&mut self) -> &mut [f64] {
        // SAFETY: the type's invariant; `&mut self` rules out everybody else.
        unsafe { slice::from_raw_parts_mut(self.elements.as_ptr(), self.length) }
    }

    #[inline]
    pub(crate) fn as_ptr(&self) -> *mut f64 {
        self.elements.as_ptr()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        // SAFETY: by the type's invariant this is the allocation and the layout it was made with.
        unsafe { dealloc(self.base.as_ptr(), layout(self.length)) }
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
