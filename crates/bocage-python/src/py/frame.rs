//! Where a thread is in the program.

use pyo3_ffi as ffi;

use super::{Attached, Obj, Ref};

/// So many frames are looked through.
const MOST: usize = 256;

/// The offset of the instruction that runs now in `code`, if the calling thread is in it. Runs no Python code.
pub(crate) fn instruction_of(_py: Attached, code: &Obj) -> Option<i32> {
    // SAFETY: the thread is attached; a frame that is running is kept alive by the thread, and the ones that
    // PyFrame_GetBack gives by the reference that comes with them; PyFrame_GetCode gives a reference, too.
    unsafe {
        let mut frame = Ref::from_ptr_or_null(ffi::PyEval_GetFrame().cast())?.own();
        for _ in 0..MOST {
            let pointer = frame.as_ptr().cast::<ffi::PyFrameObject>();
            if Obj::from_owned(ffi::PyFrame_GetCode(pointer).cast()).is(code) {
                return Some(ffi::PyFrame_GetLasti(pointer));
            }
            let back = ffi::PyFrame_GetBack(pointer);
            if back.is_null() {
                break;
            }
            frame = Obj::from_owned(back.cast());
        }
    }
    None
}
