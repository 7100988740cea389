//! Values on their way: encoded, with their matrices still where they were.
//!
//! A call that converts several objects, or that can be refused after it converted one, drafts them all and moves
//! their matrices last, when nothing can be refused any more. So a call that fails has moved nothing.

use std::sync::Arc;

use crate::py::exact::Exact;
use crate::py::{Error, Obj, Result};
use crate::spread;
use crate::state::State;

use super::encode::{native, scalar};
use super::graph::Graph;
use super::handles::{Gathering, Matrices};
use super::{Value, blame, pickle};

/// What an object will be as a value.
pub(crate) enum Draft {
    /// Nothing in it moves.
    Ready(Value),
    /// A matrix that will move.
    Matrix(Obj),
    /// The bytes of a graph, and what will move into it.
    Graph(Box<(Vec<u8>, Gathering)>),
    /// A pickled object, and what will move into it.
    Pickle(Box<pickle::Dump>),
}

// As a value is: a row of drafts becomes a row of values in place.
const _: () = assert!(size_of::<Draft>() == size_of::<Value>());

/// Turns an object into a value; its matrices move.
///
/// # Errors
/// `TypeError`, `PicklingError` or `AttributeError` naming the part that can't cross;
/// `RecursionError` for nesting past the recursion limit; whatever the object's own reduction raises.
/// After an error nothing has moved.
pub(crate) fn encode(state: &State, object: &Obj) -> Result<Value> {
    match scalar(state, object)? {
        Some(scalar) => Ok(scalar),
        None => finish_one(state, compound(state, object, Matrices::Move)?),
    }
}

/// As [`encode`], but its matrices are copied: for what belongs to a function, which the program goes on using.
pub(crate) fn encode_copy(state: &State, object: &Obj) -> Result<Value> {
    match scalar(state, object)? {
        Some(scalar) => Ok(scalar),
        None => finish_one(state, compound(state, object, Matrices::Copy)?),
    }
}

/// Encodes an object, but moves nothing yet.
///
/// # Errors
/// As for [`encode`].
pub(crate) fn draft(state: &State, object: &Obj) -> Result<Draft> {
    match scalar(state, object)? {
        Some(scalar) => Ok(Draft::Ready(scalar)),
        None => compound(state, object, Matrices::Move),
    }
}

/// What is no scalar.
fn compound(state: &State, object: &Obj, matrices: Matrices) -> Result<Draft> {
    if object.exact() == Exact::Other {
        if matrices.check(state, object)? {
            return Ok(match matrices {
                Matrices::Move => Draft::Matrix(Obj::clone(object)),
                Matrices::Copy => Draft::Ready(Value::Matrix(Arc::new(matrices.take(state, object)?))),
            });
        }
    } else if let Some((bytes, handles)) = native(state, object, matrices)? {
        if handles.to_move().next().is_some() {
            return Ok(Draft::Graph(Box::new((bytes, handles))));
        }
        return Ok(Draft::Ready(graph(state, bytes, &handles)?));
    }
    let known = spread::count();
    let dump = pickle::write(state, object, matrices).map_err(|error| blame::locate(state, object, error))?;
    if spread::count() != known {
        spread::share(state);
    }
    if dump.handles().to_move().next().is_some() {
        return Ok(Draft::Pickle(Box::new(dump)));
    }
    Ok(Draft::Ready(Value::Pickle(Arc::new(dump.finish(state)?))))
}

#[inline]
fn graph(state: &State, bytes: Vec<u8>, handles: &Gathering) -> Result<Value> {
    Ok(Value::Graph(Arc::new(Graph::new(bytes, handles.take(state)?))))
}

impl Draft {
    /// The matrices that will move.
    fn to_move(&self) -> impl Iterator<Item = &Obj> {
        let (alone, inside) = match self {
            Draft::Ready(_) => (None, None),
            Draft::Matrix(object) => (Some(object), None),
            Draft::Graph(parts) => (None, Some(&parts.1)),
            Draft::Pickle(dump) => (None, Some(dump.handles())),
        };
        alone.into_iter().chain(inside.into_iter().flat_map(Gathering::to_move))
    }

    fn finish(self, state: &State) -> Result<Value> {
        match self {
            Draft::Ready(value) => Ok(value),
            Draft::Matrix(object) => Ok(Value::Matrix(Arc::new(Matrices::Move.take(state, &object)?))),
            Draft::Graph(parts) => {
                let (bytes, handles) = *parts;
                graph(state, bytes, &handles)
            }
            Draft::Pickle(dump) => Ok(Value::Pickle(Arc::new(dump.finish(state)?))),
        }
    }
}

fn finish_one(state: &State, draft: Draft) -> Result<Value> {
    // One matrix alone is checked as it is taken.
    if matches!(draft, Draft::Graph(_) | Draft::Pickle(_)) {
        check(state, std::slice::from_ref(&draft)).map_err(|(_, error)| error)?;
    }
    draft.finish(state)
}

/// An error, and the draft that it is about, unless the matrices of all drafts can move.
pub(crate) fn check(state: &State, drafts: &[Draft]) -> std::result::Result<(), (usize, Error)> {
    let mut met = Vec::new();
    for (index, draft) in drafts.iter().enumerate() {
        for object in draft.to_move() {
            // Python code may have run since it was met (a `__reduce__` of another part).
            Matrices::Move.check(state, object).map_err(|error| (index, error))?;
            met.push((object.as_ptr().addr(), index));
        }
    }
    met.sort_unstable();
    match met.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        Some(pair) => Err((
            pair[1].1,
            Error::runtime_error(
                "the same Matrix is given twice, and can move only once: give it once, or pass a copy()",
            ),
        )),
        None => Ok(()),
    }
}

/// Makes values of the drafts: of all of them or, on an error, of none.
pub(crate) fn finish(state: &State, drafts: Vec<Draft>) -> std::result::Result<Box<[Value]>, (usize, Error)> {
    check(state, &drafts)?;
    let finish = |(index, draft): (usize, Draft)| draft.finish(state).map_err(|error| (index, error));
    drafts.into_iter().enumerate().map(finish).collect()
}
