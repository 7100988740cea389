//! Where a worker's own ready behaviors wait, and in which order it takes them.
//!
//! - The *slot* holds one behavior that became ready since this worker released a cown. Its data is in the
//!   cache, so it comes next. Nobody else can take it; hence only what is handed over when a body has ended
//!   goes there.
//! - The *newest* is the last behavior that a body on this worker scheduled and that was ready at once. Its data is in
//!   the cache too, so it comes after the slot. The one before it goes to the deque. Others take it only from a worker
//!   that does not get to it, since its body goes on and on: [`crate::park`] says who looks.
//! - The *deque* holds the others. Their owner takes the one that came last, whose data is the likeliest to be in the
//!   cache; other workers steal from its other end, where the oldest are, from which the most is likely to follow.
//! - The *injector*, shared by all workers, holds what became ready on other threads.
//!
//! A worker takes from them in this order. So that what is new does not starve what is old, every [`BUDGET`]th turn
//! takes the oldest of the deque first, and every [`FAIR_EVERY`]th the oldest of the injector; what is in the slot and the
//! newest then go to the deque, or, if there was nothing older, the newest comes first. Each behavior is thus taken
//! after a bounded number of turns, whatever the others do.

use std::cell::Cell;

use bocage_core::Ready;
use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use crate::newest::Newest;
use crate::shared::Remote;
use crate::stats::Counters;

/// The budget: every so many turns the oldest behavior of the deque comes first. Enough that a cown that stays in
/// the cache is worth it, and few enough that those who wait don't wait for long.
const BUDGET: u32 = 16;

/// How often the injector is asked first: all workers share it, so that a look there is dear.
const FAIR_EVERY: u32 = 4 * BUDGET;

/// One worker's own queues.
pub(crate) struct Queue {
    slot: Cell<Option<Ready>>,
    newest: &'static Newest,
    /// Whether other workers look at these queues.
    shared: bool,
    pub(crate) deque: Worker<Ready>,
    stealer: &'static Stealer<Ready>,
    /// Turns until the injector is asked first.
    turns: Cell<u32>,
    counters: &'static Counters,
}

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Only this worker sees it, and runs it next.
    InSlot,
    /// It is the newest, and there was none before it.
    AsNewest,
    /// Others may take it, and should be told.
    InDeque,
}

impl Queue {
    pub(crate) fn new(deque: Worker<Ready>, remote: &'static Remote, workers: usize) -> Self {
        let Remote { newest, stealer, counters, .. } = remote;
        let turns = Cell::new(FAIR_EVERY);
        Self { slot: Cell::new(None), newest, shared: workers > 1, deque, stealer, turns, counters }
    }

    /// Told when there is more in the deque than before.
    #[inline]
    pub(crate) fn grew(&self) {
        self.counters.queue_grew(self.deque.len());
    }

    #[inline]
    fn push_back(&self, ready: Ready) {
        self.deque.push(ready);
        self.grew();
    }

    /// Takes in what was scheduled by a body that still runs.
    #[inline]
    pub(crate) fn push(&self, ready: Ready) -> Kept {
        match self.newest.put(ready, self.shared) {
            None => Kept::AsNewest,
            Some(older) => {
                self.push_back(older);
                Kept::InDeque
            }
        }
    }

    /// Takes in what became ready as a body ended.
    #[inline]
    pub(crate) fn hand_over(&self, ready: Ready) -> Kept {
        match self.slot.take() {
            None => {
                self.slot.set(Some(ready));
                Kept::InSlot
            }
            first => {
                self.slot.set(first);
                self.push_back(ready);
                Kept::InDeque
            }
        }
    }

    /// The next behavior to run. `pushed` is called if some were put into the deque meanwhile.
    #[inline]
    pub(crate) fn next(&self, injector: &Injector<Ready>, pushed: impl Fn()) -> Option<Ready> {
        let turns = self.turns.get() - 1;
        self.turns.set(turns);
        if turns.is_multiple_of(BUDGET)
            && let Some(old) = self.fair_turn(injector, &pushed)
        {
            return Some(old);
        }
        if let Some(ready) = self.hot().or_else(|| self.deque.pop()) {
            return Some(ready);
        }
        let ready = self.take_injected(injector)?;
        // On the way from there to here they were in neither, where a worker that parked just then saw nothing.
        if !self.deque.is_empty() {
            pushed();
        }
        Some(ready)
    }

    /// What is in the cache.
    #[inline]
    fn hot(&self) -> Option<Ready> {
        self.slot.take().or_else(|| self.newest.take(self.shared))
    }

    /// The oldest of the injector or of the deque, or else the newest, which a chain of hand-overs keeps waiting. What
    /// would have come next goes to the deque, where it grows old, and others may take it.
    #[cold]
    fn fair_turn(&self, injector: &Injector<Ready>, pushed: impl FnOnce()) -> Option<Ready> {
        let injected = if self.turns.get() == 0 {
            self.turns.set(FAIR_EVERY);
            retried(|| injector.steal())
        } else {
            None
        };
        // A look is cheap, and a steal is not.
        let old = injected.or_else(|| if self.deque.is_empty() { None } else { retried(|| self.stealer.steal()) });
        let newest = self.newest.take(self.shared);
        let Some(old) = old else { return newest };
        let mut hot = [newest, self.slot.take()].into_iter().flatten().peekable();
        let moved = hot.peek().is_some();
        hot.for_each(|ready| self.push_back(ready));
        if moved {
            pushed();
        }
        Some(old)
    }

    /// One from the injector, and up to a batch more into the deque.
    #[inline]
    pub(crate) fn take_injected(&self, injector: &Injector<Ready>) -> Option<Ready> {
        // The look saves a fence where the injector is not used.
        if injector.is_empty() {
            return None;
        }
        let ready = retried(|| injector.steal_batch_and_pop(&self.deque))?;
        self.grew();
        Some(ready)
    }
}

/// Tries until nobody else is in the way.
fn retried(steal: impl Fn() -> Steal<Ready>) -> Option<Ready> {
    loop {
        match steal() {
            Steal::Success(ready) => return Some(ready),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
