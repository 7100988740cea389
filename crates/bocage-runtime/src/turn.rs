//! How a worker runs readers: one after the other, if it is not worth it to share them.
//!
//! The protocol of turns stands in [`bocage_core::Turn`]. A worker has one place for a turn (see [`crate::kept`]), which it
//! runs before what its bodies have scheduled. When it begins with a reader and others come after that one, it
//!
//! - keeps their turn, if readers are *short*;
//! - grants it otherwise: they go to the deque, for thieves to take.
//!
//! A turn that is kept also keeps those waiting that come behind it from elsewhere. So it is not kept across anything long
//! that is known to be so, whether or not another worker has nothing to do.
//!
//! Whether they are short is measured now and then, by the first reader of a row. It is known to all workers; what one reader
//! does says enough about others, since programs are full of alike ones, and if it does not, somebody who watches takes a
//! turn that its owner does not get to. Then it was wrong, and that is known to all as well.

use std::mem;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bocage_core::{Owed, Turn};

use crate::stats::Event;
use crate::worker::{Finish, Worker};

/// A behavior that takes less than this is not worth the way to another worker.
const SHORT: Duration = Duration::from_nanos(500);

impl Worker {
    /// Takes in the turn of readers, of which the first was scheduled by a body that still runs.
    #[inline]
    pub(crate) fn push_turn(&self, turn: Turn) {
        if let Some(turn) = self.keep_turn(turn) {
            turn.grant();
        }
    }

    /// Takes in the turn of readers, which came as this thread released a cown.
    pub(crate) fn hand_over_turn(&self, turn: Turn) {
        // Whether the others are to be shared is seen when the first is begun.
        match if self.is_traced() { Some(turn) } else { self.queue.keep_turn(turn) } {
            Some(turn) => turn.hand_over(),
            None if self.is_alone() => {}
            None => self.shared.idle.kept_back(),
        }
    }

    /// Runs readers one after the other, as long as it keeps their turn.
    #[inline(never)]
    pub(crate) fn run_turn(&self, turn: Turn, is_rescued: bool) {
        let mut owed = Owed::nothing();
        let mut turn = Some(turn);
        let mut ran = 0;
        while let Some(now) = turn.take() {
            if self.shared.cancels() {
                // To be cancelled one by one.
                owed.settle();
                now.hand_over();
                break;
            }
            let (reader, next) = now.begin(&mut owed);
            let mut begun = None;
            let mut is_kept = false;
            if let Some(next) = next {
                let is_first = ran == 0;
                let to_grant = if is_first && is_rescued { Some(next) } else { self.keep_turn(next) };
                is_kept = to_grant.is_none();
                // Not handed over, which would keep one for this worker: a body is about to run.
                to_grant.into_iter().for_each(Turn::grant);
                let is_measured = is_rescued || !self.reads_are_short() || self.is_anybody_else();
                begun = (is_first && is_measured).then(Instant::now);
            }
            let finish = Finish(self.shard);
            let is_ours = reader.run(self.key);
            if let Some(begun) = begun {
                self.set_reads_are_short(begun.elapsed() < SHORT);
            }
            if is_kept && !self.queue.has_turn() {
                // It took so long that others came for the turn.
                self.set_reads_are_short(false);
            }
            turn = self.queue.next_turn(&self.shared.injector);
            if turn.is_none() {
                owed.settle();
            }
            if is_ours {
                ran += 1;
                // Now that the cown is free, or is the next reader's: who waits for this end may look.
                drop(finish);
            } else {
                // Another runtime has it now.
                mem::forget(finish);
            }
        }
        self.count(Event::HandedOver, ran);
    }

    /// Keeps the turn of the readers that come next; or gives it back, to be granted, if it may be worth it to share them,
    /// or if there is another one already.
    #[inline]
    fn keep_turn(&self, turn: Turn) -> Option<Turn> {
        if self.is_traced() || !self.reads_are_short() {
            return Some(turn);
        }
        let given_back = self.queue.keep_turn(turn);
        if given_back.is_none() && !self.is_alone() {
            self.shared.idle.kept_back();
        }
        given_back
    }

    fn reads_are_short(&self) -> bool {
        // Relaxed: nothing depends on a late answer.
        self.shared.reads_are_short.load(Ordering::Relaxed)
    }

    fn set_reads_are_short(&self, short: bool) {
        if self.reads_are_short() != short {
            // Relaxed: as above.
            self.shared.reads_are_short.store(short, Ordering::Relaxed);
        }
    }

    /// Whether a trace is written, in which readers are easier to follow one by one.
    #[inline]
    fn is_traced(&self) -> bool {
        #[cfg(feature = "trace")]
        return self.shared.tracer.is_on();
        #[cfg(not(feature = "trace"))]
        false
    }

    /// Whether another worker has nothing to do.
    #[inline]
    fn is_anybody_else(&self) -> bool {
        !self.is_alone() && self.shared.idle.is_anybody()
    }
}
