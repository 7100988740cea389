//! Reading and assigning parts of a matrix: rectangles, strides, gathers.

use std::mem::MaybeUninit;

use crate::{Axis, Error, Matrix, Operand, Shape};

/// The index `index`, negative ones counted from the end, as an offset below `length`.
///
/// # Errors
///
/// [`Error::Index`], which calls it a row's index for `Axis::Down`, a column's for
/// `Axis::Across`.
#[inline]
pub fn resolve(index: isize, length: usize, axis: Axis) -> Result<usize, Error> {
    let resolved = if index < 0 { length.checked_sub(index.unsigned_abs()) } else { Some(index as usize) };
    match resolved {
        Some(offset) if offset < length => Ok(offset),
        _ => Err(Error::Index { axis, index, length }),
    }
}

/// `count` numbers from `start` on, `step` apart. The step may be negative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// The first one.
    pub start: usize,
    /// From each to the next.
    pub step: isize,
    /// How many.
    pub count: usize,
}

impl Span {
    /// All of `length`.
    pub fn all(length: usize) -> Span {
        Span { start: 0, step: 1, count: length }
    }

    /// The one at `index`.
    pub fn one(index: usize) -> Span {
        Span { start: index, step: 1, count: 1 }
    }

    /// The number at `position`, wrapping where there is none.
    #[inline]
    fn at(self, position: usize) -> usize {
        self.start.wrapping_add_signed(self.step.wrapping_mul(position as isize))
    }
}

/// Which rows, or which columns.
#[derive(Clone, Copy, Debug)]
pub enum Picks<'a> {
    /// Evenly spaced ones.
    Span(Span),
    /// These, in this order, possibly more than once.
    List(&'a [usize]),
}

impl From<Span> for Picks<'_> {
    fn from(span: Span) -> Self {
        Picks::Span(span)
    }
}

impl<'a> From<&'a [usize]> for Picks<'a> {
    fn from(list: &'a [usize]) -> Self {
        Picks::List(list)
    }
}

impl Picks<'_> {
    fn count(self) -> usize {
        match self {
            Picks::Span(span) => span.count,
            Picks::List(list) => list.len(),
        }
    }

    #[inline]
    fn at(self, position: usize) -> usize {
        match self {
            Picks::Span(span) => span.at(position),
            Picks::List(list) => list[position],
        }
    }

    /// `Ok` if there is at least one pick and each is below `length`.
    fn check(self, length: usize, axis: Axis) -> Result<(), Error> {
        let within = |index: usize| {
            if index < length { Ok(()) } else { Err(Error::Index { axis, index: index as isize, length }) }
        };
        match self {
            _ if self.count() == 0 => Err(Error::NothingPicked { axis }),
            Picks::Span(span) => {
                // Both ends within `length` bound all between, provided that the way from one to
                // the other does not wrap around.
                within(span.start)?;
                let last = isize::try_from(span.count - 1)
                    .ok()
                    .and_then(|steps| steps.checked_mul(span.step))
                    .and_then(|way| span.start.checked_add_signed(way));
                within(last.unwrap_or(usize::MAX))
            }
            Picks::List(list) => list.iter().try_for_each(|&index| within(index)),
        }
    }

    /// Whether these are all of `length`, in order.
    fn is_all(self, length: usize) -> bool {
        matches!(self, Picks::Span(Span { start: 0, step: 1, count }) if count == length)
    }
}

impl Matrix {
    /// The shape that these picks select.
    ///
    /// # Errors
    ///
    /// [`Error::Index`] for one out of range, [`Error::NothingPicked`] for none at all.
    pub fn selection(&self, rows: Picks<'_>, columns: Picks<'_>) -> Result<Shape, Error> {
        rows.check(self.rows(), Axis::Down)?;
        columns.check(self.columns(), Axis::Across)?;
        Shape::new(rows.count(), columns.count())
    }

    /// A copy of the picked rows' picked columns.
    ///
    /// # Errors
    ///
    /// As [`Matrix::selection`]; [`Error::Memory`].
    pub fn select<'a>(&self, rows: impl Into<Picks<'a>>, columns: impl Into<Picks<'a>>) -> Result<Matrix, Error> {
        let (rows, columns) = (rows.into(), columns.into());
        let shape = self.selection(rows, columns)?;
        let contiguous = matches!(columns, Picks::Span(Span { step: 1, .. }));
        // SAFETY: the chunks are all of the place, and each element of each is written.
        unsafe {
            Matrix::filled_by(shape, |place| {
                let chunks = place.chunks_exact_mut(shape.columns());
                for (position, chunk) in chunks.enumerate() {
                    let row = self.row_slice(rows.at(position));
                    if contiguous {
                        crate::buffer::write_copy(chunk, &row[columns.at(0)..][..chunk.len()]);
                    } else {
                        gather(row, columns, chunk);
                    }
                }
            })
        }
    }

    /// Assigns `value`, stretched to the selection, to the picked rows' picked columns. With a
    /// place picked twice, the last one stays.
    ///
    /// # Errors
    ///
    /// As [`Matrix::selection`], and [`Error::Broadcast`] if the value does not stretch to the
    /// selection.
    pub fn assign<'a>(
        &mut self,
        rows: impl Into<Picks<'a>>,
        columns: impl Into<Picks<'a>>,
        value: impl Into<Operand<'a>>,
    ) -> Result<(), Error> {
        let (rows, columns, value) = (rows.into(), columns.into(), value.into());
        let shape = self.selection(rows, columns)?;
        if shape.broadcast(value.shape()) != Some(shape) {
            return Err(Error::Broadcast { operation: "assign", left: shape, right: value.shape() });
        }
        let width = self.columns();
        let all_columns = columns.is_all(width);
        for i in 0..shape.rows() {
            let row = &mut self.as_mut_slice()[rows.at(i) * width..][..width];
            match value {
                Operand::Scalar(number) => scatter(row, columns, |_| number),
                Operand::Matrix(value) => {
                    let source = value.row_slice(if value.rows() == 1 { 0 } else { i });
                    match source {
                        &[number] => scatter(row, columns, |_| number),
                        source if all_columns => row.copy_from_slice(source),
                        source => scatter(row, columns, |j| source[j]),
                    }
                }
            }
        }
        Ok(())
    }
}

fn gather(row: &[f64], columns: Picks<'_>, chunk: &mut [MaybeUninit<f64>]) {
    for (position, slot) in chunk.iter_mut().enumerate() {
        slot.write(row[columns.at(position)]);
    }
}

#[inline]
fn scatter(row: &mut [f64], columns: Picks<'_>, value: impl Fn(usize) -> f64) {
    for position in 0..columns.count() {
        row[columns.at(position)] = value(position);
    }
}
