//! An asymmetric fence: one side, which comes often, pays nothing for it, and the other, which is rare, pays for both.
//!
//! Two threads that each write one place and then look at the other's need a fence in between, so that at least one of them
//! sees what the other wrote. If the operating system can make all threads of the process pass a fence at a moment of
//! our choice (Linux: membarrier(2), expedited), then the frequent side may leave its own out: it only must not be
//! reordered by the compiler. Where it cannot, both sides fence.
//!
//! Which it is, is found out once. If the system is forbidden to do it later, as by a sandbox that a program enters when it has
//! started a runtime, the rare side learns so and gives up: what is kept back is not rescued any more, and waits for the end of
//! the body that keeps it.

#[cfg(not(loom))]
use std::sync::atomic::compiler_fence;

use crate::sync::{Ordering, fence};

/// Both sides of one kind of fence; all of a process are of the same kind.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Barrier {
    /// Whether the rare side can make others pass a fence.
    expedited: bool,
}

impl Barrier {
    /// The best there is in this process.
    pub(crate) fn new() -> Self {
        Self { expedited: expedited::is_there() }
    }

    /// Whether the rare side's is one for all other threads too.
    #[cfg(not(loom))]
    pub(crate) fn is_for_all(self) -> bool {
        self.expedited
    }

    /// The frequent side's: between its write and its look.
    #[inline(always)]
    pub(crate) fn light(self) {
        if self.expedited {
            // The processor's part is done by `heavy`, on this thread, whenever that is called.
            #[cfg(not(loom))]
            compiler_fence(Ordering::SeqCst);
        } else {
            // Pairs with the fence in `heavy`.
            fence(Ordering::SeqCst);
        }
    }

    /// The rare side's: between its write and its look. `false` if it could not be had, and what is seen then may be old.
    pub(crate) fn heavy(self) -> bool {
        // Pairs with the fence in `light`, or with itself: what the system adds is a fence on each of the other threads.
        fence(Ordering::SeqCst);
        !self.expedited || expedited::pass()
    }
}

#[cfg(all(target_os = "linux", not(loom), not(miri)))]
mod expedited {
    use std::sync::OnceLock;

    use rustix::thread::{MembarrierCommand, membarrier};

    /// Whether this process may ask for it. Asked for once, since all must be of one mind.
    pub(super) fn is_there() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| register() && membarrier(MembarrierCommand::PrivateExpedited).is_ok())
    }

    fn register() -> bool {
        membarrier(MembarrierCommand::RegisterPrivateExpedited).is_ok()
    }

    /// Has every other thread of the process pass a fence. Takes some microseconds.
    pub(super) fn pass() -> bool {
        let pass = || membarrier(MembarrierCommand::PrivateExpedited).is_ok();
        // A child of the process that registered may have to do so again.
        pass() || register() && pass()
    }
}

#[cfg(not(all(target_os = "linux", not(loom), not(miri))))]
mod expedited {
    pub(super) fn is_there() -> bool {
        false
    }

    pub(super) fn pass() -> bool {
        unreachable!("nobody was told that it is there")
    }
}
