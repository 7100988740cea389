//! Making matrices.

use std::ffi::CStr;

use bocage_matrix::{Axis, Matrix, Shape};

use super::argument::{axis, given, items, missing, number, numbers_of_sequence, real, shape};
use super::handle::Handle;
use super::new_object;
use super::operand::Operand;
use crate::py::{Args, Error, Obj, Ref, Result, Signature};
use crate::state::State;

static NEW: Signature<3> = Signature::new("Matrix", ["rows", "columns", "values"], 2);

pub(super) fn new(args: Args<'_>) -> Result<Handle> {
    let [Some(rows), Some(columns), values] = NEW.bind(&args)? else {
        return Err(missing());
    };
    let shape = shape(&rows, &columns)?;
    let matrix = match given(values) {
        None => Matrix::zeros(shape)?,
        Some(values) => {
            if let Some(number) = real(&values)? {
                Matrix::full(shape, number)?
            } else if let Some(numbers) = numbers_of_sequence(&values)? {
                Matrix::from_slice(shape, &numbers)?
            } else {
                return Err(Error::type_error(format!(
                    "values must be None, a number or a flat sequence of {} numbers, not {}",
                    shape.len(),
                    values.type_name()
                )));
            }
        }
    };
    Ok(Handle::new(matrix))
}

/// The shape that a pair says.
fn size(object: &Obj) -> Result<Shape> {
    let wrong = || Error::type_error("size must be a pair (rows, columns)");
    match &items(object)?.ok_or_else(wrong)?[..] {
        [rows, columns] => shape(rows, columns),
        _ => Err(wrong()),
    }
}

pub(super) const ZEROS_DOC: &CStr = c"zeros($type, size)\n--\n\nA Matrix of zeros; size is (rows, columns).";

static ZEROS: Signature<1> = Signature::new("zeros", ["size"], 1);

pub(super) fn zeros(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(of)] = ZEROS.bind(&args)? else {
        return Err(missing());
    };
    new_object(state, Matrix::zeros(size(&of)?)?)
}

pub(super) const ONES_DOC: &CStr = c"ones($type, size)\n--\n\nA Matrix of ones; size is (rows, columns).";

static ONES: Signature<1> = Signature::new("ones", ["size"], 1);

pub(super) fn ones(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(of)] = ONES.bind(&args)? else {
        return Err(missing());
    };
    new_object(state, Matrix::ones(size(&of)?)?)
}

pub(super) const FULL_DOC: &CStr =
    c"full($type, size, value)\n--\n\nA Matrix of one value everywhere; size is (rows, columns).";

static FULL: Signature<2> = Signature::new("full", ["size", "value"], 2);

pub(super) fn full(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(of), Some(value)] = FULL.bind(&args)? else {
        return Err(missing());
    };
    let shape = size(&of)?;
    new_object(state, Matrix::full(shape, number(&value, "value")?)?)
}

pub(super) const VECTOR_DOC: &CStr = c"vector($type, values, as_column=False)\n--\n\n\
    A 1xN row v of the values, a sequence of numbers, or an Nx1 column of them. The elements of the\n\
    row are v[0, j], as v[0] is all of it; those of the column are v[i].";

static VECTOR: Signature<2> = Signature::new("vector", ["values", "as_column"], 1);

pub(super) fn vector(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(values), as_column] = VECTOR.bind(&args)? else {
        return Err(missing());
    };
    let as_column = as_column.map_or(Ok(false), |flag| flag.is_true())?;
    let numbers = numbers_of_sequence(&values)?.ok_or_else(|| {
        Error::type_error(format!("values must be a sequence of numbers, not {}", values.type_name()))
    })?;
    if numbers.is_empty() {
        return Err(Error::value_error("a vector has at least one element"));
    }
    new_object(state, if as_column { Matrix::column(&numbers)? } else { Matrix::row(&numbers)? })
}

pub(super) const IDENTITY_DOC: &CStr = c"identity($type, n)\n--\n\nThe nxn identity.";

static IDENTITY: Signature<1> = Signature::new("identity", ["n"], 1);

pub(super) fn identity(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(n)] = IDENTITY.bind(&args)? else {
        return Err(missing());
    };
    new_object(state, Matrix::identity(shape(&n, &n)?.rows())?)
}

pub(super) const LINSPACE_DOC: &CStr = c"linspace($type, a, b, n)\n--\n\n\
    A 1xn row of evenly spaced numbers; the first is a, and with n > 1 the last is b.";

static LINSPACE: Signature<3> = Signature::new("linspace", ["a", "b", "n"], 3);

pub(super) fn linspace(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(a), Some(b), Some(n)] = LINSPACE.bind(&args)? else {
        return Err(missing());
    };
    let (a, b) = (number(&a, "a")?, number(&b, "b")?);
    let shape = shape(&args.py().int(1)?, &n)?;
    let last = shape.columns() - 1;
    let element = |_, j| match j {
        0 => a,
        j if j == last => b,
        j => a + (b - a) * (j as f64 / last as f64),
    };
    new_object(state, Matrix::from_fn(shape, element)?)
}

/// What `concat` makes of an item: numbers are matrices, too.
fn part<'a>(state: &State, item: &'a Obj) -> Result<Operand<'a>> {
    match Operand::of(state, item)? {
        Some(Operand::Number(number)) => Ok(Operand::Row(Matrix::row(&[number])?)),
        Some(part) => Ok(part),
        None => match numbers_of_sequence(item)? {
            Some(numbers) => Ok(Operand::Row(Matrix::row(&numbers)?)),
            None => Err(Error::type_error(format!(
                "expected a Matrix, a number, or a sequence of numbers, not {}",
                item.type_name()
            ))),
        },
    }
}

pub(super) const CONCAT_DOC: &CStr = c"concat($type, values, axis=0)\n--\n\n\
    The matrices of a sequence one below the other (axis 0) or side by side (axis 1), as a new\n\
    Matrix. Numbers, and sequences of them, count as 1x1 and 1xN. Axes -1 and -2 count from the end;\n\
    another raises ValueError, as do shapes that don't fit.";

static CONCAT: Signature<2> = Signature::new("concat", ["values", "axis"], 1);

pub(super) fn concat(state: &State, _class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [Some(values), along] = CONCAT.bind(&args)? else {
        return Err(missing());
    };
    let parts = items(&values)?.ok_or_else(|| {
        Error::type_error(format!("values must be a sequence of matrices, not {}", values.type_name()))
    })?;
    if parts.is_empty() {
        return Err(Error::value_error("concat needs at least one matrix"));
    }
    let along = along.map_or(Ok(Axis::Down), |along| axis(&along))?;
    let parts: Vec<Operand<'_>> = parts.iter().map(|item| part(state, item)).collect::<Result<_>>()?;
    let lent = parts.iter().map(Operand::lend).collect::<Result<Vec<_>>>()?;
    let parts: Vec<&Matrix> = lent.iter().filter_map(|part| part.matrix()).collect();
    new_object(state, Matrix::concat(&parts, along)?)
}
