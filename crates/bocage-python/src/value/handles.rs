//! The table of things that cross by pointer: cowns and matrices.

use std::cell::RefCell;

use crate::cown::{self, CownHandle};
use crate::matrix::{self, Matrix};
use crate::py::{Error, Obj, Result};
use crate::state::State;

/// One thing that crosses by pointer.
pub(crate) enum Handle {
    /// A cown.
    Cown(CownHandle),
    /// A matrix.
    Matrix(Matrix),
}

/// The handles of one value; its bytes refer to them by index.
#[derive(Default)]
pub(crate) struct Handles(Vec<Handle>);

impl Handles {
    /// Whether there is a matrix among them.
    pub(crate) fn has_matrix(&self) -> bool {
        self.0.iter().any(|handle| matches!(handle, Handle::Matrix(_)))
    }

    /// The cowns among them.
    pub(crate) fn cowns(&self) -> impl Iterator<Item = &CownHandle> {
        self.0.iter().filter_map(|handle| match handle {
            Handle::Cown(cown) => Some(cown),
            Handle::Matrix(_) => None,
        })
    }
}

/// Handles gathered while an object is walked. Nothing moves before [`Gathering::take`].
#[derive(Default)]
pub(crate) struct Gathering(Vec<Gathered>);

enum Gathered {
    Cown(CownHandle),
    Matrix(Obj),
}

impl Gathering {
    /// The index for `object` if it crosses by pointer; an error if it is one that can't.
    pub(crate) fn add(&mut self, state: &State, object: &Obj) -> Result<Option<usize>> {
        let gathered = if let Some(cown) = state.cown.get(object) {
            Gathered::Cown(cown.handle().clone())
        } else {
            match matrix::check(state, object) {
                Some(Ok(())) => Gathered::Matrix(Obj::clone(object)),
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        };
        self.0.push(gathered);
        Ok(Some(self.0.len() - 1))
    }

    /// Moves the matrices out of their objects, all of them or, on an error, none.
    pub(crate) fn take(self, state: &State) -> Result<Handles> {
        // Python code may have run since a matrix was met (a `__reduce__` of another part).
        for gathered in &self.0 {
            if let Gathered::Matrix(object) = gathered {
                matrix::check(state, object).ok_or_else(not_a_matrix)??;
            }
        }
        let mut handles = Vec::with_capacity(self.0.len());
        for gathered in self.0 {
            handles.push(match gathered {
                Gathered::Cown(cown) => Handle::Cown(cown),
                Gathered::Matrix(object) => Handle::Matrix(matrix::take(state, &object).ok_or_else(not_a_matrix)??),
            });
        }
        Ok(Handles(handles))
    }
}

fn not_a_matrix() -> Error {
    Error::system_error("a matrix is no matrix any more")
}

/// A copy of a matrix, with `MemoryError` where there is no room.
pub(crate) fn copy(matrix: &Matrix) -> Result<Matrix> {
    matrix.copy().map_err(|error| Error::memory_error(error.to_string()))
}

/// The handles during one decoding: what each index stands for, once or as often as asked.
pub(crate) enum Source<'a> {
    /// The value is left for others: matrices are copied.
    Lent(&'a Handles),
    /// The value is consumed: matrices move.
    Given(RefCell<Vec<Option<Handle>>>),
}

impl Source<'_> {
    /// For a value that is consumed.
    pub(crate) fn given(handles: Handles) -> Source<'static> {
        Source::Given(RefCell::new(handles.0.into_iter().map(Some).collect()))
    }

    /// The object that `index` stands for.
    pub(crate) fn object(&self, state: &State, index: usize) -> Result<Obj> {
        let handle = match self {
            Source::Lent(handles) => match handles.0.get(index) {
                Some(Handle::Cown(cown)) => Some(Handle::Cown(cown.clone())),
                Some(Handle::Matrix(matrix)) => Some(Handle::Matrix(copy(matrix)?)),
                None => None,
            },
            Source::Given(handles) => handles.borrow_mut().get_mut(index).and_then(Option::take),
        };
        match handle {
            Some(Handle::Cown(cown)) => cown::new_object(state, cown),
            Some(Handle::Matrix(matrix)) => matrix::new_object(state, matrix),
            None => Err(Error::system_error("a value refers to a handle that it doesn't hold")),
        }
    }
}
