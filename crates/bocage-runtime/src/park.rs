//! Parking: how workers go to sleep when there is nothing to do, and why no wake is lost.
//!
//! # States of a worker
//!
//! | state     | meaning                                              | counted in the word |
//! |-----------|------------------------------------------------------|---------------------|
//! | RUNNING   | runs behaviors, or looks into its own queues         | -                   |
//! | SEARCHING | has nothing of its own and looks into everybody's    | `searching`         |
//! | PARKED    | sleeps, and stands in the list of sleepers           | `parked`            |
//! | WATCHING  | the same, but gets up now and then to look           | `parked`, `WATCHING` |
//!
//! | from      | to        | who                    | when                                             |
//! |-----------|-----------|------------------------|--------------------------------------------------|
//! | RUNNING   | SEARCHING | the worker             | nothing of its own; fewer than half search       |
//! | RUNNING   | PARKED    | the worker             | nothing of its own; enough others search         |
//! | SEARCHING | RUNNING   | the worker             | it found a behavior                              |
//! | SEARCHING | PARKED    | the worker             | it found none                                    |
//! | PARKED    | SEARCHING | whoever wakes it       | there is work and nobody searches                |
//! | PARKED    | stopped   | whoever stops them all | the runtime stops                                |
//! | -         | WATCHING  | a worker that parks    | nobody watches, and not all others are parked    |
//! | WATCHING  | RUNNING   | the worker             | it saw what its owner keeps back for long, or something in a queue |
//! | WATCHING  | PARKED    | the worker             | all are parked                                   |
//! | WATCHING  | SEARCHING, stopped | as from PARKED | as from PARKED                                  |
//!
//! Both counts and `WATCHING` live in one atomic word, so that one load answers "must I wake somebody?". Only a holder
//! of the sleepers' lock changes `parked`, or sets `WATCHING`.
//!
//! # What is kept back
//!
//! A worker keeps back, for itself, the newest behavior that its body scheduled, and the readers whose turn comes after
//! the one that it runs (see [`crate::queue`]): most bodies end soon. In case this one does not, somebody has to look: the
//! watcher, of which there is one at most, and who sleeps for a time that doubles up to a bound. What it then sees twice, a
//! moment apart, without its owner having finished anything in between, it takes. If all are parked nobody watches, and an
//! idle runtime sleeps.
//!
//! So are all rows that a worker has granted, for a moment: there is no fence between the push into its queue and its look at
//! the word, and whoever takes a last look just then may neither see the rows nor be seen. And so is what is left of a row,
//! while its owner takes the first reader out: for that moment it is in no queue. Then any searcher sees it. The watcher looks
//! into the queues as well.
//!
//! A searcher that finds nothing else looks in the same way, at shorter intervals, since it is awake anyway. That changes
//! nothing here: it takes what it finds as it takes what it steals.
//!
//! # The rules
//!
//! 1. *Push*: make the behavior visible in a queue that others can take from, then fence, then look at the
//!    word. If somebody is parked and nobody searches, wake one.
//! 2. *Last look*: whoever changes the word and thereby leaves nobody searching (a searcher that found
//!    something or parks, a runner that parks) fences and looks at all queues once more. If a behavior is
//!    visible and somebody is parked, wake one, which may be oneself.
//! 3. A woken worker is SEARCHING from the moment it is woken, not from when it opens its eyes: until it
//!    has searched, every push finds a searcher and wakes nobody. So a need gives one wake, and a burst
//!    gives a chain of them: each searcher that finds something, and sees more, wakes the next (rule 2).
//! 4. *Keep back*: look at the word, with no fence. If somebody is parked, and nobody searches or watches, wake one.
//!    Once does for all that a worker keeps back until it is RUNNING no more.
//! 5. *Last watch*: whoever becomes RUNNING does the same if another worker is RUNNING, whose look may have been before.
//! 6. *Grant*: rows of readers go into the own queue as by rule 1, but with no fence. As that look is at least what rule 4
//!    asks for, they are as good as kept back.
//! 7. *Put back*: what is left of a row goes into the own queue with no look at all. A worker that has a row in its queue has
//!    taken a look since it is RUNNING, when that came there: by rule 6, or by rule 2 if it stole the row.
//!
//! # Why no wake is lost
//!
//! Lost would mean that things come to rest with a behavior visible, nobody searching and somebody parked.
//! Then there is a last change of the word, C; it left nobody searching and somebody parked, so whoever
//! made it took a last look, after a fence. The push of the behavior is followed by a fence as well, and
//! SeqCst fences have one order. If the push's fence came first, the last look saw the behavior and woke
//! somebody: a change after C. If it came second, the pusher's load saw C, hence somebody parked and nobody
//! searching, and the pusher woke somebody: a change after C again. A wake may find, under the lock, that
//! somebody searches by now, and do without: also a change after C, or C was not what it saw.
//!
//! A thief pushes too: what it takes beside the behavior that it runs goes into its own queue. Its last look is
//! what rule 1 asks for: a fence, and only then a look at the word. (The word as the thief left it would not do:
//! somebody may have parked since, and looked at the thief's queue before the push was visible.)
//!
//! So does a runner that takes several from the injector: while it moves them they are in no queue, and whoever parks
//! then sees none. It follows rule 1 when they are in its own.
//!
//! (What comes there by the last two rules is not meant here: it is kept back.)
//!
//! Work in the slot or the queue of a worker itself needs no wake for that worker: it parks only after it
//! found both empty, and only it fills them.
//!
//! # Why nothing that is kept back is forgotten
//!
//! Say that the word *provides* if nobody is parked, somebody searches, or somebody watches: then nothing is left to do for
//! what is kept back now, since a searcher looks itself and, when it parks, watches if nobody does. A worker that keeps
//! something back may see an old word, but none older than its own last change of it. If that did not provide, rule 4 wakes
//! one. If it did, and a later one does not, then somebody changed it so in between, while the worker was running: not
//! by parking, which leaves a watcher unless all are parked; nor by waking somebody, who searches then; hence by becoming
//! RUNNING. Rule 5 is for that one, who sees two running workers in the word that it leaves.
//!
//! # Sleeping
//!
//! [`Idle::lie_down`] puts the worker on the list; [`Parked::sleep`] then blocks until its own flag is set.
//! The waker takes it off the list, sets its flag and unparks its thread, in this order, and touches
//! nothing of the runtime after the flag: the worker may be up and gone by then. `thread::park` may return
//! at any time (behaviors may use it too, and leave tokens behind): only the flag counts.

use std::time::Duration;

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU8, AtomicU64, Mutex, Ordering, Thread, doze, fence, lock, park, thread};

/// One searching worker, in the word's low half.
const SEARCHING: u64 = 1;
/// One of the parked workers watches.
const WATCHING: u64 = 1 << 31;
/// One parked worker, in the word's high half.
const PARKED: u64 = 1 << 32;

fn searching(word: u64) -> u64 {
    word % WATCHING
}

fn parked(word: u64) -> u64 {
    word / PARKED
}

fn watched(word: u64) -> bool {
    word & WATCHING != 0
}

/// Whether nothing is left to do for what is kept back.
fn provides(word: u64) -> bool {
    parked(word) == 0 || searching(word) > 0 || watched(word)
}

/// The flag of a worker that is parked, or not on the list at all.
const ASLEEP: u8 = 0;
/// Woken, and already counted as searching.
const SEARCH: u8 = 1;
/// Woken to stop.
const STOP: u8 = 2;

/// Who searches, who sleeps.
pub struct Idle {
    word: CachePadded<AtomicU64>,
    sleepers: CachePadded<Mutex<Sleepers>>,
    /// One for each worker.
    flags: Box<[CachePadded<AtomicU8>]>,
}

struct Sleepers {
    stopped: bool,
    list: Vec<Sleeper>,
}

struct Sleeper {
    worker: usize,
    thread: Thread,
    watches: bool,
}

impl Sleeper {
    /// What it is counted as.
    fn counted(&self) -> u64 {
        PARKED + if self.watches { WATCHING } else { 0 }
    }
}

/// Said by a worker that parks: whether it was counted as searching.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Was {
    /// It is not counted.
    Running,
    /// It is counted.
    Searching,
}

/// Why a worker got up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::enum_variant_names, reason = "each is what the worker is woken to do")]
pub enum Woken {
    /// To look for work: it counts as searching.
    ToSearch,
    /// The same, but it does not count: it got up by itself.
    ToLook,
    /// To end.
    ToStop,
}

/// A worker on the list of sleepers, not yet asleep.
#[must_use = "a worker on the list is woken in the belief that it sleeps"]
pub struct Parked<'a> {
    idle: &'a Idle,
    worker: usize,
    watches: bool,
}

impl Idle {
    /// For `workers` workers, all of them running.
    pub fn new(workers: usize) -> Self {
        Self {
            word: CachePadded::new(AtomicU64::new(0)),
            sleepers: CachePadded::new(Mutex::new(Sleepers { stopped: false, list: Vec::with_capacity(workers) })),
            flags: (0..workers).map(|_| CachePadded::new(AtomicU8::new(ASLEEP))).collect(),
        }
    }

    /// Told by whoever made a behavior visible in a queue that others take from (rule 1).
    #[inline]
    pub fn work_pushed(&self) {
        // Pairs with the fence before a last look: either that sees what was pushed, or we see the word
        // that it left.
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders it, and nothing is read on the strength of it.
        self.wake_one_if_needed(self.word.load(Ordering::Relaxed));
    }

    /// Whether anybody has nothing to do, or had a moment ago.
    #[inline]
    pub fn is_anybody(&self) -> bool {
        // Relaxed: nothing depends on a late answer.
        let word = self.word.load(Ordering::Relaxed);
        parked(word) > 0 || searching(word) > 0
    }

    /// Told by a worker that keeps something back for itself (rule 4).
    #[inline]
    pub fn kept_back(&self) {
        // Relaxed: an old word does, see the module's proof.
        if !provides(self.word.load(Ordering::Relaxed)) {
            self.wake_one();
        }
    }

    /// Told by a worker that has put rows into its queue (rule 6).
    #[inline]
    pub fn granted(&self) {
        // Relaxed: an old word does, see the module's proof.
        self.wake_one_if_needed(self.word.load(Ordering::Relaxed));
    }

    /// For a push, by whoever saw `word` after it.
    #[inline]
    fn wake_one_if_needed(&self, word: u64) {
        if parked(word) > 0 && searching(word) == 0 {
            self.wake_one();
        }
    }

    /// RUNNING to SEARCHING, unless half of the workers search already.
    pub fn start_search(&self) -> bool {
        let workers = self.flags.len() as u64;
        // Relaxed: a searcher learns of work from the queues, not from the word.
        let mut word = self.word.load(Ordering::Relaxed);
        while 2 * searching(word) < workers {
            match self.word.compare_exchange_weak(word, word + SEARCHING, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => word = now,
            }
        }
        false
    }

    /// SEARCHING to RUNNING. `work_left` looks at all queues, if it comes to that (rule 2).
    pub fn found(&self, work_left: impl FnOnce() -> bool) {
        // Relaxed: the fence in `last_look` orders it.
        let word = self.word.fetch_sub(SEARCHING, Ordering::Relaxed) - SEARCHING;
        self.last_watch(word);
        self.last_look(word, work_left);
    }

    /// Rule 5, for whoever is RUNNING since it left `word`.
    fn last_watch(&self, word: u64) {
        let running = self.flags.len() as u64 - parked(word) - searching(word);
        if running > 1 && !provides(word) {
            self.wake_one();
        }
    }

    /// To PARKED or WATCHING, on the list. `None` if the runtime stops; a searching worker is then no longer counted.
    pub fn lie_down(&self, worker: usize, was: Was, work_left: impl FnOnce() -> bool) -> Option<Parked<'_>> {
        let leaves = match was {
            Was::Running => 0,
            Was::Searching => SEARCHING,
        };
        let (word, watches) = {
            let mut sleepers = lock(&self.sleepers);
            if sleepers.stopped {
                self.word.fetch_sub(leaves, Ordering::Relaxed);
                return None;
            }
            // Relaxed: the lock orders it with the waker's store.
            self.flags[worker].store(ASLEEP, Ordering::Relaxed);
            let all_others = sleepers.list.len() + 1 == self.flags.len();
            // Relaxed: set under the lock only; and if it is cleared meanwhile, then by nobody but its holder.
            let watches = !all_others && !watched(self.word.load(Ordering::Relaxed));
            let sleeper = Sleeper { worker, thread: thread::current(), watches };
            let change = sleeper.counted().wrapping_sub(leaves);
            sleepers.list.push(sleeper);
            // Relaxed: the fence in `last_look` orders it.
            (self.word.fetch_add(change, Ordering::Relaxed).wrapping_add(change), watches)
        };
        self.last_look(word, work_left);
        Some(Parked { idle: self, worker, watches })
    }

    /// Rule 2, for whoever left `word`.
    fn last_look(&self, word: u64, work_left: impl FnOnce() -> bool) {
        if searching(word) > 0 {
            return;
        }
        // Pairs with the fence in `work_pushed`, and with itself.
        fence(Ordering::SeqCst);
        // Relaxed: the fence orders it. A new look, since a thief leaves with more than it runs: whoever parked since
        // `word` may have looked too early to see what is in the thief's queue, and then it is for us to see him.
        let word = self.word.load(Ordering::Relaxed);
        if parked(word) > 0 && work_left() {
            self.wake_one();
        }
    }

    /// PARKED to SEARCHING, for the worker that lay down last: its cache is the warmest.
    #[cold]
    fn wake_one(&self) {
        let sleeper = {
            let mut sleepers = lock(&self.sleepers);
            // Relaxed: whoever calls this has fenced since it saw the work, see the module's proof.
            if searching(self.word.load(Ordering::Relaxed)) > 0 {
                return;
            }
            let Some(sleeper) = sleepers.list.pop() else { return };
            // Relaxed: as above; `parked` changes under the lock only.
            self.word.fetch_sub(sleeper.counted() - SEARCHING, Ordering::Relaxed);
            sleeper
        };
        self.wake(sleeper, SEARCH);
    }

    fn wake(&self, sleeper: Sleeper, why: u8) {
        // Release: pairs with the Acquire in `why_woken`.
        self.flags[sleeper.worker].store(why, Ordering::Release);
        sleeper.thread.unpark();
    }

    /// Wakes everybody to stop; whoever lies down from now on is told so at once.
    pub fn stop(&self) {
        let woken = {
            let mut sleepers = lock(&self.sleepers);
            sleepers.stopped = true;
            let woken = std::mem::take(&mut sleepers.list);
            // Relaxed: nobody pushes work any more.
            self.word.fetch_sub(woken.iter().map(Sleeper::counted).sum(), Ordering::Relaxed);
            woken
        };
        for sleeper in woken {
            self.wake(sleeper, STOP);
        }
    }

    /// Takes back [`stop`](Self::stop), when all workers have ended and before new ones start.
    pub fn restart(&self) {
        lock(&self.sleepers).stopped = false;
        debug_assert_eq!(self.word.load(Ordering::Relaxed), 0, "a worker that ended is still counted");
    }
}

impl Parked<'_> {
    /// Whether [`sleep`](Self::sleep) would return at once.
    pub fn is_woken(&self) -> bool {
        self.why_woken().is_some()
    }

    /// Whether it is the one that watches, and should [`sleep_for`](Self::sleep_for) a while only.
    pub fn watches(&self) -> bool {
        self.watches
    }

    /// Blocks until somebody wakes the worker.
    pub fn sleep(self) -> Woken {
        loop {
            if let Some(why) = self.why_woken() {
                return why;
            }
            park(None);
        }
    }

    /// The same, at most for `time` or a little more, or less; `None` if it was not woken.
    pub fn sleep_for(&self, time: Duration) -> Option<Woken> {
        if self.why_woken().is_none() {
            doze(time);
        }
        self.why_woken()
    }

    /// WATCHING to RUNNING. Gives itself back if somebody has woken it meanwhile: then it is SEARCHING, or to stop.
    pub fn get_up(self, work_left: impl FnOnce() -> bool) -> Result<(), Self> {
        let word = {
            let mut sleepers = lock(&self.idle.sleepers);
            let Some(at) = sleepers.list.iter().position(|sleeper| sleeper.worker == self.worker) else {
                return Err(self);
            };
            let change = sleepers.list.remove(at).counted();
            // Relaxed: the fence in `last_look` orders it.
            self.idle.word.fetch_sub(change, Ordering::Relaxed) - change
        };
        self.idle.last_watch(word);
        self.idle.last_look(word, work_left);
        Ok(())
    }

    /// WATCHING to PARKED, if all are parked. No last look is needed: a worker parks only when it keeps nothing back, and whoever
    /// is woken from now on sees that nobody watches.
    pub fn stop_watching(&mut self) {
        let mut sleepers = lock(&self.idle.sleepers);
        if sleepers.list.len() < self.idle.flags.len() {
            return;
        }
        let own = sleepers.list.iter_mut().find(|sleeper| sleeper.worker == self.worker);
        own.expect("all are on the list").watches = false;
        self.watches = false;
        // Relaxed: the lock orders it for whoever is woken.
        self.idle.word.fetch_sub(WATCHING, Ordering::Relaxed);
    }

    fn why_woken(&self) -> Option<Woken> {
        // Acquire: pairs with the Release in `wake`; the waker has seen work that we are to see.
        match self.idle.flags[self.worker].load(Ordering::Acquire) {
            ASLEEP => None,
            SEARCH => Some(Woken::ToSearch),
            _ => Some(Woken::ToStop),
        }
    }
}
