//! The matrix itself: making one, and reaching its elements.

use std::mem::MaybeUninit;

use crate::buffer::{Buffer, write_copy};
use crate::index::resolve;
use crate::{Axis, Error, Shape};

/// A dense, row-major, two-dimensional matrix of `f64`, at least 1×1.
///
/// Moving the value moves a pointer and two lengths, whatever the size of the matrix; it is
/// `Send` and `Sync`. Making one allocates once; everything that can need memory returns
/// [`Error::Memory`] rather than aborting.
pub struct Matrix {
    buffer: Buffer,
    shape: Shape,
}

impl Matrix {
    /// A matrix whose elements are written by `fill`, in row-major order.
    ///
    /// # Safety
    ///
    /// If `fill` returns, it has initialised the whole slice.
    #[inline]
    pub(crate) unsafe fn filled_by(shape: Shape, fill: impl FnOnce(&mut [MaybeUninit<f64>])) -> Result<Matrix, Error> {
        // SAFETY: the caller's promise, passed on.
        let buffer = unsafe { Buffer::filled_by(shape, fill)? };
        Ok(Matrix { buffer, shape })
    }

    /// A matrix of that shape, every element `value`.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn full(shape: Shape, value: f64) -> Result<Matrix, Error> {
        // SAFETY: `fill` writes every element.
        unsafe {
            Matrix::filled_by(shape, |place| {
                place.fill(MaybeUninit::new(value));
            })
        }
    }

    /// A matrix of zeros.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn zeros(shape: Shape) -> Result<Matrix, Error> {
        Matrix::full(shape, 0.0)
    }

    /// A matrix of ones.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn ones(shape: Shape) -> Result<Matrix, Error> {
        Matrix::full(shape, 1.0)
    }

    /// The `n`×`n` identity.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`]; [`Error::Memory`].
    pub fn identity(n: usize) -> Result<Matrix, Error> {
        let mut matrix = Matrix::zeros(Shape::new(n, n)?)?;
        for element in matrix.as_mut_slice().iter_mut().step_by(n + 1) {
            *element = 1.0;
        }
        Ok(matrix)
    }

    /// A matrix of the given elements in row-major order.
    ///
    /// # Errors
    ///
    /// [`Error::Count`] unless there are exactly as many as `shape` holds; [`Error::Memory`].
    pub fn from_slice(shape: Shape, elements: &[f64]) -> Result<Matrix, Error> {
        if elements.len() != shape.len() {
            return Err(Error::Count { shape, given: elements.len() });
        }
        // SAFETY: both slices have `shape.len()` elements, so every one is written.
        unsafe {
            Matrix::filled_by(shape, |place| {
                write_copy(place, elements);
            })
        }
    }

    /// A matrix whose element at row `i`, column `j` is `element(i, j)`; called in row-major
    /// order.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn from_fn(shape: Shape, mut element: impl FnMut(usize, usize) -> f64) -> Result<Matrix, Error> {
        // SAFETY: the rows are all of the slice, and each of their elements is written.
        unsafe {
            Matrix::filled_by(shape, |place| {
                for (i, row) in place.chunks_exact_mut(shape.columns()).enumerate() {
                    for (j, slot) in row.iter_mut().enumerate() {
                        slot.write(element(i, j));
                    }
                }
            })
        }
    }

    /// The matrix of those rows.
    ///
    /// # Errors
    ///
    /// As [`Shape::new`]; [`Error::Memory`].
    pub fn from_rows<const N: usize>(rows: &[[f64; N]]) -> Result<Matrix, Error> {
        Matrix::from_slice(Shape::new(rows.len(), N)?, rows.as_flattened())
    }

    /// The 1×N matrix of those elements.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are none; [`Error::Memory`].
    pub fn row(elements: &[f64]) -> Result<Matrix, Error> {
        Matrix::from_slice(Shape::new(1, elements.len())?, elements)
    }

    /// The N×1 matrix of those elements.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if there are none; [`Error::Memory`].
    pub fn column(elements: &[f64]) -> Result<Matrix, Error> {
        Matrix::from_slice(Shape::new(elements.len(), 1)?, elements)
    }

    /// The given matrices one below the other (`Axis::Down`) or side by side (`Axis::Across`).
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] for an empty list; [`Error::Broadcast`] when two of them do not have the
    /// same number of columns (rows); [`Error::Memory`].
    pub fn concat(parts: &[&Matrix], axis: Axis) -> Result<Matrix, Error> {
        let Some(first) = parts.first() else {
            return Err(Error::Empty { rows: 0, columns: 0 });
        };
        let first = first.shape;
        let (mut rows, mut columns) = (0_usize, 0_usize);
        for part in parts {
            let fits = match axis {
                Axis::Down => part.columns() == first.columns(),
                Axis::Across => part.rows() == first.rows(),
            };
            if !fits {
                return Err(Error::Broadcast { operation: "concat", left: first, right: part.shape });
            }
            rows = rows.saturating_add(part.rows());
            columns = columns.saturating_add(part.columns());
        }
        let shape = match axis {
            Axis::Down => Shape::new(rows, first.columns())?,
            Axis::Across => Shape::new(first.rows(), columns)?,
        };
        // SAFETY: the parts' elements add up to the shape's. Downwards each part follows the last
        // one; across, each row is made of the parts' rows one after the other.
        unsafe {
            Matrix::filled_by(shape, |mut place| {
                let steps = match axis {
                    Axis::Down => 1,
                    Axis::Across => shape.rows(),
                };
                for step in 0..steps {
                    for part in parts {
                        let count = part.shape.len() / steps;
                        let (head, tail) = place.split_at_mut(count);
                        write_copy(head, &part.as_slice()[step * count..][..count]);
                        place = tail;
                    }
                }
                assert!(place.is_empty(), "the parts fill the whole");
            })
        }
    }

    /// A copy in a buffer of its own.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn copy(&self) -> Result<Matrix, Error> {
        Matrix::from_slice(self.shape, self.as_slice())
    }

    /// Overwrites all elements with those of `source`.
    ///
    /// # Errors
    ///
    /// [`Error::Mismatch`] unless the shapes are equal.
    pub fn copy_from(&mut self, source: &Matrix) -> Result<(), Error> {
        self.shape.must_be("out", source.shape)?;
        self.as_mut_slice().copy_from_slice(source.as_slice());
        Ok(())
    }

    /// Rows by columns.
    #[inline]
    pub fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of rows.
    #[inline]
    pub fn rows(&self) -> usize {
        self.shape.rows()
    }

    /// Number of columns.
    #[inline]
    pub fn columns(&self) -> usize {
        self.shape.columns()
    }

    /// All elements in row-major order.
    #[inline]
    pub fn as_slice(&self) -> &[f64] {
        self.buffer.as_slice()
    }

    /// All elements in row-major order, writable.
    #[inline]
    pub fn as_mut_slice(&mut self) -> &mut [f64] {
        self.buffer.as_mut_slice()
    }

    /// Where the elements are: a multiple of 64, the same for as long as the buffer lives,
    /// however often the matrix moves.
    #[inline]
    pub fn as_ptr(&self) -> *mut f64 {
        self.buffer.as_ptr()
    }

    /// The elements of one row.
    ///
    /// # Panics
    ///
    /// If there is no such row.
    #[inline]
    pub fn row_slice(&self, row: usize) -> &[f64] {
        &self.as_slice()[row * self.columns()..][..self.columns()]
    }

    /// The element at `row` and `column`, negative ones counted from the end.
    ///
    /// # Errors
    ///
    /// [`Error::Index`].
    pub fn get(&self, row: isize, column: isize) -> Result<f64, Error> {
        Ok(self.as_slice()[self.offset(row, column)?])
    }

    /// Sets the element at `row` and `column`, negative ones counted from the end.
    ///
    /// # Errors
    ///
    /// [`Error::Index`].
    pub fn set(&mut self, row: isize, column: isize, value: f64) -> Result<(), Error> {
        let offset = self.offset(row, column)?;
        self.as_mut_slice()[offset] = value;
        Ok(())
    }

    fn offset(&self, row: isize, column: isize) -> Result<usize, Error> {
        let row = resolve(row, self.rows(), Axis::Down)?;
        let column = resolve(column, self.columns(), Axis::Across)?;
        Ok(row * self.columns() + column)
    }

    /// The same elements in the same order as another shape, in place.
    ///
    /// # Errors
    ///
    /// [`Error::Count`] unless `shape` holds as many elements.
    pub fn reshape(&mut self, shape: Shape) -> Result<(), Error> {
        if shape.len() != self.shape.len() {
            return Err(Error::Count { shape, given: self.shape.len() });
        }
        self.shape = shape;
        Ok(())
    }
}

impl Shape {
    /// `Ok` if this shape, of the matrix that serves as `role`, is the `expected` one.
    pub(crate) fn must_be(self, role: &'static str, expected: Shape) -> Result<(), Error> {
        if self == expected { Ok(()) } else { Err(Error::Mismatch { role, expected, given: self }) }
    }
}
