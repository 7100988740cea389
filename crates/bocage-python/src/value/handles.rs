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

/// What becomes of the matrices in an object that is encoded.
#[derive(Clone, Copy, Default)]
pub(crate) enum Matrices {
    /// They move: their objects are empty afterwards.
    #[default]
    Move,
    /// They are copied, and stay.
    Copy,
}

impl Matrices {
    /// Whether `object` is a matrix; an error if it is one that can't be taken so.
    pub(super) fn check(self, state: &State, object: &Obj) -> Result<bool> {
        let checked = match self {
            Matrices::Move => matrix::check(state, object),
            Matrices::Copy => matrix::check_here(state, object),
        };
        checked.transpose().map(|found| found.is_some())
    }

    /// The matrix out of its object.
    pub(super) fn take(self, state: &State, object: &Obj) -> Result<Matrix> {
        let taken = match self {
            Matrices::Move => matrix::take(state, object),
            Matrices::Copy => matrix::copy(state, object),
        };
        taken.ok_or_else(|| Error::system_error("a matrix is no matrix any more"))?
    }
}

/// Handles gathered while an object is walked. Nothing moves before [`Gathering::take`].
#[derive(Default)]
pub(crate) struct Gathering {
    handles: Vec<Gathered>,
    matrices: Matrices,
}

enum Gathered {
    Cown(CownHandle),
    Matrix(Obj),
}

impl Gathering {
    /// Nothing yet.
    pub(super) fn new(matrices: Matrices) -> Gathering {
        Gathering { handles: Vec::new(), matrices }
    }

    /// The index for `object` if it crosses by pointer; an error if it is one that can't.
    pub(crate) fn add(&mut self, state: &State, object: &Obj) -> Result<Option<usize>> {
        let gathered = if let Some(cown) = state.cown.get(object) {
            Gathered::Cown(cown.handle().clone())
        } else if self.matrices.check(state, object)? {
            Gathered::Matrix(Obj::clone(object))
        } else {
            return Ok(None);
        };
        self.handles.push(gathered);
        Ok(Some(self.handles.len() - 1))
    }

    /// The matrices among them that [`Gathering::take`] will move.
    pub(super) fn to_move(&self) -> impl Iterator<Item = &Obj> {
        let moves = matches!(self.matrices, Matrices::Move);
        self.handles.iter().filter_map(move |gathered| match gathered {
            Gathered::Matrix(object) if moves => Some(object),
            _ => None,
        })
    }

    /// Takes the matrices out of their objects: of those that were just checked, all.
    #[inline]
    pub(super) fn take(&self, state: &State) -> Result<Handles> {
        if self.handles.is_empty() {
            return Ok(Handles::default());
        }
        let take = |gathered: &Gathered| match gathered {
            Gathered::Cown(cown) => Ok(Handle::Cown(cown.clone())),
            Gathered::Matrix(object) => self.matrices.take(state, object).map(Handle::Matrix),
        };
        self.handles.iter().map(take).collect::<Result<_>>().map(Handles)
    }
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
