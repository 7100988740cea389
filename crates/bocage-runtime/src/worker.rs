//! A worker: one thread that takes ready behaviors and runs them, until its runtime stops.

use std::any::Any;
use std::cell::Cell;
use std::error::Error as StdError;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr;
use std::time::{Duration, Instant};

use bocage_core::{Now, Ready, Stage, enter_worker, quietly};
use crossbeam_deque::Steal;

use crate::builder::Hooks;
use crate::kept::Seen;
use crate::park::{Parked, Was, Woken};
use crate::queue::{Next, Put, Queue};
use crate::quiesce::Shard;
use crate::shared::{Remote, Shared};
use crate::stats::Event;
use crate::steal::{self, Dice};
use crate::turn::Debt;

/// How often a searcher goes round again since others were busy with the queues that it saw. After that it
/// parks, and its last look at the queues keeps it awake if there is still something.
const ROUNDS: usize = 8;

/// For how long a searcher goes on before it parks: about as long as it would take to be woken, so that a gap in the
/// work that is no longer than that costs nobody a wake, and a worker that finds nothing loses little.
const PATIENCE: Duration = Duration::from_micros(20);

/// How often it looks meanwhile for what a body that goes on and on keeps waiting: what is still there at the second look is
/// taken. Seldom, as a look takes the line from the one that writes it for each behavior that it schedules.
const WATCH_EVERY: Duration = Duration::from_micros(2);

/// Between two of its searches, in spin hints, so that those who work are not disturbed at each step.
const PAUSES: u32 = 12;

/// How long the watcher sleeps at first, and at most: a behavior that is kept back by a long body waits for as long at most,
/// and a moment more.
const SHORTEST_NAP: Duration = Duration::from_micros(50);
/// See above. Short enough to be no long wait, and long enough that a busy runtime's idle workers take no CPU to speak of.
const LONGEST_NAP: Duration = Duration::from_millis(1);

/// What a worker was seen to keep back, when it had finished so many.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Watched {
    at: usize,
    seen: Seen,
    finished: u64,
}

/// What a worker's thread knows of itself.
pub(crate) struct Worker {
    pub(crate) shared: &'static Shared,
    generation: u64,
    /// What tells the executor of its runtime's behaviors from others.
    pub(crate) key: NonZeroUsize,
    index: usize,
    /// What others see of it.
    remote: &'static Remote,
    /// Its counts in the ledger.
    pub(crate) shard: &'static Shard,
    /// Where it says which behavior it runs.
    stage: &'static Stage,
    /// Whether its runtime has no other worker.
    alone: bool,
    pub(crate) queue: Queue,
    dice: Dice,
    /// How many rows of readers it has begun with, as far as it counts them.
    pub(crate) rows: Cell<u32>,
    /// Whether the last reader that it measured was long.
    pub(crate) was_long: Cell<bool>,
    /// Whether this thread runs behaviors now, and not a hook.
    at_work: Cell<bool>,
}

thread_local! {
    /// The worker that this thread is, or null.
    static CURRENT: Cell<*const Worker> = const { Cell::new(ptr::null()) };
}

/// Runs `f` with the worker of `shared` that the calling thread is, if it is one.
#[inline]
pub(crate) fn with_current<T>(f: impl FnOnce(Option<&Worker>) -> T) -> T {
    // SAFETY: `Entered` sets the pointer to a worker that outlives it, and clears it. A reference made here
    // ends with the call of `f`, during which the frame that owns the worker is further down this stack.
    f(unsafe { CURRENT.get().as_ref() })
}

/// Counts a behavior as finished, however its run ends.
pub(crate) struct Finish(pub(crate) &'static Shard);

impl Drop for Finish {
    fn drop(&mut self) {
        self.0.finish();
    }
}

/// Keeps the current thread's pointer to its worker.
struct Entered<'a>(#[expect(dead_code, reason = "the borrow is the point")] &'a Worker);

impl<'a> Entered<'a> {
    fn new(worker: &'a Worker) -> Self {
        CURRENT.set(worker);
        Self(worker)
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        CURRENT.set(ptr::null());
    }
}

/// What a worker's thread does. `started` is told how the start hook ended.
pub(crate) fn main(
    shared: &'static Shared,
    generation: u64,
    index: usize,
    hooks: &Hooks,
    started: impl FnOnce(Result<(), Box<dyn StdError + Send + Sync>>),
) {
    let remote = &shared.remotes[index];
    remote.counters.restart();
    let worker = Worker {
        shared,
        generation,
        key: shared.turn_key(),
        index,
        remote,
        shard: shared.ledger.shard(index),
        stage: shared.stages.of(index),
        alone: shared.remotes.len() == 1,
        queue: Queue::new(remote.borrow_deque(), remote),
        dice: Dice::new(index as u64),
        rows: Cell::new(0),
        was_long: Cell::new(false),
        at_work: Cell::new(false),
    };
    let entered = Entered::new(&worker);
    let start = catch_unwind(|| hooks.start(index)).unwrap_or_else(|panic| {
        let error = format!("it panicked: {}", panic_text(&*panic));
        quietly(|| drop(panic));
        Err(error.into())
    });
    let has_started = start.is_ok();
    started(start);
    if has_started {
        let _mark = enter_worker();
        worker.at_work.set(true);
        // A run never unwinds; should it all the same, the worker goes on with the next.
        while catch_unwind(AssertUnwindSafe(|| worker.work(hooks))).is_err() {}
        worker.at_work.set(false);
        quietly(|| hooks.stop(index));
    }
    drop(entered);
    remote.return_deque(worker.queue.deque);
}

/// What a panic said.
pub(crate) fn panic_text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied().or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a payload that is no text)")
}

impl Worker {
    /// Whether it works for the runtime of `shared` and is not in a hook.
    #[inline]
    pub(crate) fn works_for(&self, shared: &'static Shared) -> bool {
        ptr::eq(self.shared, shared) && self.at_work.get()
    }

    /// Its runtime.
    pub(crate) fn shared(&self) -> &'static Shared {
        self.shared
    }

    /// Which run of its runtime's memory it belongs to.
    #[inline]
    pub(crate) fn generation(&self) -> u64 {
        self.generation
    }

    /// Its place among the workers.
    #[inline]
    pub(crate) fn index(&self) -> usize {
        self.index
    }

    /// Its counts in the ledger.
    #[inline]
    pub(crate) fn shard(&self) -> &'static Shard {
        self.shard
    }

    /// Whether this thread runs behaviors now, and not a hook.
    #[inline]
    pub(crate) fn is_at_work(&self) -> bool {
        self.at_work.get()
    }

    /// Takes in what a body on this thread has just scheduled and waits for nothing.
    #[inline]
    pub(crate) fn take_in(&self, now: Now) {
        match now {
            Now::Ready(ready) => self.push(ready),
            Now::Turn(turn) => self.push_turn(turn),
        }
    }

    /// Takes in a behavior that is ready while a body runs on this thread.
    pub(crate) fn push(&self, ready: Ready) {
        // A lone worker has nobody to tell, and is awake.
        match self.queue.push(ready) {
            Put::AsNewest if self.is_alone() => {}
            Put::AsNewest => self.shared.idle.kept_back(),
            Put::InSlot | Put::InDeque => self.pushed(),
        }
    }

    /// How many workers its runtime has.
    pub(crate) fn workers(&self) -> NonZeroUsize {
        NonZeroUsize::new(self.shared.remotes.len()).expect("this is one")
    }

    #[inline]
    pub(crate) fn is_alone(&self) -> bool {
        self.alone
    }

    /// Takes in a behavior that became ready as this thread released a cown.
    #[inline]
    pub(crate) fn hand_over(&self, ready: Ready) {
        if self.is_in_body() {
            return self.push_released(ready);
        }
        match self.queue.hand_over(ready) {
            Put::InSlot => self.count(Event::HandedOver, 1),
            Put::AsNewest | Put::InDeque => self.pushed(),
        }
    }

    /// The same, while a body runs: it let go of what it had acquired, and may go on for long.
    #[cold]
    #[inline(never)]
    fn push_released(&self, ready: Ready) {
        self.push(ready);
    }

    /// Whether a body runs on this thread.
    #[inline]
    pub(crate) fn is_in_body(&self) -> bool {
        self.stage.is_entered()
    }

    /// Counts an enqueue that had to yield.
    pub(crate) fn stalled(&self, yields: u32) {
        self.count(Event::Stalled, yields.into());
    }

    /// Tells the others that there is something in the deque.
    #[inline]
    pub(crate) fn pushed(&self) {
        if !self.is_alone() {
            self.shared.idle.work_pushed();
        }
    }

    #[inline]
    pub(crate) fn count(&self, event: Event, times: u64) {
        self.remote.counters.count(event, times);
    }

    /// Runs behaviors until the runtime stops.
    #[inline(never)]
    fn work(&self, hooks: &Hooks) {
        let mut debt = Debt::new(self.shard, self.stage);
        loop {
            while let Some(next) = self.next() {
                self.run(next, &mut debt, false);
            }
            match self.look_elsewhere(hooks) {
                Some(next) => self.run(next, &mut debt, true),
                None => return,
            }
        }
    }

    #[inline(always)]
    fn next(&self) -> Option<Next> {
        self.queue.next(&self.shared.injector, || self.pushed())
    }

    #[inline(always)]
    fn run(&self, next: Next, debt: &mut Debt, is_rescued: bool) {
        let owes = match next {
            Next::Ready(ready) => self.run_ready(ready, debt),
            Next::Turn(turn) => self.run_turn(turn, debt, is_rescued),
        };
        if owes {
            self.go_on_in_debt(debt);
        }
    }

    /// Runs what comes after readers that are owed, until nothing is.
    #[inline(never)]
    fn go_on_in_debt(&self, debt: &mut Debt) {
        while !debt.is_nothing() {
            let next = match self.next() {
                Some(Next::Ready(ready)) if debt.goes_on_with(&ready) => Some(Next::Ready(ready)),
                next => {
                    debt.settle();
                    // If a writer waited for them, it has the cown now.
                    self.queue.put_back(next, || self.pushed())
                }
            };
            match next {
                Some(Next::Ready(ready)) => self.run_ready(ready, debt),
                Some(Next::Turn(turn)) => self.run_turn(turn, debt, false),
                None => return,
            };
        }
    }

    /// Returns whether it is owed.
    #[inline(always)]
    fn run_ready(&self, ready: Ready, debt: &mut Debt) -> bool {
        let finish = Finish(self.shard);
        if self.shared.cancels() {
            self.cancel(ready, debt);
            return false;
        }
        #[cfg(feature = "trace")]
        if self.shared.tracer.is_on() {
            let outer = self.shared.tracer.open(ready.as_ptr());
            ready.run_owing(&mut debt.owed);
            // What it hands over does so before its slice ends.
            debt.owed.settle();
            self.shared.tracer.close(crate::trace::By::Worker(self.index), outer);
            return false;
        }
        let is_owed = ready.run_owing(&mut debt.owed);
        if is_owed {
            debt.leave(finish);
        }
        is_owed
    }

    #[cold]
    fn cancel(&self, ready: Ready, debt: &mut Debt) {
        debt.settle();
        drop(ready);
    }

    /// Own queues are empty: searches, parks, searches again. `None` if the runtime stops.
    #[cold]
    fn look_elsewhere(&self, hooks: &Hooks) -> Option<Next> {
        let Shared { idle, ledger, .. } = self.shared;
        // Before a search, so that who waits need not wait for the end of that. It is looked again when it has failed.
        ledger.look_for_waiters();
        let mut was = if idle.start_search() { Was::Searching } else { Was::Running };
        loop {
            if was == Was::Searching
                && let Some(next) = self.search_for_a_while()
            {
                idle.found(|| self.shared.work_left());
                return Some(next);
            }
            ledger.look_for_waiters();
            let parked = idle.lie_down(self.index, was, || self.shared.work_left())?;
            let woken = if parked.is_woken() {
                parked.sleep()
            } else {
                self.count(Event::Parked, 1);
                self.at_work.set(false);
                quietly(|| hooks.before_park(self.index));
                let woken = self.sleep(parked);
                quietly(|| hooks.after_park(self.index));
                self.at_work.set(true);
                match woken {
                    Ok(woken) => woken,
                    Err(rescued) => return Some(rescued),
                }
            };
            match woken {
                Woken::ToSearch => was = Was::Searching,
                Woken::ToLook => was = if idle.start_search() { Was::Searching } else { Was::Running },
                Woken::ToStop => return None,
            }
        }
    }

    /// Sleeps until somebody wakes it. As long as it watches, it looks now and then for what its owner does not get to, and
    /// returns it, and for what lies in the queues and nobody was told of.
    fn sleep(&self, mut parked: Parked<'_>) -> Result<Woken, Next> {
        let mut nap = SHORTEST_NAP;
        while parked.watches() {
            if let Some(woken) = parked.sleep_for(nap) {
                return Ok(woken);
            }
            nap = (nap * 2).min(LONGEST_NAP);
            let stuck = self.watch_for_a_moment();
            if stuck.is_some() || self.shared.work_left() {
                match parked.get_up(|| self.shared.work_left()) {
                    Err(woken) => return Ok(woken.sleep()),
                    // It is running now, and has to go to sleep again in the usual way if another has been faster.
                    Ok(()) => return stuck.and_then(|stuck| self.rescue(stuck)).map_or(Ok(Woken::ToLook), Err),
                }
            }
            parked.stop_watching();
        }
        Ok(parked.sleep())
    }

    /// Something that one of the others keeps back and does not get to for as long as it is worth it.
    fn watch_for_a_moment(&self) -> Option<Watched> {
        let watch = || (0..self.shared.remotes.len()).filter(|at| *at != self.index).flat_map(|at| self.kept_by(at));
        let before: Vec<_> = watch().collect();
        if before.is_empty() {
            return None;
        }
        let begun = Instant::now();
        while begun.elapsed() < WATCH_EVERY {
            std::hint::spin_loop();
        }
        watch().find(|now| before.contains(now))
    }

    /// What another worker keeps back.
    fn kept_by(&self, at: usize) -> impl Iterator<Item = Watched> {
        let Remote { newest, turn, .. } = &self.shared.remotes[at];
        let finished = self.shared.ledger.counts(at).1;
        newest.seen().into_iter().chain(turn.seen()).map(move |seen| Watched { at, seen, finished })
    }

    /// Takes what another worker was seen to keep back.
    fn rescue(&self, Watched { at, seen, .. }: Watched) -> Option<Next> {
        let Remote { newest, turn, .. } = &self.shared.remotes[at];
        let rescued = newest.rescue(seen).map(Next::Ready).or_else(|| turn.rescue(seen).map(Next::Turn))?;
        self.count(Event::Stolen, 1);
        Some(rescued)
    }

    /// Searches until something comes, or it seems that nothing will.
    fn search_for_a_while(&self) -> Option<Next> {
        let mut since = None;
        let mut watched: Option<Watched> = None;
        let mut next_watch = WATCH_EVERY;
        loop {
            if let Some(ready) = self.search() {
                return Some(Next::Ready(ready));
            }
            // A lone worker's own queues are empty, and so nothing will come but from outside.
            if self.is_alone() {
                return None;
            }
            let time = since.get_or_insert_with(Instant::now).elapsed();
            if time > PATIENCE {
                return None;
            }
            if time >= next_watch {
                next_watch = time + WATCH_EVERY;
                let at = watched.map_or_else(|| self.dice.below(self.shared.remotes.len()), |watched| watched.at);
                let mut now = if at == self.index { None } else { self.kept_by(at).next() };
                if let Some(stuck) = now.take_if(|now| watched == Some(*now))
                    && let Some(rescued) = self.rescue(stuck)
                {
                    return Some(rescued);
                }
                watched = now;
            }
            (0..PAUSES).for_each(|_| std::hint::spin_loop());
        }
    }

    /// Looks into everybody's queues.
    fn search(&self) -> Option<Ready> {
        for _ in 0..ROUNDS {
            if let Some(ready) = self.queue.take_injected(&self.shared.injector) {
                return Some(ready);
            }
            match steal::steal(&self.shared.remotes, self.index, &self.queue.deque, &self.dice) {
                Steal::Success(entry) => {
                    self.queue.grew();
                    self.count(Event::Stolen, 1 + self.queue.deque.len() as u64);
                    return Some(self.queue.open(entry));
                }
                Steal::Empty => {
                    self.count(Event::Spun, 1);
                    return None;
                }
                Steal::Retry => {
                    self.count(Event::Spun, 1);
                    std::hint::spin_loop();
                }
            }
        }
        None
    }
}
