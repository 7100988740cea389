//! The programs that are measured.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::Engine;

/// A program of tiny behaviors: what is measured is scheduling, handing over and finishing.
pub trait Case: 'static {
    /// As in the benchmarks' names.
    const NAME: &'static str;

    /// Schedules `behaviors` behaviors, each of which counts in its cown. Called in a first body.
    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted);

    /// Runs the program; returns how many behaviors were counted.
    fn round<E: Engine>(workers: usize, behaviors: u64) -> u64 {
        let counted = Counted::default();
        let seen = counted.clone();
        E::run(workers, move |place| Self::root::<E>(place, behaviors, &seen));
        counted.total()
    }
}

/// The sum of all counts of cowns that are gone.
#[derive(Clone, Debug, Default)]
pub struct Counted(Arc<AtomicU64>);

impl Counted {
    fn total(&self) -> u64 {
        // Relaxed: the run's end came after the last drop.
        self.0.load(Ordering::Relaxed)
    }
}

/// A cown's value: counts, and tells its count when it is dropped.
struct Count {
    behaviors: u64,
    counted: Counted,
}

impl Count {
    fn new(counted: &Counted) -> Self {
        Self { behaviors: 0, counted: counted.clone() }
    }

    fn up(&mut self) {
        self.behaviors += 1;
    }
}

impl Drop for Count {
    fn drop(&mut self) {
        // Relaxed: only the sum counts.
        self.counted.0.fetch_add(self.behaviors, Ordering::Relaxed);
    }
}

/// Each behavior on a cown of its own, which is made for it: what a task costs.
#[derive(Debug)]
pub struct Spawn;

impl Case for Spawn {
    const NAME: &'static str = "spawn";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        // One in a thousand tells that it ran, and stands for the others: if all did, that would be what is
        // measured.
        const SAMPLE: u64 = 1000;
        for number in 0..behaviors {
            let mut sample = number.is_multiple_of(SAMPLE).then(|| Count::new(counted));
            let stands_for = SAMPLE.min(behaviors - number);
            let cown = E::cown(number);
            E::when(place, &cown, move |_, value| {
                *value += 1;
                if let Some(count) = &mut sample {
                    count.behaviors = stands_for;
                }
            });
        }
    }
}

/// All behaviors on one cown: what it costs to wait in line and to be handed the cown.
#[derive(Debug)]
pub struct Contended;

impl Case for Contended {
    const NAME: &'static str = "contended";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let cown = E::cown(Count::new(counted));
        for _ in 0..behaviors {
            E::when(place, &cown, |_, count| count.up());
        }
    }
}

/// 64 tokens that run around a ring of 1024 cowns, each behavior scheduling the next one.
#[derive(Debug)]
pub struct Ring;

impl Ring {
    const TOKENS: u64 = 64;
    const COWNS: usize = 1024;

    fn hop<E: Engine>(place: E::Place<'_>, ring: Arc<[E::Cown<Count>]>, at: usize, hops: u64) {
        if hops > 0 {
            let cown = ring[at].clone();
            E::when(place, &cown, move |place, count| {
                count.up();
                Self::hop::<E>(place, ring, (at + 1) % Self::COWNS, hops - 1);
            });
        }
    }
}

impl Case for Ring {
    const NAME: &'static str = "ring";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let ring: Arc<[_]> = (0..Self::COWNS).map(|_| E::cown(Count::new(counted))).collect();
        for token in 0..Self::TOKENS {
            let hops = behaviors / Self::TOKENS + u64::from(token < behaviors % Self::TOKENS);
            let start = token as usize * (Self::COWNS / Self::TOKENS as usize);
            Self::hop::<E>(place, ring.clone(), start, hops);
        }
    }
}

/// Each behavior on two of 1000 cowns, picked at random.
#[derive(Debug)]
pub struct Bank;

impl Bank {
    const COWNS: usize = 1000;
}

impl Case for Bank {
    const NAME: &'static str = "bank";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let accounts: Vec<_> = (0..Self::COWNS).map(|_| E::cown(Count::new(counted))).collect();
        let mut state = 1_u64;
        // Knuth's linear congruential generator (MMIX): the same pairs for every engine.
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for _ in 0..behaviors {
            let first = below(Self::COWNS);
            let second = (first + 1 + below(Self::COWNS - 1)) % Self::COWNS;
            E::when_both(place, &accounts[first], &accounts[second], |first, second| {
                // One behavior counts once, and uses both.
                first.up();
                second.behaviors = std::hint::black_box(second.behaviors);
            });
        }
    }
}
