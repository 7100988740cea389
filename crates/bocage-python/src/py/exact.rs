//! Objects of exact builtin types, looked at without running Python code.
//!
//! [`Still`] stands for a stretch of work during which no Python code runs: no call into Python, no
//! reference given back that could be the last. Under the GIL nothing changes then, so containers can
//! be walked by borrowed references.

use std::marker::PhantomData;

use pyo3_ffi as ffi;

use super::{Obj, Ref, Result, version};

/// An exact builtin type (never a subclass), or another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs)]
pub(crate) enum Exact {
    None,
    Bool,
    Int,
    Float,
    Complex,
    Str,
    Bytes,
    ByteArray,
    List,
    Tuple,
    Dict,
    Set,
    FrozenSet,
    Range,
    Slice,
    Ellipsis,
    NotImplemented,
    Other,
}

impl Obj {
    /// Which builtin type this object is of, the most frequent ones told first.
    #[inline]
    pub(crate) fn exact(&self) -> Exact {
        let class = self.type_ptr();
        macro_rules! told {
            ($($type:ident => $exact:ident,)*) => {
                $(if class == &raw mut ffi::$type { return Exact::$exact; })*
            };
        }
        told! {
            PyUnicode_Type => Str,
            PyLong_Type => Int,
            PyFloat_Type => Float,
            PyList_Type => List,
            PyDict_Type => Dict,
            PyTuple_Type => Tuple,
        }
        // SAFETY: the singletons exist while a thread is attached.
        unsafe {
            if self.as_ptr() == ffi::Py_None() {
                return Exact::None;
            }
            told! {
                PyBool_Type => Bool,
                PyBytes_Type => Bytes,
                PySet_Type => Set,
                PyFrozenSet_Type => FrozenSet,
                PyByteArray_Type => ByteArray,
                PyComplex_Type => Complex,
                PyRange_Type => Range,
                PySlice_Type => Slice,
            }
            if self.as_ptr() == ffi::Py_Ellipsis() {
                return Exact::Ellipsis;
            }
            if self.as_ptr() == ffi::Py_NotImplemented() {
                return Exact::NotImplemented;
            }
        }
        Exact::Other
    }

    /// Whether this is a `memoryview`.
    pub(crate) fn is_memoryview(&self) -> bool {
        self.type_ptr() == &raw mut ffi::PyMemoryView_Type
    }
}

/// How the characters of a `str` are stored. Lone surrogates are characters like others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Width {
    /// One byte each, all below 128.
    Ascii = 0,
    /// One byte each.
    Latin1 = 1,
    /// Two bytes each.
    Two = 2,
    /// Four bytes each.
    Four = 3,
}

impl Width {
    /// Bytes a character.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Width::Ascii | Width::Latin1 => 1,
            Width::Two => 2,
            Width::Four => 4,
        }
    }

    /// The width with that discriminant.
    pub(crate) const fn from_u8(value: u8) -> Option<Width> {
        match value {
            0 => Some(Width::Ascii),
            1 => Some(Width::Latin1),
            2 => Some(Width::Two),
            3 => Some(Width::Four),
            _ => None,
        }
    }

    const fn largest(self) -> u32 {
        match self {
            Width::Ascii => 0x7f,
            Width::Latin1 => 0xff,
            Width::Two => 0xffff,
            Width::Four => 0x10_ffff,
        }
    }
}

/// A `str` from its stored characters; their number is `bytes.len() / width.bytes()`.
///
/// # Panics
/// If the bytes are no whole number of characters.
#[inline]
pub(crate) fn new_str(py: super::Attached, width: Width, bytes: &[u8]) -> Result<Obj> {
    let characters = bytes.len() / width.bytes();
    assert_eq!(characters * width.bytes(), bytes.len());
    // SAFETY: a new str of that many characters of that width has room for just these bytes, and
    // nobody else refers to it. The characters come from a str of the same width, so they keep to
    // its largest. Single one-byte characters are shared by CPython, so they aren't written to.
    unsafe {
        if characters == 1 && width.bytes() == 1 {
            return Obj::from_result(py, ffi::PyUnicode_FromOrdinal(i32::from(bytes[0])));
        }
        let text = Obj::from_result(py, ffi::PyUnicode_New(characters as isize, width.largest()))?;
        if characters > 0 {
            std::ptr::copy_nonoverlapping(
                bytes.as_ptr(),
                version::compact_data(text.as_ptr(), width == Width::Ascii),
                bytes.len(),
            );
        }
        Ok(text)
    }
}

/// A `bytearray` with this content.
pub(crate) fn new_bytearray(py: super::Attached, bytes: &[u8]) -> Result<Obj> {
    // SAFETY: pointer and length are of one slice, which fits isize.
    unsafe { Obj::from_result(py, ffi::PyByteArray_FromStringAndSize(bytes.as_ptr().cast(), bytes.len() as isize)) }
}

/// A `complex`.
pub(crate) fn new_complex(py: super::Attached, real: f64, imag: f64) -> Result<Obj> {
    // SAFETY: the thread is attached.
    unsafe { Obj::from_result(py, ffi::PyComplex_FromDoubles(real, imag)) }
}

/// An `int` from its two's complement in little-endian bytes.
pub(crate) fn new_big_int(py: super::Attached, bytes: &[u8]) -> Result<Obj> {
    // SAFETY: pointer and length are of one slice.
    unsafe { Obj::from_result(py, version::int_from_bytes(bytes)) }
}

/// A stretch of work during which no Python code runs.
#[derive(Clone, Copy)]
pub(crate) struct Still<'a>(PhantomData<&'a Obj>);

impl<'a> Still<'a> {
    /// # Safety
    /// Until the last use of what is borrowed through this (`'a`), no Python code may run on this
    /// thread and the GIL may not be released.
    pub(crate) unsafe fn assume(_root: &'a Obj) -> Still<'a> {
        Still(PhantomData)
    }

    /// The value of an `int`, if it fits.
    #[inline]
    pub(crate) fn int(self, object: Ref<'a>) -> Option<i64> {
        let mut overflow = 0;
        // SAFETY: the caller has told the type; for an exact int this can't fail otherwise.
        let value = unsafe { ffi::PyLong_AsLongLongAndOverflow(object.as_ptr(), &mut overflow) };
        (overflow == 0).then_some(value)
    }

    /// Appends the two's complement of an `int` in little-endian bytes, as few as keep its sign.
    pub(crate) fn big_int(self, object: Ref<'a>, out: &mut Vec<u8>) -> Result<()> {
        // SAFETY: the caller has told the type: an exact int.
        unsafe { version::int_to_bytes(object.py(), object.as_ptr(), out) }
    }

    /// The value of an exact `float`.
    #[inline]
    pub(crate) fn float(self, object: Ref<'a>) -> f64 {
        debug_assert_eq!(object.exact(), Exact::Float);
        // SAFETY: for an exact float this reads its field and can't fail.
        unsafe { ffi::PyFloat_AsDouble(object.as_ptr()) }
    }

    /// Real and imaginary part of an exact `complex`.
    pub(crate) fn complex(self, object: Ref<'a>) -> (f64, f64) {
        debug_assert_eq!(object.exact(), Exact::Complex);
        // SAFETY: for an exact complex these read its fields and can't fail.
        unsafe { (ffi::PyComplex_RealAsDouble(object.as_ptr()), ffi::PyComplex_ImagAsDouble(object.as_ptr())) }
    }

    /// The stored characters of an exact `str`.
    #[inline]
    pub(crate) fn text(self, object: Ref<'a>) -> (Width, &'a [u8]) {
        debug_assert_eq!(object.exact(), Exact::Str);
        // SAFETY: an exact str, which is immutable and alive for 'a.
        unsafe { version::str_data(object.as_ptr()) }
    }

    /// The content of an exact `bytes`.
    #[inline]
    pub(crate) fn bytes(self, object: Ref<'a>) -> &'a [u8] {
        debug_assert_eq!(object.exact(), Exact::Bytes);
        // SAFETY: an exact bytes, which is immutable and alive for 'a.
        unsafe {
            std::slice::from_raw_parts(
                ffi::PyBytes_AsString(object.as_ptr()).cast(),
                ffi::PyBytes_Size(object.as_ptr()) as usize,
            )
        }
    }

    /// The content of an exact `bytearray`.
    pub(crate) fn bytearray(self, object: Ref<'a>) -> &'a [u8] {
        debug_assert_eq!(object.exact(), Exact::ByteArray);
        // SAFETY: an exact bytearray, which nobody changes while all is still.
        unsafe {
            std::slice::from_raw_parts(
                ffi::PyByteArray_AsString(object.as_ptr()).cast(),
                ffi::PyByteArray_Size(object.as_ptr()) as usize,
            )
        }
    }

    /// The items of an exact `list`.
    #[inline]
    pub(crate) fn list(self, object: Ref<'a>) -> &'a [Ref<'a>] {
        debug_assert_eq!(object.exact(), Exact::List);
        // SAFETY: an exact list, which nobody changes while all is still; a list in the hands of
        // Python code has no null slot; `Ref` is transparent over an object pointer.
        unsafe {
            let list = object.as_ptr().cast::<ffi::PyListObject>();
            let length = ffi::PyList_GET_SIZE(object.as_ptr()) as usize;
            if length == 0 {
                return &[];
            }
            std::slice::from_raw_parts((*list).ob_item.cast::<Ref<'a>>(), length)
        }
    }

    /// The items of an exact `tuple`.
    #[inline]
    pub(crate) fn tuple(self, object: Ref<'a>) -> &'a [Ref<'a>] {
        debug_assert_eq!(object.exact(), Exact::Tuple);
        // SAFETY: an exact tuple, alive for 'a; otherwise as for the list.
        unsafe {
            let tuple = object.as_ptr().cast::<ffi::PyTupleObject>();
            let items = (&raw const (*tuple).ob_item).cast::<Ref<'a>>();
            std::slice::from_raw_parts(items, ffi::PyTuple_GET_SIZE(object.as_ptr()) as usize)
        }
    }

    /// Start, stop and step of an exact `slice`.
    pub(crate) fn slice(self, object: Ref<'a>) -> &'a [Ref<'a>] {
        debug_assert_eq!(object.exact(), Exact::Slice);
        // SAFETY: an exact slice is immutable; its three fields follow each other, none is null.
        unsafe {
            let slice = object.as_ptr().cast::<ffi::PySliceObject>();
            std::slice::from_raw_parts((&raw const (*slice).start).cast::<Ref<'a>>(), 3)
        }
    }

    /// How many entries an exact `dict`, `set` or `frozenset` has.
    #[inline]
    pub(crate) fn entries(self, object: Ref<'a>) -> usize {
        // SAFETY: for these exact types the size can't fail.
        unsafe {
            match object.exact() {
                Exact::Dict => ffi::PyDict_Size(object.as_ptr()) as usize,
                _ => ffi::PySet_Size(object.as_ptr()) as usize,
            }
        }
    }

    /// The entry of an exact `dict` at `position`, which moves on.
    #[inline]
    pub(crate) fn next_pair(self, object: Ref<'a>, position: &mut isize) -> Option<(Ref<'a>, Ref<'a>)> {
        debug_assert_eq!(object.exact(), Exact::Dict);
        let (mut key, mut value) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: an exact dict, which nobody changes while all is still, and which keeps both
        // alive.
        unsafe {
            if ffi::PyDict_Next(object.as_ptr(), position, &mut key, &mut value) == 0 {
                return None;
            }
            Some((Ref::from_ptr(key), Ref::from_ptr(value)))
        }
    }

    /// The members of an exact `set` or `frozenset`.
    pub(crate) fn members(self, object: Ref<'a>) -> Result<Vec<Ref<'a>>> {
        debug_assert!(matches!(object.exact(), Exact::Set | Exact::FrozenSet));
        let mut members = Vec::with_capacity(self.entries(object));
        // The iterator of an exact set runs no Python code.
        let iterator = object.iter()?;
        while let Some(member) = iterator.next()? {
            // SAFETY: the set keeps its member alive for 'a, since nobody changes it; so giving
            // back the iterator's reference is never the last.
            members.push(unsafe { Ref::from_ptr(member.as_ptr()) });
        }
        Ok(members)
    }
}
