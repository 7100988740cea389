//! Stages for whoever holds cowns and is no worker: an acquisition without a behavior, a thread that runs one now and then.
//!
//! The process has some of them, and each is had by one at a time. Who finds none of those free that it tries does without: what
//! waits for it is not found then. The protocol is that of [`Stages`]; beside its own two lines, whoever has one writes nothing.

use core::fmt;

use crate::executor::Ready;
use crate::stage::{Holder, Stage};
use crate::turn::Owed;

/// A stage that the caller has for itself, until it is dropped.
#[derive(Debug)]
pub struct Outside(lent::Lent);

impl Outside {
    /// One that is free, if there is one among those that are tried.
    #[inline]
    pub fn claim() -> Option<Self> {
        lent::claim().map(Self)
    }

    /// It, to be used as long as this is there.
    pub fn stage(&self) -> &'static Stage {
        self.0.stage()
    }

    /// Runs a behavior on one that is free, if there is, so that whoever [looks](crate::look_behind) finds it meanwhile, and those
    /// that wait behind it: for an executor whose threads have no stage of their own. Some 20 ns more than [`Ready::run`].
    ///
    /// ```
    /// use bocage_core::{Cown, Executor, Outside, Ready, when_on};
    /// use std::thread;
    ///
    /// /// A thread for each behavior.
    /// #[derive(Clone)]
    /// struct Threads;
    /// impl Executor for Threads {
    ///     fn ready(&self, ready: Ready) {
    ///         thread::spawn(|| Outside::run(ready));
    ///     }
    /// }
    ///
    /// let cown = Cown::new(1);
    /// let id = cown.id();
    /// let is_found = when_on(Threads, &cown, move |_| {
    ///     Outside::look(|holders| holders.iter().any(|holder| holder.seen().cowns().any(|(cown, _)| cown == id)))
    /// });
    /// assert!(is_found.wait().unwrap());
    /// ```
    pub fn run(ready: Ready) {
        match Self::claim() {
            // What is owed is settled before the stage is given back.
            Some(outside) => _ = ready.run_owing(&mut Owed::on(outside.stage())),
            None => ready.run(),
        }
    }

    /// Calls `look` with what is on these stages; see [`Stages::look`](crate::Stages::look).
    pub fn look<T>(look: impl FnOnce(&[Holder<'_>]) -> T) -> T {
        lent::look(look)
    }
}

/// The token of a behavior that is not run yet, on a stage of its own if there is one free: whoever [looks](crate::look_behind)
/// finds that it holds its cowns, and what waits for them. For an executor that keeps tokens for long.
#[must_use = "dropped, it cancels the behavior"]
pub struct Shown {
    /// Before the token, so that it leaves its stage before it goes.
    _on: Entered,
    ready: Ready,
}

/// A stage that was entered.
struct Entered(Option<Outside>);

impl Drop for Entered {
    fn drop(&mut self) {
        if let Some(outside) = &self.0 {
            outside.stage().leave();
        }
    }
}

impl Shown {
    /// From now on.
    pub fn new(ready: Ready) -> Self {
        let outside = Outside::claim();
        if let Some(outside) = &outside {
            outside.stage().enter(ready.header());
        }
        Self { _on: Entered(outside), ready }
    }

    /// The token, no longer shown.
    pub fn into_ready(self) -> Ready {
        self.ready
    }

    pub(crate) fn ready(&self) -> &Ready {
        &self.ready
    }
}

impl fmt::Debug for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shown({:?})", self.ready)
    }
}

#[cfg(not(loom))]
mod lent {
    use std::cell::Cell;
    use std::sync::OnceLock;

    use super::{Holder, Stage};
    use crate::stage::Stages;
    use crate::sync::{AtomicBool, AtomicUsize, Ordering, fence};

    /// How many there are.
    const STAGES: usize = 256;
    /// How many are tried.
    const TRIED: usize = 16;

    struct All {
        stages: Stages,
        taken: Box<[Taken]>,
    }

    /// Whether somebody has a stage. Alone on its line, as the stage is: a thread writes there for each acquisition.
    #[repr(align(128))]
    struct Taken(AtomicBool);

    fn all() -> &'static All {
        static ALL: OnceLock<All> = OnceLock::new();
        // These threads fence for themselves: they come seldom, and this crate knows no barrier that would do it for them.
        ALL.get_or_init(|| All {
            stages: Stages::new(STAGES, true),
            taken: (0..STAGES).map(|_| Taken(AtomicBool::new(false))).collect(),
        })
    }

    #[derive(Debug)]
    pub(super) struct Lent {
        stage: &'static Stage,
        taken: &'static AtomicBool,
    }

    impl Lent {
        pub(super) fn stage(&self) -> &'static Stage {
            self.stage
        }
    }

    impl Drop for Lent {
        fn drop(&mut self) {
            // Release: pairs with the Acquire in `claim`: we use the stage no more.
            self.taken.store(false, Ordering::Release);
        }
    }

    /// Where the calling thread tries first, so that threads do not get into each other's way.
    fn first() -> usize {
        static THREADS: AtomicUsize = AtomicUsize::new(0);
        thread_local! {
            static FIRST: Cell<Option<usize>> = const { Cell::new(None) };
        }
        FIRST.get().unwrap_or_else(|| {
            // Relaxed: only the number counts.
            let first = THREADS.fetch_add(1, Ordering::Relaxed) * TRIED;
            FIRST.set(Some(first));
            first
        })
    }

    pub(super) fn claim() -> Option<Lent> {
        let All { stages, taken } = all();
        let first = first();
        (first..first + TRIED).find_map(|at| {
            let Taken(taken) = &taken[at % STAGES];
            // Relaxed: the exchange decides.
            let is_free = !taken.load(Ordering::Relaxed)
                // Acquire: pairs with the Release of the one who had it. Relaxed on failure: nothing is read then.
                && taken.compare_exchange(false, true, Ordering::Acquire, Ordering::Relaxed).is_ok();
            is_free.then(|| Lent { stage: stages.of(at % STAGES), taken })
        })
    }

    pub(super) fn look<T>(look: impl FnOnce(&[Holder<'_>]) -> T) -> T {
        let barrier = || {
            // Pairs with the fence in `Gate::pass`.
            fence(Ordering::SeqCst);
            true
        };
        // SAFETY: it is a full fence, and they fence for themselves.
        unsafe { all().stages.look(barrier, look) }
    }
}

/// In a model nobody looks there: each would have to begin with new ones.
#[cfg(loom)]
mod lent {
    use super::{Holder, Stage};

    #[derive(Debug)]
    pub(super) enum Lent {}

    impl Lent {
        pub(super) fn stage(&self) -> &'static Stage {
            match *self {}
        }
    }

    pub(super) fn claim() -> Option<Lent> {
        None
    }

    pub(super) fn look<T>(look: impl FnOnce(&[Holder<'_>]) -> T) -> T {
        look(&[])
    }
}
