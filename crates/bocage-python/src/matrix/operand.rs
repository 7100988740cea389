//! What takes part in arithmetic: a matrix object, a number, or a list or tuple as a row.

use std::cell::Ref;

use bocage_matrix::{Matrix, Shape};

use super::argument::{numbers, real};
use super::handle::Handle;
use crate::py::{Error, Obj, Result};
use crate::state::State;

/// One side of an operation, turned into what needs no more Python code.
pub(super) enum Operand<'a> {
    /// A matrix object.
    Handle(&'a Handle),
    /// A list or tuple of numbers, as a 1xN matrix.
    Row(Matrix),
    /// A number.
    Number(f64),
}

impl<'a> Operand<'a> {
    /// What `object` is in arithmetic; `None` if it has no business there.
    pub(super) fn of(state: &State, object: &'a Obj) -> Result<Option<Operand<'a>>> {
        if let Some(handle) = state.matrix.get(object) {
            return Ok(Some(Operand::Handle(handle)));
        }
        if let Some(number) = real(object)? {
            return Ok(Some(Operand::Number(number)));
        }
        match numbers(object)? {
            None => Ok(None),
            Some(numbers) if numbers.is_empty() => {
                Err(Error::value_error("an empty list or tuple makes no row: a matrix has at least one column"))
            }
            Some(numbers) => Ok(Some(Operand::Row(Matrix::row(&numbers)?))),
        }
    }

    /// As [`Operand::of`], for an argument that has to be one.
    pub(super) fn required(state: &State, object: &'a Obj) -> Result<Operand<'a>> {
        Operand::of(state, object)?.ok_or_else(|| {
            Error::type_error(format!(
                "expected a Matrix, a number, or a list or tuple of numbers, not {}",
                object.type_name()
            ))
        })
    }

    /// The same handle as `handle`.
    pub(super) fn is(&self, handle: &Handle) -> bool {
        matches!(self, Operand::Handle(own) if std::ptr::eq(*own, handle))
    }

    /// Borrows the matrix, if there is one. No Python code may run while it is borrowed.
    pub(super) fn lend(&self) -> Result<Lent<'_>> {
        Ok(match self {
            Operand::Handle(handle) => Lent::Shared(handle.lend()?),
            Operand::Row(matrix) => Lent::Own(matrix),
            Operand::Number(number) => Lent::Number(*number),
        })
    }

    /// A matrix of one's own.
    pub(super) fn into_matrix(self) -> Result<Matrix> {
        Ok(match self {
            Operand::Handle(handle) => handle.lend()?.copy()?,
            Operand::Row(matrix) => matrix,
            Operand::Number(number) => Matrix::full(Shape::new(1, 1)?, number)?,
        })
    }
}

/// An operand on loan.
pub(super) enum Lent<'a> {
    Shared(Ref<'a, Matrix>),
    Own(&'a Matrix),
    Number(f64),
}

impl Lent<'_> {
    pub(super) fn operand(&self) -> bocage_matrix::Operand<'_> {
        match self {
            Lent::Shared(matrix) => (&**matrix).into(),
            Lent::Own(matrix) => (*matrix).into(),
            Lent::Number(number) => (*number).into(),
        }
    }

    /// The matrix; none for a number.
    pub(super) fn matrix(&self) -> Option<&Matrix> {
        match self {
            Lent::Shared(matrix) => Some(matrix),
            Lent::Own(matrix) => Some(matrix),
            Lent::Number(_) => None,
        }
    }
}

/// The matrix object that has to stand in this place; `TypeError` for anything else.
pub(super) fn handle<'a>(state: &State, object: &'a Obj, role: &str) -> Result<&'a Handle> {
    state
        .matrix
        .get(object)
        .ok_or_else(|| Error::type_error(format!("{role} must be a Matrix, not {}", object.type_name())))
}
