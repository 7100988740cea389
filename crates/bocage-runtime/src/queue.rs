//! Where a worker's own ready behaviors wait, and in which order it takes them.
//!
//! - The *slot* holds one behavior that became ready since this worker released a cown. Its data is in the
//!   cache, so it comes next. Nobody else can take it; hence only what is handed over when a body has ended
//!   goes there.
//! - The *newest* is the last behavior that a body on this worker scheduled and that was ready at once. Its data is in
//!   the cache too, so it comes after the slot. The one before it goes to the deque. Others take it only from a worker
//!   that does not get to it, since its body goes on and on: [`crate::park`] says who looks.
//! - The *deque* holds the others, first in, first out. Other workers steal from it.
//! - The *injector*, shared by all workers, holds what became ready on other threads.
//!
//! A worker takes from them in this order. So that a chain of hand-overs does not starve the deque, what is in the
//! slot or the newest goes to the back of the deque after [`BUDGET`] that were taken in a row; and so that the deque
//! does not starve the injector, that is asked first every [`FAIR_EVERY`]th turn. A behavior at the head of the
//! injector or of a deque is thus taken after a bounded number of turns, whatever the others do.

use std::cell::Cell;

use bocage_core::Ready;
use crossbeam_deque::{Injector, Steal, Worker};

use crate::newest::Newest;
use crate::stats::Counters;

/// So many behaviors in a row at most come from the slot and the newest while others wait in the deque. Enough that a
/// cown that stays in the cache is worth it, and few enough that those who wait don't wait for long.
const BUDGET: u32 = 16;

/// How often the injector is asked first. A prime, so that no program's own rhythm agrees with it, and large enough
/// that it costs little in the mean.
const FAIR_EVERY: u32 = 61;

/// One worker's own queues.
pub(crate) struct Queue {
    slot: Cell<Option<Ready>>,
    newest: &'static Newest,
    /// Whether other workers look at these queues.
    shared: bool,
    pub(crate) deque: Worker<Ready>,
    /// What is left of the budget.
    budget: Cell<u32>,
    /// Turns until the next fair one.
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
    pub(crate) fn new(
        deque: Worker<Ready>,
        newest: &'static Newest,
        counters: &'static Counters,
        workers: usize,
    ) -> Self {
        let (budget, turns) = (Cell::new(BUDGET), Cell::new(FAIR_EVERY));
        Self { slot: Cell::new(None), newest, shared: workers > 1, deque, budget, turns, counters }
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

    /// The next behavior to run. `pushed` is called if one was put into the deque meanwhile.
    #[inline]
    pub(crate) fn next(&self, injector: &Injector<Ready>, pushed: impl FnOnce()) -> Option<Ready> {
        let turns = self.turns.get() - 1;
        self.turns.set(turns);
        if turns == 0 {
            return self.fair_turn(injector, pushed);
        }
        let Some(hot) = self.hot() else {
            self.budget.set(BUDGET);
            return self.deque.pop().or_else(|| self.take_injected(injector));
        };
        match self.budget.get() {
            0 => self.over_budget(hot, pushed),
            left => {
                self.budget.set(left - 1);
                Some(hot)
            }
        }
    }

    /// What is in the cache.
    #[inline]
    fn hot(&self) -> Option<Ready> {
        self.slot.take().or_else(|| self.newest.take(self.shared))
    }

    /// Lets the deque have its turn.
    #[cold]
    fn over_budget(&self, hot: Ready, pushed: impl FnOnce()) -> Option<Ready> {
        self.budget.set(BUDGET);
        let Some(waiting) = self.deque.pop() else { return Some(hot) };
        self.push_back(hot);
        pushed();
        Some(waiting)
    }

    #[cold]
    fn fair_turn(&self, injector: &Injector<Ready>, pushed: impl FnOnce()) -> Option<Ready> {
        self.turns.set(FAIR_EVERY);
        if let Some(hot) = self.hot() {
            if self.deque.is_empty() && injector.is_empty() {
                return Some(hot);
            }
            self.push_back(hot);
            pushed();
        }
        loop {
            match injector.steal() {
                Steal::Success(ready) => return Some(ready),
                Steal::Empty => return self.deque.pop(),
                Steal::Retry => {}
            }
        }
    }

    /// One from the injector, and up to a batch more into the deque.
    #[inline]
    pub(crate) fn take_injected(&self, injector: &Injector<Ready>) -> Option<Ready> {
        // The look saves a fence where the injector is not used.
        if injector.is_empty() {
            return None;
        }
        loop {
            match injector.steal_batch_and_pop(&self.deque) {
                Steal::Success(ready) => {
                    self.grew();
                    return Some(ready);
                }
                Steal::Empty => return None,
                Steal::Retry => {}
            }
        }
    }
}
