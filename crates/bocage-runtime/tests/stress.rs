//! Random programs on random runtimes: everything runs once, in order, and is dropped once. The seed is
//! printed; `BOCAGE_SEED` replays it (the program, not the interleaving), `BOCAGE_ROUNDS` makes it longer.
#![cfg(not(loom))]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, SystemTime};

use bocage_core::Cown;
use bocage_runtime::{Builder, Error, Runtime, RuntimeRef};

const LONG: Duration = Duration::from_secs(120);

/// SplitMix64 ("Fast splittable pseudorandom number generators", Steele and others 2014).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn below(&mut self, n: usize) -> usize {
        (self.next() % n as u64) as usize
    }
}

fn from_env(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

fn seed() -> u64 {
    let seed = from_env("BOCAGE_SEED").unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("BOCAGE_SEED={seed}");
    seed
}

/// What a closure holds: counted when it is made, and when it is dropped.
struct Counted(Arc<Counts>);

#[derive(Default)]
struct Counts {
    made: AtomicU64,
    dropped: AtomicU64,
    ran: AtomicU64,
    disorder: AtomicU64,
}

impl Counted {
    fn new(counts: &Arc<Counts>) -> Self {
        counts.made.fetch_add(1, Ordering::Relaxed);
        Self(counts.clone())
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// One cown's value: per scheduling thread, the number that comes next.
type Log = Vec<u64>;

/// Schedules `count` behaviors from one thread on one to three cowns each, and checks that on each cown
/// those of this thread run in order; some schedule more, on the runtimes of others too, and some panic.
fn program(
    thread: usize,
    runtimes: &[RuntimeRef],
    cowns: &[Cown<Log>],
    counts: &Arc<Counts>,
    random: &mut Random,
    count: usize,
) -> Result<(), Error> {
    let mut next = vec![0; cowns.len()];
    for _ in 0..count {
        let wanted = 1 + random.below(3);
        let mut picked: Vec<usize> = (0..wanted).map(|_| random.below(cowns.len())).collect();
        picked.sort_unstable();
        picked.dedup();
        let expected: Vec<u64> = picked.iter().map(|&i| next[i]).collect();
        picked.iter().for_each(|&i| next[i] += 1);
        let handles: Vec<Cown<Log>> = picked.iter().map(|&i| cowns[i].clone()).collect();
        let (counted, all, seed) = (Counted::new(counts), runtimes.to_vec(), random.next());
        let handle = runtimes[random.below(runtimes.len())].try_when(&handles, move |logs| {
            let counted = counted;
            counted.0.ran.fetch_add(1, Ordering::Relaxed);
            for (mut log, expected) in logs.into_iter().zip(expected) {
                let disorder = u64::from(log[thread] != expected);
                counted.0.disorder.fetch_add(disorder, Ordering::Relaxed);
                log[thread] += 1;
            }
            let mut random = Random(seed);
            match random.below(8) {
                0 => {
                    // On the own runtime, which can't have stopped, and on any, which may have.
                    let here = RuntimeRef::current().expect("this is a worker");
                    for runtime in [here, all[random.below(all.len())]] {
                        let inner = Counted::new(&counted.0);
                        let refused = runtime.try_when((), move |()| drop(inner)).is_err();
                        assert!(!(refused && runtime == here));
                    }
                }
                1 => std::panic::resume_unwind(Box::new(Counted::new(&counted.0))),
                _ => {}
            }
        })?;
        match random.below(64) {
            0 => _ = handle.wait(),
            _ => drop(handle),
        }
    }
    Ok(())
}

#[test]
fn random_programs_run_everything_once_and_in_order() {
    let mut random = Random(seed());
    for round in 0..from_env("BOCAGE_ROUNDS").unwrap_or(60) {
        let counts = Arc::new(Counts::default());
        let runtimes: Vec<Runtime> =
            (0..1 + random.below(3)).map(|_| Builder::new().workers(1 + random.below(4)).build().unwrap()).collect();
        let references: Vec<_> = runtimes.iter().map(Runtime::reference).collect();
        let threads = 1 + random.below(3);
        let cowns: Vec<Cown<Log>> = (0..1 + random.below(20)).map(|_| Cown::new(vec![0; threads])).collect();
        let seeds: Vec<u64> = (0..threads).map(|_| random.next()).collect();
        let count = 1 + random.below(1000);
        thread::scope(|scope| {
            for (thread, seed) in seeds.iter().enumerate() {
                let (references, cowns, counts) = (&references, &cowns, &counts);
                scope.spawn(move || {
                    program(thread, references, cowns, counts, &mut Random(*seed), count).unwrap();
                });
            }
            // Waits while they schedule: any answer will do but a hang.
            for runtime in &runtimes {
                _ = runtime.quiesce(Some(Duration::from_millis(random.below(3) as u64)));
            }
        });
        // A behavior of one may schedule on another, but only a finite number of times: so the second wait
        // for all finds all of them at rest.
        for runtime in runtimes.iter().chain(&runtimes) {
            runtime.quiesce(Some(LONG)).unwrap_or_else(|error| panic!("round {round}: {error}"));
        }
        for runtime in &runtimes {
            assert_eq!(runtime.pending(), 0, "round {round}");
            let stats = runtime.stats();
            if random.below(2) == 0 {
                runtime.wait(Some(LONG)).unwrap();
            }
            assert!(stats.iter().all(|stats| stats.handed_over <= stats.run), "{stats:?}");
        }
        drop((runtimes, cowns));
        let [made, dropped, ran, disorder] =
            [&counts.made, &counts.dropped, &counts.ran, &counts.disorder].map(|n| n.load(Ordering::Relaxed));
        assert_eq!(made, dropped, "round {round}: closures and payloads made and dropped");
        assert_eq!(ran, (threads * count) as u64, "round {round}: behaviors that ran");
        assert_eq!(disorder, 0, "round {round}: behaviors out of order");
    }
}

#[test]
fn closures_are_dropped_whether_a_runtime_takes_them_or_not() {
    let mut random = Random(seed());
    for _ in 0..from_env("BOCAGE_ROUNDS").unwrap_or(60) {
        let counts = Arc::new(Counts::default());
        let runtime = Builder::new().workers(1 + random.below(3)).build().unwrap();
        let reference = runtime.reference();
        let cowns = [Cown::new(vec![0; 2]), Cown::new(vec![0; 2])];
        thread::scope(|scope| {
            for thread in 0..2 {
                let mut random = Random(random.next());
                let (cowns, counts) = (&cowns, &counts);
                scope.spawn(move || program(thread, &[reference], cowns, counts, &mut random, 500));
            }
            if random.below(2) == 0 { _ = runtime.wait(Some(Duration::from_micros(300))) } else { drop(runtime) }
        });
        assert_eq!(counts.made.load(Ordering::Relaxed), counts.dropped.load(Ordering::Relaxed));
    }
}

#[test]
fn starting_and_stopping_keeps_memory_flat() {
    // Warm: allocator, thread stacks, the pool of what runtimes share.
    for _ in 0..50 {
        drop(Builder::new().workers(3).build().unwrap());
    }
    let before = resident();
    for _ in 0..500 {
        let runtime = Builder::new().workers(3).build().unwrap();
        for _ in 0..10 {
            drop(runtime.when((), |()| ()));
        }
        runtime.wait(Some(LONG)).unwrap();
    }
    let grown = resident().saturating_sub(before);
    assert!(grown < 4 << 20, "500 rounds of start and stop grew by {grown} bytes");
}

/// Bytes of memory in use, or 0 where that can't be read.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()).unwrap_or(0) << 10
}
