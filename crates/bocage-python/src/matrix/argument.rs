//! Arguments from Python: numbers and sequences of them, indices, axes.

use std::ffi::c_int;

use bocage_matrix::{Axis, Shape};
use pyo3_ffi as ffi;

use crate::py::{Error, Kind, Obj, Ref, Result};

impl Obj {
    /// Whether the type has something in this slot.
    fn has(&self, slot: c_int) -> bool {
        // SAFETY: the type is alive; the slot's content is only compared with null.
        unsafe { !ffi::PyType_GetSlot(self.type_ptr(), slot).is_null() }
    }
}

/// The real number that `object` is, `None` if it is none: `float`, `int`, or what converts to one
/// and is no container (NumPy's arrays convert, too).
pub(super) fn real(object: &Obj) -> Result<Option<f64>> {
    let is_real = object.is_float()
        || object.is_int()
        || (object.has(ffi::Py_nb_float) || object.has(ffi::Py_nb_index))
            && !object.has(ffi::Py_mp_length)
            && !object.has(ffi::Py_sq_length);
    is_real.then(|| object.to_f64()).transpose()
}

/// The number that serves as `what`; `TypeError` if it is none.
pub(super) fn number(object: &Obj, what: &str) -> Result<f64> {
    real(object)?.ok_or_else(|| Error::type_error(format!("{what} must be a number, not {}", object.type_name())))
}

/// The numbers of a list or tuple; `None` for another type, `TypeError` for an item that is no
/// number.
pub(super) fn numbers(object: &Obj) -> Result<Option<Vec<f64>>> {
    if !object.is_list() && !object.is_tuple() {
        return Ok(None);
    }
    let mut numbers = Vec::with_capacity(object.len()?);
    // A list may change while an item's `__float__` runs: so each is looked up anew.
    while let Some(item) = item(object, numbers.len()) {
        numbers.push(match item {
            Item::Float(number) => number,
            Item::Other(item) => real(&item)?.ok_or_else(|| {
                Error::type_error(format!("item {} must be a number, not {}", numbers.len(), item.type_name()))
            })?,
        });
    }
    Ok(Some(numbers))
}

enum Item {
    /// An exact `float`, by far the most frequent.
    Float(f64),
    Other(Obj),
}

/// The item of a list or tuple at `index`, if it has so many.
fn item(sequence: &Obj, index: usize) -> Option<Item> {
    let (sequence, index) = (sequence.as_ptr(), index as isize);
    // SAFETY: the sequence is alive and a list or tuple, whose length is read just before; the item is
    // borrowed, and either read or referred to before anything else can run.
    unsafe {
        let item = if ffi::PyList_Check(sequence) != 0 {
            (index < ffi::PyList_GET_SIZE(sequence)).then(|| ffi::PyList_GET_ITEM(sequence, index))
        } else {
            (index < ffi::PyTuple_GET_SIZE(sequence)).then(|| ffi::PyTuple_GET_ITEM(sequence, index))
        }?;
        Some(if ffi::PyFloat_CheckExact(item) != 0 {
            Item::Float(ffi::PyFloat_AS_DOUBLE(item))
        } else {
            Item::Other(Obj::from_borrowed(item))
        })
    }
}

/// Any sequence but a `str` as a list or tuple; `None` for another type.
fn as_list(object: &Obj) -> Result<Option<Obj>> {
    if object.is_list() || object.is_tuple() {
        return Ok(Some(object.clone()));
    }
    // SAFETY: the object is alive.
    if object.is_str() || unsafe { ffi::PySequence_Check(object.as_ptr()) } == 0 {
        return Ok(None);
    }
    // SAFETY: as above; a new reference or null with an exception set.
    unsafe { Obj::from_result(object.py(), ffi::PySequence_List(object.as_ptr())).map(Some) }
}

/// The numbers of any sequence but a `str`; `None` for another type.
pub(super) fn numbers_of_sequence(object: &Obj) -> Result<Option<Vec<f64>>> {
    as_list(object)?.map_or(Ok(None), |list| numbers(&list))
}

/// The items of any sequence but a `str`; `None` for another type.
pub(super) fn items(object: &Obj) -> Result<Option<Vec<Obj>>> {
    Ok(as_list(object)?.and_then(|list| list.sequence_items()))
}

/// The shape of so many rows and columns.
pub(super) fn shape(rows: &Obj, columns: &Obj) -> Result<Shape> {
    let (rows, columns) = (rows.to_i64()?, columns.to_i64()?);
    match (usize::try_from(rows), usize::try_from(columns)) {
        (Ok(rows), Ok(columns)) => Ok(Shape::new(rows, columns)?),
        _ => Err(Error::value_error(format!("a matrix has at least one row and one column, not {rows}x{columns}"))),
    }
}

/// An index, not yet counted from an end.
pub(super) fn index(object: &Obj) -> Result<isize> {
    let out_of_reach = |error: Error| match error.matches(object.py(), Kind::OverflowError) {
        true => Error::index_error("the index doesn't fit an index-sized integer"),
        false => error,
    };
    let index = object.to_i64().map_err(out_of_reach)?;
    isize::try_from(index).map_err(|_| Error::index_error("the index is out of range"))
}

/// Whether the object can serve as an index.
pub(super) fn is_index(object: &Obj) -> bool {
    object.is_int() || object.has(ffi::Py_nb_index)
}

/// Whether `object + x` could mean to append.
pub(super) fn concatenates(object: &Obj) -> bool {
    object.has(ffi::Py_sq_concat)
}

/// The argument, unless it is absent or `None`.
pub(super) fn given<'a>(argument: Option<Ref<'a>>) -> Option<Ref<'a>> {
    argument.filter(|argument| !argument.is_none())
}

/// The axis of that number.
pub(super) fn axis(object: &Obj) -> Result<Axis> {
    if !is_index(object) {
        return Err(Error::type_error(format!("axis must be an int, not {}", object.type_name())));
    }
    let out_of_reach = |error: Error| match error.matches(object.py(), Kind::OverflowError) {
        true => Error::value_error("axis must be -2, -1, 0 or 1"),
        false => error,
    };
    let number = object.to_i64().map_err(out_of_reach)?;
    let number = isize::try_from(number).unwrap_or(isize::MAX);
    Ok(Axis::from_number(number)?)
}

/// For an argument that the signature has found to be there.
pub(super) fn missing() -> Error {
    Error::system_error("a required argument is missing")
}
