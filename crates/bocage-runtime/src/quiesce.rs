//! Quiescence: knowing that nothing is left to do, without a counter that everybody writes; and closing a
//! runtime at such a moment.
//!
//! # The counts
//!
//! Each worker has a shard: how many behaviors it scheduled and how many it finished, both only ever
//! growing and written by that worker alone, with plain stores. Threads outside share a few shards more.
//! A behavior is counted as scheduled before anybody can run it, and as finished after its run has
//! returned, and so after all that its body scheduled was counted.
//!
//! *Quiet* is read by adding up all finished counts first and all scheduled counts second. If both sums
//! agree, there was nothing scheduled and unfinished at the moment between: finished counts that were read
//! early are at most what they were then, scheduled counts that were read late are at least what they were
//! then, and scheduled is never less than finished. And whatever was scheduled by a behavior that the first
//! sum counts, or by the reading thread, or before it by causality, is in the second sum.
//!
//! # Waiting
//!
//! Waiters sleep on a condition variable. A worker that is about to park (or a thread outside that takes
//! back its count) looks whether there are waiters and, if it is quiet, wakes them all. Nobody else needs
//! to: the last behavior is followed by its worker's going to park. Neither side misses the other: the
//! waiter says that it waits, fences, and adds up; the worker counts, fences, and looks for waiters; the
//! later fence of the two sees what the other did.
//!
//! # Closing
//!
//! | state    | a thread outside that schedules | a behavior of this runtime that schedules |
//! |----------|---------------------------------|-------------------------------------------|
//! | OPEN     | may                             | may                                       |
//! | CLOSING  | takes back its count and waits for what comes next | may                    |
//! | CLOSED   | takes back its count and is refused | does not exist                        |
//!
//! | from    | to      | who                        | when                                            |
//! |---------|---------|----------------------------|-------------------------------------------------|
//! | OPEN    | CLOSING | a waiter, under the lock   | it wants to close, and saw that it is quiet     |
//! | CLOSING | CLOSED  | the same                   | it is still quiet                               |
//! | CLOSING | OPEN    | the same                   | a thread outside came in between: it waits on   |
//! | CLOSED  | OPEN    | the owner of the next run  | all workers ended; the generation grows by one  |
//!
//! A thread outside counts, fences, and reads the state; the closer writes CLOSING, fences, and adds up. So
//! either the closer sees the count, and opens again, or that thread sees CLOSING and takes it back. Nobody
//! is ever admitted and forgotten, and nobody is refused by a runtime that then goes on. A behavior that
//! schedules needs no look at the state: as long as it runs it is not quiet.
//!
//! The generation stands in the state's upper bits, so that a reference to an earlier run is refused too.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU64, Condvar, Mutex, Ordering, fence, lock};

/// Shards for threads outside.
pub(crate) const OUTSIDE: usize = if cfg!(loom) { 1 } else { 8 };

const CLOSED: u64 = 0;
const CLOSING: u64 = 1;
const OPEN: u64 = 2;
/// The state's generation starts at this bit.
const GENERATION: u64 = 4;

/// Who scheduled and finished how many, who waits for the end of it, and whether more may come.
pub struct Ledger {
    workers: Box<[CachePadded<Shard>]>,
    outside: [CachePadded<Shard>; OUTSIDE],
    /// Read by whoever schedules from outside, written when a run starts or ends.
    state: CachePadded<AtomicU64>,
    /// Apart from the addresses above, which are read for every behavior.
    waiting: CachePadded<Waiting>,
}

struct Waiting {
    /// How many threads wait; read by each worker that parks.
    waiters: AtomicU64,
    /// Held by a waiter from its look at the counts until it sleeps, and while the state is CLOSING.
    lock: Mutex<()>,
    wake: Condvar,
}

/// How many behaviors one worker scheduled and finished.
pub struct Shard {
    scheduled: AtomicU64,
    finished: AtomicU64,
}

impl Shard {
    /// [`Ledger::schedule`] for the worker whose shard it is.
    #[inline]
    pub fn schedule(&self) {
        // Relaxed: ordered by the Release of the finish that follows.
        bump(&self.scheduled, 1, Ordering::Relaxed);
    }

    /// [`Ledger::finish`] for the worker whose shard it is.
    #[inline]
    pub fn finish(&self) {
        self.finish_all(1);
    }

    /// The same, of so many.
    #[inline]
    pub fn finish_all(&self, behaviors: u64) {
        // Release: pairs with the Acquire in `finished`; publishes what the behaviors did and counted.
        bump(&self.finished, behaviors, Ordering::Release);
    }
}

/// What a waiter waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Goal {
    /// That it was quiet at some moment.
    Quiet,
    /// That it is quiet, and closed to new work.
    Closed,
}

/// Why a wait ended without its goal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unquiet {
    /// The time was over.
    Expired,
    /// The waiter's own callback said so.
    Interrupted,
}

/// A waiter's callback, and how often it wants to be called.
pub type Tick<'a> = (Duration, &'a mut dyn FnMut() -> ControlFlow<()>);

impl Ledger {
    /// All counts zero, and closed.
    pub fn new(workers: usize) -> Self {
        let shard = || CachePadded::new(Shard { scheduled: AtomicU64::new(0), finished: AtomicU64::new(0) });
        Self {
            workers: (0..workers).map(|_| shard()).collect(),
            outside: std::array::from_fn(|_| shard()),
            state: CachePadded::new(AtomicU64::new(CLOSED)),
            waiting: CachePadded::new(Waiting {
                waiters: AtomicU64::new(0),
                lock: Mutex::new(()),
                wake: Condvar::new(),
            }),
        }
    }

    /// The generation that [`open`](Self::open) will begin. For the owner of a closed ledger.
    pub fn next_generation(&self) -> u64 {
        // Relaxed: nobody else writes the state of a closed ledger, and its owner got it by other means.
        self.state.load(Ordering::Relaxed) / GENERATION + 1
    }

    /// CLOSED to OPEN, by the owner of a closed ledger.
    pub fn open(&self, generation: u64) {
        // Relaxed: as above, and the owner passes it on by other means too.
        self.state.store(generation * GENERATION + OPEN, Ordering::Relaxed);
    }

    /// Counts a behavior that `worker`, in a behavior, is about to schedule. Called by that worker alone.
    #[inline]
    pub fn schedule(&self, worker: usize) {
        self.shard(worker).schedule();
    }

    /// Counts a behavior as finished, or as not scheduled after all. Called by that worker alone.
    #[inline]
    pub fn finish(&self, worker: usize) {
        self.shard(worker).finish();
    }

    /// What `worker` counts, and nobody else.
    pub fn shard(&self, worker: usize) -> &Shard {
        &self.workers[worker]
    }

    /// Counts a behavior that a thread outside is about to schedule; `false` if this generation is closed,
    /// and then nothing is counted. `shard` is any number, best one that other threads don't use.
    pub fn admit(&self, generation: u64, shard: usize) -> bool {
        loop {
            // Relaxed: the fence orders it for the closer, and whatever runs the behavior gets it through
            // the queue.
            self.outside(shard).scheduled.fetch_add(1, Ordering::Relaxed);
            // Pairs with the fence in `try_close`.
            fence(Ordering::SeqCst);
            // Relaxed: ordered by the fence.
            let state = self.state.load(Ordering::Relaxed);
            if state == generation * GENERATION + OPEN {
                return true;
            }
            self.retract(shard);
            if state != generation * GENERATION + CLOSING {
                return false;
            }
            // The closer holds the lock until it has decided.
            drop(lock(&self.waiting.lock));
        }
    }

    /// Takes back what `admit` counted; or, which is the same, counts a behavior that ran on a thread outside.
    pub fn retract(&self, shard: usize) {
        // Release: pairs with the Acquire in `finished`: whoever counts this as finished counts it as
        // scheduled too.
        self.outside(shard).finished.fetch_add(1, Ordering::Release);
        self.look_for_waiters();
    }

    fn outside(&self, shard: usize) -> &Shard {
        &self.outside[shard % self.outside.len()]
    }

    /// How many behaviors `worker` scheduled and finished.
    pub fn counts(&self, worker: usize) -> (u64, u64) {
        let shard = &self.workers[worker];
        // Relaxed: for statistics.
        (shard.scheduled.load(Ordering::Relaxed), shard.finished.load(Ordering::Relaxed))
    }

    /// How many behaviors are scheduled and not finished.
    pub fn pending(&self) -> u64 {
        let finished = self.finished();
        self.scheduled().wrapping_sub(finished)
    }

    fn shards(&self) -> impl Iterator<Item = &Shard> {
        self.workers.iter().chain(&self.outside).map(|shard| &**shard)
    }

    fn finished(&self) -> u64 {
        // Acquire: pairs with the Release in `finish` and `retract`; whatever was counted as scheduled
        // before these is in the sum of `scheduled` that follows.
        self.shards().fold(0, |sum, shard| sum.wrapping_add(shard.finished.load(Ordering::Acquire)))
    }

    fn scheduled(&self) -> u64 {
        // Relaxed: see `finished`.
        self.shards().fold(0, |sum, shard| sum.wrapping_add(shard.scheduled.load(Ordering::Relaxed)))
    }

    /// Wakes all waiters if it is quiet. For whoever finished the last behavior that it knows of.
    pub fn look_for_waiters(&self) {
        // Pairs with the fence in `wait`: either we see the waiter or it sees what we counted.
        fence(Ordering::SeqCst);
        // Relaxed: ordered by the fence.
        if self.waiting.waiters.load(Ordering::Relaxed) > 0 && self.pending() == 0 {
            // A waiter that looked at the counts too early to see ours holds the lock until it sleeps.
            drop(lock(&self.waiting.lock));
            self.waiting.wake.notify_all();
        }
    }

    /// Blocks until the goal is reached, the time is over, or `tick` breaks; `tick` is called about as
    /// often as it asks for, and whenever the wait is disturbed, with no lock held.
    pub fn wait(&self, goal: Goal, deadline: Option<Instant>, tick: Option<Tick<'_>>) -> Result<(), Unquiet> {
        self.wait_in(goal, deadline, tick, || false)
    }

    /// [`wait`](Self::wait) by a thread that does not sleep, and calls `tick` instead, while `busy` says so. That is
    /// asked with the lock held; when its answer becomes another, [`disturb`](Self::disturb) is to be called.
    pub fn wait_in(
        &self,
        goal: Goal,
        deadline: Option<Instant>,
        mut tick: Option<Tick<'_>>,
        busy: impl Fn() -> bool,
    ) -> Result<(), Unquiet> {
        let _waiter = Waiter::new(&self.waiting.waiters);
        loop {
            {
                let guard = lock(&self.waiting.lock);
                // Pairs with the fence in `look_for_waiters`.
                fence(Ordering::SeqCst);
                if self.reached(goal) {
                    return Ok(());
                }
                let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
                if left == Some(Duration::ZERO) {
                    return Err(Unquiet::Expired);
                }
                let guard = match (left, tick.as_ref().map(|tick| tick.0)) {
                    _ if busy() => guard,
                    (None, None) => self.waiting.wake.wait(guard).unwrap_or_else(std::sync::PoisonError::into_inner),
                    (left, every) => {
                        let nap = left.unwrap_or(Duration::MAX).min(every.unwrap_or(Duration::MAX));
                        self.waiting.wake.wait_timeout(guard, nap).unwrap_or_else(std::sync::PoisonError::into_inner).0
                    }
                };
                drop(guard);
            }
            if let Some((_, on_tick)) = &mut tick
                && on_tick().is_break()
            {
                return Err(Unquiet::Interrupted);
            }
        }
    }

    /// Wakes whoever waits, to look again.
    pub fn disturb(&self) {
        // Whoever looked before holds the lock until it sleeps.
        drop(lock(&self.waiting.lock));
        self.waiting.wake.notify_all();
    }

    /// Whether this generation takes in behaviors, or may again.
    pub fn is_open(&self, generation: u64) -> bool {
        // Relaxed: who is told to look when it closes is told by something that orders it.
        let state = self.state.load(Ordering::Relaxed);
        state / GENERATION == generation && state % GENERATION != CLOSED
    }

    /// Under the lock.
    fn reached(&self, goal: Goal) -> bool {
        match goal {
            Goal::Quiet => self.pending() == 0,
            Goal::Closed => self.try_close(),
        }
    }

    /// OPEN to CLOSED if it is quiet, under the lock. `true` if it is closed now.
    fn try_close(&self) -> bool {
        // Relaxed: CLOSED is only read on, and it is written under the lock that we hold.
        let state = self.state.load(Ordering::Relaxed);
        if state % GENERATION == CLOSED {
            return true;
        }
        if self.pending() != 0 {
            return false;
        }
        let generation = state - state % GENERATION;
        self.state.store(generation + CLOSING, Ordering::Relaxed);
        // Pairs with the fence in `admit`: either that sees CLOSING or we see its count.
        fence(Ordering::SeqCst);
        let quiet = self.pending() == 0;
        self.state.store(generation + if quiet { CLOSED } else { OPEN }, Ordering::Relaxed);
        quiet
    }
}

/// Adds one to a counter that only the calling thread writes.
#[inline]
fn bump(counter: &AtomicU64, by: u64, publish: Ordering) {
    counter.store(counter.load(Ordering::Relaxed).wrapping_add(by), publish);
}

/// A thread that is counted as waiting.
struct Waiter<'a>(&'a AtomicU64);

impl<'a> Waiter<'a> {
    fn new(waiters: &'a AtomicU64) -> Self {
        // Relaxed: the fence in `wait` orders it.
        waiters.fetch_add(1, Ordering::Relaxed);
        Self(waiters)
    }
}

impl Drop for Waiter<'_> {
    fn drop(&mut self) {
        // Relaxed: a look that still sees us notifies nobody.
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
