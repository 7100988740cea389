//! What the stories are played with: a runtime's threads around its two protocols.
//!
//! What stands in is the queue, since crossbeam's has no loom face: [`Pile`] promises as little as possible (a push
//! is visible to others some time after it, and the look at it is relaxed), so that each fence of the protocol is
//! needed. And the worker's loop, which is `Worker::look_elsewhere` over that queue.

use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use bocage_runtime::park::{Idle, Parked, Was, Woken};
use bocage_runtime::quiesce::Ledger;

/// A queue of behaviors that differ in nothing.
pub struct Pile(AtomicUsize);

impl Pile {
    pub fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    pub fn push(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    pub fn take(&self) -> bool {
        self.take_up_to(1) > 0
    }

    /// Returns how many were taken.
    pub fn take_up_to(&self, most: usize) -> usize {
        let mut n = self.0.load(Ordering::Relaxed);
        while n > 0 {
            let taken = n.min(most);
            match self.0.compare_exchange(n, n - taken, Ordering::Acquire, Ordering::Relaxed) {
                Ok(_) => return taken,
                Err(now) => n = now,
            }
        }
        0
    }

    pub fn is_empty(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }
}

/// What the threads of one modelled runtime share.
pub struct Plant {
    /// The injector.
    pub pile: Pile,
    /// The workers' own queues; none in the stories that need none.
    deques: Vec<Pile>,
    /// All that workers keep back.
    newest: Pile,
    pub idle: Idle,
    pub ledger: Ledger,
    /// How many behaviors ran.
    pub ran: AtomicUsize,
}

impl Plant {
    pub fn new(workers: usize) -> Arc<Self> {
        Self::with_deques(workers, 0)
    }

    pub fn with_deques(workers: usize, deques: usize) -> Arc<Self> {
        let ledger = Ledger::new(workers);
        ledger.open(1);
        let deques = (0..deques).map(|_| Pile::new()).collect();
        let idle = Idle::new(workers);
        // The first fence of a model makes the counter of fences, which all that follow are then ordered after.
        idle.work_pushed();
        Arc::new(Self { pile: Pile::new(), deques, newest: Pile::new(), idle, ledger, ran: AtomicUsize::new(0) })
    }

    /// `Shared::inject`.
    pub fn inject(&self) {
        self.pile.push();
        self.idle.work_pushed();
    }

    /// `Worker::push`, by a body that runs on `worker`.
    pub fn push(&self, worker: usize) {
        self.deques[worker].push();
        self.idle.work_pushed();
    }

    /// `Worker::push`, of a behavior that is kept back.
    pub fn keep_newest(&self) {
        self.newest.push();
        self.idle.kept_back();
    }

    /// `Worker::share_turn`, of one row.
    pub fn grant(&self, worker: usize) {
        self.deques[worker].push();
        self.idle.granted();
    }

    /// `Queue::open`, of a row of two that `worker` has taken out of its queue.
    pub fn put_back(&self, worker: usize) {
        self.deques[worker].push();
    }

    /// `Worker::sleep`, for whom each newest has been there for long. None if it rescued that.
    fn sleep(&self, mut parked: Parked<'_>) -> Option<Woken> {
        while parked.watches() {
            if let Some(woken) = parked.sleep_for(Duration::ZERO) {
                return Some(woken);
            }
            if !self.newest.is_empty() || self.work_left() {
                match parked.get_up(|| self.work_left()) {
                    Err(woken) => return Some(woken.sleep()),
                    Ok(()) if self.newest.take() => return None,
                    Ok(()) => return Some(Woken::ToLook),
                }
            }
            parked.stop_watching();
        }
        Some(parked.sleep())
    }

    /// `Queue::next`.
    pub fn next(&self, worker: usize) -> bool {
        self.deques.get(worker).is_some_and(Pile::take) || self.pile.take()
    }

    /// `Worker::search`: from the injector, or from another worker. Of two that are there both are taken, the one to
    /// run and the other into the own queue; in between nobody can see that one.
    fn search(&self, worker: usize) -> bool {
        self.pile.take()
            || (0..self.deques.len()).filter(|other| *other != worker).any(|other| {
                let taken = self.deques[other].take_up_to(2);
                if taken == 2 {
                    self.deques[worker].push();
                }
                taken > 0
            })
    }

    /// `Shared::work_left`.
    pub fn work_left(&self) -> bool {
        !self.pile.is_empty() || self.deques.iter().any(|deque| !deque.is_empty())
    }

    /// `Worker::work`, which calls `run` for each behavior, until it is told to stop.
    pub fn work(&self, worker: usize, mut run: impl FnMut()) {
        loop {
            while self.next(worker) {
                run();
            }
            let mut was = if self.idle.start_search() { Was::Searching } else { Was::Running };
            loop {
                if was == Was::Searching && self.search(worker) {
                    self.idle.found(|| self.work_left());
                    break;
                }
                self.ledger.look_for_waiters();
                let Some(parked) = self.idle.lie_down(worker, was, || self.work_left()) else { return };
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

    /// A body that does nothing but be counted; whoever runs the last of `all` ends the model.
    pub fn run_one_of(&self, all: usize) {
        if self.ran.fetch_add(1, Ordering::AcqRel) + 1 == all {
            self.idle.stop();
        }
    }
}

/// Where threads wait until a number of them is there.
pub struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new(0), Condvar::new()))
    }

    pub fn meet(&self, all: usize) {
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
