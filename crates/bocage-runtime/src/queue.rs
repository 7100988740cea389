//! Where a worker's own ready behaviors wait, and in which order it takes them.
//!
//! - The *slot* holds one behavior that became ready since this worker released a cown. Its data is in the
//!   cache, so it comes next. Nobody else can take it; hence only what is handed over when a body has ended
//!   goes there, never what a body schedules, which may go on running for long.
//! - The *deque* holds the others, first in, first out. Other workers steal from it.
//! - The *injector*, shared by all workers, holds what became ready on other threads.
//!
//! A worker takes from the slot, then the deque, then the injector. So that a chain of hand-overs does not
//! starve the deque, nor the deque the injector, every [`FAIR_EVERY`]th turn goes the other way: what is in
//! the slot goes to the back of the deque, and the injector is asked first. A behavior at the head of the
//! injector or of a deque is thus taken after a bounded number of turns, whatever the others do.

use std::cell::Cell;

use bocage_core::Ready;
use crossbeam_deque::{Injector, Steal, Worker};

use crate::stats::Counters;

/// The budget: so many behaviors in a row at most come from the slot. A prime, so that no program's own
/// rhythm agrees with it, and large enough that a turn the other way costs little in the mean.
const FAIR_EVERY: u32 = 61;

/// One worker's own queues.
pub(crate) struct Queue {
    slot: Cell<Option<Ready>>,
    pub(crate) deque: Worker<Ready>,
    /// Turns until the next fair one.
    turns: Cell<u32>,
    counters: &'static Counters,
}

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Only this worker sees it, and runs it next.
    InSlot,
    /// Others may take it, and should be told.
    InDeque,
}

impl Queue {
    pub(crate) fn new(deque: Worker<Ready>, counters: &'static Counters) -> Self {
        Self { slot: Cell::new(None), deque, turns: Cell::new(FAIR_EVERY), counters }
    }

    /// Told when there is more in the deque than before.
    #[inline]
    pub(crate) fn grew(&self) {
        self.counters.queue_grew(self.deque.len());
    }

    /// Takes in what was scheduled by a body that still runs.
    #[inline]
    pub(crate) fn push(&self, ready: Ready) {
        self.deque.push(ready);
        self.grew();
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
                self.push(ready);
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
        self.slot.take().or_else(|| self.deque.pop()).or_else(|| self.take_injected(injector))
    }

    #[cold]
    fn fair_turn(&self, injector: &Injector<Ready>, pushed: impl FnOnce()) -> Option<Ready> {
        self.turns.set(FAIR_EVERY);
        if let Some(kept) = self.slot.take() {
            if self.deque.is_empty() && injector.is_empty() {
                return Some(kept);
            }
            self.push(kept);
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
