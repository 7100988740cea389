//! `+ - * /` and unary `-` on references to matrices and numbers.
//!
//! Operators have no way to report an error: they panic with the message of the [`Error`] that
//! the method of the same meaning returns.
//!
//! [`Error`]: crate::Error

use std::ops;

use crate::{Binary, Matrix, Unary};

macro_rules! binary_operator {
    ($trait:ident, $method:ident, $assign_trait:ident, $assign_method:ident, $operation:ident) => {
        impl ops::$trait<&Matrix> for &Matrix {
            type Output = Matrix;
            fn $method(self, right: &Matrix) -> Matrix {
                ok(Matrix::binary(Binary::$operation, self, right))
            }
        }

        impl ops::$trait<f64> for &Matrix {
            type Output = Matrix;
            fn $method(self, right: f64) -> Matrix {
                ok(Matrix::binary(Binary::$operation, self, right))
            }
        }

        impl ops::$trait<&Matrix> for f64 {
            type Output = Matrix;
            fn $method(self, right: &Matrix) -> Matrix {
                ok(Matrix::binary(Binary::$operation, self, right))
            }
        }

        impl ops::$assign_trait<&Matrix> for Matrix {
            fn $assign_method(&mut self, right: &Matrix) {
                ok(self.apply(Binary::$operation, right))
            }
        }

        impl ops::$assign_trait<f64> for Matrix {
            fn $assign_method(&mut self, right: f64) {
                ok(self.apply(Binary::$operation, right))
            }
        }
    };
}

binary_operator!(Add, add, AddAssign, add_assign, Add);
binary_operator!(Sub, sub, SubAssign, sub_assign, Subtract);
binary_operator!(Mul, mul, MulAssign, mul_assign, Multiply);
binary_operator!(Div, div, DivAssign, div_assign, Divide);

impl ops::Neg for &Matrix {
    type Output = Matrix;
    fn neg(self) -> Matrix {
        ok(self.unary(Unary::Negate))
    }
}

#[track_caller]
fn ok<T>(result: Result<T, crate::Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}
