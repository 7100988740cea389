//! Models of the runtime's two protocols, parking and quiescence, run by the model checker:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=3 cargo test -p bocage-runtime --release --test loom
//! ```
//!
//! `Idle` and `Ledger` are the very structs that ship. What stands in is the queue, since crossbeam's has no
//! loom face: [`Pile`] promises as little as possible (a push is visible to others some time after it, and
//! the look at it is relaxed), so that each fence of the protocol is needed. And the worker's loop, which
//! is `Worker::look_elsewhere` over that queue.
//!
//! A lost wake shows as a deadlock, which loom reports. Each model names the bug that it was seen to catch.
#![cfg(loom)]

#[path = "loom/inbox.rs"]
mod inbox;

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use loom::thread;
use std::time::Duration;

use bocage_runtime::park::{Idle, Look, Parked, Was, Woken};
use bocage_runtime::quiesce::{Goal, Ledger};

/// A queue of behaviors that differ in nothing.
struct Pile(AtomicUsize);

impl Pile {
    fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    fn push(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn take(&self) -> bool {
        let mut n = self.0.load(Ordering::Relaxed);
        while n > 0 {
            match self.0.compare_exchange(n, n - 1, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return true,
                Err(now) => n = now,
            }
        }
        false
    }

    fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// What the threads of one modelled runtime share.
struct Plant {
    pile: Pile,
    /// All that is kept back.
    newest: Pile,
    idle: Idle,
    ledger: Ledger,
    /// How many behaviors ran.
    ran: AtomicUsize,
}

impl Plant {
    fn new(workers: usize) -> Arc<Self> {
        let ledger = Ledger::new(workers);
        ledger.open(1);
        Arc::new(Self {
            pile: Pile::new(),
            newest: Pile::new(),
            idle: Idle::new(workers),
            ledger,
            ran: AtomicUsize::new(0),
        })
    }

    /// `Shared::inject`.
    fn inject(&self) {
        self.pile.push();
        self.idle.work_pushed();
    }

    /// `Worker::work`, which calls `run` for each behavior, until it is told to stop.
    fn work(&self, worker: usize, mut run: impl FnMut()) {
        loop {
            while self.pile.take() {
                run();
            }
            let mut was = if self.idle.start_search() { Was::Searching } else { Was::Running };
            loop {
                if was == Was::Searching && self.pile.take() {
                    self.idle.found(|look| self.work_left(look));
                    break;
                }
                self.ledger.look_for_waiters();
                let Some(parked) = self.idle.lie_down(worker, was, |look| self.work_left(look)) else { return };
                match self.sleep(parked) {
                    Some(Woken::ToSearch) => was = Was::Searching,
                    Some(Woken::ToLook) => was = if self.idle.start_search() { Was::Searching } else { Was::Running },
                    Some(Woken::ToStop) => return,
                    None => break,
                }
            }
            run();
        }
    }

    fn work_left(&self, look: Look) -> bool {
        !self.pile.is_empty() || look == Look::Newest && !self.newest.is_empty()
    }

    /// `Worker::push`, of a behavior that is kept back.
    fn keep_newest(&self) {
        self.newest.push();
        self.idle.kept_newest();
    }

    /// `Worker::sleep`, for whom each newest has been there for long. None if it rescued that.
    fn sleep(&self, mut parked: Parked<'_>) -> Option<Woken> {
        while parked.watches() {
            if let Some(woken) = parked.sleep_for(Duration::ZERO) {
                return Some(woken);
            }
            if !self.newest.is_empty() {
                match parked.get_up(|look| self.work_left(look)) {
                    Err(woken) => return Some(woken.sleep()),
                    Ok(()) if self.newest.take() => return None,
                    Ok(()) => return Some(Woken::ToLook),
                }
            }
            parked.stop_watching(|look| self.work_left(look));
        }
        Some(parked.sleep())
    }

    /// A body that does nothing but be counted; whoever runs the last of `all` ends the model.
    fn run_one_of(&self, all: usize) {
        if self.ran.fetch_add(1, Ordering::AcqRel) + 1 == all {
            self.idle.stop();
        }
    }
}

/// Where threads wait until a number of them is there.
struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(0), Condvar::new()))
    }

    fn meet(&self, all: usize) {
        let mut there = self.0.lock().unwrap();
        *there += 1;
        if *there == all {
            self.1.notify_all();
        }
        while *there < all {
            there = self.1.wait(there).unwrap();
        }
    }
}

/// A thread outside pushes while the only worker lies down.
///
/// Caught: no fence in `work_pushed`; no fence in `last_look`; a last look before the word is changed; a stop
/// that is not remembered for who lies down after it.
#[test]
fn park_against_a_push_from_outside() {
    loom::model(|| {
        let plant = Plant::new(1);
        let worker = thread::spawn({
            let plant = plant.clone();
            move || plant.work(0, || plant.run_one_of(1))
        });
        plant.inject();
        worker.join().unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 1);
    });
}

/// A worker's body pushes a behavior and goes on until another worker runs it, while that one lies down.
///
/// Caught: no last look of a worker that parks.
#[test]
fn park_against_a_push_from_inside() {
    loom::model(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let other = thread::spawn({
            let (plant, meeting) = (plant.clone(), meeting.clone());
            move || {
                plant.work(1, || {
                    meeting.meet(2);
                    plant.run_one_of(1);
                })
            }
        });
        // Worker 0, in a body: not searching, not parked.
        plant.inject();
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// A worker's body keeps a behavior back and goes on until another worker runs it, while that one lies down.
#[test]
fn park_against_a_behavior_that_is_kept_back() {
    loom::model(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let other = thread::spawn({
            let (plant, meeting) = (plant.clone(), meeting.clone());
            move || {
                plant.work(1, || {
                    meeting.meet(2);
                    plant.run_one_of(1);
                })
            }
        });
        // Worker 0, in a body.
        plant.keep_newest();
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// A thread outside wakes one of two workers that sleep; its body keeps a behavior back and goes on until the other runs
/// that, though nobody watched.
#[test]
fn a_behavior_is_kept_back_when_nobody_watches() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(2).min(2));
    model.check(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let workers = [0, 1].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || {
                plant.work(i, || {
                    if plant.ran.fetch_add(1, Ordering::AcqRel) == 0 {
                        plant.keep_newest();
                        meeting.meet(2);
                    } else {
                        meeting.meet(2);
                        plant.idle.stop();
                    }
                })
            })
        });
        plant.inject();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// Two behaviors come at once for two idle workers, and each body waits for the other's: one wake must lead
/// to a second.
///
/// Caught: a searcher that finds something and takes no last look; a worker that parks without having
/// searched (half search already) and takes no last look; a sleep that ends with any unpark, its flag unset.
#[test]
fn a_burst_wakes_as_many_as_there_is_work_for() {
    // Three threads and a long protocol: a bound of 2 takes ten seconds, one of 3 many minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(2).min(2));
    model.check(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let workers = [0, 1].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || {
                plant.work(i, || {
                    meeting.meet(2);
                    plant.run_one_of(2);
                })
            })
        });
        plant.inject();
        plant.inject();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A thread waits until it is quiet while a worker runs a behavior that schedules another.
///
/// Caught: no fence in `look_for_waiters` or none in `wait`, or a notify without the lock (the waiter sleeps for
/// ever); the scheduled counts added up before the finished ones (it returns between the two behaviors); a
/// Relaxed finish (it sees the count without the write).
#[test]
fn quiesce_against_a_behavior_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        assert!(plant.ledger.admit(1, 0));
        plant.pile.push();
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    // One writer at a time, so that only the ledger can make it visible.
                    let ran = plant.ran.load(Ordering::Relaxed) + 1;
                    if ran == 1 {
                        plant.ledger.schedule(0);
                        plant.pile.push();
                    }
                    plant.ran.store(ran, Ordering::Relaxed);
                    plant.ledger.finish(0);
                })
            }
        });
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 2);
        plant.idle.stop();
        worker.join().unwrap();
    });
}

/// Two workers each finish one, and then look for the one thread that waits.
///
/// Caught: no fence in `look_for_waiters` or none in `wait`; a notify without the lock.
#[test]
fn quiesce_against_two_last_finishes() {
    loom::model(|| {
        let plant = Plant::new(2);
        let workers = [0, 1].map(|i| {
            plant.ledger.admit(1, 0);
            let plant = plant.clone();
            thread::spawn(move || {
                plant.ledger.finish(i);
                plant.ledger.look_for_waiters();
            })
        });
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert_eq!(plant.ledger.pending(), 0);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A thread outside schedules while the owner shuts down: either it is refused, or its behavior runs.
///
/// Caught: closing without a second look at the counts; no fence in `admit`; no fence in `try_close`; a stop
/// that is not remembered for who lies down after it.
#[test]
fn shutdown_against_a_thread_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    plant.ran.fetch_add(1, Ordering::Relaxed);
                    plant.ledger.finish(0);
                })
            }
        });
        let outside = thread::spawn({
            let plant = plant.clone();
            move || {
                let admitted = plant.ledger.admit(1, 0);
                if admitted {
                    plant.inject();
                }
                admitted
            }
        });
        plant.ledger.wait(Goal::Closed, None, None).unwrap();
        plant.idle.stop();
        worker.join().unwrap();
        let admitted = outside.join().unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), usize::from(admitted));
        assert_eq!(plant.ledger.pending(), 0);
        assert!(!plant.ledger.admit(1, 0), "closed");
    });
}

/// Two threads outside schedule while the owner tries once to close. If either is admitted the runtime goes on,
/// as nothing finishes here; and then the other may not be refused.
///
/// Caught: a refusal while CLOSING; closing without a second look; no fence in `admit` or none in `try_close`.
#[test]
fn nobody_is_refused_by_a_runtime_that_goes_on() {
    loom::model(|| {
        let plant = Plant::new(1);
        let first = thread::spawn({
            let plant = plant.clone();
            move || plant.ledger.admit(1, 0)
        });
        let second = thread::spawn({
            let plant = plant.clone();
            move || plant.ledger.admit(1, 0)
        });
        // A wait that has its time over at once: one look.
        let now = std::time::Instant::now();
        let closed = plant.ledger.wait(Goal::Closed, Some(now), None).is_ok();
        let admitted = [first.join().unwrap(), second.join().unwrap()];
        assert!(closed || admitted == [true, true], "refused, and yet it goes on");
        assert!(!closed || admitted == [false, false], "admitted, and yet closed");
    });
}
