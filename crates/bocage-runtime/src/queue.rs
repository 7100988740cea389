//! Where a worker's own ready behaviors wait, and in which order it takes them.
//!
//! - The *slot* holds one behavior that became ready since this worker released a cown. Its data is in the
//!   cache, so it comes next. Nobody else can take it; hence only what is handed over when a body has ended
//!   goes there.
//! - The *turn* is that of the readers that come after the one that runs, or ran last. They have nothing to do with the
//!   others, and come one after the other, after the slot. Others take it as they take the newest.
//! - The *newest* is the last behavior that a body on this worker scheduled and that was ready at once. Its data is in
//!   the cache too, so it comes after these. The one before it goes to the deque. Others take it only from a worker
//!   that does not get to it, since its body goes on and on: [`crate::park`] says who looks.
//! - The *deque* holds the others, and rows of readers that were granted their cown at once. Their owner takes the one that
//!   came last, whose data is the likeliest to be in the cache; other workers steal from its other end, where the oldest are,
//!   from which the most is likely to follow. Of a row the owner takes the first reader out, and leaves the others; a thief
//!   takes them all.
//! - The *injector*, shared by all workers, holds what became ready on other threads.
//!
//! A worker takes from them in this order. So that what is new does not starve what is old, every [`BUDGET`]th turn
//! takes the oldest of the deque first, and every [`FAIR_EVERY`]th the oldest of the injector; what is in the slot and the
//! newest then go to the deque, and the readers of the turn too, or, if there was nothing older, the newest or the turn
//! comes first. Each reader counts as one. So each behavior is taken after a bounded number of turns, whatever the others do.

use std::cell::Cell;

use bocage_core::{Ready, Turn};
use crossbeam_deque::{Injector, Steal, Stealer, Worker};

use crate::entry::{Entry, Opened};
use crate::kept::{Kept, Lent};
use crate::shared::{Remote, Shared};
use crate::stats::Counters;

/// The budget: every so many turns the oldest behavior of the deque comes first. Enough that a cown that stays in
/// the cache is worth it, and few enough that those who wait don't wait for long.
const BUDGET: u32 = 32;

/// How often the injector is asked first: all workers share it, so that a look there is dear.
const FAIR_EVERY: u32 = 2 * BUDGET;

/// One worker's own queues.
pub(crate) struct Queue {
    slot: Cell<Option<Ready>>,
    newest: &'static Kept<Ready>,
    turn: &'static Kept<Turn>,
    pub(crate) deque: Worker<Entry>,
    stealer: &'static Stealer<Entry>,
    /// Turns until the injector is asked first.
    turns: Cell<u32>,
    counters: &'static Counters,
}

/// What a push did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Put {
    /// Only this worker sees it, and runs it next.
    InSlot,
    /// It is the newest, and there was none before it.
    AsNewest,
    /// Others may take it, and should be told.
    InDeque,
}

/// What a worker goes on with.
pub(crate) enum Next {
    /// A behavior.
    Ready(Ready),
    /// Readers, one after the other.
    Turn(Turn),
}

impl Queue {
    pub(crate) fn new(deque: Worker<Entry>, remote: &'static Remote) -> Self {
        let Remote { newest, turn, stealer, counters, .. } = remote;
        let turns = Cell::new(FAIR_EVERY);
        Self { slot: Cell::new(None), newest, turn, deque, stealer, turns, counters }
    }

    /// Told when there is more in the deque than before.
    #[inline]
    pub(crate) fn grew(&self) {
        self.counters.queue_grew(self.deque.len());
    }

    /// Puts it where others may take it, who are still to be told.
    #[inline]
    pub(crate) fn push_back(&self, entry: impl Into<Entry>) {
        self.deque.push(entry.into());
        self.grew();
    }

    /// The behavior of an entry that was taken. Of a row that is the first one, and the others go into the deque, as one: the
    /// last rule of [`crate::park`] says why nobody is told.
    #[inline]
    pub(crate) fn open(&self, entry: Entry) -> Ready {
        match entry.open() {
            Opened::Ready(ready) => ready,
            Opened::Row(row) => {
                let (first, others) = row.split_first();
                if let Some(others) = others {
                    self.deque.push(others.into());
                }
                first
            }
        }
    }

    /// Takes in what was scheduled by a body that still runs.
    #[inline]
    pub(crate) fn push(&self, ready: Ready) -> Put {
        match self.newest.put(ready) {
            None => Put::AsNewest,
            Some(older) => {
                self.push_back(older);
                Put::InDeque
            }
        }
    }

    /// Takes in what became ready as a body ended.
    #[inline]
    pub(crate) fn hand_over(&self, ready: Ready) -> Put {
        match self.slot.take() {
            None => {
                self.slot.set(Some(ready));
                Put::InSlot
            }
            first => {
                self.slot.set(first);
                self.push_back(ready);
                Put::InDeque
            }
        }
    }

    /// Takes in the turn of readers, unless it has another one; then it gives this one back.
    #[inline]
    pub(crate) fn keep_turn(&self, turn: Turn) -> Result<Lent, Turn> {
        // One that was rescued is in the way until it is looked for.
        if self.turn.is_filled() { Err(turn) } else { Ok(self.turn.fill(turn)) }
    }

    /// Whether it keeps one.
    #[inline]
    pub(crate) fn has_turn(&self) -> bool {
        self.turn.seen().is_some()
    }

    /// Takes it out again, if nobody has.
    #[inline]
    pub(crate) fn take_turn(&self) -> Option<Turn> {
        self.turn.take()
    }

    /// The turn, for whoever has just run a reader, if nothing else is to come before it.
    ///
    /// # Safety
    ///
    /// `lent` is what it kept before that reader ran, if it kept one, and it has not asked for a turn since.
    #[inline]
    pub(crate) unsafe fn next_turn(&self, lent: Option<Lent>, shared: &Shared) -> Option<Turn> {
        if !self.may_go_on(shared) {
            return None;
        }
        match lent {
            // SAFETY: only one is kept at a time, and only who asks for a turn takes it out.
            Some(lent) => unsafe { self.turn.take_back(lent) },
            None => self.take_turn(),
        }
    }

    /// Whether a reader may come right after another one, and nothing else has to be before it, nor are they to be cancelled.
    /// Counts a turn if so.
    #[inline]
    pub(crate) fn may_go_on(&self, shared: &Shared) -> bool {
        if shared.cancels() {
            return false;
        }
        let first = self.slot.take();
        if first.is_some() {
            self.slot.set(first);
            return false;
        }
        let turns = self.turns.get() - 1;
        if turns.is_multiple_of(BUDGET) && self.keeps_waiting(&shared.injector, turns) {
            // The next turn is a fair one.
            return false;
        }
        self.turns.set(if turns == 0 { FAIR_EVERY } else { turns });
        true
    }

    /// Whether there is anything that readers must not keep waiting for long.
    #[cold]
    fn keeps_waiting(&self, injector: &Injector<Entry>, turns: u32) -> bool {
        !self.deque.is_empty() || self.newest.seen().is_some() || turns == 0 && !injector.is_empty()
    }

    /// What to go on with. `pushed` is called if some were put into the deque meanwhile.
    #[inline(always)]
    pub(crate) fn next(&self, injector: &Injector<Entry>, pushed: impl Fn()) -> Option<Next> {
        let turns = self.turns.get() - 1;
        self.turns.set(turns);
        if turns.is_multiple_of(BUDGET)
            && let Some(old) = self.fair_turn(injector, &pushed)
        {
            return Some(old);
        }
        let handed_over = self.slot.take();
        if handed_over.is_none()
            && let Some(turn) = self.take_turn()
        {
            return Some(Next::Turn(turn));
        }
        let hot = handed_over.or_else(|| self.newest.take());
        if let Some(ready) = hot.or_else(|| self.deque.pop().map(|entry| self.open(entry))) {
            return Some(Next::Ready(ready));
        }
        let ready = self.take_injected(injector)?;
        // On the way from there to here they were in neither, where a worker that parked just then saw nothing.
        if !self.deque.is_empty() {
            pushed();
        }
        Some(Next::Ready(ready))
    }

    /// Takes back what was to be next, unless there is nothing that was handed over since, and that comes before it. `pushed`
    /// is called if it went into the deque.
    pub(crate) fn put_back(&self, next: Option<Next>, pushed: impl FnOnce()) -> Option<Next> {
        let first = self.slot.take();
        if first.is_none() {
            return next;
        }
        self.slot.set(first);
        match next? {
            Next::Ready(ready) => {
                self.push_back(ready);
                pushed();
            }
            Next::Turn(turn) => self.keep_turn(turn).err().into_iter().for_each(Turn::grant),
        }
        None
    }

    /// The oldest of the injector or of the deque, or else the newest or the turn, which a chain of hand-overs keeps
    /// waiting. What would have come next goes to the deque, where it grows old, and others may take it.
    #[cold]
    fn fair_turn(&self, injector: &Injector<Entry>, pushed: impl FnOnce()) -> Option<Next> {
        let injected = if self.turns.get() == 0 {
            self.turns.set(FAIR_EVERY);
            retried(|| injector.steal())
        } else {
            None
        };
        // A look is cheap, and a steal is not.
        let old = injected.or_else(|| if self.deque.is_empty() { None } else { retried(|| self.stealer.steal()) });
        let newest = self.newest.take();
        let turn = self.take_turn();
        let Some(old) = old else {
            let Some(newest) = newest else { return turn.map(Next::Turn) };
            turn.into_iter().for_each(Turn::grant);
            return Some(Next::Ready(newest));
        };
        // Into the deque, but for one, which becomes the newest.
        turn.into_iter().for_each(Turn::grant);
        let mut hot = [newest, self.slot.take()].into_iter().flatten().peekable();
        let moved = hot.peek().is_some();
        hot.for_each(|ready| self.push_back(ready));
        if moved {
            pushed();
        }
        Some(Next::Ready(self.open(old)))
    }

    /// One from the injector, and up to a batch more into the deque.
    #[inline]
    pub(crate) fn take_injected(&self, injector: &Injector<Entry>) -> Option<Ready> {
        // The look saves a fence where the injector is not used.
        if injector.is_empty() {
            return None;
        }
        let entry = retried(|| injector.steal_batch_and_pop(&self.deque))?;
        self.grew();
        Some(self.open(entry))
    }
}

/// Tries until nobody else is in the way.
fn retried(steal: impl Fn() -> Steal<Entry>) -> Option<Entry> {
    loop {
        match steal() {
            Steal::Success(ready) => return Some(ready),
            Steal::Empty => return None,
            Steal::Retry => {}
        }
    }
}
