//! Threads give up acquisitions at random points while others, and behaviors, want the same cowns. In the end each cown
//! is free, and nothing that was done to its value is missing.
//!
//! The seed is printed; `BOCAGE_SEED` replays the program (not the interleaving), `BOCAGE_ROUNDS` makes it longer.
#![cfg(not(loom))]

mod block_on;
mod pool;

use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::SystemTime;

use block_on::{Bell, block_on, poll};
use bocage_core::{Cown, acquire, read, try_acquire, when_on};
use pool::{Pool, Successors};
use proptest::prelude::Rng;
use proptest::test_runner::{RngAlgorithm, TestRng};

const COWNS: usize = 5;
const THREADS: u8 = 3;

fn from_env(name: &str) -> Option<u64> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

#[test]
fn cowns_stay_usable_whoever_gives_up_when() {
    let clock = || SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64);
    let seed = from_env("BOCAGE_SEED").unwrap_or_else(clock);
    let rounds = from_env("BOCAGE_ROUNDS").unwrap_or(3000);
    println!("BOCAGE_SEED={seed} BOCAGE_ROUNDS={rounds}");
    for successors in [Successors::Next, Successors::Queue] {
        run(seed, rounds, successors);
    }
}

fn run(seed: u64, rounds: u64, successors: Successors) {
    let cowns: Vec<Cown<u64>> = (0..COWNS).map(|_| Cown::new(0)).collect();
    let written: Vec<AtomicU64> = (0..COWNS).map(|_| AtomicU64::new(0)).collect();
    let pool = Pool::new(2, successors);
    thread::scope(|threads| {
        for thread in 0..THREADS {
            let (cowns, written, pool) = (&cowns, &written, &pool);
            threads.spawn(move || one_thread(seed, thread, rounds, cowns, written, pool));
        }
    });
    // Behind everybody, the cancelled ones too.
    let last = when_on(pool.way(), &cowns, |all| all.iter().copied().collect::<Vec<_>>()).wait().unwrap();
    assert_eq!(last, written.iter().map(|n| n.load(Ordering::Relaxed)).collect::<Vec<_>>());
    drop(pool);
    for cown in &cowns {
        assert!(try_acquire(cown).is_some(), "nobody holds it");
        assert_eq!(cown.references(), 1, "nobody keeps it");
    }
}

fn one_thread(seed: u64, thread: u8, rounds: u64, cowns: &[Cown<u64>], written: &[AtomicU64], pool: &Pool) {
    let mut bytes = [thread; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let mut random = TestRng::from_seed(RngAlgorithm::ChaCha, &bytes);
    let bell = Arc::new(Bell::default());
    for _ in 0..rounds {
        let mut below = |n: usize| random.next_u32() as usize % n;
        let x = below(COWNS);
        let (y, z) = ((x + 1 + below(2)) % COWNS, (x + 3 + below(2)) % COWNS);
        let (a, b, c) = (&cowns[x], &cowns[y], &cowns[z]);
        let wrote = |which: usize| {
            written[which].fetch_add(1, Ordering::Relaxed);
        };
        match below(4) {
            0 => {
                wrote(x);
                drop(when_on(pool.way(), (a, read(c)), |(mut a, _)| *a += 1));
            }
            1 => {
                let mut held = block_on(acquire((b, a)));
                let (mut b, mut a) = held.guards();
                (*a, *b) = (*a + 1, *b + 1);
                wrote(x);
                wrote(y);
            }
            _ => {
                let mut future = acquire((read(a), b, c));
                let polls = below(4);
                let held = (0..polls).find_map(|_| match poll(&mut future, &bell) {
                    Poll::Ready(held) => Some(held),
                    Poll::Pending => {
                        thread::yield_now();
                        None
                    }
                });
                if let Some(mut held) = held {
                    *held.guards().1 += 1;
                    wrote(y);
                }
            }
        }
    }
}
