//! Requests to read: together, but never beside a writer; in order; and nobody starves.
#![cfg(not(loom))]

mod pool;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Handle, read, when_on};
use pool::{Pool, Successors};

/// No step of these tests takes that long.
const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn consecutive_readers_hold_a_cown_at_the_same_time() {
    let pool = Pool::new(4, Successors::Queue);
    let cown = Cown::new(7);
    let meeting = Arc::new(Barrier::new(3));
    let (seen, all_seen) = channel();
    for _ in 0..3 {
        let (meeting, seen) = (meeting.clone(), seen.clone());
        drop(when_on(pool.way(), read(&cown), move |cown| {
            // Nobody gets past this unless all three are here.
            meeting.wait();
            seen.send(*cown).unwrap();
        }));
    }
    for _ in 0..3 {
        assert_eq!(all_seen.recv_timeout(LIMIT), Ok(7));
    }
}

#[test]
fn readers_behind_a_writer_wait_for_it_and_the_writer_for_those_before() {
    let pool = Pool::new(4, Successors::Queue);
    let cown = Cown::new(0);
    let (go, gate) = channel::<()>();
    let first = when_on(pool.way(), read(&cown), move |cown| {
        gate.recv_timeout(LIMIT).unwrap();
        *cown
    });
    let writer = when_on(pool.way(), &cown, |mut cown| *cown += 1);
    let behind: Vec<Handle<i32>> = (0..8).map(|_| when_on(pool.way(), read(&cown), |cown| *cown)).collect();
    // The first reader saw the cown as it was, although all others are in line by now.
    go.send(()).unwrap();
    assert_eq!(first.wait().unwrap(), 0);
    writer.wait().unwrap();
    for reader in behind {
        assert_eq!(reader.wait().unwrap(), 1);
    }
}

#[test]
fn a_writer_is_not_starved_by_readers_that_keep_coming() {
    let pool = Pool::new(2, Successors::Queue);
    let cown = Cown::new(false);
    let rounds = Arc::new(AtomicU64::new(0));
    // Two lines of readers, each of which schedules the next before it ends: some reader always holds the cown
    // or waits for it.
    fn line(pool: pool::Way, cown: Cown<bool>, rounds: Arc<AtomicU64>) {
        let (way, again, counter) = (pool.clone(), cown.clone(), rounds);
        drop(when_on(pool, read(&cown), move |done| {
            assert!(counter.fetch_add(1, Ordering::Relaxed) < 10_000_000, "the writer starves");
            if !*done {
                line(way, again, counter);
            }
        }));
    }
    line(pool.way(), cown.clone(), rounds.clone());
    line(pool.way(), cown.clone(), rounds.clone());
    when_on(pool.way(), &cown, |mut done| *done = true).wait().unwrap();
}

#[test]
fn a_reader_that_panics_poisons_nothing_and_a_dropped_one_releases() {
    let pool = Pool::new(2, Successors::Next);
    let cown = Cown::new(1);
    let failed = when_on(pool.way(), read(&cown), |_| panic!("on purpose"));
    assert!(failed.wait().is_err());
    assert!(!when_on(pool.way(), &cown, |cown| cown.is_poisoned()).wait().unwrap());
}

/// A value that notices a writer beside anybody else: readers count up, a writer makes it very negative.
#[derive(Default)]
struct Watched {
    inside: AtomicI64,
    writes: u64,
}

const WRITER: i64 = -1_000_000;

#[test]
fn reads_and_writes_of_several_threads_exclude_each_other_and_none_is_lost() {
    let seed = std::env::var("BOCAGE_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(|| {
        std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).map_or(1, |d| d.as_nanos() as u64)
    });
    println!("BOCAGE_SEED={seed}");
    for successors in [Successors::Next, Successors::Queue] {
        let pool = Pool::new(3, successors);
        let cowns: Vec<Cown<Watched>> = (0..3).map(|_| Cown::new(Watched::default())).collect();
        let (ran, wrote) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        const EACH: u64 = 3000;
        thread::scope(|threads| {
            for thread in 0..3_u64 {
                let (cowns, way, ran, wrote) = (&cowns, pool.way(), &ran, &wrote);
                threads.spawn(move || {
                    let mut random = seed ^ (thread << 32) | 1;
                    for _ in 0..EACH {
                        // xorshift64 (Marsaglia 2003)
                        random ^= random << 13;
                        random ^= random >> 7;
                        random ^= random << 17;
                        let (a, b) = (&cowns[(random % 3) as usize], &cowns[((random >> 8) % 3) as usize]);
                        let (ran, wrote) = (ran.clone(), wrote.clone());
                        let look = |cown: &Watched| {
                            assert!(cown.inside.fetch_add(1, Ordering::Relaxed) >= 0, "a writer is inside");
                            thread::yield_now();
                            cown.inside.fetch_sub(1, Ordering::Relaxed);
                        };
                        let change = |cown: &mut Watched, wrote: &AtomicU64| {
                            assert_eq!(cown.inside.swap(WRITER, Ordering::Relaxed), 0, "somebody is inside");
                            cown.writes += 1;
                            wrote.fetch_add(1, Ordering::Relaxed);
                            assert_eq!(cown.inside.swap(0, Ordering::Relaxed), WRITER, "somebody came in");
                        };
                        match (random >> 16) % 4 {
                            0 if a != b => drop(when_on(way.clone(), (read(a), b), move |(a, mut b)| {
                                look(&a);
                                change(&mut b, &wrote);
                                ran.fetch_add(1, Ordering::Relaxed);
                            })),
                            1 => drop(when_on(way.clone(), a, move |mut a| {
                                change(&mut a, &wrote);
                                ran.fetch_add(1, Ordering::Relaxed);
                            })),
                            2 => drop(when_on(way.clone(), (read(a), read(b)), move |(a, b)| {
                                look(&a);
                                look(&b);
                                ran.fetch_add(1, Ordering::Relaxed);
                            })),
                            _ => drop(when_on(way.clone(), read(a), move |a| {
                                look(&a);
                                ran.fetch_add(1, Ordering::Relaxed);
                            })),
                        }
                    }
                });
            }
        });
        let writes: u64 = cowns.iter().map(|c| when_on(pool.way(), c, |c| c.writes).wait().unwrap()).sum();
        drop(pool);
        assert_eq!(ran.load(Ordering::Relaxed), 3 * EACH, "a body that fails its check does not count");
        assert_eq!(writes, wrote.load(Ordering::Relaxed), "no write is lost");
    }
}
