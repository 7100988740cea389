//! The one error type.

use std::fmt;

use crate::{Axis, Shape};

/// Why an operation on matrices was refused. Whatever it was, nothing has been written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A matrix without rows or without columns was asked for.
    Empty {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
    },
    /// More elements than an allocation can have.
    TooLarge {
        /// Rows asked for.
        rows: usize,
        /// Columns asked for.
        columns: usize,
    },
    /// The allocator has no room for a matrix.
    Memory {
        /// Size of the refused allocation.
        bytes: usize,
    },
    /// Two operands whose shapes do not broadcast.
    Broadcast {
        /// What was to be done with them.
        operation: &'static str,
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
    },
    /// A result that is larger than the operand it was to be written over.
    InPlace {
        /// What was to be done.
        operation: &'static str,
        /// Shape of the left operand.
        left: Shape,
        /// Shape of the right operand.
        right: Shape,
        /// Shape of the result.
        result: Shape,
    },
    /// A matrix that has to have a given shape has another.
    Mismatch {
        /// What the matrix was to serve as: `out`, `mask`, ...
        role: &'static str,
        /// The shape it has to have.
        expected: Shape,
        /// The shape it has.
        given: Shape,
    },
    /// A product whose inner dimensions differ.
    Product {
        /// Shape of the left factor.
        left: Shape,
        /// Shape of the right factor.
        right: Shape,
    },
    /// A list of values of the wrong length.
    Count {
        /// The shape to be filled.
        shape: Shape,
        /// How many values there were.
        given: usize,
    },
    /// An index outside the matrix.
    Index {
        /// Across which axis: `Down` for a row's number, `Across` for a column's.
        axis: Axis,
        /// The index asked for, as it was given.
        index: isize,
        /// How many rows or columns there are.
        length: usize,
    },
    /// A selection with nothing in it.
    NothingPicked {
        /// `Down` when it picked no rows, `Across` when it picked no columns.
        axis: Axis,
    },
    /// An axis other than 0, 1, -1 or -2.
    Axis {
        /// The axis asked for.
        axis: isize,
    },
}

impl std::error::Error for Error {}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Error::Empty { rows, columns } => {
                write!(f, "a matrix has at least one row and one column, not {rows}x{columns}")
            }
            Error::TooLarge { rows, columns } => {
                write!(f, "a {rows}x{columns} matrix is too large to address")
            }
            Error::Memory { bytes } => write!(f, "no memory for a matrix of {bytes} bytes"),
            Error::Broadcast { operation, left, right } => {
                write!(f, "{operation}: shapes {left} and {right} do not broadcast")
            }
            Error::InPlace { operation, left, right, result } => {
                write!(
                    f,
                    "{operation}: the result of shapes {left} and {right} is {result}, too large to be written in place"
                )
            }
            Error::Mismatch { role, expected, given } => {
                write!(f, "{role} has shape {given}, but has to be {expected}")
            }
            Error::Product { left, right } => {
                write!(f, "cannot multiply {left} by {right}: {} columns against {} rows", left.columns(), right.rows())
            }
            Error::Count { shape, given } => write!(f, "a {shape} matrix takes {} values, not {given}", shape.len()),
            Error::Index { axis, index, length } => {
                let (one, many) = names(axis);
                write!(f, "{one} index {index} is out of range for {length} {many}")
            }
            Error::NothingPicked { axis } => {
                let (_, many) = names(axis);
                write!(f, "the selection holds no {many}; a matrix is never empty")
            }
            Error::Axis { axis } => write!(f, "axis must be -2, -1, 0 or 1, not {axis}"),
        }
    }
}

fn names(axis: Axis) -> (&'static str, &'static str) {
    match axis {
        Axis::Down => ("row", "rows"),
        Axis::Across => ("column", "columns"),
    }
}
