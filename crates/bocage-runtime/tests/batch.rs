//! Batches on a runtime: in one step, and counted whatever happens.
#![cfg(not(loom))]

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Erased, Held, Requests, read};
use bocage_runtime::deterministic::{Program, explore};
use bocage_runtime::{Builder, Error, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

#[test]
fn batches_of_many_threads_and_of_behaviors_never_mix() {
    const THREADS: usize = 3;
    const BATCHES: usize = 150;
    for workers in 1..=3 {
        let runtime = runtime(workers);
        // Odd only between the two behaviors of a batch, on each of the two.
        let cowns = [Cown::new(0_u64), Cown::new(0)];
        let strangers = Arc::new(AtomicU64::new(0));
        let pair = |by: RuntimeRef, cowns: &[Cown<u64>; 2], strangers: &Arc<AtomicU64>| {
            let [a, b] = cowns;
            by.batch(|batch| {
                for odd in [0, 1] {
                    let strangers = strangers.clone();
                    drop(batch.when((a, b), move |(mut a, mut b)| {
                        strangers.fetch_add(u64::from(*a % 2 != odd || *b % 2 != odd), Ordering::Relaxed);
                        *a += 1;
                        *b += 1;
                    }));
                }
                let strangers = strangers.clone();
                drop(batch.when(read(b), move |b| _ = strangers.fetch_add(*b % 2, Ordering::Relaxed)));
            });
        };
        thread::scope(|scope| {
            for t in 0..THREADS {
                let (runtime, cowns, strangers) = (&runtime, &cowns, &strangers);
                scope.spawn(move || {
                    for i in 0..BATCHES {
                        if (i + t) % 2 == 0 {
                            pair(runtime.reference(), cowns, strangers);
                        } else {
                            let (cowns, strangers) = (cowns.clone(), strangers.clone());
                            drop(runtime.when((), move |()| pair(RuntimeRef::current().unwrap(), &cowns, &strangers)));
                        }
                        let strangers = strangers.clone();
                        drop(runtime.when(&cowns[i % 2], move |n| _ = strangers.fetch_add(*n % 2, Ordering::Relaxed)));
                    }
                });
            }
        });
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!(strangers.load(Ordering::Relaxed), 0, "{workers} workers");
        assert_eq!(runtime.when(&cowns[0], |n| *n).wait().unwrap(), (2 * THREADS * BATCHES) as u64);
        runtime.wait(Some(LONG)).unwrap();
    }
}

#[test]
fn what_is_added_counts_at_once_and_is_done_when_the_runtime_is_quiet() {
    let runtime = runtime(2);
    let ran = Arc::new(AtomicU64::new(0));
    runtime.batch(|batch| {
        for i in 1..=10 {
            let ran = ran.clone();
            drop(batch.when((), move |()| _ = ran.fetch_add(1, Ordering::Relaxed)));
            assert_eq!(runtime.pending(), i);
            assert_eq!(batch.len() as u64, i);
        }
        assert!(matches!(runtime.quiesce(Some(Duration::ZERO)), Err(Error::Pending(p)) if p.behaviors == 10));
        assert_eq!(ran.load(Ordering::Relaxed), 0);
    });
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(ran.load(Ordering::Relaxed), 10);
}

#[test]
fn a_runtime_does_not_stop_under_a_batch() {
    let runtime = Arc::new(runtime(1));
    let (begun, begin) = mpsc::channel();
    let waiter = {
        let runtime = runtime.clone();
        thread::spawn(move || {
            begin.recv_timeout(LONG).unwrap();
            runtime.wait(Some(LONG))
        })
    };
    let handles: Vec<_> = runtime.batch(|batch| {
        let first = batch.when((), |()| 0);
        begun.send(()).unwrap();
        // The waiter may come in anywhere here.
        std::iter::once(first).chain((1..1000).map(|i| batch.when((), move |()| i))).collect()
    });
    waiter.join().unwrap().unwrap();
    for (i, handle) in handles.into_iter().enumerate() {
        assert_eq!(handle.wait().unwrap(), i);
    }
    runtime.batch(|batch| assert!(matches!(batch.try_when((), |()| ()), Err(Error::Stopped))));
    let refused = catch_unwind(AssertUnwindSafe(|| runtime.batch(|batch| drop(batch.when((), |()| ())))));
    assert!(refused.is_err());
    assert_eq!(runtime.pending(), 0);
}

/// A request that panics.
struct Broken;

// SAFETY: it never gets as far as guards.
unsafe impl Requests for Broken {
    type Shape = ();
    type Guards<'a> = ();

    fn count(&self) -> usize {
        1
    }

    fn visit<'s>(&'s self, _: &mut impl FnMut(Erased<'s>)) {
        panic!("on purpose")
    }

    fn shape(&self) {}

    unsafe fn guards((): &(), _: &mut Held<'_>) {}
}

#[test]
fn a_panic_while_adding_schedules_what_was_added_and_leaves_the_count_right() {
    let runtime = runtime(2);
    let cown = Cown::new(0);
    let panics = |panics: &dyn Fn(&mut bocage_runtime::Batch)| {
        catch_unwind(AssertUnwindSafe(|| {
            runtime.batch(|batch| {
                drop(batch.when(&cown, |mut n| *n += 1));
                panics(batch);
            });
        }))
        .unwrap_err();
    };
    panics(&|_| panic!("on purpose"));
    // A request that panics is not counted.
    panics(&|batch| drop(batch.when(Broken, |()| ())));
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 2);

    // The same in a behavior.
    let (same, by) = (cown.clone(), runtime.reference());
    let outcome = runtime.when((), move |()| {
        by.batch(|batch| {
            drop(batch.when(&same, |mut n| *n += 1));
            panic!("on purpose");
        })
    });
    outcome.wait().unwrap_err();
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 3);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_deterministic_program_has_batches_too() {
    explore(0..300, || {
        let here = Program::current().unwrap();
        let cown = Cown::new(0);
        let same = cown.clone();
        drop(here.when((), move |()| {
            Program::current().unwrap().batch(|batch| {
                drop(batch.when(&same, |mut n| *n += 1));
                // Others may run here; none of the batch, and nobody in between.
                drop(Program::current().unwrap().when((), |()| ()));
                drop(batch.when(&same, |mut n| *n += 1));
            });
        }));
        for _ in 0..3 {
            drop(here.when(&cown, |n| assert!(*n != 1)));
        }
        here.quiesce().unwrap();
        assert_eq!(here.when(&cown, |n| *n).wait().unwrap(), 2);
    });
    let waits = catch_unwind(|| {
        explore(0..1, || Program::current().unwrap().batch(|batch| batch.when((), |()| ()).wait().unwrap()));
    });
    assert!(waits.unwrap_err().downcast_ref::<String>().unwrap().contains("the handle of a batch"));
}
