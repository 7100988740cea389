//! What a deterministic program promises: any order that could be, the same one for the same seed, and no other.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use bocage::deterministic::{Program, explore, replay};
use bocage::{Cown, Error, Failure, Handle, RuntimeRef, acquire, quiesce, read, scope, try_acquire, when};

type Log = Arc<Mutex<Vec<u32>>>;

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

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
    // How often it had run when the program failed, and how often it was cancelled then.
    let (mut ran, mut cancelled) = (0, 0);
    for seed in 0..40 {
        let mut kept = None::<Handle<()>>;
        let failure = message(|| {
            replay(seed, || {
                kept = Some(when((), |()| ()));
                panic!("on purpose");
            });
        });
        assert!(failure.contains("on purpose"), "{failure}");
        match kept.unwrap().wait() {
            Ok(()) => ran += 1,
            Err(Failure::Cancelled) => cancelled += 1,
            Err(failure) => panic!("{failure} with seed {seed}"),
        }
    }
    assert!(ran > 0 && cancelled > 0, "{ran} ran, {cancelled} were cancelled");
}

#[test]
fn exploring_stops_at_the_first_seed_that_fails() {
    let mut seeds = Vec::new();
    let failure = message(|| {
        explore(10..100, || {
            let seed = Program::current().unwrap().seed();
            seeds.push(seed);
            assert!(seed < 12, "on purpose");
        });
    });
    assert!(failure.contains("seed 12"), "{failure}");
    assert_eq!(seeds, [10, 11, 12]);
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
    let here = thread::current().id();
    let thread = replay(3, || {
        let inner = when((), |()| {
            assert_eq!(RuntimeRef::current(), None);
            when((), |()| thread::current().id())
        });
        inner.wait().unwrap().wait().unwrap()
    });
    assert_eq!(thread, here);
    assert_ne!(when((), |()| thread::current().id()).wait().unwrap(), here);
}

#[test]
fn a_scope_runs_in_the_program_that_opens_it() {
    let mut orders = BTreeSet::new();
    explore(0..100, || {
        let here = thread::current().id();
        let (cown, order) = (Cown::new(Vec::new()), Mutex::new(Vec::new()));
        let result = scope(|s| {
            for number in 0..3 {
                s.when((), move |()| number).cown();
                let order = &order;
                s.when(&Cown::new(0), move |_| order.lock().unwrap().push(number));
            }
            let again = &cown;
            s.when(&cown, move |mut list| {
                assert_eq!(thread::current().id(), here);
                s.when(again, |mut list| list.push(2));
                list.push(1);
            });
            s.when((), |()| 5).wait().unwrap()
        });
        assert_eq!(result, 5);
        assert_eq!(*acquire(&cown).wait().guards(), [1, 2]);
        orders.insert(order.into_inner().unwrap());
    });
    assert_eq!(orders.len(), 6, "all orders come: {orders:?}");
    let failure = message(|| replay(3, || scope(|s| drop(s.when((), |()| panic!("on purpose"))))));
    assert!(failure.contains("seed 3") && failure.contains("on purpose"), "{failure}");
}

/// Polls until it is ready, whenever the thread is unparked.
fn block_on<F: Future>(future: F) -> F::Output {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = pin!(future);
    let begun = Instant::now();
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park_timeout(LONG),
        }
        assert!(begun.elapsed() < LONG, "nobody woke it");
    }
}

#[test]
fn what_a_program_awaits_comes_about_as_it_is_polled() {
    explore(0..50, || {
        let cown = Cown::new(1);
        for _ in 0..3 {
            when(&cown, |mut n| *n += 1);
        }
        let mut held = block_on(acquire(&cown));
        assert_eq!(*held.guards(), 4);
        // This one is ready only when the cown is let go of.
        let mut doubled = when(&cown, |n| *n * 2).into_future();
        let mut polls = 0;
        let doubled = block_on(poll_fn(|context| {
            polls += 1;
            if polls == 3 {
                *held.guards() += 1;
            } else if polls == 4 {
                // In its place: one that nobody waits for.
                held = block_on(acquire(&Cown::new(0)));
            }
            Pin::new(&mut doubled).poll(context)
        }));
        assert_eq!((doubled.unwrap(), polls), (10, 4));
    });
}
