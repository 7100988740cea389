//! What an enqueue leaves to be freed until its phase 1 is over.

use core::ptr::NonNull;

use crate::cown::CownHeader;
use crate::end::end;

/// Cowns that nobody can reach any more, to be freed by whoever is in phase 1 when that is over. For to drop their values
/// is the program's own code, which may schedule on the very cowns that others find the enqueuer in line for.
pub(crate) struct Leftover(Option<NonNull<CownHeader>>);

impl Leftover {
    pub(crate) fn none() -> Self {
        Self(None)
    }

    /// [`CownHeader::unkeep`], but that it frees later.
    ///
    /// # Safety
    ///
    /// As for that.
    pub(crate) unsafe fn unkeep(&mut self, cown: NonNull<CownHeader>) {
        // SAFETY: passed on. What nobody else can reach is ours, its word too.
        unsafe {
            if CownHeader::give_up(cown) {
                cown.as_ref().word.note(self.0.map(NonNull::cast));
                self.0 = Some(cown);
            }
        }
    }
}

impl Drop for Leftover {
    fn drop(&mut self) {
        while let Some(cown) = self.0 {
            // SAFETY: put there by `unkeep`, once.
            unsafe {
                self.0 = cown.as_ref().word.noted().map(NonNull::cast);
                end(cown);
            }
        }
    }
}
