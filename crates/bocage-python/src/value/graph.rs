//! A graph of native objects in one flat buffer.

use crate::py::{Obj, Result};
use crate::state::State;

use super::decode::decode;
use super::handles::{Handles, Source};

/// An object, its content and theirs, in the bytes of [`super::wire`], and its table of handles.
pub(crate) struct Graph {
    bytes: Vec<u8>,
    handles: Handles,
}

impl Graph {
    pub(super) fn new(bytes: Vec<u8>, handles: Handles) -> Graph {
        Graph { bytes, handles }
    }

    /// The cowns and matrices inside.
    pub(crate) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// The object; matrices move into it.
    pub(crate) fn into_object(self, state: &State) -> Result<Obj> {
        decode(state, &self.bytes, &Source::given(self.handles))
    }

    /// The object; matrices are copied into it.
    pub(crate) fn to_object(&self, state: &State) -> Result<Obj> {
        decode(state, &self.bytes, &Source::Lent(&self.handles))
    }
}
