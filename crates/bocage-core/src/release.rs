//! Release: gives up all cowns of a behavior that ran, and passes on what became ready.

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::cown::CownHeader;
use crate::slot::{Released, Slot};

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
            if slot.cown.is_null() {
                continue;
            }
            let cown = NonNull::new_unchecked(slot.cown.cast_mut());
            if one(header, slot, result) {
                CownHeader::unkeep(cown, 1);
            }
        }
        // The run's reference and, if nobody waits for the result, its queue's.
        let refs = 1 + u32::from(one(header, Header::result_slot(header), result));
        CownHeader::unkeep(result, refs);
    }
}

/// Releases one cown; `true` if its queue is empty now, so that the queue's reference is to be dropped.
unsafe fn one(header: NonNull<Header>, slot: &Slot, result: NonNull<CownHeader>) -> bool {
    // SAFETY: the caller holds the cown and the run's reference; an extra one that is given back here is
    // therefore never the last.
    unsafe {
        let keep = || result.as_ref().keep();
        let unkeep = || CownHeader::unkeep(result, 1);
        match slot.release(header.as_ptr(), keep, unkeep) {
            Released::Empty => return true,
            Released::Left => {}
            Released::To(successor) => {
                let successor = NonNull::new_unchecked(successor);
                if successor.as_ref().is_single() || successor.as_ref().acquired(1) {
                    Header::make_ready(successor, Arrival::HandedOver);
                }
            }
        }
        false
    }
}
