//! Granting: who gets a cown next, and the readers' count. The protocol stands in [`crate::slot`].

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header};
use crate::cown::CownHeader;
use crate::slot::Slot;

/// A slot whose behavior found no predecessor that it would have to wait for: a reader has the cown, a writer
/// does unless readers are left. `true` if the cown is acquired.
///
/// A reader's own word is not marked yet: that is the caller's, who knows whether others can see it.
///
/// # Safety
///
/// The cown is alive, and `slot` is one of `header`'s in its queue.
pub(crate) unsafe fn enter(cown: &CownHeader, header: NonNull<Header>, slot: &Slot) -> bool {
    if slot.want.reads() {
        cown.count_readers(1);
        return true;
    }
    cown.is_without_readers() || cown.wait_for_readers(header)
}

/// So many readers at most are counted in one step: their blocks are visited twice, and are to stay in the cache for that.
const COUNTED_AT_ONCE: u32 = 32;

/// Grants `cown` to `reader` and to all readers that come right after it; the writer that comes then enters.
///
/// # Safety
///
/// `reader` waits in the queue of `cown`, to read it, and it is its turn.
pub(crate) unsafe fn to_readers(cown: NonNull<CownHeader>, reader: NonNull<Header>, arrival: Arrival) {
    let mut reader = reader;
    loop {
        // SAFETY: `reader` is in the queue and not granted to, so that its block is there, and the queue
        // keeps the cown. A successor that was linked then is in the queue just so.
        unsafe {
            let mut left = readers_linked_behind(cown, reader);
            cown.as_ref().count_readers(left);
            while left > 0 {
                left -= 1;
                reader = match mark(cown, reader, arrival) {
                    Some((next, true)) => NonNull::new_unchecked(next),
                    Some((writer, false)) => {
                        let writer = NonNull::new_unchecked(writer);
                        if cown.as_ref().wait_for_readers(writer) {
                            acquired_one(writer, arrival);
                        }
                        return;
                    }
                    None => return,
                };
            }
        }
    }
}

/// How many readers come in a row, with `reader`, up to [`COUNTED_AT_ONCE`].
///
/// # Safety
///
/// As for [`to_readers`].
unsafe fn readers_linked_behind(cown: NonNull<CownHeader>, reader: NonNull<Header>) -> u32 {
    let mut reader = reader;
    let mut count = 1;
    while count < COUNTED_AT_ONCE {
        // SAFETY: in the queue, and not granted to.
        let Some((next, true)) = (unsafe { Header::slot_for(reader, cown).word.successor() }) else { break };
        // SAFETY: what is linked is no null pointer.
        reader = unsafe { NonNull::new_unchecked(next) };
        count += 1;
    }
    count
}

/// Marks a reader that is counted as one that has the cown, and tells it. Returns its successor.
///
/// # Safety
///
/// As for [`to_readers`].
unsafe fn mark(cown: NonNull<CownHeader>, reader: NonNull<Header>, arrival: Arrival) -> Option<(*mut Header, bool)> {
    // SAFETY: the block is there until the behavior is told, which is the last thing done to it.
    unsafe {
        let successor = Header::slot_for(reader, cown).word.set_granted();
        acquired_one(reader, arrival);
        successor
    }
}

/// One cown more is acquired; the behavior goes to its executor if that was the last.
///
/// # Safety
///
/// The behavior waited for it, and this is called once for each cown.
pub(crate) unsafe fn acquired_one(header: NonNull<Header>, arrival: Arrival) {
    // SAFETY: it waits, so it has not run and its block is there.
    unsafe {
        if Header::is_single(header) || Header::acquired(header, 1) {
            Header::make_ready(header, arrival);
        }
    }
}
