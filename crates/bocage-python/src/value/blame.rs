//! Which part of a payload can't cross.
//!
//! Pickle says what it can't pickle, and not where in the payload that is. On this path, which is an
//! error already, the native part of the payload is walked again, and each part that isn't native is
//! pickled by itself until one fails: its place goes into the message.

use std::collections::HashSet;

use crate::py::exact::Exact;
use crate::py::{Error, Kind, Obj, Result};
use crate::state::State;

use super::handles::Matrices;
use super::pickle;

/// How many objects are looked at before the search is given up.
const BUDGET: usize = 10_000;

/// The error of a failed encode, with the place of the offending part in its message if it is found.
pub(super) fn locate(state: &State, root: &Obj, error: Error) -> Error {
    let py = state.py();
    let exception = error.into_object(py);
    let says_what = exception.is_instance_of(&Kind::TypeError.class(py))
        || exception.is_instance_of(&Kind::AttributeError.class(py))
        || exception.type_name().ends_with("PicklingError");
    if says_what && let Ok(Some(place)) = find(state, root) {
        // A message that can't be changed stays as it is: nothing here may hide the error.
        let _ = add_place(state, &exception, &place);
    }
    Error::Raised(exception)
}

fn find(state: &State, root: &Obj) -> Result<Option<String>> {
    let mut seen = HashSet::new();
    let mut left = vec![(Obj::clone(root), String::from("value"))];
    for _ in 0..BUDGET {
        let Some((object, place)) = left.pop() else {
            break;
        };
        if object.refcount() > 2 && !seen.insert(object.as_ptr() as usize) {
            continue;
        }
        let first = left.len();
        match object.exact() {
            Exact::List | Exact::Tuple => {
                for (index, item) in object.sequence_items().into_iter().flatten().enumerate() {
                    left.push((item, format!("{place}[{index}]")));
                }
            }
            Exact::Dict => {
                for (key, value) in object.dict_pairs() {
                    let shown = key.repr()?.display();
                    left.push((key, format!("the key {shown} of {place}")));
                    left.push((value, format!("{place}[{shown}]")));
                }
            }
            Exact::Set | Exact::FrozenSet => {
                let members = object.iter()?;
                while let Some(member) = members.next()? {
                    left.push((member, format!("a member of {place}")));
                }
            }
            Exact::Slice => {
                for (name, part) in [("start", c"start"), ("stop", c"stop"), ("step", c"step")] {
                    left.push((object.attr(part)?, format!("{place}.{name}")));
                }
            }
            Exact::Other if !object.is(root) && pickle::write(state, &object, Matrices::Copy).is_err() => {
                return Ok(Some(place));
            }
            _ => {}
        }
        // The first part is looked at first.
        left[first..].reverse();
    }
    Ok(None)
}

/// Appends the place to the message of an exception whose one argument is its message.
fn add_place(state: &State, exception: &Obj, place: &str) -> Result<()> {
    let args = exception.getattr(&state.names.args)?;
    if let Some([message]) = args.tuple_items()
        && message.is_str()
    {
        let py = state.py();
        let message = format!("{} (in {place})", message.to_utf8()?);
        exception.setattr(&state.names.args, &Obj::tuple(py, [Obj::text(py, &message)?])?)?;
    }
    Ok(())
}
