//! The end of a cown: its value is dropped, and that may have been the last handle of another cown, and so on.
//!
//! Values that hold cowns may be lists of any length. So ends are nested up to a [depth](DEEPEST), and what ends further in is
//! left to the deepest call, which has it in a list: a cown that nobody can reach needs its word no more.

use core::cell::Cell;
use core::ptr::NonNull;

use crate::behavior::Vtable;
use crate::cown::CownHeader;

/// So deep may ends be inside each other: as deep as most values are, which then are dropped when one would expect it, and a
/// small part of any stack.
const DEEPEST: u32 = 32;

thread_local! {
    /// How deep the calls are. (Without a destructor, so that it is there as long as the thread.)
    static DEPTH: Cell<u32> = const { Cell::new(0) };
    /// The first of those that are left to the deepest one.
    static LEFT: Cell<Option<NonNull<CownHeader>>> = const { Cell::new(None) };
}

/// Drops the value of a cown, and frees it.
///
/// # Safety
///
/// Nobody can reach it any more.
#[inline(never)]
pub(crate) unsafe fn end(cown: NonNull<CownHeader>) {
    // SAFETY: as the caller says; the vtable was made for this block's types.
    unsafe {
        let Vtable { free, nests, .. } = cown.as_ref().vtable;
        // The threads of a model are one for such locals.
        if *nests && !cfg!(loom) { nested(cown) } else { free(cown) }
    }
}

/// The same, for a cown whose end may end others.
///
/// # Safety
///
/// As for [`end`].
unsafe fn nested(cown: NonNull<CownHeader>) {
    let depth = DEPTH.get();
    // SAFETY: as the caller says, of each of them, whose words are ours too. Nothing unwinds from here: what the program's own
    // drops do is caught.
    unsafe {
        if depth == DEEPEST {
            cown.as_ref().word.note(LEFT.replace(Some(cown)).map(NonNull::cast));
            return;
        }
        DEPTH.set(depth + 1);
        (cown.as_ref().vtable.free)(cown);
        if depth + 1 == DEEPEST {
            while let Some(next) = LEFT.take() {
                LEFT.set(next.as_ref().word.noted().map(NonNull::cast));
                (next.as_ref().vtable.free)(next);
            }
        }
        DEPTH.set(depth);
    }
}
