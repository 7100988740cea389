//! What a runtime promises about waiting, stopping, and starting again.
#![cfg(not(loom))]

use std::ops::ControlFlow;
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bocage_core::{Cown, Erased, Failure, schedule_erased};
use bocage_runtime::{Builder, Error, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

/// Waits until it is so, or the time is over.
fn becomes(so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !so() && begin.elapsed() < LONG {
        thread::yield_now();
    }
    so()
}

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

/// Schedules a behavior that runs until the returned sender is used or dropped.
fn block(runtime: &Runtime) -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    drop(runtime.when((), move |()| _ = released.recv_timeout(LONG)));
    release
}

#[test]
fn wait_that_expires_counts_what_is_left_and_loses_nothing() {
    let runtime = runtime(2);
    let cown = Cown::new(0);
    let release = block(&runtime);
    let (go, gone) = mpsc::channel::<()>();
    drop(runtime.when(&cown, move |_| _ = gone.recv_timeout(LONG)));
    for _ in 0..10 {
        drop(runtime.when(&cown, |mut n| *n += 1));
    }
    for wait in [Runtime::wait, Runtime::quiesce] {
        match wait(&runtime, Some(Duration::from_millis(5))) {
            Err(Error::Pending(pending)) => assert_eq!(pending.behaviors, 12),
            other => panic!("{other:?}"),
        }
    }
    // It goes on, and takes more.
    drop(runtime.when(&cown, |mut n| *n += 1));
    drop((release, go));
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.pending(), 0);
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 11);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_zero_timeout_is_a_look() {
    let runtime = runtime(1);
    runtime.quiesce(Some(Duration::ZERO)).unwrap();
    let release = block(&runtime);
    assert!(matches!(runtime.quiesce(Some(Duration::ZERO)), Err(Error::Pending(_))));
    drop(release);
    runtime.quiesce(Some(Duration::MAX)).unwrap();
}

#[test]
fn quiesce_shows_what_behaviors_wrote_and_what_they_scheduled() {
    let runtime = runtime(3);
    for round in 1..200 {
        let sum = Arc::new(AtomicU64::new(0));
        for _ in 0..8 {
            let sum = sum.clone();
            drop(runtime.when((), move |()| {
                let inner = RuntimeRef::current().unwrap();
                drop(inner.when((), move |()| {
                    let last = RuntimeRef::current().unwrap();
                    drop(last.when((), move |()| _ = sum.fetch_add(1, Ordering::Relaxed)));
                }));
            }));
        }
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!(sum.load(Ordering::Relaxed), 8, "round {round}");
    }
}

#[test]
fn all_threads_that_wait_return() {
    let runtime = runtime(2);
    let release = block(&runtime);
    thread::scope(|scope| {
        let waits: Vec<_> = (0..6)
            .map(|i| {
                let runtime = &runtime;
                scope.spawn(move || if i % 2 == 0 { runtime.quiesce(Some(LONG)) } else { runtime.wait(Some(LONG)) })
            })
            .collect();
        drop(release);
        for wait in waits {
            wait.join().unwrap().unwrap();
        }
    });
    assert!(matches!(runtime.try_when((), |()| ()), Err(Error::Stopped)));
}

#[test]
fn a_stopped_runtime_refuses_and_a_new_one_is_another() {
    let first = runtime(2);
    let old = first.reference();
    assert_eq!(first.when((), |()| 1).wait().unwrap(), 1);
    first.wait(None).unwrap();
    first.wait(None).unwrap();
    first.quiesce(None).unwrap();
    assert!(matches!(first.try_when((), |()| ()), Err(Error::Stopped)));
    assert!(matches!(first.try_spawn((), |()| ()), Err(Error::Stopped)));
    assert!(matches!(first.admit(), Err(Error::Stopped)));
    drop(first);
    let second = runtime(2);
    assert!(matches!(old.try_when((), |()| ()), Err(Error::Stopped)), "a new runtime is not the old one");
    assert_ne!(old, second.reference());
    assert_eq!(second.when((), |()| 2).wait().unwrap(), 2);
    second.quiesce(None).unwrap();
    assert_eq!(second.stats().iter().map(|stats| stats.run).sum::<u64>(), 1, "statistics start anew");
}

#[test]
fn the_longest_queue_is_what_waited_at_once_in_this_run() {
    let first = runtime(1);
    for round in [500, 5] {
        let flood = first.when((), move |()| {
            let here = RuntimeRef::current().unwrap();
            (0..round).for_each(|_| drop(here.when((), |()| ())));
        });
        flood.wait().unwrap();
        first.quiesce(Some(LONG)).unwrap();
        // The newest is kept back.
        assert_eq!(first.stats()[0].longest_queue, 499);
    }
    // What comes from outside goes to the injector, and from there in batches to the queue.
    drop(first);
    let second = runtime(1);
    assert_eq!(second.stats()[0].longest_queue, 0, "statistics start anew");
    let release = block(&second);
    for _ in 0..1000 {
        drop(second.when((), |()| ()));
    }
    drop(release);
    second.quiesce(Some(LONG)).unwrap();
    assert!((1..1000).contains(&second.stats()[0].longest_queue), "{:?}", second.stats());
}

#[test]
#[should_panic = "has stopped"]
fn when_on_a_stopped_runtime_panics() {
    let runtime = runtime(1);
    runtime.wait(None).unwrap();
    drop(runtime.when((), |()| ()));
}

#[test]
fn waiting_on_an_own_worker_is_an_error() {
    let runtime = Arc::new(runtime(2));
    let inner = runtime.clone();
    let errors = runtime.when((), move |()| {
        let errors = (inner.wait(None), inner.quiesce(Some(LONG)));
        // Dropped by a behavior, perhaps as the last: that must not wait either.
        drop(inner);
        errors
    });
    assert!(matches!(errors.wait().unwrap(), (Err(Error::OnWorker), Err(Error::OnWorker))));
}

#[test]
fn the_last_owner_may_be_a_behavior() {
    let ended = Arc::new(AtomicU64::new(0));
    let ends = ended.clone();
    let runtime = Builder::new().workers(2).on_stop(move |_| _ = ends.fetch_add(1, Ordering::SeqCst)).build().unwrap();
    let reference = runtime.reference();
    let (send, sent) = mpsc::channel::<Runtime>();
    let handle = reference.when((), move |()| drop(sent.recv_timeout(LONG).unwrap()));
    send.send(runtime).unwrap();
    handle.wait().unwrap();
    let begin = Instant::now();
    while ended.load(Ordering::SeqCst) < 2 {
        assert!(begin.elapsed() < LONG, "the workers never ended");
        thread::yield_now();
    }
    assert!(matches!(reference.admit(), Err(Error::Stopped)));
}

#[test]
fn a_waiter_is_called_back_and_may_give_up() {
    let runtime = runtime(1);
    let release = block(&runtime);
    let mut calls = 0;
    let result = runtime.wait_with(None, Duration::from_millis(1), || {
        calls += 1;
        if calls == 5 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    assert!(matches!(result, Err(Error::Interrupted(pending)) if pending.behaviors == 1));
    assert_eq!(calls, 5);
    // The callback holds no lock: it may schedule, and end what is waited for.
    let mut release = Some(release);
    runtime
        .quiesce_with(Some(LONG), Duration::from_millis(1), || {
            drop(runtime.when((), |()| ()));
            release = None;
            ControlFlow::Continue(())
        })
        .unwrap();
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn what_is_pending_when_it_is_dropped_is_finished() {
    let done = Arc::new(AtomicU64::new(0));
    let runtime = runtime(2);
    let cowns: Vec<_> = (0..4).map(Cown::new).collect();
    for i in 0..1000 {
        let done = done.clone();
        drop(runtime.when((&cowns[i % 4], &cowns[(i + 1) % 4]), move |_| _ = done.fetch_add(1, Ordering::Relaxed)));
    }
    drop(runtime);
    assert_eq!(done.load(Ordering::Relaxed), 1000);
}

#[test]
fn a_panic_takes_neither_worker_nor_runtime_along() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let failed = runtime.when(&cown, |_| panic!("in a body"));
    assert!(matches!(failed.wait(), Err(Failure::Panicked(_))));
    // Whoever comes last drops the result: not this thread, if the handles are gone before the bodies begin.
    let release = block(&runtime);
    drop(runtime.when(&cown, |_| Bomb));
    drop(runtime.when(&cown, |_| -> () { std::panic::panic_any(Bomb) }));
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 0);
    runtime.wait(Some(LONG)).unwrap();
    assert_eq!(runtime.stats()[0].run, 5);
}

#[test]
fn an_admission_counts_until_it_is_used_or_dropped() {
    let runtime = runtime(1);
    let admission = runtime.admit().unwrap();
    assert!(matches!(runtime.wait(Some(Duration::from_millis(2))), Err(Error::Pending(p)) if p.behaviors == 1));
    drop(admission);
    runtime.quiesce(Some(LONG)).unwrap();

    let cown = Cown::new(1);
    // It never got as far as the core, so that it isn't counted.
    let broken = std::panic::AssertUnwindSafe(|| runtime.admit().unwrap().schedule(|_| panic!("on purpose")));
    assert!(std::panic::catch_unwind(broken).is_err());
    runtime.quiesce(Some(LONG)).unwrap();

    let result = runtime
        .admit()
        .unwrap()
        .schedule(|executor| schedule_erased(executor, &mut [Erased::new(&cown)], Some(7), |mut place| place.set(8)));
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&result, |n| *n).wait().unwrap(), 8);

    // From inside a behavior, too.
    let inside = runtime.when((), |()| drop(RuntimeRef::current().unwrap().admit().unwrap()));
    inside.wait().unwrap();
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn hooks_run_on_the_workers_around_everything() {
    let log = Arc::new(Mutex::new(Vec::new()));
    let hook = |what: &'static str| {
        let log = log.clone();
        move |worker| {
            assert_eq!(thread::current().name(), Some(&*format!("hooked-{worker}")));
            log.lock().unwrap().push((worker, what));
        }
    };
    let start = hook("start");
    let runtime = Builder::new()
        .workers(2)
        .name_prefix("hooked")
        .stack_size(256 << 10)
        .on_start(move |worker| {
            assert_eq!(RuntimeRef::current(), None);
            start(worker);
            Ok(())
        })
        .on_stop(hook("stop"))
        .before_park(hook("before"))
        .after_park(hook("after"))
        .build()
        .unwrap();
    assert_eq!(log.lock().unwrap().iter().filter(|(_, what)| *what == "start").count(), 2);
    let parks = || log.lock().unwrap().iter().filter(|(_, what)| *what == "before").count();
    for _ in 0..20 {
        let before = parks();
        let log = log.clone();
        let run = runtime.when((), move |()| {
            let name = thread::current().name().unwrap().to_owned();
            log.lock().unwrap().push((name["hooked-".len()..].parse().unwrap(), "run"));
        });
        run.wait().unwrap();
        // They do so without being told.
        assert!(becomes(|| parks() > before));
    }
    runtime.wait(None).unwrap();
    let log = log.lock().unwrap();
    for worker in 0..2 {
        let mut whats = log.iter().filter(|(w, _)| *w == worker).map(|(_, what)| *what);
        assert_eq!(whats.next(), Some("start"));
        let rest: Vec<_> = whats.collect();
        let (last, middle) = rest.split_last().unwrap();
        assert_eq!(*last, "stop");
        let mut parked = false;
        for what in middle {
            match *what {
                "before" => assert!(!std::mem::replace(&mut parked, true)),
                "after" => assert!(std::mem::replace(&mut parked, false)),
                "run" => assert!(!parked, "a behavior ran between the park hooks"),
                other => panic!("{other}"),
            }
        }
        assert!(!parked);
    }
    assert!(log.iter().filter(|(_, what)| *what == "before").count() > 10, "the workers hardly ever parked");
}

#[test]
fn a_worker_that_fails_to_start_is_named_and_the_others_end() {
    let stopped = Arc::new(Mutex::new(Vec::new()));
    let stops = stopped.clone();
    let build = |on_start: fn(usize) -> Result<(), Box<dyn std::error::Error + Send + Sync>>| {
        let stops = stops.clone();
        Builder::new()
            .workers(4)
            .on_start(on_start)
            .on_stop(move |worker| stops.lock().unwrap().push(worker))
            .build()
            .unwrap_err()
    };
    let error = build(|worker| if worker == 2 { Err("no interpreter".into()) } else { Ok(()) });
    assert_eq!(error.to_string(), "worker 2: its start hook failed: no interpreter");
    let mut stopped_now = std::mem::take(&mut *stopped.lock().unwrap());
    stopped_now.sort_unstable();
    assert_eq!(stopped_now, [0, 1, 3]);
    let error = build(|worker| if worker == 1 { panic!("boom") } else { Ok(()) });
    assert_eq!(error.to_string(), "worker 1: its start hook failed: it panicked: boom");
    // The memory that the failed ones used serves again.
    assert_eq!(runtime(4).when((), |()| 1).wait().unwrap(), 1);
}

/// A panic whose payload panics when it is dropped.
fn panic_twice() -> ! {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            // Takes no memory, which is lost.
            resume_unwind(Box::new(()));
        }
    }
    resume_unwind(Box::new(Bad))
}

#[test]
fn a_panicking_hook_is_survived() {
    let hooks: [fn() -> (); 2] = [|| panic!("on purpose"), || panic_twice()];
    for hook in hooks {
        // How often each was called: before a park, after it, at the end.
        let called: Arc<[AtomicUsize; 3]> = Arc::default();
        let hook = |which: usize| {
            let called = called.clone();
            move |_| {
                called[which].fetch_add(1, Ordering::Relaxed);
                hook();
            }
        };
        for workers in [1, 2] {
            let build =
                || Builder::new().workers(workers).before_park(hook(0)).after_park(hook(1)).on_stop(hook(2)).build();
            // The second one has the memory of the first.
            for _ in 0..2 {
                let runtime = build().unwrap();
                for parked in 1..=20 {
                    let before = called[0].load(Ordering::Relaxed);
                    runtime.when((), |()| ()).wait().unwrap();
                    assert!(becomes(|| called[0].load(Ordering::Relaxed) > before), "park {parked}");
                }
                runtime.wait(Some(LONG)).unwrap();
            }
        }
        assert!(called[1].load(Ordering::Relaxed) >= 80 && called[2].load(Ordering::Relaxed) == 6, "{called:?}");
    }
}

#[test]
fn a_panicking_start_hook_is_an_error() {
    for hook in [|| panic!("on purpose"), || panic_twice()] {
        let build = |hook: fn()| {
            Builder::new().workers(2).on_start(move |_| {
                hook();
                Ok(())
            })
        };
        assert!(matches!(build(hook).build(), Err(Error::Start { .. })));
        build(|| ()).build().unwrap().wait(Some(LONG)).unwrap();
    }
}

#[test]
fn worker_counts_that_make_no_sense_are_refused() {
    for count in [0, usize::MAX] {
        assert!(matches!(Builder::new().workers(count).build(), Err(Error::Workers(n)) if n == count));
    }
}

#[test]
fn a_name_that_no_thread_can_have_is_refused() {
    let refused = Builder::new().workers(2).name_prefix("a\0b").build();
    assert!(matches!(refused, Err(Error::Spawn { worker: 0, .. })));
}

#[test]
fn runtimes_nest() {
    let outer = runtime(1);
    let sum = outer.when((), |()| {
        let inner = runtime(2);
        let cown = Cown::new(0);
        for i in 0..100 {
            drop(inner.when(&cown, move |mut n| *n += i));
        }
        let reference = RuntimeRef::current().unwrap();
        assert_ne!(reference, inner.reference());
        inner.quiesce(Some(LONG)).unwrap();
        let (send, sent) = mpsc::channel();
        drop(inner.when(&cown, move |n| send.send(*n).unwrap()));
        inner.wait(Some(LONG)).unwrap();
        sent.recv().unwrap()
    });
    assert_eq!(sum.wait().unwrap(), 4950);
    outer.wait(Some(LONG)).unwrap();
}

#[test]
fn a_behavior_runs_on_its_own_runtime_whoever_releases_its_cown() {
    let runtimes = [runtime(1), runtime(2), runtime(1)];
    let cown = Cown::new(Vec::new());
    for i in 0..3000 {
        let runtime = &runtimes[i % 3];
        let home = runtime.reference();
        drop(runtime.when(&cown, move |mut list| {
            assert_eq!(RuntimeRef::current(), Some(home));
            list.push(i);
        }));
    }
    for runtime in &runtimes {
        runtime.wait(Some(LONG)).unwrap();
    }
    let check = runtime(1);
    check.when(&cown, |list| assert!(list.iter().copied().eq(0..3000))).wait().unwrap();
}

#[test]
fn starting_and_stopping_races_with_threads_that_schedule() {
    for _ in 0..200 {
        let runtime = runtime(2);
        let (ran, admitted) = (Arc::new(AtomicU64::new(0)), AtomicU64::new(0));
        let stop = AtomicBool::new(false);
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !stop.load(Ordering::Relaxed) {
                        let ran = ran.clone();
                        match runtime.try_when((), move |()| _ = ran.fetch_add(1, Ordering::Relaxed)) {
                            Ok(_) => _ = admitted.fetch_add(1, Ordering::Relaxed),
                            Err(Error::Stopped) => return,
                            Err(other) => panic!("{other}"),
                        }
                    }
                });
            }
            while runtime.wait(Some(Duration::from_millis(1))).is_err() {
                // Two threads may be faster than the workers for ever.
                stop.store(true, Ordering::Relaxed);
            }
        });
        assert_eq!(ran.load(Ordering::Relaxed), admitted.load(Ordering::Relaxed));
    }
}
