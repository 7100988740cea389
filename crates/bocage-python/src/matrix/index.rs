//! `m[key]` and `m[key] = value`.
//!
//! | key | picks | `m[key]` |
//! | --- | --- | --- |
//! | `i` | row i | the row, a 1xN Matrix; a float where rows have one element |
//! | `i, j` | one element | a float |
//! | a slice, alone or on either side of a comma | evenly spaced rows, columns | a Matrix, even 1x1 |
//! | `[i, ..]` or `[i, ..], :` | rows, in that order | a Matrix |
//! | `:, [j, ..]` | columns, in that order | a Matrix |
//!
//! A row vector is no exception, as `len(m)` is the number of rows: `m[i]` goes up to it and gives what iteration
//! gives, and code for many rows holds for one.
//!
//! A list together with anything but `:` is refused: whether it means pairs or a product would be a
//! guess.

use bocage_matrix::{Axis, Matrix, Picks, Shape, Span, resolve};
use pyo3_ffi as ffi;

use super::argument::{index, is_index, real};
use super::handle::Handle;
use super::new_object;
use super::operand::Operand;
use crate::py::{Error, IntoPython, Obj, Ref, Result, This};

/// One side of a key, as it was written.
enum Pick {
    One(isize),
    /// `start:stop:step`, defaults filled in as CPython does.
    Slice(isize, isize, isize),
    /// `:`
    All,
    List(Vec<isize>),
}

impl Pick {
    /// May run Python code (`__index__`).
    fn parse(key: &Obj) -> Result<Pick> {
        if is_index(key) {
            return Ok(Pick::One(index(key)?));
        }
        // SAFETY: the object is alive.
        if unsafe { ffi::PySlice_Check(key.as_ptr()) } != 0 {
            return Pick::slice(key);
        }
        if key.is_list() {
            let items = key.sequence_items().unwrap_or_default();
            if items.is_empty() {
                return Err(Error::index_error("a list of indices must not be empty"));
            }
            return items
                .iter()
                .map(|item| match is_index(item) {
                    true => index(item),
                    false => Err(wrong_type(item)),
                })
                .collect::<Result<_>>()
                .map(Pick::List);
        }
        Err(wrong_type(key))
    }

    fn slice(key: &Obj) -> Result<Pick> {
        let (mut start, mut stop, mut step) = (0, 0, 0);
        // SAFETY: the object is a slice, whose three fields are set and alive as long as it is.
        let bare = unsafe {
            let fields = &*key.as_ptr().cast::<ffi::PySliceObject>();
            [fields.start, fields.stop, fields.step].into_iter().all(|field| Ref::from_ptr(field).is_none())
        };
        if bare {
            return Ok(Pick::All);
        }
        // SAFETY: the object is a slice; the places are local.
        let status = unsafe { ffi::PySlice_Unpack(key.as_ptr(), &mut start, &mut stop, &mut step) };
        Error::check(key.py(), status)?;
        Ok(Pick::Slice(start, stop, step))
    }

    /// What is picked of so many rows or columns.
    fn resolve(&self, length: usize, axis: Axis) -> Result<Picked> {
        Ok(match self {
            Pick::One(index) => Picked::Span(Span::one(resolve(*index, length, axis)?)),
            Pick::All => Picked::Span(Span::all(length)),
            &Pick::Slice(mut start, mut stop, step) => {
                // SAFETY: the places are local; a length of a matrix fits isize.
                let count = unsafe { ffi::PySlice_AdjustIndices(length as isize, &mut start, &mut stop, step) };
                // A slice of nothing starts anywhere; the selection refuses it by its count.
                let start = if count == 0 { 0 } else { start as usize };
                Picked::Span(Span { start, step, count: count as usize })
            }
            Pick::List(indices) => Picked::List(
                indices.iter().map(|&index| resolve(index, length, axis)).collect::<std::result::Result<_, _>>()?,
            ),
        })
    }
}

fn wrong_type(key: &Obj) -> Error {
    Error::type_error(format!("a Matrix index must be an int, a slice or a list of ints, not {}", key.type_name()))
}

/// One side of a key, against the matrix.
enum Picked {
    Span(Span),
    List(Vec<usize>),
}

impl Picked {
    fn picks(&self) -> Picks<'_> {
        match self {
            Picked::Span(span) => Picks::Span(*span),
            Picked::List(list) => Picks::List(list),
        }
    }
}

/// Both sides of a key.
struct Key {
    rows: Pick,
    columns: Pick,
    /// Written without a comma.
    alone: bool,
}

impl Key {
    fn parse(key: &Obj) -> Result<Key> {
        let Some(sides) = key.tuple_items() else {
            return Ok(Key { rows: Pick::parse(key)?, columns: Pick::All, alone: true });
        };
        let [rows, columns] = sides else {
            return Err(Error::index_error(format!(
                "a Matrix index has one dimension (row) or two (row, column), not {}",
                sides.len()
            )));
        };
        let key = Key { rows: Pick::parse(rows)?, columns: Pick::parse(columns)?, alone: false };
        match (&key.rows, &key.columns) {
            (Pick::List(_), Pick::All) | (Pick::All, Pick::List(_)) => Ok(key),
            (Pick::List(_), _) | (_, Pick::List(_)) => Err(Error::index_error(
                "a list of indices goes alone or with a bare `:`: m[[rows]], m[[rows], :] or \
                 m[:, [columns]]",
            )),
            _ => Ok(key),
        }
    }

    /// The element that is meant, if the key means one and not a matrix.
    fn element(&self, shape: Shape) -> Option<(isize, isize)> {
        match (&self.rows, &self.columns) {
            (&Pick::One(row), &Pick::One(column)) => Some((row, column)),
            (&Pick::One(row), Pick::All) if self.alone && shape.columns() == 1 => Some((row, 0)),
            _ => None,
        }
    }

    fn resolve(&self, shape: Shape) -> Result<(Picked, Picked)> {
        Ok((self.rows.resolve(shape.rows(), Axis::Down)?, self.columns.resolve(shape.columns(), Axis::Across)?))
    }
}

pub(super) fn get(this: This<'_, Handle>, key: Ref<'_>) -> Result<Obj> {
    let key = Key::parse(&key)?;
    let matrix = this.lend()?;
    if let Some((row, column)) = key.element(matrix.shape()) {
        let element = matrix.get(row, column)?;
        drop(matrix);
        return element.into_python(this.py());
    }
    let (rows, columns) = key.resolve(matrix.shape())?;
    let selected = matrix.select(rows.picks(), columns.picks())?;
    drop(matrix);
    new_object(this.state()?, selected)
}

pub(super) fn set(this: This<'_, Handle>, key: Ref<'_>, value: Option<Ref<'_>>) -> Result<()> {
    let Some(value) = value else {
        return Err(Error::type_error("elements of a Matrix can't be deleted"));
    };
    let key = Key::parse(&key)?;
    // The commonest values first: they need no look at this interpreter's types.
    let value = match real(&value)? {
        Some(number) => Operand::Number(number),
        None => Operand::required(this.state()?, &value)?,
    };
    // What is assigned to a part of itself is read before it is written.
    let value = match value.is(this.payload()) {
        true => Operand::Row(value.into_matrix()?),
        false => value,
    };
    let mut matrix = this.lend_mut()?;
    if let (Some((row, column)), Operand::Number(number)) = (key.element(matrix.shape()), &value) {
        matrix.set(row, column, *number)?;
        return Ok(());
    }
    let (rows, columns) = key.resolve(matrix.shape())?;
    let (rows, columns) = (rows.picks(), columns.picks());
    let selection = matrix.selection(rows, columns)?;
    let value = value.lend()?;
    match value.matrix() {
        // A vector fills a selection of as many elements in row-major order: a row goes into a
        // column, and a flat list into a rectangle.
        Some(vector) if fills(vector, selection) => {
            let mut fitting = vector.copy()?;
            fitting.reshape(selection)?;
            matrix.assign(rows, columns, &fitting)?;
        }
        _ => matrix.assign(rows, columns, value.operand())?,
    }
    Ok(())
}

/// Whether the value is a vector with as many elements as the selection, and of another shape.
fn fills(value: &Matrix, selection: Shape) -> bool {
    let shape = value.shape();
    shape != selection && shape.is_vector() && shape.len() == selection.len()
}
