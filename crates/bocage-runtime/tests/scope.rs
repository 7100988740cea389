//! Scopes on a given runtime.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use bocage_core::{Cown, Failure, acquire};
use bocage_runtime::{Builder, Error, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).name_pending(true).build().unwrap()
}

#[test]
fn its_behaviors_run_on_the_runtime_it_was_opened_on_and_are_done_at_its_end() {
    let (home, other) = (runtime(2), runtime(1));
    let reference = home.reference();
    let count = Cown::new(0);
    let mut numbers: Vec<u64> = (0..1000).collect();
    home.scope(|s| {
        for part in numbers.chunks_mut(10) {
            let count = &count;
            s.when((), move |()| {
                assert_eq!(RuntimeRef::current(), Some(reference));
                part.iter_mut().for_each(|n| *n *= 2);
                let sum: u64 = part.iter().sum();
                // From inside, also where a worker of another runtime is the one that releases the cown.
                s.when(count, move |mut count| {
                    assert_eq!(RuntimeRef::current(), Some(reference));
                    *count += sum;
                });
            });
            drop(other.when(count, |_| ()));
        }
    });
    home.quiesce(Some(LONG)).unwrap();
    assert_eq!(numbers, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    other.wait(Some(LONG)).unwrap();
    assert_eq!(*acquire(&count).wait().guards(), 999 * 1000);
    assert_eq!(home.stats().iter().map(|stats| stats.run).sum::<u64>(), 200);
}

#[test]
fn it_joins_when_its_closure_or_a_body_panics() {
    let runtime = runtime(2);
    for in_body in [false, true] {
        let (ran, cown) = (AtomicU64::new(0), Cown::new(0));
        let ended = catch_unwind(AssertUnwindSafe(|| {
            runtime.reference().scope(|s| {
                for _ in 0..100 {
                    s.when(&cown, |_| ran.fetch_add(1, Ordering::Relaxed));
                }
                s.when(&cown, |_| assert!(!in_body, "in a body"));
                assert!(in_body, "in the closure");
            });
        }));
        assert!(ended.is_err());
        assert_eq!(ran.load(Ordering::Relaxed), 100);
        runtime.quiesce(Some(LONG)).unwrap();
    }
}

#[test]
fn on_a_worker_it_is_refused_whichever_runtime_it_is_for() {
    let (first, second) = (runtime(1), runtime(1));
    for other in [first.reference(), second.reference()] {
        let outcome = first.when((), move |()| other.scope(|s| drop(s.when((), |()| ())))).wait();
        let Err(Failure::Panicked(text)) = outcome else { panic!("it would wait for itself") };
        assert!(text.downcast_ref::<&str>().unwrap().contains("runs behaviors"));
    }
    second.quiesce(Some(LONG)).unwrap();
    assert_eq!(second.stats()[0].run, 0);
}

#[test]
fn what_it_waits_for_is_pending_and_named() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let held = acquire(&cown).wait();
    let (opened, open) = mpsc::channel();
    std::thread::scope(|threads| {
        let (cown, runtime) = (&cown, &runtime);
        threads.spawn(move || {
            runtime.scope(|s| {
                s.when(cown, |mut n| *n += 1);
                opened.send(()).unwrap();
            });
        });
        open.recv_timeout(LONG).unwrap();
        let Err(Error::Pending(left)) = runtime.quiesce(Some(Duration::from_millis(5))) else { panic!("all is done") };
        assert_eq!((left.behaviors, left.named.len()), (1, 1));
        assert_eq!((left.named[0].cowns[0].id, left.named[0].runs), (cown.id(), false));
        drop(held);
    });
    runtime.quiesce(Some(LONG)).unwrap();
}

#[test]
#[should_panic = "has stopped"]
fn on_a_stopped_runtime_its_when_panics() {
    let runtime = runtime(1);
    runtime.wait(None).unwrap();
    runtime.scope(|s| drop(s.when((), |()| ())));
}

#[test]
fn what_a_behavior_of_another_runtime_adds_runs_on_its_own_all_the_same() {
    let (home, other) = (runtime(1), runtime(1));
    let (at_home, elsewhere) = (home.reference(), other.reference());
    home.scope(|outer| {
        other.scope(|inner| {
            inner.when((), move |()| {
                outer.when((), move |()| assert_eq!(RuntimeRef::current(), Some(at_home)));
                inner.when((), move |()| assert_eq!(RuntimeRef::current(), Some(elsewhere)));
            });
        });
    });
    // A scope ends when its bodies are over; their workers count them right after.
    home.quiesce(Some(LONG)).unwrap();
    other.quiesce(Some(LONG)).unwrap();
}
