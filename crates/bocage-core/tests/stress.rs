//! Several threads, and behaviors, schedule over the same cowns at once. What they see is written down on
//! the cowns, and afterwards it must be in order.
//!
//! The seed is printed; `BOCAGE_SEED` replays the program (not the interleaving), `BOCAGE_ROUNDS` makes it
//! longer.
#![cfg(not(loom))]

mod pool;

use std::collections::HashMap;
use std::env;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::SystemTime;

use bocage_core::{Cown, when_on};
use pool::{Pool, Successors, Way};

/// SplitMix64 ("Fast splittable pseudorandom number generators", Steele and others 2014).
#[derive(Clone)]
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
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Who schedules: a thread, or the behavior with this number. In the order in which each did it.
type Author = u64;

/// One behavior, as it is written down on each of its cowns.
#[derive(Clone, Copy, Debug)]
struct Entry {
    behavior: u64,
    author: Author,
    /// Grows with each behavior of the author.
    turn: u64,
}

/// A cown's value.
#[derive(Default)]
struct Log {
    entries: Vec<Entry>,
    taken: AtomicBool,
}

impl Log {
    fn enter(&self) {
        assert!(!self.taken.swap(true, Ordering::Relaxed), "two behaviors have one cown");
    }

    fn leave(&mut self, entry: Entry) {
        self.entries.push(entry);
        *self.taken.get_mut() = false;
    }
}

/// What all authors share.
struct Scene {
    cowns: Vec<Cown<Log>>,
    way: Way,
    behaviors: AtomicU64,
    ran: AtomicU64,
}

/// What a thread's number is, among authors; behaviors have theirs from zero on.
const THREADS_FROM: Author = 1 << 32;

fn schedule(scene: &Arc<Scene>, author: Author, turn: u64, mut random: Random, depth: usize) {
    let behavior = scene.behaviors.fetch_add(1, Ordering::Relaxed);
    let entry = Entry { behavior, author, turn };
    let mut asked: Vec<Cown<Log>> = Vec::new();
    for _ in 0..random.below(4) {
        let cown = &scene.cowns[random.below(scene.cowns.len())];
        if !asked.contains(cown) {
            asked.push(cown.clone());
        }
    }
    let scene_within = scene.clone();
    drop(when_on(scene.way.clone(), &asked, move |mut logs| {
        logs.iter().for_each(|log| log.enter());
        for turn in 0..if depth > 0 { random.below(3) as u64 } else { 0 } {
            let seed = Random(random.next());
            schedule(&scene_within, behavior, turn, seed, depth - 1);
        }
        logs.iter_mut().for_each(|log| log.leave(entry));
        scene_within.ran.fetch_add(1, Ordering::Relaxed);
    }));
}

/// The logs, once nothing is scheduled any more.
fn logs(scene: &Arc<Scene>) -> Vec<Vec<Entry>> {
    let read = |cown: &Cown<Log>| when_on(scene.way.clone(), cown, |log| log.entries.clone()).wait().unwrap();
    scene.cowns.iter().map(read).collect()
}

fn check(logs: &[Vec<Entry>]) {
    let places = |log: &[Entry]| -> HashMap<u64, usize> {
        log.iter().enumerate().map(|(place, entry)| (entry.behavior, place)).collect()
    };
    for log in logs {
        let place = places(log);
        assert_eq!(place.len(), log.len(), "a behavior ran twice");
        let mut turns: HashMap<Author, u64> = HashMap::new();
        for (at, entry) in log.iter().enumerate() {
            let before = turns.insert(entry.author, entry.turn);
            assert!(before.is_none_or(|before| before < entry.turn), "an author's behaviors are out of order");
            if let Some(author) = place.get(&entry.author) {
                assert!(*author < at, "a behavior ran before the one that scheduled it, on a cown of both");
            }
        }
    }
    // Whoever shares two cowns stands in the same order on both.
    for (i, one) in logs.iter().enumerate() {
        for other in &logs[i + 1..] {
            let place = places(other);
            let shared: Vec<usize> = one.iter().filter_map(|entry| place.get(&entry.behavior).copied()).collect();
            assert!(shared.is_sorted(), "two behaviors ran in one order on one cown, in another on another");
        }
    }
}

#[test]
fn each_behavior_has_its_cowns_to_itself_and_all_are_in_one_order() {
    let seed = from_env("BOCAGE_SEED").unwrap_or_else(|| SystemTime::UNIX_EPOCH.elapsed().unwrap().as_nanos() as u64);
    println!("BOCAGE_SEED={seed}");
    let mut random = Random(seed);
    for round in 0..from_env("BOCAGE_ROUNDS").unwrap_or(60) {
        let successors = if round % 2 == 0 { Successors::Next } else { Successors::Queue };
        let pool = Pool::new(1 + random.below(3), successors);
        let cowns = (0..1 + random.below(5)).map(|_| Cown::new(Log::default())).collect();
        let scene = Arc::new(Scene { cowns, way: pool.way(), behaviors: AtomicU64::new(0), ran: AtomicU64::new(0) });
        thread::scope(|scope| {
            for thread in 0..3 {
                let (scene, mut random) = (scene.clone(), Random(random.next()));
                scope.spawn(move || {
                    for turn in 0..100 {
                        schedule(&scene, THREADS_FROM + thread, turn, Random(random.next()), 2);
                    }
                });
            }
        });
        drop(pool); // runs what is left, and what that schedules
        let reader = Pool::new(1, Successors::Next);
        let mut scene = Arc::into_inner(scene).expect("every closure is gone");
        assert_eq!(scene.ran.get_mut(), scene.behaviors.get_mut(), "a behavior was lost");
        let scene = Arc::new(Scene { way: reader.way(), ..scene });
        check(&logs(&scene));
    }
}
