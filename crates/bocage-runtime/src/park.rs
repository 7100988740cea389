//! Parking: how workers go to sleep when there is nothing to do, and why no wake is lost.
//!
//! # States of a worker
//!
//! | state     | meaning                                              | counted in the word |
//! |-----------|------------------------------------------------------|---------------------|
//! | RUNNING   | runs behaviors, or looks into its own queues         | -                   |
//! | SEARCHING | has nothing of its own and looks into everybody's    | `searching`         |
//! | PARKED    | sleeps, and stands in the list of sleepers           | `parked`            |
//!
//! | from      | to        | who                    | when                                             |
//! |-----------|-----------|------------------------|--------------------------------------------------|
//! | RUNNING   | SEARCHING | the worker             | nothing of its own; fewer than half search       |
//! | RUNNING   | PARKED    | the worker             | nothing of its own; enough others search         |
//! | SEARCHING | RUNNING   | the worker             | it found a behavior                              |
//! | SEARCHING | PARKED    | the worker             | it found none                                    |
//! | PARKED    | SEARCHING | whoever wakes it       | there is work and nobody searches                |
//! | PARKED    | stopped   | whoever stops them all | the runtime stops                                |
//!
//! Both counts live in one atomic word, so that one load answers "must I wake somebody?". Only a holder of
//! the sleepers' lock changes `parked`.
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
//! Work in the slot or the queue of a worker itself needs no wake for that worker: it parks only after it
//! found both empty, and only it fills them.
//!
//! # Sleeping
//!
//! [`Idle::lie_down`] puts the worker on the list; [`Parked::sleep`] then blocks until its own flag is set.
//! The waker takes it off the list, sets its flag and unparks its thread, in this order, and touches
//! nothing of the runtime after the flag: the worker may be up and gone by then. `thread::park` may return
//! at any time (behaviors may use it too, and leave tokens behind): only the flag counts.

use crossbeam_utils::CachePadded;

use crate::sync::{AtomicU8, AtomicU64, Mutex, Ordering, Thread, fence, lock, thread};

/// One searching worker, in the word's low half.
const SEARCHING: u64 = 1;
/// One parked worker, in the word's high half.
const PARKED: u64 = 1 << 32;

fn searching(word: u64) -> u64 {
    word % PARKED
}

fn parked(word: u64) -> u64 {
    word / PARKED
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
pub enum Woken {
    /// To look for work: it counts as searching.
    ToSearch,
    /// To end.
    ToStop,
}

/// A worker on the list of sleepers, not yet asleep.
#[must_use = "a worker on the list is woken in the belief that it sleeps"]
pub struct Parked<'a> {
    flag: &'a AtomicU8,
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
        let word = self.word.load(Ordering::Relaxed);
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
        let before = self.word.fetch_sub(SEARCHING, Ordering::Relaxed);
        self.last_look(before - SEARCHING, work_left);
    }

    /// To PARKED, on the list. `None` if the runtime stops; a searching worker is then no longer counted.
    pub fn lie_down(&self, worker: usize, was: Was, work_left: impl FnOnce() -> bool) -> Option<Parked<'_>> {
        let leaves = match was {
            Was::Running => 0,
            Was::Searching => SEARCHING,
        };
        let flag = &self.flags[worker];
        let word = {
            let mut sleepers = lock(&self.sleepers);
            if sleepers.stopped {
                self.word.fetch_sub(leaves, Ordering::Relaxed);
                return None;
            }
            // Relaxed: the lock orders it with the waker's store.
            flag.store(ASLEEP, Ordering::Relaxed);
            sleepers.list.push(Sleeper { worker, thread: thread::current() });
            let change = PARKED - leaves;
            // Relaxed: the fence in `last_look` orders it.
            self.word.fetch_add(change, Ordering::Relaxed) + change
        };
        self.last_look(word, work_left);
        Some(Parked { flag })
    }

    /// Rule 2, for whoever left `word`.
    fn last_look(&self, word: u64, work_left: impl FnOnce() -> bool) {
        if searching(word) > 0 {
            return;
        }
        // Pairs with the fence in `work_pushed`.
        fence(Ordering::SeqCst);
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
            self.word.fetch_sub(PARKED - SEARCHING, Ordering::Relaxed);
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
            self.word.fetch_sub(PARKED * woken.len() as u64, Ordering::Relaxed);
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

    /// Blocks until somebody wakes the worker.
    pub fn sleep(self) -> Woken {
        loop {
            if let Some(why) = self.why_woken() {
                return why;
            }
            thread::park();
        }
    }

    fn why_woken(&self) -> Option<Woken> {
        // Acquire: pairs with the Release in `wake`; the waker has seen work that we are to see.
        match self.flag.load(Ordering::Acquire) {
            ASLEEP => None,
            SEARCH => Some(Woken::ToSearch),
            _ => Some(Woken::ToStop),
        }
    }
}
