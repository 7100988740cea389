//! What an instance of `Matrix` holds.
//!
//! | state | content | exports | what is possible |
//! | --- | --- | --- | --- |
//! | here | a matrix | 0 | everything |
//! | exported | a matrix | > 0 | all but moving away and changing shape, which would take the memory from under a `memoryview` or an array |
//! | moved | none | 0 | nothing: `RuntimeError` |
//!
//! here -> exported -> here as buffers are taken and given back; here -> moved by [`Handle::take`],
//! for good.

use std::cell::{Cell, Ref, RefCell, RefMut};

use bocage_matrix::Matrix;

use crate::py::{Error, Payload, Result};

/// A matrix that may have moved away.
pub(crate) struct Handle {
    content: RefCell<Option<Matrix>>,
    exports: Cell<usize>,
}

impl Payload for Handle {}

fn moved() -> Error {
    Error::runtime_error(
        "this Matrix has moved: its elements went into a cown or to another interpreter; \
         pass a copy() if both need them",
    )
}

fn busy() -> Error {
    Error::runtime_error("this Matrix is in use by an operation under way")
}

impl Handle {
    pub(super) fn new(matrix: Matrix) -> Handle {
        Handle { content: RefCell::new(Some(matrix)), exports: Cell::new(0) }
    }

    /// Lends the matrix. No Python code may run while it is lent.
    pub(super) fn lend(&self) -> Result<Ref<'_, Matrix>> {
        let content = self.content.try_borrow().map_err(|_| busy())?;
        Ref::filter_map(content, Option::as_ref).map_err(|_| moved())
    }

    /// Lends the matrix for writing. No Python code may run while it is lent.
    pub(super) fn lend_mut(&self) -> Result<RefMut<'_, Matrix>> {
        let content = self.content.try_borrow_mut().map_err(|_| busy())?;
        RefMut::filter_map(content, Option::as_mut).map_err(|_| moved())
    }

    /// Whether the elements are here.
    pub(super) fn is_here(&self) -> bool {
        self.lend().is_ok()
    }

    /// `Ok` if the matrix could move away now.
    pub(super) fn may_move(&self) -> Result<()> {
        self.lend()?;
        self.not_exported("a Matrix can't move")
    }

    /// Takes the matrix out, for good.
    pub(super) fn take(&self) -> Result<Matrix> {
        self.may_move()?;
        self.content.try_borrow_mut().map_err(|_| busy())?.take().ok_or_else(moved)
    }

    /// `Ok` if nobody outside knows the address of the elements.
    pub(super) fn not_exported(&self, what: &str) -> Result<()> {
        match self.exports.get() {
            0 => Ok(()),
            count => Err(Error::buffer_error(format!(
                "{what} while its buffer is exported ({count} time{}): drop the memoryviews and \
                 arrays made from it first",
                if count == 1 { "" } else { "s" }
            ))),
        }
    }

    pub(super) fn export(&self) {
        self.exports.set(self.exports.get() + 1);
    }

    pub(super) fn end_export(&self) {
        self.exports.set(self.exports.get() - 1);
    }
}
