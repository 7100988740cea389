//! A dense FP64 matrix whose buffer moves by pointer.
//!
//! [`Matrix`] is row-major, two-dimensional and never empty. Its elements live in one allocation
//! aligned to a cache line, so that a matrix of any size passes to another thread (or, in Bocage's
//! Python package, to another interpreter) as a pointer and two lengths.
//!
//! ```
//! use bocage_matrix::{Axis, Matrix};
//!
//! let prices = Matrix::from_rows(&[[1.0, 2.0], [3.0, 4.0]])?;
//! let amounts = Matrix::row(&[10.0, 100.0])?;
//!
//! let totals = (&prices * &amounts).sum_axis(Axis::Across)?;
//! assert_eq!(totals, Matrix::column(&[210.0, 430.0])?);
//!
//! let product = prices.matmul(&totals)?;
//! assert_eq!(product.as_slice(), [1070.0, 2350.0]);
//!
//! // What does not fit is an error that names both shapes.
//! let error = prices.add(&Matrix::row(&[1.0, 2.0, 3.0])?).unwrap_err();
//! assert_eq!(error.to_string(), "add: shapes 2x2 and 1x3 do not broadcast");
//! # Ok::<(), bocage_matrix::Error>(())
//! ```
//!
//! # The modules, in reading order
//!
//! | module | what it holds |
//! | --- | --- |
//! | `shape` | [`Shape`], [`Axis`] and the broadcasting rule |
//! | `buffer` | the one aligned allocation |
//! | `matrix` | [`Matrix`]: making one, reaching its elements |
//! | `dispatch` | picks the widest vector instructions that the processor has |
//! | `elementwise` | [`Binary`] and [`Unary`] operations, into a new matrix, into `out`, in place |
//! | `operators` | the same as `+ - * /` on references |
//! | `matmul` | the matrix product |
//! | `reduce` | sums, means, minima and maxima, whole or along an axis, under a mask |
//! | `compare` | lexicographic order, equality, closeness |
//! | `index` | rectangles and gathers: reading and assigning parts |
//! | `transpose` | transposing and reshaping |
//! | `display` | the printed form |
//! | `error` | [`Error`], the one error type |
//!
//! # Invariants
//!
//! - A matrix has at least one row and one column, and every element is initialised.
//! - This crate starts no thread, and results depend neither on how many threads a program has
//!   nor, but for the matrix product, on the processor: each sum has one fixed tree of additions.
//! - An operation that fails has written nothing; one that writes into a matrix it was given
//!   allocates nothing.

mod buffer;
mod compare;
mod dispatch;
mod display;
mod elementwise;
mod error;
mod index;
mod matmul;
mod matrix;
mod operators;
mod reduce;
mod shape;
mod transpose;

pub use elementwise::{Binary, Operand, Unary};
pub use error::Error;
pub use index::{Picks, Span, resolve};
pub use matrix::Matrix;
pub use reduce::Reduction;
pub use shape::{Axis, Shape};
