//! Rows: readers that have been granted their cown at once, as one thing for an executor to queue.
//!
//! A granted reader may go to its executor by itself. Then who grants to many touches a queue for each, while those who are to
//! take them look at that same queue. Readers of one executor that stand one behind the other go as a [`Row`] instead: it needs
//! no memory, as their slots are linked already. See [`Turn::grant_in_rows`](crate::Turn::grant_in_rows).
//!
//! # Invariants
//!
//! - All readers of a row have been counted in, and none has run: their blocks are there. Whoever has the row has their only
//!   tokens.
//! - Each but the last one has its successor linked, which is the next one of the row. What is linked behind the last one is
//!   not looked at.

use core::fmt;
use core::mem;
use core::num::NonZeroU32;
use core::ptr::NonNull;

use crate::behavior::Header;
use crate::executor::Ready;

/// Readers of one cown that have it and are to be run, in the order in which they were scheduled, all of one executor.
///
/// Dropping it cancels those that are left, as dropping a [`Ready`] does.
#[must_use = "dropping a row cancels its behaviors"]
pub struct Row {
    first: NonNull<Header>,
    readers: NonZeroU32,
}

// SAFETY: it stands for behaviors as `Ready` does.
unsafe impl Send for Row {}

impl Row {
    /// # Safety
    ///
    /// As the invariants say, of so many readers.
    pub(crate) unsafe fn new(first: NonNull<Header>, readers: NonZeroU32) -> Self {
        Self { first, readers }
    }

    /// How many readers there are; at least one.
    #[expect(clippy::len_without_is_empty, reason = "it never is")]
    pub fn len(&self) -> usize {
        self.readers.get() as usize
    }

    /// The first one, and the others if there are any.
    #[inline]
    pub fn split_first(self) -> (Ready, Option<Self>) {
        let Self { first, readers } = self;
        mem::forget(self);
        // SAFETY: by the invariants, which hold of the others just so.
        unsafe {
            let others = NonZeroU32::new(readers.get() - 1).map(|readers| {
                let next = Header::only_slot(first).word.successor();
                let (next, _) = next.unwrap_unchecked();
                Header::prefetch_to_run(next);
                Self { first: next, readers }
            });
            (Ready::new(first), others)
        }
    }

    /// The row as a pointer, for queues that keep pointers. [`Row::from_raw`] takes it back; until then the cown stays held.
    /// Its two lowest bits are zero, as those of [`Ready::into_raw`] are.
    pub fn into_raw(self) -> NonNull<()> {
        let Self { first, readers } = self;
        mem::forget(self);
        // SAFETY: its block is there, and has one slot, so that nobody else uses its count.
        unsafe { Header::note_readers(first, readers) };
        first.cast()
    }

    /// The row that [`into_raw`](Self::into_raw) made a pointer of.
    ///
    /// # Safety
    ///
    /// `raw` came from [`Row::into_raw`] and is used once.
    pub unsafe fn from_raw(raw: NonNull<()>) -> Self {
        let first = raw.cast();
        // SAFETY: as for `into_raw`, which noted it.
        Self { first, readers: unsafe { Header::noted_readers(first) } }
    }
}

impl IntoIterator for Row {
    type Item = Ready;
    type IntoIter = Readers;

    fn into_iter(self) -> Readers {
        Readers(Some(self))
    }
}

/// The readers of a [`Row`], one by one.
#[derive(Debug)]
#[must_use = "dropping it cancels the behaviors that are left"]
pub struct Readers(Option<Row>);

impl Iterator for Readers {
    type Item = Ready;

    fn next(&mut self) -> Option<Ready> {
        let (first, others) = self.0.take()?.split_first();
        self.0 = others;
        Some(first)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.0.as_ref().map_or(0, Row::len);
        (left, Some(left))
    }
}

impl ExactSizeIterator for Readers {}

impl Drop for Row {
    fn drop(&mut self) {
        // SAFETY: the same row, which is used no more.
        let row = unsafe { Self::new(self.first, self.readers) };
        row.into_iter().for_each(drop);
    }
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Row({} from {:p})", self.readers, self.first)
    }
}
