//! What becomes of pending behaviors when their runtime is dropped: they are finished, or cancelled; never lost.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Failure, Inline, read, when_on};
use bocage_runtime::{Builder, OnDrop, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn that_cancels(workers: usize) -> Runtime {
    Builder::new().workers(workers).on_drop(OnDrop::Cancel).build().unwrap()
}

/// Runs `f` elsewhere, and fails if that takes too long.
fn bounded(f: impl FnOnce() + Send + 'static) {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        f();
        done.send(()).unwrap();
    });
    match end.recv_timeout(LONG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

/// Lets the only worker of `runtime` be busy until it is told to drop that runtime, and then does so.
fn drop_it_in_a_behavior(runtime: &Runtime) -> mpsc::Sender<Runtime> {
    let (owner, owned) = mpsc::channel();
    let (begun, begin) = mpsc::channel();
    drop(runtime.when((), move |()| {
        begun.send(()).unwrap();
        drop(owned.recv_timeout(LONG));
    }));
    begin.recv_timeout(LONG).unwrap();
    owner
}

#[test]
fn what_has_not_begun_is_cancelled_and_dropped_and_gives_up_its_cowns() {
    bounded(|| {
        let runtime = that_cancels(1);
        let owner = drop_it_in_a_behavior(&runtime);
        let counted = Arc::new(());
        let cowns = [Cown::new(0), Cown::new(0)];
        let mut handles = Vec::new();
        for i in 0..300 {
            let held = counted.clone();
            let body = move || {
                drop(held);
                unreachable!("cancelled")
            };
            handles.push(match i % 4 {
                0 => runtime.when((), move |()| body()),
                1 => runtime.when(&cowns[i % 2], move |_| body()),
                2 => runtime.when((read(&cowns[0]), &cowns[1]), move |_| body()),
                _ => runtime.when(read(&cowns[i % 2]), move |_| body()),
            });
        }
        let after = runtime.when(&handles[0].cown(), |_: bocage_core::Guard<'_, ()>| ());
        let other = when_on(Inline, (&cowns[0], &cowns[1]), |(a, b)| (*a, *b));
        owner.send(runtime).unwrap();
        for handle in handles {
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
        assert!(matches!(after.wait(), Err(Failure::Missing)));
        assert_eq!(other.wait().unwrap(), (0, 0), "what runs elsewhere is not touched");
        assert_eq!(Arc::strong_count(&counted), 1);
    });
}

#[test]
fn nothing_is_lost_and_nothing_leaks_wherever_the_drop_comes() {
    for round in 0..60_u64 {
        bounded(move || {
            let runtime = that_cancels(1 + round as usize % 3);
            let counted = Arc::new(());
            let ran = Arc::new(AtomicU64::new(0));
            let cowns: Vec<_> = (0..4).map(|_| Cown::new(counted.clone())).collect();
            let mut handles = Vec::new();
            for i in 0..400 {
                let (held, count) = (counted.clone(), ran.clone());
                let body = move || {
                    count.fetch_add(1, Ordering::Relaxed);
                    let more = held.clone();
                    drop(RuntimeRef::current().unwrap().when((), move |()| drop(more)));
                };
                let (a, b) = (i % 4, (i * 7 + 1) % 4);
                handles.push(if a == b {
                    runtime.when(&cowns[a], move |_| body())
                } else {
                    runtime.when((&cowns[a], read(&cowns[b])), move |_| body())
                });
            }
            // Somewhere in the middle, somewhere else each time.
            while ran.load(Ordering::Relaxed) < round * 5 {
                thread::yield_now();
            }
            drop(runtime);
            let finished = handles.into_iter().map(|handle| match handle.wait() {
                Ok(()) => 1,
                Err(Failure::Cancelled) => 0,
                Err(other) => panic!("{other}"),
            });
            assert_eq!(finished.sum::<u64>(), ran.load(Ordering::Relaxed), "round {round}");
            drop(cowns);
            assert_eq!(Arc::strong_count(&counted), 1, "round {round}");
        });
    }
}

#[test]
fn a_program_that_never_ends_is_ended() {
    fn for_ever(cown: &Cown<u64>) {
        let again = cown.clone();
        drop(RuntimeRef::current().unwrap().when(cown, move |mut turns| {
            *turns += 1;
            for_ever(&again);
        }));
    }
    bounded(|| {
        for workers in 1..=2 {
            let runtime = that_cancels(workers);
            let cowns: Vec<_> = (0..8).map(|_| Cown::new(0)).collect();
            for cown in cowns.clone() {
                drop(runtime.when((), move |()| for_ever(&cown)));
            }
            for cown in &cowns {
                while runtime.when(cown, |turns| *turns).wait().unwrap() < 10 {}
            }
            drop(runtime);
        }
    });
}

#[test]
fn a_long_chain_is_cancelled_in_constant_stack_though_drops_panic() {
    struct Panics(bool);
    impl Drop for Panics {
        fn drop(&mut self) {
            assert!(!self.0, "on purpose");
        }
    }
    bounded(|| {
        let runtime = Builder::new().workers(1).stack_size(64 << 10).on_drop(OnDrop::Cancel).build().unwrap();
        let owner = drop_it_in_a_behavior(&runtime);
        let cown = Cown::new(());
        for i in 0..100_000 {
            let panics = Panics(i == 50_000);
            drop(runtime.when(&cown, move |_| std::mem::forget(panics)));
        }
        owner.send(runtime).unwrap();
        when_on(Inline, &cown, |_| ()).wait().unwrap();
    });
}

#[test]
fn a_runtime_that_follows_on_one_that_cancelled_runs_its_own() {
    bounded(|| {
        for _ in 0..20 {
            drop(that_cancels(2));
            // The default policy.
            let runtime = Builder::new().workers(2).build().unwrap();
            let cown = Cown::new(0);
            for _ in 0..100 {
                drop(runtime.when(&cown, |mut n| *n += 1));
            }
            drop(runtime);
            assert_eq!(when_on(Inline, &cown, |n| *n).wait().unwrap(), 100);
        }
    });
}

#[test]
fn waiting_before_the_drop_finishes_everything() {
    bounded(|| {
        let runtime = that_cancels(2);
        let cown = Cown::new(0);
        for _ in 0..1000 {
            drop(runtime.when(&cown, |mut n| *n += 1));
        }
        runtime.wait(Some(LONG)).unwrap();
        drop(runtime);
        assert_eq!(when_on(Inline, &cown, |n| *n).wait().unwrap(), 1000);
    });
}
