//! A forked child takes sub-interpreters out of CPython's list, since CPython crashes when it clears them.
//!
//! In a child process `PyOS_AfterFork_Child` deletes every interpreter but the main one, from the thread that
//! forked, attached to the main one. An interpreter's objects can't be cleared like that when it has a GIL and
//! an allocator of its own: the child crashes. (3.12 to 3.15 all do this.) None of these interpreters has
//! a thread in the child, so none is ever used there: it is enough that they are forgotten. They keep their
//! memory, which the child shares with its parent until somebody writes to it.
//!
//! The list's head is a field of `_PyRuntime`, the symbol that every CPython exports, and right behind it is the
//! main interpreter:
//!
//! ```c
//! struct pyinterpreters { <mutex>; PyInterpreterState *head; PyInterpreterState *main; int64_t next_id; }
//! ```
//!
//! New interpreters go to the head, so the main one is the list's last: a list that starts with it holds it
//! alone. How far into `_PyRuntime` the field is differs among versions and builds; but both words are known
//! from public functions, so it is looked for. If it isn't found exactly once, nothing is written.

use std::ptr;

use pyo3_ffi as ffi;

/// How far into `_PyRuntime` to look, in words: 4 KiB. The structure holds the main interpreter and has 100 KiB and
/// more; the list is among the first fields, to be found by debuggers.
const WORDS: usize = 512;

unsafe extern "C" {
    #[link_name = "_PyRuntime"]
    static mut RUNTIME: [*mut ffi::PyInterpreterState; WORDS];
}

/// Leaves the main interpreter as the only one that CPython knows.
///
/// # Safety
/// Only in a forked child before CPython has looked at it: its one thread is here, and no other interpreter
/// will be used.
pub(crate) unsafe fn forget_sub_interpreters() {
    // SAFETY: CPython is initialised (it loaded this library), so both functions only read a field. The array
    // lies inside `_PyRuntime`, whose words are read as such whatever they are, with no other thread to
    // change them. The word written is the list's head, as its value and its neighbour's say.
    unsafe {
        let (head, main) = (ffi::PyInterpreterState_Head(), ffi::PyInterpreterState_Main());
        if head.is_null() || main.is_null() || head == main {
            return;
        }
        let words = (&raw mut RUNTIME).cast::<*mut ffi::PyInterpreterState>();
        let is_head = |index: &usize| words.add(*index).read() == head && words.add(*index + 1).read() == main;
        let mut found = (0..WORDS - 1).filter(is_head);
        if let (Some(index), None) = (found.next(), found.next()) {
            words.add(index).write(main);
            // Anything else would mean that another field was hit.
            if ffi::PyInterpreterState_Head() != main {
                ptr::write(words.add(index), head);
            }
        }
    }
}
