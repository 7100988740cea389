//! The Python type `Matrix`, and how a matrix leaves one interpreter and enters another.
//!
//! The value codec needs three things of a matrix object, and knows nothing else of it.

use crate::py::{Obj, Result};
use crate::state::State;

/// A matrix outside any interpreter.
#[derive(Clone)]
pub(crate) enum Matrix {}

/// Whether the object is a matrix that could move now: `None` if it is no matrix, an error if it
/// moved away already or has a live export.
pub(crate) fn check(_state: &State, _object: &Obj) -> Option<Result<()>> {
    None
}

/// Takes the buffer out of a matrix object; the object says from then on that it moved.
pub(crate) fn take(_state: &State, _object: &Obj) -> Option<Result<Matrix>> {
    None
}

/// A matrix object around the buffer.
pub(crate) fn new_object(_state: &State, matrix: Matrix) -> Result<Obj> {
    match matrix {}
}
