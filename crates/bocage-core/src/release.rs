//! Release: gives up all cowns of a behavior that ran, and passes on what became ready.

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::cown::{AfterReader, CownHeader};
use crate::grant;
use crate::slot::{Left, Slot, Word};

/// Releases every cown of the behavior, its result's last, and drops the run's reference. `true` if nobody refers to the
/// block any more: then it is left to the caller to free.
///
/// A successor that has all its cowns goes to its own executor, on this thread. Nothing here recurses: the
/// executor only takes the successor in.
///
/// # Safety
///
/// The behavior, whose slots these are, holds all its cowns, and its body is done.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn all(header: NonNull<Header>, slots: &[Slot]) -> bool {
    // SAFETY: the run's reference keeps the block alive until it is dropped below, and after that nothing
    // of it is used.
    unsafe {
        for slot in slots {
            if !slot.want.is_included() {
                let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
                if slot.want.reads() {
                    read(header, &slot.word, cown);
                } else {
                    write(header, &slot.word, cown);
                }
            }
        }
        let result = Header::result(header);
        let CownHeader { word, tail, .. } = result.as_ref();
        // If nobody has a handle and nobody came, then nobody can come any more: there is nothing to release.
        if result.as_ref().is_sole() && tail.is_last(word) { true } else { release_result(header) }
    }
}

/// Releases the result's cown, and drops the run's reference; as [`all`].
///
/// # Safety
///
/// As for that.
unsafe fn release_result(header: NonNull<Header>) -> bool {
    let result = Header::result(header);
    // SAFETY: the run's reference keeps the block alive until it is given up.
    unsafe {
        write(header, &result.as_ref().word, result);
        CownHeader::give_up(result)
    }
}

/// Releases a cown that was held to write. It may be gone afterwards.
#[inline(always)]
unsafe fn write(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) {
    // SAFETY: held to write, so the queue is not empty and keeps the cown, until this leaves it. A successor keeps it
    // further.
    unsafe {
        match leave(header, word, cown) {
            Left::Empty | Left::Unlinked => {}
            Left::Orphan => CownHeader::unkeep(cown),
            Left::Successor(next, false) => grant::acquired_one(NonNull::new_unchecked(next), Arrival::HandedOver),
            Left::Successor(next, true) => {
                grant::to_readers(cown, NonNull::new_unchecked(next), Arrival::HandedOver);
            }
        }
    }
}

/// Releases a cown that was held to read. It may be gone afterwards.
unsafe fn read(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) {
    // SAFETY: a reader that is counted keeps the cown; then whoever is granted to does, or a reference.
    unsafe {
        let left = leave(header, word, cown);
        match cown.as_ref().uncount_reader() {
            AfterReader::Nobody => {}
            AfterReader::Writer(writer) => grant::acquired_one(writer, Arrival::HandedOver),
            AfterReader::Orphan => CownHeader::unkeep(cown),
        }
        if matches!(left, Left::Orphan) {
            CownHeader::unkeep(cown);
        }
    }
}

#[inline]
unsafe fn leave(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) -> Left {
    let result = Header::result(header);
    // SAFETY: the cown is held and kept, as the callers say. The run's reference is there still, so that an
    // extra one that is given back is never the last.
    unsafe { word.leave(cown.as_ptr(), header.as_ptr(), || result.as_ref().keep(), || CownHeader::unkeep(result)) }
}
