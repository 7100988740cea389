//! How a worker runs readers: one after the other, if it is not worth it to share them.
//!
//! The protocol of turns stands in [`bocage_core::Turn`]. A worker has one place for a turn (see [`crate::kept`]), which it
//! runs before what its bodies have scheduled. When it begins with a reader and others come after that one, it
//!
//! - keeps their turn, if readers are *short*;
//! - grants it otherwise: they go to the deque, for thieves to take, in as many rows as there are workers.
//!
//! A lone worker holds a short reader's turn in its hand instead, as nobody else would look for it, and grants one that begins
//! with a reader from elsewhere.
//!
//! Readers that were granted come from the deque one by one, the first of a row while the others stay, and those of one cown
//! mostly one after the other. They are counted out of it together, when something else comes: until then the worker is in
//! *debt* (see [`Owed`]), which keeps nobody waiting, since the next one holds the cown as well. They are counted as finished
//! then, and not before.
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

use bocage_core::{Owed, Ready, Stage, Turn};

use crate::kept::Lent;
use crate::quiesce::Shard;
use crate::stats::Event;
use crate::worker::{Finish, Worker};

/// A behavior that takes less than this is not worth the way to another worker. (Without optimization an empty one takes longer,
/// and then no turn would be kept, in tests either.)
const SHORT: Duration = Duration::from_nanos(if cfg!(debug_assertions) { 10_000 } else { 500 });

/// What a worker leaves undone after readers, since the next behavior may be one of the same cown.
pub(crate) struct Debt {
    pub(crate) owed: Owed,
    /// How many have run and are not counted as finished, since they hold their cown still.
    unfinished: u64,
    shard: &'static Shard,
}

/// So many readers at most are counted as finished at once, so that who looks at the counts sees that there is progress.
const MOST_UNFINISHED: u64 = 32;

impl Debt {
    pub(crate) fn new(shard: &'static Shard, stage: &'static Stage) -> Self {
        Self { owed: Owed::on(stage), unfinished: 0, shard }
    }

    #[inline]
    pub(crate) fn is_nothing(&self) -> bool {
        self.unfinished == 0
    }

    /// Whether `ready` may run before that is done.
    #[inline]
    pub(crate) fn goes_on_with(&self, ready: &Ready) -> bool {
        self.unfinished < MOST_UNFINISHED && self.owed.goes_on_with(ready)
    }

    /// A reader has run that is owed, or that ends a turn of which something is.
    #[inline]
    pub(crate) fn leave(&mut self, finish: Finish) {
        mem::forget(finish);
        self.unfinished += 1;
    }

    /// Counts them out and as finished.
    #[inline(never)]
    pub(crate) fn settle(&mut self) {
        self.owed.settle();
        // Now that the cown is free: who waits for their ends may look.
        self.shard.finish_all(mem::take(&mut self.unfinished));
    }
}

impl Drop for Debt {
    fn drop(&mut self) {
        self.settle();
    }
}

/// Has the readers of a turn cancelled: one by one, as they come from the queue.
#[cold]
fn cancel(turn: Turn, debt: &mut Debt) {
    debt.settle();
    turn.hand_over();
}

impl Worker {
    /// Takes in the turn of readers, of which the first was scheduled by a body that still runs.
    #[inline]
    pub(crate) fn push_turn(&self, turn: Turn) {
        if let Err(turn) = self.keep_turn(turn) {
            turn.grant();
        }
    }

    /// Takes in the turn of readers, which came as this thread released a cown.
    pub(crate) fn hand_over_turn(&self, turn: Turn) {
        // Whether the others are to be shared is seen when the first is begun. If a body let go of the cown, and may go on for
        // long, a lone worker would keep those from elsewhere waiting.
        match if self.is_traced() || self.is_alone() && self.is_in_body() {
            Err(turn)
        } else {
            self.queue.keep_turn(turn)
        } {
            Err(turn) => turn.hand_over(),
            Ok(_) if self.is_alone() => {}
            Ok(_) => self.shared.idle.kept_back(),
        }
    }

    /// Runs readers one after the other, as long as it keeps their turn. Returns whether any is owed then.
    pub(crate) fn run_turn(&self, turn: Turn, debt: &mut Debt, is_rescued: bool) -> bool {
        if self.shared.cancels() {
            cancel(turn, debt);
        } else if self.is_alone() && self.reads_are_short() && !self.is_traced() && !self.is_time_to_measure() {
            self.run_in_hand(turn, debt);
        } else {
            self.run_kept(turn, debt, is_rescued);
        }
        !debt.is_nothing()
    }

    /// [`run_turn`](Self::run_turn) of a lone worker: there is nobody who could take the next one's turn while a body runs, so
    /// that it needs no place where others see it.
    #[inline(never)]
    fn run_in_hand(&self, turn: Turn, debt: &mut Debt) {
        let mut turn = Some(turn);
        let mut ran = 0;
        while let Some(now) = turn.take() {
            let (reader, mut next) = now.begin(&mut debt.owed);
            if let Some(elsewhere) = next.take_if(|next| !next.is_of(self.key)) {
                // It can be run beside this one, whose body may take long.
                elsewhere.grant();
            }
            let finish = Finish(self.shard);
            let is_ours = reader.run(self.key);
            match next {
                Some(next) if self.queue.may_go_on(self.shared) => turn = Some(next),
                next => {
                    debt.settle();
                    next.and_then(|next| self.queue.keep_turn(next).err()).into_iter().for_each(Turn::hand_over);
                }
            }
            if is_ours {
                ran += 1;
                // The cown is free, or is the next reader's: who waits for this end may look.
                drop(finish);
            } else {
                mem::forget(finish);
            }
        }
        self.count(Event::HandedOver, ran);
    }

    /// [`run_turn`](Self::run_turn), with the next one's turn where others may take it.
    #[inline(never)]
    fn run_kept(&self, turn: Turn, debt: &mut Debt, is_rescued: bool) {
        let mut ran = 0;
        let mut begun = None;
        let mut turn = self.run_reader(turn, debt, &mut ran, |next| {
            let kept = if is_rescued { Err(next) } else { self.keep_turn(next) };
            let lent = kept.map_err(|next| self.share_turn(next)).ok();
            begun = (is_rescued || self.is_to_be_measured()).then(Instant::now);
            lent
        });
        if let Some(begun) = begun {
            self.measured(begun.elapsed());
        }
        while let Some(now) = turn {
            // Whether somebody looks for it has been seen to, when that one was kept: see the fourth rule of [`crate::park`].
            turn = self.run_reader(now, debt, &mut ran, |next| {
                // To begin with a reader may settle what is owed, and so drop a value that schedules another turn.
                self.queue.keep_turn(next).map_err(Turn::grant).ok()
            });
        }
        self.count(Event::HandedOver, ran);
    }

    /// Runs the first reader of a turn. `keep` gets the turn of the others, if there are any, and may keep it in the queue.
    /// Returns it if that reader may come right after this one.
    #[inline(always)]
    fn run_reader(
        &self,
        turn: Turn,
        debt: &mut Debt,
        ran: &mut u64,
        keep: impl FnOnce(Turn) -> Option<Lent>,
    ) -> Option<Turn> {
        let (reader, next) = turn.begin(&mut debt.owed);
        let lent = next.and_then(keep);
        let is_kept = lent.is_some();
        let finish = Finish(self.shard);
        let is_ours = reader.run(self.key);
        // SAFETY: nobody asks for a turn while a body runs.
        let next = unsafe { self.queue.next_turn(lent, self.shared) };
        if is_kept && next.is_none() && !self.queue.has_turn() {
            // It took so long that others came for the turn.
            self.set_reads_are_short(false);
        }
        if !is_ours {
            // Another runtime has it now.
            mem::forget(finish);
            if next.is_none() {
                debt.settle();
            }
            return next;
        }
        *ran += 1;
        if next.is_some() {
            // The cown is the next reader's: who waits for this end may look.
            drop(finish);
        } else {
            debt.leave(finish);
            if debt.owed.keeps_writer() {
                // No reader can go on with it, and the writer is what comes next.
                debt.settle();
            }
        }
        next
    }

    /// Grants a turn, and lets others take its readers.
    fn share_turn(&self, turn: Turn) {
        // Not handed over, which would keep one for this worker: a body is about to run.
        turn.grant_in_rows(self.key, self.workers());
        if !self.is_alone() {
            self.shared.idle.granted();
        }
    }

    /// Keeps the turn of the readers that come next; or gives it back, to be granted, if it may be worth it to share them,
    /// or if there is another one already.
    #[inline]
    fn keep_turn(&self, turn: Turn) -> Result<Lent, Turn> {
        if self.is_traced() || !self.reads_are_short() {
            return Err(turn);
        }
        let lent = self.queue.keep_turn(turn)?;
        if !self.is_alone() {
            self.shared.idle.kept_back();
        }
        Ok(lent)
    }

    /// Whether to look how long the first reader of a row takes.
    #[inline]
    fn is_to_be_measured(&self) -> bool {
        // If it is alone, it has come to this since it is time.
        let always = self.is_alone() || self.was_long.get() || !self.reads_are_short();
        always || self.is_anybody_else() && self.is_time_to_measure()
    }

    /// How long a reader took. One that was long may have been interrupted: only a second one says something about others.
    fn measured(&self, took: Duration) {
        let long = took >= SHORT;
        if self.was_long.replace(long) == long {
            self.set_reads_are_short(!long);
        }
    }

    /// Whether it is time to look how long a reader takes, where it is likely to be as before: for one row of so many.
    fn is_time_to_measure(&self) -> bool {
        const ROWS: u32 = 16;
        let rows = self.rows.get().wrapping_add(1);
        self.rows.set(rows);
        rows.is_multiple_of(ROWS)
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
