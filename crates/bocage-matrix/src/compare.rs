//! Order, equality and closeness.

use std::cmp::Ordering;

use crate::{Error, Matrix, Operand};

impl Matrix {
    /// Compares element by element in row-major order; the first pair of which one is smaller
    /// decides. A pair with a NaN in it never does, so that matrices of NaN are equal to all
    /// others of their shape. A number stands for a matrix of it.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] unless the shapes are equal.
    pub fn lexicographic<'a>(&self, other: impl Into<Operand<'a>>) -> Result<Ordering, Error> {
        let first = |pair: (f64, f64)| match pair.0.partial_cmp(&pair.1) {
            None | Some(Ordering::Equal) => None,
            decided => decided,
        };
        let left = self.as_slice().iter().copied();
        let decided = match other.into() {
            Operand::Scalar(number) => left.zip(std::iter::repeat(number)).find_map(first),
            Operand::Matrix(other) => {
                other.shape().must_be("the other operand", self.shape())?;
                left.zip(other.as_slice().iter().copied()).find_map(first)
            }
        };
        Ok(decided.unwrap_or(Ordering::Equal))
    }

    /// Whether the shapes are equal and each element `l` is within
    /// `absolute + relative * |r|` of its counterpart `r` in `other`. Equal infinities are close;
    /// NaNs are close to each other if `equal_nan` says so.
    pub fn allclose(&self, other: &Matrix, relative: f64, absolute: f64, equal_nan: bool) -> bool {
        let close = |(&l, &r): (&f64, &f64)| {
            if l.is_nan() || r.is_nan() {
                equal_nan && l.is_nan() && r.is_nan()
            } else if l.is_infinite() || r.is_infinite() {
                l == r
            } else {
                (l - r).abs() <= absolute + relative * r.abs()
            }
        };
        self.shape() == other.shape() && self.as_slice().iter().zip(other.as_slice()).all(close)
    }
}

/// Equal shapes and, as for `f64`, equal elements: a NaN is equal to nothing. See
/// [`Matrix::lexicographic`] for the comparison that passes over NaNs.
impl PartialEq for Matrix {
    fn eq(&self, other: &Matrix) -> bool {
        self.shape() == other.shape() && self.as_slice() == other.as_slice()
    }
}
