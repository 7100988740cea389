//! Release: gives up all cowns of a behavior that ran, and passes on what became ready.

use core::ptr::NonNull;

use crate::behavior::{Arrival, Header, Ran};
use crate::cown::{AfterReader, CownHeader};
use crate::grant;
use crate::slot::{Kind, Left, Slot, Word};
use crate::turn::Owed;

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
        let mut given = Given::nothing();
        for slot in slots {
            if !slot.want.is_included() {
                let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
                if slot.want.reads() {
                    read(header, &slot.word, cown);
                } else if slots.len() < FEW {
                    write(header, &slot.word, cown);
                } else if let Some(next) = give(header, &slot.word, cown) {
                    given.add(next);
                }
            }
        }
        given.tell();
        is_unknown(header) || release_result(header)
    }
}

/// With fewer cowns, successors are told of each: two that go to the same one are too rare to look for. (In models, whose
/// behaviors have few, it is looked for all the same.)
const FEW: usize = if cfg!(loom) { 2 } else { 3 };

/// Cowns that a behavior of several has given up, one after the other, to the same successor, which has not been told: it
/// is told of all of them in one step, since each step is a read-modify-write of its count.
struct Given {
    to: Option<NonNull<Header>>,
    cowns: u32,
}

impl Given {
    fn nothing() -> Self {
        Self { to: None, cowns: 0 }
    }

    /// # Safety
    ///
    /// `next` waits for one more cown, which it has now.
    #[inline]
    unsafe fn add(&mut self, next: NonNull<Header>) {
        if self.to != Some(next) {
            // SAFETY: passed on.
            unsafe { self.tell() };
            *self = Self { to: Some(next), cowns: 0 };
        }
        self.cowns += 1;
    }

    /// # Safety
    ///
    /// As for [`add`](Self::add), of all that was added.
    #[inline]
    unsafe fn tell(&mut self) {
        if let Some(next) = self.to.take() {
            // SAFETY: as the caller says, and once.
            unsafe { grant::acquired_some(next, self.cowns, Arrival::HandedOver) };
        }
    }
}

/// Whether nobody has a handle to the result and nobody came for it. Then nobody can come any more, and there is nothing
/// to release.
///
/// # Safety
///
/// The run's reference is there.
#[inline(always)]
unsafe fn is_unknown(header: NonNull<Header>) -> bool {
    // SAFETY: as the caller says.
    let result = unsafe { Header::result(header).as_ref() };
    result.is_sole() && result.tail.is_last(&result.word)
}

/// [`all`], for a behavior that reads one cown and wants nothing else: it is counted out of it, unless nobody can learn that
/// it has ended. Then it is owed, and holds the cown still. Says so, and what [`all`] says.
///
/// # Safety
///
/// As for [`all`].
#[inline(always)]
#[must_use]
pub(crate) unsafe fn owing(header: NonNull<Header>, slot: &Slot, owed: &mut Owed) -> (Ran, bool) {
    // SAFETY: as for `read`.
    unsafe {
        let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
        if !is_unknown(header) {
            read(header, &slot.word, cown);
            return (Ran::Ended, release_result(header));
        }
        let left = leave(header, &slot.word, cown);
        owed.put_reader(cown);
        let is_last = match left {
            Left::Empty | Left::Successor(..) => true,
            Left::Orphan => {
                CownHeader::unkeep(cown);
                true
            }
            // Who has not linked yet has a reference now.
            Left::Unlinked => release_result(header),
        };
        (Ran::Owed, is_last)
    }
}

/// [`owing`], of a reader behind which somebody has linked: it has no queue to leave.
///
/// # Safety
///
/// As for [`all`]; it is so.
#[inline(always)]
#[must_use]
pub(crate) unsafe fn owing_followed(header: NonNull<Header>, slot: &Slot, owed: &mut Owed) -> (Ran, bool) {
    // SAFETY: as for `read`.
    unsafe {
        if !is_unknown(header) {
            return owing(header, slot, owed);
        }
        owed.put_reader(NonNull::new_unchecked(slot.want.cown().cast_mut()));
        (Ran::Owed, true)
    }
}

/// Lets a writer enter that comes right behind a reader, and counts so many readers out.
///
/// # Safety
///
/// The writer waits in the queue of `cown`. The readers are counted by the caller, have run and left the queue.
pub(crate) unsafe fn to_writer(cown: NonNull<CownHeader>, writer: NonNull<Header>, readers: u32) {
    // SAFETY: the writer keeps the cown, until it is told, and a reader that is counted does.
    unsafe {
        let is_free = readers > 0 && cown.as_ref().uncount_all_readers(readers);
        if is_free || cown.as_ref().wait_for_readers(writer) {
            grant::acquired_one(writer, Arrival::HandedOver);
        } else if readers > 0 {
            count_out(cown, readers);
        }
    }
}

/// Counts readers out of the cown, whose queue they have left. The cown may be gone afterwards.
///
/// # Safety
///
/// So many, which is not zero, are counted, and read no more.
pub(crate) unsafe fn count_out(cown: NonNull<CownHeader>, readers: u32) {
    // SAFETY: a reader that is counted keeps the cown. A writer that waits for it was told to be there.
    unsafe {
        match cown.as_ref().uncount_readers(readers) {
            AfterReader::Nobody => {}
            AfterReader::Writer(writer) => grant::acquired_one(writer, Arrival::HandedOver),
            AfterReader::Orphan => CownHeader::unkeep(cown),
        }
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
///
/// # Safety
///
/// As for [`all`], of this cown, whose slot has this word.
#[inline(always)]
unsafe fn write(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) {
    // SAFETY: passed on; told once.
    unsafe {
        if let Some(next) = give(header, word, cown) {
            grant::acquired_one(next, Arrival::HandedOver);
        }
    }
}

/// The same, but that a successor that writes is still to be told that it has the cown now: it is returned.
///
/// # Safety
///
/// As for [`write`].
#[inline(always)]
#[must_use]
unsafe fn give(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) -> Option<NonNull<Header>> {
    // SAFETY: held to write, so the queue is not empty and keeps the cown, until this leaves it. A successor keeps it
    // further.
    unsafe {
        match leave(header, word, cown) {
            Left::Empty | Left::Unlinked => {}
            Left::Orphan => CownHeader::unkeep(cown),
            Left::Successor(next, Kind::WRITES) => return Some(next),
            Left::Successor(next, Kind::ONLY_READS) => Header::hand_over_turn(next),
            Left::Successor(next, _) => grant::to_readers(cown, next, Arrival::HandedOver),
        }
        None
    }
}

/// Releases a cown that was held to read. It may be gone afterwards.
unsafe fn read(header: NonNull<Header>, word: &Word, cown: NonNull<CownHeader>) {
    // SAFETY: a reader that is counted keeps the cown; then whoever is granted to does, or a reference.
    unsafe {
        let left = leave(header, word, cown);
        count_out(cown, 1);
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
