//! Batches on a runtime: in one step, and counted whatever happens.
#![cfg(not(loom))]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::Duration;

use bocage_core::{Cown, Erased, Failure, Held, Requests, read};
use bocage_runtime::deterministic::{Program, explore};
use bocage_runtime::{Builder, Error, OnDrop, Pinned, Runtime, RuntimeRef};

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
    type Lasting = Self;

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

/// A thread that pumps until `runtime` stops, and what it is called; joined when the scope ends.
fn pumping<'scope>(scope: &'scope thread::Scope<'scope, '_>, runtime: &Runtime) -> Pinned {
    let (reference, (send, sent)) = (runtime.reference(), mpsc::channel());
    scope.spawn(move || {
        let here = reference.pinned().unwrap();
        send.send(here.clone()).unwrap();
        while here.pump(3, LONG).is_ok_and(|ran| ran > 0) {}
    });
    sent.recv_timeout(LONG).unwrap()
}

#[test]
fn nobody_comes_between_what_is_pinned_and_what_is_not() {
    const BATCHES: u64 = 300;
    for workers in 1..=2 {
        let runtime = runtime(workers);
        thread::scope(|scope| {
            let pins = [pumping(scope, &runtime), pumping(scope, &runtime)];
            let pinned = pins[0].clone();
            let view = pins[0].when((), move |()| pinned.cown(Rc::new(Cell::new(0_u64))).unwrap()).wait().unwrap();
            let cowns = [Cown::new(0_u64), Cown::new(0)];
            let strangers = Arc::new(AtomicU64::new(0));
            thread::scope(|scope| {
                for t in 0..2 {
                    let (runtime, pins, view, cowns, strangers) = (&runtime, &pins, &view, &cowns, &strangers);
                    scope.spawn(move || {
                        let [a, b] = cowns;
                        for i in 0..BATCHES {
                            // Each step finds both where the one before it in the batch left them: at 0, 1, 2, 3 of 4.
                            let step = |at: u64| {
                                let strangers = strangers.clone();
                                move |a: &mut u64, b: &mut u64| {
                                    strangers.fetch_add(u64::from(*a % 4 != at || *b % 4 != at), Ordering::Relaxed);
                                    (*a, *b) = (*a + 1, *b + 1);
                                }
                            };
                            let steps = [step(0), step(1), step(2), step(3)];
                            runtime.batch(|batch| {
                                let [first, second, third, last] = steps;
                                drop(batch.when((a, b), move |(mut a, mut b)| first(&mut a, &mut b)));
                                drop(batch.when_pinned(&pins[0], (b, view, a), move |(mut b, view, mut a)| {
                                    view.set(view.get() + 1);
                                    second(&mut a, &mut b);
                                }));
                                drop(batch.when_pinned(&pins[1], (a, b), move |(mut a, mut b)| third(&mut a, &mut b)));
                                drop(batch.when((b, a), move |(mut b, mut a)| last(&mut a, &mut b)));
                            });
                            let strangers = strangers.clone();
                            let sees = move |n: u64| _ = strangers.fetch_add(n % 4, Ordering::Relaxed);
                            let cown = &cowns[usize::from((i + t) % 2 == 0)];
                            drop(match i % 4 {
                                0 => runtime.when(read(cown), move |n| sees(*n)),
                                1 => runtime.when(cown, move |n| sees(*n)),
                                2 => pins[0].when((view, cown), move |(_, n)| sees(*n)),
                                _ => pins[1].when(read(cown), move |n| sees(*n)),
                            });
                        }
                    });
                }
            });
            runtime.quiesce(Some(LONG)).unwrap();
            assert_eq!(strangers.load(Ordering::Relaxed), 0, "{workers} workers");
            assert_eq!(
                runtime.when((&cowns[0], &cowns[1]), |(a, b)| (*a, *b)).wait().unwrap(),
                (8 * BATCHES, 8 * BATCHES)
            );
            assert_eq!(pins[0].when(&view, |view| view.get()).wait().unwrap(), 2 * BATCHES);
            runtime.wait(Some(LONG)).unwrap();
        });
    }
}

#[test]
fn what_is_pinned_in_a_batch_counts_at_once_and_runs_after_it() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let window = here.cown(Rc::new(Cell::new(0))).unwrap();
    let seen = runtime.batch(|batch| {
        drop(batch.when_pinned(&here, &window, |window| window.set(window.get() + 1)));
        let seen = batch.when_pinned(&here, &window, |window| window.get());
        assert_eq!((batch.len(), runtime.pending()), (2, 2));
        // Of the batch nothing is ready; of others, what comes meanwhile.
        drop(here.when((), |()| ()));
        assert_eq!(here.pump(10, Duration::ZERO).unwrap(), 1);
        assert!(matches!(runtime.quiesce(Some(Duration::ZERO)), Err(Error::Pending(p)) if p.behaviors == 2));
        seen
    });
    assert_eq!(runtime.pending(), 2);
    assert_eq!(seen.wait().unwrap(), 1);

    // What is refused is not counted, and what stands before it in the batch runs all the same.
    let theirs = thread::scope(|scope| {
        let there = scope.spawn(|| runtime.pinned().unwrap().cown(Rc::new(0)).unwrap());
        there.join().unwrap()
    });
    let refused = catch_unwind(AssertUnwindSafe(|| {
        runtime.batch(|batch| {
            drop(batch.when_pinned(&here, &window, |window| window.set(7)));
            let wrong = batch.try_when_pinned(&here, (&window, &theirs), |_| ());
            assert!(matches!(wrong, Err(Error::WrongThread)));
            assert_eq!(batch.len(), 1);
            drop(batch.when_pinned(&here, &theirs, |_| ()));
        });
    }));
    assert!(refused.unwrap_err().downcast_ref::<String>().unwrap().contains("Pinned::when"));
    assert_eq!(runtime.pending(), 1);
    assert_eq!(here.when(&window, |window| window.get()).wait().unwrap(), 7);
    runtime.wait(Some(LONG)).unwrap();
    runtime.batch(|batch| assert!(matches!(batch.try_when_pinned(&here, (), |()| ()), Err(Error::Stopped))));
}

#[test]
fn a_batch_goes_on_where_a_thread_has_ended_or_a_runtime_cancels() {
    for cancels in [false, true] {
        let on_drop = if cancels { OnDrop::Cancel } else { OnDrop::Finish };
        let runtime = Builder::new().workers(1).on_drop(on_drop).build().unwrap();
        let by = runtime.reference();
        let cown = Cown::new(0);
        let pinned = thread::scope(|scope| scope.spawn(|| by.pinned().unwrap()).join().unwrap());
        // The first is cancelled in the middle of the batch's end, and hands over to the next, which is not ready yet.
        let (gone, after) = by.batch(|batch| {
            let gone: Vec<_> = (0..100).map(|_| batch.when_pinned(&pinned, &cown, |mut n| *n = 99)).collect();
            (
                gone,
                batch.when(&cown, |mut n| {
                    *n += 1;
                    *n
                }),
            )
        });
        if cancels {
            drop(runtime);
        } else {
            assert_eq!(after.wait().unwrap(), 1);
            runtime.wait(Some(LONG)).unwrap();
        }
        for handle in gone {
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
    }
}

#[test]
fn a_batch_may_span_runtimes_and_a_deterministic_program() {
    let (one, two) = (runtime(1), runtime(1));
    let (here, there) = (one.pinned().unwrap(), two.pinned().unwrap());
    let (home, cown) = (two.reference(), Cown::new(Vec::new()));
    one.batch(|batch| {
        for i in 0..100 {
            drop(match i % 3 {
                0 => batch.when(&cown, move |mut list| list.push(i)),
                1 => batch.when_pinned(&here, &cown, move |mut list| list.push(i)),
                _ => batch.when_pinned(&there, &cown, move |mut list| {
                    assert_eq!(RuntimeRef::current(), Some(home));
                    list.push(i);
                }),
            });
        }
        assert_eq!((one.pending(), two.pending()), (67, 33));
    });
    two.quiesce(Some(LONG)).unwrap();
    one.quiesce(Some(LONG)).unwrap();
    assert!(one.when(&cown, |list| list.iter().copied().eq(0..100)).wait().unwrap());

    thread::scope(|scope| {
        let pinned = pumping(scope, &one);
        let mut handles = Vec::new();
        explore(0..50, || {
            let numbers = Cown::new(0);
            // It can't wait for what runs on another thread.
            handles.push(Program::current().unwrap().batch(|batch| {
                drop(batch.when(&numbers, |mut n| *n += 1));
                batch.when_pinned(&pinned, &numbers, |mut n| {
                    *n *= 10;
                    *n
                })
            }));
        });
        for handle in handles {
            assert_eq!(handle.wait().unwrap(), 10);
        }
        one.wait(Some(LONG)).unwrap();
    });
    two.wait(Some(LONG)).unwrap();
}
