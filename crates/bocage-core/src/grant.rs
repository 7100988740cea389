//! Granting: who gets a cown next, and the readers' count. The protocol stands in [`crate::slot`].

use core::mem::MaybeUninit;
use core::num::{NonZeroU32, NonZeroUsize};
use core::ptr::NonNull;
use core::slice;

use crate::behavior::{Arrival, Header};
use crate::cown::CownHeader;
use crate::row::Row;
use crate::slot::{Kind, Slot, Word};

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
const COUNTED_AT_ONCE: usize = 32;

/// Grants `cown` to `reader` and to all readers that come right after it; the writer that comes then enters.
///
/// # Safety
///
/// `reader` waits in the queue of `cown`, to read it, and it is its turn.
pub(crate) unsafe fn to_readers(cown: NonNull<CownHeader>, reader: NonNull<Header>, arrival: Arrival) {
    // SAFETY: passed on; each of them waited for this cown, and is told once.
    unsafe {
        to_all_readers(cown, reader, |readers| readers.iter().for_each(|reader| acquired_one(*reader, arrival)));
    }
}

/// The same; those of the executor with this key go to it in rows, as so many parts of all that are counted at once.
///
/// The parts go there from the last to the first: who grants goes on with the one that it told of last, and that begins next to
/// the block where it is. Others are then at work at a distance, in blocks on other lines, and come no closer.
///
/// # Safety
///
/// As for [`to_readers`].
pub(crate) unsafe fn in_rows(
    cown: NonNull<CownHeader>,
    reader: NonNull<Header>,
    key: NonZeroUsize,
    parts: NonZeroUsize,
) {
    let tell = |mut readers: &[NonNull<Header>]| {
        let most = readers.len().div_ceil(parts.get());
        while !readers.is_empty() {
            // SAFETY: granted to and not told, so their blocks are there; each is told once. One that waits for nothing else is
            // ready, and they are linked in this order.
            unsafe {
                let is_in_row = |reader: &&NonNull<Header>| Header::goes_in_row(**reader, key);
                let in_row = readers.iter().rev().take(most).take_while(is_in_row).count();
                let (before, row) = readers.split_at(readers.len() - in_row.max(1));
                if let Some(in_row) = NonZeroU32::new(in_row as u32) {
                    Header::ready_in_row(row[0], Row::new(row[0], in_row));
                } else {
                    acquired_one(row[0], Arrival::Scheduled);
                }
                readers = before;
            }
        }
    };
    // SAFETY: passed on.
    unsafe { to_all_readers(cown, reader, tell) }
}

/// Grants to readers, and has them told, of which each is in the slice of one call; the writer that comes then enters.
///
/// # Safety
///
/// As for [`to_readers`]; `tell` tells each.
#[inline(always)]
unsafe fn to_all_readers(cown: NonNull<CownHeader>, reader: NonNull<Header>, tell: impl Fn(&[NonNull<Header>])) {
    let mut first = reader;
    let mut room = [const { MaybeUninit::uninit() }; COUNTED_AT_ONCE];
    loop {
        // SAFETY: `first` is in the queue and not granted to, so that its block is there, and the queue
        // keeps the cown. A successor that was linked then is in the queue just so. A block is there until its behavior is
        // told, which is the last thing done to it.
        unsafe {
            let (readers, last) = readers_in_a_row(cown, first, &mut room);
            cown.as_ref().count_readers(readers.len() as u32);
            // The others' words need no mark: who would look for it has linked.
            let next = match last.set_granted() {
                Some((writer, Kind::WRITES)) => {
                    // It is likely to run on this thread, when they have run. It enters before they are told: an exchange
                    // waits for all that was stored before it, and they are told of in lines at which others look.
                    Header::prefetch_to_run(writer);
                    let is_free = cown.as_ref().wait_for_readers(writer);
                    debug_assert!(!is_free, "readers are counted that have not been told");
                    None
                }
                successor => successor,
            };
            tell(readers);
            match next {
                Some((reader, _)) => first = reader,
                None => return,
            }
        }
    }
}

/// The readers that are linked in a row from `first` on, as many as there is room for, and the word of the last one.
///
/// # Safety
///
/// As for [`to_readers`].
#[inline]
unsafe fn readers_in_a_row<'a>(
    cown: NonNull<CownHeader>,
    first: NonNull<Header>,
    room: &mut [MaybeUninit<NonNull<Header>>; COUNTED_AT_ONCE],
) -> (&[NonNull<Header>], &'a Word) {
    let mut reader = first;
    let mut count = 0;
    loop {
        room[count].write(reader);
        count += 1;
        // SAFETY: in the queue, and not granted to.
        unsafe {
            let word = &Header::slot_for(reader, cown).word;
            Header::prefetch(reader);
            match word.successor() {
                Some((next, kind)) if kind != Kind::WRITES && count < room.len() => reader = next,
                // So many were written.
                _ => return (slice::from_raw_parts(room.as_ptr().cast(), count), word),
            }
        }
    }
}

/// One cown more is acquired; the behavior goes to its executor if that was the last.
///
/// # Safety
///
/// The behavior waited for it, and this is called once for each cown.
pub(crate) unsafe fn acquired_one(header: NonNull<Header>, arrival: Arrival) {
    // SAFETY: passed on.
    unsafe { acquired_some(header, 1, arrival) }
}

/// The same, of so many cowns.
///
/// # Safety
///
/// As for [`acquired_one`].
#[inline]
pub(crate) unsafe fn acquired_some(header: NonNull<Header>, cowns: u32, arrival: Arrival) {
    // SAFETY: it waits, so it has not run and its block is there.
    unsafe {
        if Header::is_single(header) || Header::acquired(header, cowns) {
            Header::make_ready(header, arrival);
        }
    }
}
