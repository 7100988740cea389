//! Rows by columns: what a shape may be, and which shapes go together.

use std::fmt;

use crate::Error;

/// Rows by columns, both at least one, with a byte size that can be allocated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    rows: usize,
    columns: usize,
}

impl Shape {
    /// The shape `rows`×`columns`.
    ///
    /// # Errors
    ///
    /// [`Error::Empty`] if either is zero, [`Error::TooLarge`] if no allocation can hold it.
    pub fn new(rows: usize, columns: usize) -> Result<Shape, Error> {
        if rows == 0 || columns == 0 {
            return Err(Error::Empty { rows, columns });
        }
        // The slack of a page leaves room for the alignment of the buffer.
        let most = (isize::MAX as usize - 4096) / size_of::<f64>();
        match rows.checked_mul(columns) {
            Some(len) if len <= most => Ok(Shape { rows, columns }),
            _ => Err(Error::TooLarge { rows, columns }),
        }
    }

    /// Number of rows.
    #[inline]
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    #[inline]
    pub fn columns(self) -> usize {
        self.columns
    }

    /// Number of elements.
    #[allow(clippy::len_without_is_empty, reason = "a shape is never empty")]
    #[inline]
    pub fn len(self) -> usize {
        self.rows * self.columns
    }

    /// Whether there is one row or one column.
    pub fn is_vector(self) -> bool {
        self.rows == 1 || self.columns == 1
    }

    /// Columns by rows.
    pub fn transposed(self) -> Shape {
        Shape { rows: self.columns, columns: self.rows }
    }

    /// The shape that `self` and `other` stretch to: along each axis they agree, or one of them
    /// has a single row or column, which is repeated. `None` where they do not agree, or where
    /// stretching both makes a shape too large to address.
    pub fn broadcast(self, other: Shape) -> Option<Shape> {
        let stretch = |a, b| match (a, b) {
            (1, n) | (n, 1) => Some(n),
            (a, b) if a == b => Some(a),
            _ => None,
        };
        Shape::new(stretch(self.rows, other.rows)?, stretch(self.columns, other.columns)?).ok()
    }

    /// The shape left of this one by a reduction along `axis`.
    pub fn reduced(self, axis: Axis) -> Shape {
        match axis {
            Axis::Down => Shape { rows: 1, ..self },
            Axis::Across => Shape { columns: 1, ..self },
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.rows, self.columns)
    }
}

/// A direction through a matrix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Axis {
    /// Axis 0: down the rows. A reduction along it leaves one row.
    Down,
    /// Axis 1: across the columns. A reduction along it leaves one column.
    Across,
}

impl Axis {
    /// The axis of that number, counted from the front (0, 1) or from the end (-2, -1).
    ///
    /// # Errors
    ///
    /// [`Error::Axis`] for any other number.
    pub fn from_number(axis: isize) -> Result<Axis, Error> {
        match axis {
            0 | -2 => Ok(Axis::Down),
            1 | -1 => Ok(Axis::Across),
            axis => Err(Error::Axis { axis }),
        }
    }
}
