//! What lies in the queues from which others take: a ready behavior, or a row of readers.

use std::mem;
use std::ptr::NonNull;

use bocage_core::{Ready, Row};

/// One or the other, as a pointer: the queues are as small as if there were no rows.
pub(crate) struct Entry(NonNull<()>);

/// Marks a row.
const ROW: usize = 1;

/// What an entry is.
pub(crate) enum Opened {
    Ready(Ready),
    Row(Row),
}

// SAFETY: it is what is inside.
unsafe impl Send for Entry where Opened: Send {}

impl Entry {
    #[inline]
    pub(crate) fn open(self) -> Opened {
        let raw = self.0;
        mem::forget(self);
        // SAFETY: what was put in by `from`, and is taken out once.
        unsafe {
            if raw.addr().get() & ROW == 0 {
                Opened::Ready(Ready::from_raw(raw))
            } else {
                Opened::Row(Row::from_raw(raw.byte_sub(ROW)))
            }
        }
    }

    /// Its behaviors.
    pub(crate) fn into_each(self) -> impl Iterator<Item = Ready> {
        let (ready, row) = match self.open() {
            Opened::Ready(ready) => (Some(ready), None),
            Opened::Row(row) => (None, Some(row)),
        };
        ready.into_iter().chain(row.into_iter().flatten())
    }
}

impl From<Ready> for Entry {
    #[inline]
    fn from(ready: Ready) -> Self {
        Self(ready.into_raw())
    }
}

impl From<Row> for Entry {
    #[inline]
    fn from(row: Row) -> Self {
        // SAFETY: within the block, whose address has low bits to spare.
        Self(unsafe { row.into_raw().byte_add(ROW) })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        drop(Self(self.0).open());
    }
}
