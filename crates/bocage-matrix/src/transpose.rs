//! Transposing.

use std::mem::MaybeUninit;

use crate::dispatch::{Kernel, dispatch};
use crate::{Error, Matrix};

/// Edge of the square tiles in which elements are moved: a tile's row is one cache line, so that each
/// line is read, and written, in one go.
const TILE: usize = 8;

impl Matrix {
    /// The transpose, as a new matrix.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`].
    pub fn transpose(&self) -> Result<Matrix, Error> {
        let (rows, columns) = (self.rows(), self.columns());
        if self.shape().is_vector() {
            return Matrix::from_slice(self.shape().transposed(), self.as_slice());
        }
        let source = self.as_slice();
        // SAFETY: the tiles cover the matrix, and each element of each tile is written.
        unsafe {
            Matrix::filled_by(self.shape().transposed(), |place| {
                dispatch(Transpose { source, rows, columns, place });
            })
        }
    }

    /// Transposes `self`. A square matrix and a vector keep their buffer; others get a new one.
    ///
    /// # Errors
    ///
    /// [`Error::Memory`], and then `self` is as it was.
    pub fn transpose_in_place(&mut self) -> Result<(), Error> {
        let shape = self.shape();
        if shape.is_vector() {
            return self.reshape(shape.transposed());
        }
        if shape.rows() != shape.columns() {
            *self = self.transpose()?;
            return Ok(());
        }
        let n = shape.rows();
        let elements = self.as_mut_slice();
        for top in (0..n).step_by(TILE) {
            for left in (0..=top).step_by(TILE) {
                for i in top..n.min(top + TILE) {
                    for j in left..i.min(left + TILE) {
                        elements.swap(i * n + j, j * n + i);
                    }
                }
            }
        }
        Ok(())
    }
}

struct Transpose<'a> {
    source: &'a [f64],
    rows: usize,
    columns: usize,
    place: &'a mut [MaybeUninit<f64>],
}

impl Kernel for Transpose<'_> {
    type Output = ();

    /// Writes every element of the place.
    #[inline(always)]
    fn run(self) {
        let Transpose { source, rows, columns, place } = self;
        assert!(source.len() == rows * columns && place.len() == rows * columns);
        for top in (0..rows).step_by(TILE) {
            for left in (0..columns).step_by(TILE) {
                if top + TILE <= rows && left + TILE <= columns {
                    let mut tile = [[0.0; TILE]; TILE];
                    for (i, row) in tile.iter_mut().enumerate() {
                        row.copy_from_slice(&source[(top + i) * columns + left..][..TILE]);
                    }
                    for j in 0..TILE {
                        let target = &mut place[(left + j) * rows + top..][..TILE];
                        for (slot, row) in target.iter_mut().zip(&tile) {
                            slot.write(row[j]);
                        }
                    }
                } else {
                    for j in left..columns.min(left + TILE) {
                        for i in top..rows.min(top + TILE) {
                            place[j * rows + i].write(source[i * columns + j]);
                        }
                    }
                }
            }
        }
    }
}
