//! The matrix product, by `matrixmultiply`'s packed kernels.

use std::mem::MaybeUninit;

use crate::buffer::as_place;
use crate::{Error, Matrix, Shape};

/// Products of at most so many multiplications are made by plain loops: packing for the kernel costs more
/// than it gains up to 6x6 by 6x6.
const SMALL: usize = 216;

impl Matrix {
    /// The matrix product of `self`, M×K, and `right`, K×N: an M×N matrix in O(MNK).
    ///
    /// # Errors
    ///
    /// [`Error::Product`] if the inner dimensions differ; [`Error::TooLarge`], [`Error::Memory`].
    pub fn matmul(&self, right: &Matrix) -> Result<Matrix, Error> {
        let shape = product_shape(self.shape(), right.shape())?;
        // SAFETY: `multiply` writes all of the place.
        unsafe { Matrix::filled_by(shape, |place| multiply(self, right, place)) }
    }

    /// `out = self @ right`; allocates nothing but the kernel's packing space.
    ///
    /// # Errors
    ///
    /// [`Error::Product`], or [`Error::Mismatch`] if `out` has not the shape of the result.
    pub fn matmul_into(&self, right: &Matrix, out: &mut Matrix) -> Result<(), Error> {
        let shape = product_shape(self.shape(), right.shape())?;
        out.shape().must_be("out", shape)?;
        // SAFETY: `multiply` writes only the results of arithmetic.
        let place = unsafe { as_place(out.as_mut_slice()) };
        multiply(self, right, place);
        Ok(())
    }
}

fn product_shape(left: Shape, right: Shape) -> Result<Shape, Error> {
    if left.columns() != right.rows() {
        return Err(Error::Product { left, right });
    }
    Shape::new(left.rows(), right.columns())
}

/// Writes every element of `place`, which has the shape of the product.
fn multiply(left: &Matrix, right: &Matrix, place: &mut [MaybeUninit<f64>]) {
    let (m, k, n) = (left.rows(), left.columns(), right.columns());
    assert_eq!(right.rows(), k);
    assert_eq!(place.len(), m * n);
    if m.saturating_mul(k).saturating_mul(n) <= SMALL {
        return multiply_small(left, right, place);
    }
    // A Shape bounds every dimension by isize::MAX.
    let (row_a, row_b) = (k as isize, n as isize);
    // SAFETY: with these strides the kernel reads m*k elements of `left`, k*n of `right`, and
    // writes m*n of `place`: what each has, by the assertions. `place` is borrowed mutably, so it
    // overlaps neither. With beta = 0 the kernel does not read what it overwrites.
    unsafe {
        matrixmultiply::dgemm(
            m,
            k,
            n,
            1.0,
            left.as_ptr(),
            row_a,
            1,
            right.as_ptr(),
            row_b,
            1,
            0.0,
            place.as_mut_ptr().cast(),
            n as isize,
            1,
        );
    }
}

/// Writes every element of `place`, as [`multiply`] does.
fn multiply_small(left: &Matrix, right: &Matrix, place: &mut [MaybeUninit<f64>]) {
    let (k, n) = (left.columns(), right.columns());
    let rows = left.as_slice().chunks_exact(k);
    for (row, places) in rows.zip(place.chunks_exact_mut(n)) {
        for (j, slot) in places.iter_mut().enumerate() {
            let column = right.as_slice()[j..].iter().step_by(n);
            slot.write(row.iter().zip(column).fold(0.0, |sum, (x, y)| sum + x * y));
        }
    }
}
