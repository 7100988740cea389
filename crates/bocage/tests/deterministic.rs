//! What a deterministic program promises: any order that could be, the same one for the same seed, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use bocage::deterministic::{Program, explore, replay};
use bocage::{Cown, Error, Failure, Handle, RuntimeRef, quiesce, read, try_acquire, when};

type Log = Arc<Mutex<Vec<u32>>>;

fn log() -> (Log, impl Fn(u32)) {
    let log = Log::default();
    let same = log.clone();
    (log, move |entry| same.lock().unwrap().push(entry))
}

/// What the panic of `explore` or `replay` says.
fn message(run: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(run)).expect_err("it fails");
    panic.downcast_ref::<String>().expect("a text").clone()
}

fn seed_in(message: &str) -> u64 {
    let rest = message.split("seed ").nth(1).expect("the message names the seed");
    rest.split(':').next().unwrap().parse().unwrap()
}

#[test]
fn every_permutation_of_ready_behaviors_is_chosen() {
    let mut seen = BTreeMap::<Vec<u32>, u32>::new();
    for seed in 0..4000 {
        let (order, note) = log();
        let note = Arc::new(note);
        replay(seed, || {
            for i in 0..4 {
                let note = note.clone();
                when((), move |()| note(i));
            }
        });
        *seen.entry(order.lock().unwrap().clone()).or_default() += 1;
    }
    assert_eq!(seen.len(), 24, "{seen:?}");
    // None is a freak: in the mean each came 166 times.
    assert!(seen.values().all(|times| *times > 40), "{seen:?}");
}

/// A program with chains, hand-overs over several cowns, readers, results, and bodies that schedule.
fn busy(order: &Log) {
    let cowns: Vec<Cown<Vec<u32>>> = (0..4).map(|_| Cown::new(Vec::new())).collect();
    let note = |i: u32, order: &Log| order.lock().unwrap().push(i);
    let mut results = Vec::new();
    for i in 0..24 {
        let (a, b) = (&cowns[i as usize % 4], &cowns[(i as usize * 3 + 1) % 4]);
        let (log, inner) = (order.clone(), b.clone());
        results.push(when(a, move |mut a| {
            note(i, &log);
            a.push(i);
            when(&inner, move |mut b| {
                note(100 + i, &log);
                b.push(100 + i);
            });
        }));
        let log = order.clone();
        when((read(a), read(&cowns[(i as usize + 2) % 4])), move |_| note(200 + i, &log));
        let log = order.clone();
        when(&cowns[..], move |_| note(300 + i, &log));
    }
    let last = results.pop().unwrap();
    last.wait().unwrap();
    note(1000, order);
}

#[test]
fn the_same_seed_gives_the_same_order_whatever_the_addresses_are() {
    let mut orders = BTreeSet::new();
    for seed in 0..60 {
        let runs: Vec<Vec<u32>> = (0..3)
            .map(|_| {
                let order = Log::default();
                // Other addresses each time: what was allocated stays until the end of the test.
                std::mem::forget((0..seed + 1).map(|n| Cown::new([n; 7])).collect::<Vec<_>>());
                replay(seed, || busy(&order));
                let order = order.lock().unwrap();
                order.clone()
            })
            .collect();
        assert_eq!(runs[0].len(), 24 * 4 + 1);
        assert!(runs[0] == runs[1] && runs[1] == runs[2], "seed {seed}");
        orders.insert(runs[0].clone());
    }
    assert!(orders.len() > 50, "only {} orders", orders.len());
}

#[test]
fn behaviors_that_share_a_cown_run_in_the_order_of_scheduling_under_every_seed() {
    explore(0..500, || {
        let (a, b) = (Cown::new(Vec::new()), Cown::new(Vec::new()));
        for i in 0..8 {
            match i % 3 {
                0 => drop(when(&a, move |mut a| a.push(i))),
                1 => drop(when(&b, move |mut b| b.push(i))),
                _ => drop(when((&b, &a), move |(mut b, mut a)| (b.push(i), a.push(i)).0)),
            }
        }
        let (a, b) = when((&a, &b), |(a, b)| (a.clone(), b.clone())).wait().unwrap();
        assert_eq!(a, [0, 2, 3, 5, 6]);
        assert_eq!(b, [1, 2, 4, 5, 7]);
    });
}

#[test]
fn orders_that_need_a_body_interrupted_at_its_when_are_found() {
    let mut seen = BTreeSet::new();
    explore(0..300, || {
        let c = Cown::new(String::new());
        let (one, two) = (c.clone(), c.clone());
        when((), move |()| {
            for _ in 0..2 {
                when(&one, |mut c| c.push('x'));
            }
        });
        when((), move |()| drop(when(&two, |mut c| c.push('y'))));
        quiesce(None).unwrap();
        seen.insert(when(&c, |c| c.clone()).wait().unwrap());
    });
    assert_eq!(seen, BTreeSet::from(["xxy", "xyx", "yxx"].map(String::from)));
}

#[test]
fn a_lost_update_is_found_and_its_seed_replays_it() {
    fn add_one(count: &Cown<u32>) {
        let again = count.clone();
        when(count, move |count| {
            let seen = *count;
            when(&again, move |mut count| *count = seen + 1);
        });
    }
    let program = || {
        let count = Cown::new(0);
        add_one(&count);
        add_one(&count);
        quiesce(None).unwrap();
        assert_eq!(when(&count, |n| *n).wait().unwrap(), 2, "an update was lost");
    };
    let found = message(|| explore(0..1000, program));
    assert!(found.contains("an update was lost"), "{found}");
    let seed = seed_in(&found);
    assert_eq!(message(|| replay(seed, program)), found);
    // Other seeds hide the bug, or there would be nothing to explore.
    assert!((0..1000).any(|seed| catch_unwind(|| replay(seed, program)).is_ok()));
}

#[test]
fn a_panic_in_a_behavior_names_the_seed_though_nobody_waits_for_it() {
    let program = || {
        let first = Cown::new(true);
        for i in 0..3 {
            let first = first.clone();
            when((), move |()| {
                drop(when(&first, move |mut first| assert!(!std::mem::take(&mut *first) || i == 0, "{i} came first")))
            });
        }
    };
    let found = message(|| explore(0..1000, program));
    assert!(found.contains("a behavior panicked") && found.contains("came first"), "{found}");
    assert_eq!(message(|| replay(seed_in(&found), program)), found);
}

#[test]
fn a_failed_program_leaves_nothing_behind() {
    let counted = Arc::new(());
    let run = |seed| {
        let (a, held) = (Cown::new(counted.clone()), counted.clone());
        replay(seed, || {
            for _ in 0..100 {
                let held = held.clone();
                when(&a, move |_| drop(held));
            }
            panic!("on purpose");
        });
    };
    for seed in 0..20 {
        assert!(message(|| run(seed)).contains("on purpose"));
        assert_eq!(Arc::strong_count(&counted), 1, "seed {seed}");
    }
    assert!(Program::current().is_none());
}

#[test]
fn handles_tell_of_what_was_cancelled_as_the_program_failed() {
    let kept = Mutex::new(None::<Handle<()>>);
    let ran = AtomicUsize::new(0);
    message(|| {
        explore(0..100, || {
            *kept.lock().unwrap() = Some(when((), |()| ()));
            ran.fetch_add(1, Ordering::Relaxed);
            if ran.load(Ordering::Relaxed) == 3 {
                panic!("on purpose");
            }
        });
    });
    assert_eq!(ran.into_inner(), 3, "it stops at the first seed that fails");
    let last = kept.into_inner().unwrap().unwrap().wait();
    assert!(matches!(last, Ok(()) | Err(Failure::Cancelled)), "{last:?}");
}

#[test]
fn a_long_chain_takes_no_stack() {
    fn step(cown: &Cown<u32>, left: u32) {
        let again = cown.clone();
        when(cown, move |mut n| {
            *n += 1;
            if left > 1 {
                step(&again, left - 1);
            }
        });
    }
    explore(0..8, || {
        let cown = Cown::new(0);
        step(&cown, 20_000);
        quiesce(None).unwrap();
        assert_eq!(when(&cown, |n| *n).wait().unwrap(), 20_000);
    });
    // Nor does what a failed program leaves.
    message(|| {
        replay(0, || {
            let cown = Cown::new(0);
            for _ in 0..100_000 {
                when(&cown, |_| ());
            }
            panic!("on purpose");
        });
    });
}

#[test]
fn what_can_never_run_fails_and_does_not_hang() {
    let cown = Cown::new(1);
    let stuck = message(|| {
        let held = try_acquire(&cown).unwrap();
        replay(7, || drop(when(&cown, |_| ())));
        drop(held);
    });
    assert!(stuck.contains("can never run") && stuck.contains("seed 7"), "{stuck}");
    let waits = message(|| {
        let held = try_acquire(&cown).unwrap();
        replay(7, || {
            assert!(matches!(quiesce(None), Ok(())));
            let never = when(&cown, |_| ());
            assert!(matches!(quiesce(None), Err(Error::Pending(pending)) if pending.behaviors == 1));
            never.wait().unwrap();
        });
        drop(held);
    });
    assert!(waits.contains("waits for what none"), "{waits}");
}

#[test]
fn a_behavior_is_no_place_to_wait_nor_to_explore() {
    let program = |body: fn()| move || drop(when((), move |()| body()));
    assert!(message(|| replay(0, program(|| drop(when((), |()| ()).wait())))).contains("Schedule a behavior"));
    assert!(message(|| replay(0, program(|| quiesce(None).unwrap()))).contains("OnWorker"));
    assert!(message(|| replay(0, program(|| explore(0..1, || ())))).contains("takes the whole thread"));
    assert!(message(|| replay(0, || explore(0..1, || ()))).contains("takes the whole thread"));
    let on_worker = when((), |()| explore(0..1, || ())).wait().unwrap_err();
    assert!(on_worker.to_string().contains("takes the whole thread"), "{on_worker}");
}

#[test]
fn nothing_runs_on_the_default_runtime_and_replay_returns_the_programs_value() {
    let here = std::thread::current().id();
    let thread = replay(3, || {
        let inner = when((), |()| {
            assert_eq!(RuntimeRef::current(), None);
            when((), |()| std::thread::current().id())
        });
        inner.wait().unwrap().wait().unwrap()
    });
    assert_eq!(thread, here);
    assert_ne!(when((), |()| std::thread::current().id()).wait().unwrap(), here);
}
