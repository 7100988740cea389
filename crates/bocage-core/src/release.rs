//! Release: gives up all cowns of a behavior that ran, and passes on what became ready.

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::cown::CownHeader;
use crate::grant;
use crate::slot::{Left, Slot};

/// Releases every cown of the behavior, its result's last, and drops the run's reference.
///
/// A successor that has all its cowns goes to its own executor, on this thread. Nothing here recurses: the
/// executor only takes the successor in.
///
/// # Safety
///
/// The behavior holds all its cowns, and its body is done.
pub(crate) unsafe fn all(header: NonNull<Header>) {
    // SAFETY: the run's reference keeps the block alive until it is dropped below, and after that nothing
    // of it is used.
    unsafe {
        let result = Header::result(header);
        for slot in Header::slots(header) {
            let Some(cown) = NonNull::new(slot.want.cown().cast_mut()) else { continue };
            if slot.want.reads() {
                read(header, slot, cown, result);
            } else if write(header, slot, result) {
                CownHeader::unkeep(cown, 1);
            }
        }
        // The run's reference and, if nobody waits for the result, its queue's.
        let refs = 1 + u32::from(write(header, Header::result_slot(header), result));
        CownHeader::unkeep(result, refs);
    }
}

/// Releases a cown that was held to write; `true` if its queue is empty now, so that the queue's reference is
/// to be dropped.
unsafe fn write(header: NonNull<Header>, slot: &Slot, result: NonNull<CownHeader>) -> bool {
    // SAFETY: held to write, so the queue is not empty and keeps the cown.
    unsafe {
        match leave(header, slot, result) {
            Left::Empty => return true,
            Left::Unlinked => {}
            Left::Successor(next, false) => grant::acquired_one(NonNull::new_unchecked(next), Arrival::HandedOver),
            Left::Successor(next, true) => {
                let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
                grant::to_readers(cown, NonNull::new_unchecked(next), Arrival::HandedOver);
            }
        }
        false
    }
}

/// Releases a cown that was held to read.
unsafe fn read(header: NonNull<Header>, slot: &Slot, cown: NonNull<CownHeader>, result: NonNull<CownHeader>) {
    // SAFETY: the reader's own reference keeps the cown until the end.
    unsafe {
        let empty = matches!(leave(header, slot, result), Left::Empty);
        if let Some(writer) = cown.as_ref().uncount_reader() {
            grant::acquired_one(writer, Arrival::HandedOver);
        }
        CownHeader::unkeep(cown, 1 + u32::from(empty));
    }
}

unsafe fn leave(header: NonNull<Header>, slot: &Slot, result: NonNull<CownHeader>) -> Left {
    // SAFETY: the cown is held and kept, as the callers say. The run's reference is there still, so that an
    // extra one that is given back is never the last.
    unsafe { slot.leave(header.as_ptr(), || result.as_ref().keep(), || CownHeader::unkeep(result, 1)) }
}
