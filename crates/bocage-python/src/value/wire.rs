//! The bytes of a graph: tags, numbers, lengths.
//!
//! An object is a tag and what the tag says; a container is its head and then its items. Lengths are
//! variable-length integers (7 bits a byte, low ones first). A tag may be preceded by [`SHARE`], which
//! gives the object that follows the next number of the memo; [`AGAIN`] refers to such a number. The
//! bytes never leave the process, so numbers are in native order and there is no version.

use crate::py::{Error, Result};

/// The next object gets the next number of the memo.
pub(super) const SHARE: u8 = 0;
/// The object of that number (length).
pub(super) const AGAIN: u8 = 1;
pub(super) const NONE: u8 = 2;
pub(super) const TRUE: u8 = 3;
pub(super) const FALSE: u8 = 4;
pub(super) const ELLIPSIS: u8 = 5;
pub(super) const NOT_IMPLEMENTED: u8 = 6;
/// An int of one byte.
pub(super) const INT_1: u8 = 7;
/// An int of four bytes.
pub(super) const INT_4: u8 = 8;
/// An int of eight bytes.
pub(super) const INT_8: u8 = 9;
/// Length, then two's complement, low byte first.
pub(super) const BIG_INT: u8 = 10;
/// Eight bytes.
pub(super) const FLOAT: u8 = 11;
/// Twice eight bytes.
pub(super) const COMPLEX: u8 = 12;
/// Length in bytes, then the characters. `TEXT + width`: four tags.
pub(super) const TEXT: u8 = 13;
/// Length, then content.
pub(super) const BYTES: u8 = 17;
/// Length, then content.
pub(super) const BYTE_ARRAY: u8 = 18;
/// Length, then items.
pub(super) const LIST: u8 = 19;
/// Length, then items.
pub(super) const TUPLE: u8 = 20;
/// Length, then key, value, key, value ...
pub(super) const DICT: u8 = 21;
/// Length, then members.
pub(super) const SET: u8 = 22;
/// Length, then members.
pub(super) const FROZEN_SET: u8 = 23;
/// Three objects.
pub(super) const SLICE: u8 = 24;
/// Three objects.
pub(super) const RANGE: u8 = 25;
/// Index of a handle (length).
pub(super) const HANDLE: u8 = 26;

/// Appends a length.
#[inline]
pub(super) fn put_length(out: &mut Vec<u8>, mut length: usize) {
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
}

/// Appends an int in as few bytes as it needs.
#[inline]
pub(super) fn put_int(out: &mut Vec<u8>, value: i64) {
    if let Ok(small) = i8::try_from(value) {
        out.extend_from_slice(&[INT_1, small as u8]);
    } else if let Ok(middle) = i32::try_from(value) {
        let [a, b, c, d] = middle.to_ne_bytes();
        out.extend_from_slice(&[INT_4, a, b, c, d]);
    } else {
        out.push(INT_8);
        out.extend_from_slice(&value.to_ne_bytes());
    }
}

/// Reads what was put.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    /// From the first byte.
    pub(super) fn new(bytes: &'a [u8]) -> Reader<'a> {
        Reader { bytes }
    }

    #[cold]
    fn torn() -> Error {
        Error::system_error("a value's bytes end too early")
    }

    /// The next byte.
    #[inline]
    pub(super) fn byte(&mut self) -> Result<u8> {
        let (first, rest) = self.bytes.split_first().ok_or_else(Reader::torn)?;
        self.bytes = rest;
        Ok(*first)
    }

    /// The next `length` bytes.
    #[inline]
    pub(super) fn take(&mut self, length: usize) -> Result<&'a [u8]> {
        let (taken, rest) = self.bytes.split_at_checked(length).ok_or_else(Reader::torn)?;
        self.bytes = rest;
        Ok(taken)
    }

    #[inline]
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (taken, rest) = self.bytes.split_first_chunk().ok_or_else(Reader::torn)?;
        self.bytes = rest;
        Ok(*taken)
    }

    /// A length.
    #[inline]
    pub(super) fn length(&mut self) -> Result<usize> {
        let mut length = 0;
        for shift in (0..usize::BITS).step_by(7) {
            let byte = self.byte()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(length);
            }
        }
        Err(Reader::torn())
    }

    /// An int of four bytes.
    #[inline]
    pub(super) fn int_4(&mut self) -> Result<i64> {
        Ok(i64::from(i32::from_ne_bytes(self.array()?)))
    }

    /// An int of eight bytes.
    #[inline]
    pub(super) fn int_8(&mut self) -> Result<i64> {
        Ok(i64::from_ne_bytes(self.array()?))
    }

    /// A float.
    #[inline]
    pub(super) fn float(&mut self) -> Result<f64> {
        Ok(f64::from_ne_bytes(self.array()?))
    }
}
