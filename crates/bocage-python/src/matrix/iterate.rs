//! Rows and values, one by one.

use std::cell::Cell;
use std::ffi::CStr;

use super::handle::Handle;
use super::new_object;
use crate::py::class::Class;
use crate::py::slot::{self, Slot};
use crate::py::{Args, IntoPython, Obj, Payload, Result, Signature, This};
use bocage_matrix::Span;

/// What an iterator holds. A matrix refers to no other object, so no cycle can close through this.
pub(crate) struct Walk {
    matrix: Obj,
    step: Step,
    position: Cell<usize>,
}

#[derive(Clone, Copy)]
enum Step {
    Row,
    Value,
}

impl Payload for Walk {}

/// The class of both iterators.
pub(crate) static ITERATOR: Class<Walk> =
    Class::new(c"bocage.MatrixIterator", c"Iterates over a Matrix. It reads each row or element as it comes to it.")
        .slots(&SLOTS);

static SLOTS: [Slot; 2] = [slot::iter(itself), slot::iter_next(next)];

fn itself(this: This<'_, Walk>) -> Result<Obj> {
    Ok(this.object().own())
}

fn next(this: This<'_, Walk>) -> Result<Option<Obj>> {
    let state = this.state()?;
    let Some(handle) = state.matrix.get(&this.matrix) else {
        return Ok(None);
    };
    let position = this.position.get();
    let matrix = handle.lend()?;
    let item = match this.step {
        Step::Value => match matrix.as_slice().get(position) {
            Some(&value) => value.into_python(this.py())?,
            None => return Ok(None),
        },
        Step::Row if position >= matrix.rows() => return Ok(None),
        Step::Row if matrix.columns() == 1 => matrix.as_slice()[position].into_python(this.py())?,
        Step::Row => {
            let row = matrix.select(Span::one(position), Span::all(matrix.columns()))?;
            drop(matrix);
            new_object(state, row)?
        }
    };
    this.position.set(position + 1);
    Ok(Some(item))
}

fn walk(this: This<'_, Handle>, step: Step) -> Result<Obj> {
    this.lend()?;
    this.state()?.matrix_iterator.instantiate(Walk { matrix: this.object().own(), step, position: Cell::new(0) })
}

/// `iter(m)`: each row as `m[i]` gives it.
pub(super) fn rows(this: This<'_, Handle>) -> Result<Obj> {
    walk(this, Step::Row)
}

pub(super) const VALUES_DOC: &CStr =
    c"values($self, /)\n--\n\nAn iterator over all elements as floats, in row-major order.";

static VALUES: Signature<0> = Signature::new("values", [], 0);

pub(super) fn values(this: This<'_, Handle>, args: Args<'_>) -> Result<Obj> {
    let [] = VALUES.bind(&args)?;
    walk(this, Step::Value)
}
