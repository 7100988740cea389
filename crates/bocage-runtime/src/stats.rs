//! What each worker counts as it works.

use std::sync::atomic::{AtomicU64, Ordering};

use crossbeam_utils::CachePadded;

/// What one worker did since its runtime was built.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct WorkerStats {
    /// Behaviors that its behaviors scheduled on this runtime.
    pub scheduled: u64,
    /// Behaviors that it ran to their end.
    pub run: u64,
    /// Behaviors that it took from other workers' queues. Readers that were let in at once may stand there as one.
    pub stolen: u64,
    /// Behaviors that became ready since it released a cown, and that it took in as its next.
    pub handed_over: u64,
    /// How often it went to sleep.
    pub parked: u64,
    /// How often it went round the others' queues and found nothing that it could take. A worker without work goes on
    /// with that for some 20 µs before it sleeps.
    pub spins: u64,
    /// How often an enqueue of its behaviors had to yield or park, since another thread was stopped in the middle of its
    /// own.
    pub stalled: u64,
    /// The most behaviors that stood in its queue at once; readers that were let in at once may stand there as one. Not counted
    /// are the one that runs, and those that it keeps for itself: one handed over, and the newest that its body scheduled.
    pub longest_queue: u64,
}

/// One event that a worker counts.
#[derive(Clone, Copy)]
pub(crate) enum Event {
    Stolen,
    HandedOver,
    Parked,
    Spun,
    Stalled,
}

/// One worker's counters: written by it alone, with plain stores, and read by anybody.
#[derive(Default)]
pub(crate) struct Counters(CachePadded<Numbers>);

#[derive(Default)]
struct Numbers {
    /// By [`Event`].
    events: [AtomicU64; 5],
    longest_queue: AtomicU64,
}

impl Counters {
    /// Counts `times` events. Called by the worker alone.
    #[inline]
    pub(crate) fn count(&self, event: Event, times: u64) {
        let counter = &self.0.events[event as usize];
        // Relaxed, both: one writer, and readers want numbers only.
        counter.store(counter.load(Ordering::Relaxed).wrapping_add(times), Ordering::Relaxed);
    }

    /// Told of the length of the queue whenever it has grown. Called by the worker alone.
    #[inline]
    pub(crate) fn queue_grew(&self, length: usize) {
        let longest = &self.0.longest_queue;
        // Relaxed, both: as above.
        if length as u64 > longest.load(Ordering::Relaxed) {
            longest.store(length as u64, Ordering::Relaxed);
        }
    }

    /// A new run begins. The others only grow, and so are told from what they were before; a maximum can't be.
    /// Called by the worker alone.
    pub(crate) fn restart(&self) {
        self.0.longest_queue.store(0, Ordering::Relaxed);
    }

    /// All of it, with what the ledger knows of the same worker.
    pub(crate) fn snapshot(&self, (scheduled, run): (u64, u64)) -> WorkerStats {
        // Relaxed: numbers only.
        let [stolen, handed_over, parked, spins, stalled] = self.0.events.each_ref().map(|c| c.load(Ordering::Relaxed));
        let longest_queue = self.0.longest_queue.load(Ordering::Relaxed);
        WorkerStats { scheduled, run, stolen, handed_over, parked, spins, stalled, longest_queue }
    }
}

impl WorkerStats {
    /// What was counted since `base`.
    pub(crate) fn since(self, base: Self) -> Self {
        Self {
            scheduled: self.scheduled.wrapping_sub(base.scheduled),
            run: self.run.wrapping_sub(base.run),
            stolen: self.stolen.wrapping_sub(base.stolen),
            handed_over: self.handed_over.wrapping_sub(base.handed_over),
            parked: self.parked.wrapping_sub(base.parked),
            spins: self.spins.wrapping_sub(base.spins),
            stalled: self.stalled.wrapping_sub(base.stalled),
            longest_queue: self.longest_queue,
        }
    }
}
