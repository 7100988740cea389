//! Transposing.

use crate::{Error, Matrix};

/// Edge of the square tiles in which elements are moved: two tiles of 16×16 `f64` are 4 KiB, and
/// each of their rows is two whole cache lines.
const TILE: usize = 16;

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
                for left in (0..columns).step_by(TILE) {
                    let width = TILE.min(columns - left);
                    for top in (0..rows).step_by(TILE) {
                        let height = TILE.min(rows - top);
                        for j in left..left + width {
                            let target = &mut place[j * rows + top..][..height];
                            let column = source[top * columns + j..].iter().step_by(columns);
                            for (slot, &element) in target.iter_mut().zip(column) {
                                slot.write(element);
                            }
                        }
                    }
                }
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
