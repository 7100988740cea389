//! The programs that are measured, W1 to W9.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::engine::{Engine, Results};
use crate::work;

/// A program of tiny behaviors: what is measured is scheduling, handing over and finishing.
pub trait Case: 'static {
    /// As in the benchmarks' names.
    const NAME: &'static str;

    /// How many behaviors a measured round has: enough that to start and to stop the workers costs a few hundredths
    /// of it.
    const BEHAVIORS: u64 = 100_000;

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

    fn add(&self, behaviors: u64) {
        // Relaxed: only the sum counts.
        self.0.fetch_add(behaviors, Ordering::Relaxed);
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
        self.counted.add(self.behaviors);
    }
}

/// Where all behaviors would have to write one count, one in so many tells that it ran, and stands for the others:
/// if all did, that would be what is measured.
const SAMPLE: u64 = 1000;

/// A count that stands for behavior `number` of `behaviors` and those after it, or for none.
fn sample(number: u64, behaviors: u64, counted: &Counted) -> Option<Count> {
    number.is_multiple_of(SAMPLE).then(|| {
        let mut count = Count::new(counted);
        count.behaviors = SAMPLE.min(behaviors - number);
        count
    })
}

fn ring<E: Engine>(cowns: usize, counted: &Counted) -> Arc<[E::Cown<Count>]> {
    (0..cowns).map(|_| E::cown(Count::new(counted))).collect()
}

/// W1: each behavior on a cown of its own, which is made for it: what a task costs.
#[derive(Debug)]
pub struct Spawn;

impl Case for Spawn {
    const NAME: &'static str = "W1";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        for number in 0..behaviors {
            let mut sample = sample(number, behaviors, counted);
            let cown = E::cown(number);
            E::when(place, &cown, move |_, value| {
                *value += 1;
                drop(sample.take());
            });
        }
    }
}

/// W1p: each behavior on one of 1024 cowns, in turn.
#[derive(Debug)]
pub struct SpawnOnExisting;

impl Case for SpawnOnExisting {
    const NAME: &'static str = "W1p";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let cowns = ring::<E>(1024, counted);
        for cown in cowns.iter().cycle().take(behaviors as usize) {
            E::when(place, cown, |_, count| count.up());
        }
    }
}

/// W2: all behaviors on one cown: what it costs to wait in line and to be handed the cown.
#[derive(Debug)]
pub struct Contended;

impl Case for Contended {
    const NAME: &'static str = "W2";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let cown = E::cown(Count::new(counted));
        for _ in 0..behaviors {
            E::when(place, &cown, |_, count| count.up());
        }
    }
}

/// W3: 64 tokens that run around a ring of 1024 cowns, each behavior scheduling the next one.
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
    const NAME: &'static str = "W3";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let ring = ring::<E>(Self::COWNS, counted);
        for token in 0..Self::TOKENS {
            let hops = behaviors / Self::TOKENS + u64::from(token < behaviors % Self::TOKENS);
            let start = token as usize * (Self::COWNS / Self::TOKENS as usize);
            Self::hop::<E>(place, ring.clone(), start, hops);
        }
    }
}

/// W4: each behavior on two of 1000 cowns, picked at random.
#[derive(Debug)]
pub struct Bank;

impl Bank {
    const COWNS: usize = 1000;
}

impl Case for Bank {
    const NAME: &'static str = "W4";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let accounts = ring::<E>(Self::COWNS, counted);
        let mut state = 1_u64;
        // Knuth's linear congruential generator (MMIX): the same pairs for every engine.
        let mut below = |n: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as usize % n
        };
        for _ in 0..behaviors {
            let first = below(Self::COWNS);
            let second = (first + 1 + below(Self::COWNS - 1)) % Self::COWNS;
            E::when_both(place, &accounts[first], &accounts[second], |_, first, second| {
                // One behavior counts once, and uses both.
                first.up();
                second.behaviors = black_box(second.behaviors);
            });
        }
    }
}

/// W5: 64 philosophers at a table; each needs both its forks to eat, and is hungry again at once.
#[derive(Debug)]
pub struct Philosophers;

impl Philosophers {
    const SEATS: usize = 64;

    fn eat<E: Engine>(place: E::Place<'_>, forks: Arc<[E::Cown<Count>]>, seat: usize, hunger: u64) {
        if hunger > 0 {
            let (left, right) = (forks[seat].clone(), forks[(seat + 1) % Self::SEATS].clone());
            E::when_both(place, &left, &right, move |place, left, right| {
                left.up();
                right.behaviors = black_box(right.behaviors);
                Self::eat::<E>(place, forks, seat, hunger - 1);
            });
        }
    }
}

impl Case for Philosophers {
    const NAME: &'static str = "W5";

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        let forks = ring::<E>(Self::SEATS, counted);
        for seat in 0..Self::SEATS {
            let seats = Self::SEATS as u64;
            let hunger = behaviors / seats + u64::from((seat as u64) < behaviors % seats);
            Self::eat::<E>(place, forks.clone(), seat, hunger);
        }
    }
}

/// W6: the Fibonacci number of 27, each sum a behavior on the results of two others.
#[derive(Debug)]
pub struct Fibonacci;

impl Fibonacci {
    /// As in the benchmarks' names.
    pub const NAME: &'static str = "W6";
    const N: u64 = 27;
    /// How many behaviors that takes: fib(N + 1) - 1.
    pub const BEHAVIORS: u64 = 317_810;

    fn cown<E: Results>(n: u64) -> E::Cown<u64> {
        if n < 2 {
            return E::cown(n);
        }
        E::combined(&Self::cown::<E>(n - 1), &Self::cown::<E>(n - 2), |a, b| a + b)
    }

    /// Runs the program; returns how many behaviors there were, if the number is right.
    pub fn round<E: Results>(workers: usize, _: u64) -> u64 {
        let counted = Counted::default();
        let seen = counted.clone();
        E::run(workers, move |place| {
            let number = Self::cown::<E>(Self::N);
            E::when(place, &number, move |_, number| seen.add(*number));
        });
        if counted.total() == 196_418 { Self::BEHAVIORS } else { 0 }
    }
}

/// W7: 95 of 100 behaviors read one hot cown, the others write it. The parameters: whether the reads are such, or
/// writes like the others, and whether each of them takes a microsecond; the others only write.
#[derive(Debug)]
pub struct Readers<const READS: bool, const WORKS: bool>;

impl<const READS: bool, const WORKS: bool> Case for Readers<READS, WORKS> {
    const NAME: &'static str = if WORKS { "W7-1us" } else { "W7" };
    // With a microsecond in each, enough that threads which start and end are a hundredth of a round.
    const BEHAVIORS: u64 = if WORKS { 40_000 } else { 100_000 };

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        const WRITE_EVERY: u64 = 20;
        let cown = E::cown(Count::new(counted));
        for number in 0..behaviors {
            let work = || {
                if WORKS {
                    work::microsecond();
                }
            };
            if number.is_multiple_of(WRITE_EVERY) {
                let stands_for = WRITE_EVERY.min(behaviors - number);
                E::when(place, &cown, move |_, count| count.behaviors += stands_for);
            } else if READS {
                E::read(place, &cown, move |count| {
                    work();
                    black_box(count.behaviors);
                });
            } else {
                E::when(place, &cown, move |_, count| {
                    work();
                    black_box(count.behaviors);
                });
            }
        }
    }
}

/// W8: each behavior on so many of 1024 cowns.
#[derive(Debug)]
pub struct Wide<const WIDTH: usize>;

impl<const WIDTH: usize> Case for Wide<WIDTH> {
    const NAME: &'static str = if WIDTH == 64 { "W8" } else { "W8-9" };
    const BEHAVIORS: u64 = if WIDTH == 64 { 5_000 } else { 30_000 };

    fn root<E: Engine>(place: E::Place<'_>, behaviors: u64, counted: &Counted) {
        const COWNS: usize = 1024;
        // Twice round, so that each window is a slice.
        let cowns = ring::<E>(COWNS, counted);
        let cowns: Vec<_> = cowns.iter().chain(&*cowns).cloned().collect();
        for number in 0..behaviors {
            // 7 and 1024 have no common divisor: neighbours overlap, and all cowns get their turn.
            let start = (number * 7) as usize % COWNS;
            let mut first = true;
            E::when_all(place, &cowns[start..start + WIDTH], move |count| {
                count.behaviors += u64::from(first);
                first = false;
            });
        }
    }
}

/// W9: a binary tree of empty tasks, each of which spawns the two below it.
#[derive(Debug)]
pub struct Tree;

impl Tree {
    /// As in the benchmarks' names.
    pub const NAME: &'static str = "W9";
    /// How many tasks there are.
    pub const BEHAVIORS: u64 = 1_000_000;

    /// The task of this number, the root being 1, spawns those of twice its number and of one more.
    fn grow<E: Engine>(place: E::Place<'_>, number: u64, last: u64, told: &'static AtomicU64) {
        for child in [2 * number, 2 * number + 1] {
            if child <= last {
                E::spawn(place, move |place| Self::grow::<E>(place, child, last, told));
            }
        }
        if number.is_multiple_of(SAMPLE) {
            // Relaxed: only the sum counts.
            told.fetch_add(SAMPLE, Ordering::Relaxed);
        }
    }

    /// Runs the program; returns how many tasks there were, to the thousand.
    pub fn round<E: Engine>(workers: usize, behaviors: u64) -> u64 {
        // Leaked, 8 bytes a round, so that an empty task captures nothing that has to be counted or dropped.
        let told: &'static AtomicU64 = Box::leak(Box::default());
        E::run(workers, move |place| Self::grow::<E>(place, 1, behaviors, told));
        told.load(Ordering::Relaxed)
    }
}
