//! Behaviors that are pinned to a thread: they run there, when it pumps, and the runtime waits for them.
#![cfg(not(loom))]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bocage_core::{Cown, Failure, acquire, read};
use bocage_runtime::{Builder, Error, OnDrop, Pinned, Runtime, RuntimeRef, deterministic};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).name_pending(true).build().unwrap()
}

/// Runs `f` on a thread of its own, and fails if that takes too long.
fn bounded<T: Send + 'static>(f: impl FnOnce() -> T + Send + 'static) -> T {
    let (done, end) = mpsc::channel();
    let thread = thread::spawn(move || {
        let value = f();
        done.send(()).unwrap();
        value
    });
    match end.recv_timeout(LONG) {
        Err(mpsc::RecvTimeoutError::Timeout) => panic!("it hangs"),
        _ => thread.join().unwrap(),
    }
}

/// Looks until `done`, and fails if that takes too long.
fn until(mut done: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < LONG, "it never comes about");
        thread::yield_now();
    }
}

/// A thread that does nothing but pump, until its runtime stops; what it is called.
fn pumping(runtime: &Runtime) -> (Pinned, thread::JoinHandle<usize>) {
    let (reference, (send, sent)) = (runtime.reference(), mpsc::channel());
    let thread = thread::spawn(move || {
        let here = reference.pinned().unwrap();
        send.send(here.clone()).unwrap();
        let mut ran = 0;
        loop {
            match here.pump(3, LONG) {
                Ok(0) => panic!("nobody woke it"),
                Ok(more) => ran += more,
                Err(Error::Stopped) => return ran,
                Err(other) => panic!("{other}"),
            }
        }
    });
    (sent.recv_timeout(LONG).unwrap(), thread)
}

#[test]
fn bodies_run_on_their_thread_in_line_with_those_on_workers() {
    bounded(|| {
        let runtime = runtime(2);
        let (pinned, thread) = pumping(&runtime);
        let (owner, home) = (thread.thread().id(), runtime.reference());
        let cowns: Vec<_> = (0..4).map(|_| Cown::new(Vec::new())).collect();
        for i in 0..3000 {
            let (a, b) = (&cowns[i % 4], &cowns[(i * 7 + 1) % 4]);
            if a == b {
                continue;
            }
            if i % 3 == 0 {
                drop(pinned.when((a, b), move |(mut a, mut b)| {
                    assert_eq!(thread::current().id(), owner);
                    assert_eq!(RuntimeRef::current(), Some(home));
                    a.push(i);
                    b.push(i);
                }));
            } else {
                drop(runtime.when((a, b), move |(mut a, mut b)| {
                    assert_ne!(thread::current().id(), owner);
                    a.push(i);
                    b.push(i);
                }));
            }
        }
        runtime.quiesce(Some(LONG)).unwrap();
        let all = runtime.when(&cowns, |lists| {
            assert!(lists.iter().all(|list| list.is_sorted()));
            lists.iter().map(|list| list.len()).sum::<usize>()
        });
        let pinned_ran = (0..3000).filter(|i| i % 3 == 0 && i % 4 != (i * 7 + 1) % 4).count();
        assert_eq!(all.wait().unwrap(), (0..3000).filter(|i| i % 4 != (i * 7 + 1) % 4).count() * 2);
        runtime.wait(Some(LONG)).unwrap();
        assert_eq!(thread.join().unwrap(), pinned_ran);
    });
}

#[test]
fn pump_runs_what_is_ready_and_no_more_than_it_is_told() {
    bounded(|| {
        let runtime = runtime(1);
        let here = runtime.pinned().unwrap();
        let cown = Cown::new(0);
        assert_eq!(here.pump(10, Duration::ZERO).unwrap(), 0);
        assert_eq!(here.pump(10, Duration::from_millis(5)).unwrap(), 0);
        let handles: Vec<_> = (0..10).map(|_| here.when(&cown, |mut n| *n += 1)).collect();
        assert_eq!(here.pump(0, LONG).unwrap(), 0);
        // Only the first has the cown; each hands it to the next.
        assert_eq!(here.pump(4, Duration::ZERO).unwrap(), 4);
        assert_eq!(runtime.pending(), 6);
        assert_eq!(here.pump(usize::MAX, Duration::MAX).unwrap(), 6);
        handles.into_iter().for_each(|handle| handle.wait().unwrap());
        // One that goes on for ever leaves the thread when the number is reached.
        fn again(here: &Pinned) {
            let next = here.clone();
            drop(here.when((), move |()| again(&next)));
        }
        again(&here);
        assert_eq!(here.pump(100, LONG).unwrap(), 100);
        assert_eq!(runtime.pending(), 1);
        let mut looks = 0;
        let interrupted = runtime.quiesce_with(Some(LONG), Duration::from_millis(1), || {
            looks += 1;
            if looks < 100 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        });
        assert!(matches!(interrupted, Err(Error::Interrupted(left)) if left.behaviors == 1));
        // Nor does it keep a wait from seeing that its time is over.
        let Err(Error::Pending(left)) = runtime.quiesce(Some(Duration::from_millis(5))) else { panic!("it ended") };
        assert!(left.named[0].pinned && left.to_string().contains("pinned to a thread"), "{left}");
        // Leave it unfinished: the runtime can only cancel it now.
        std::mem::forget(runtime);
    });
}

#[test]
fn a_thread_that_waits_pumps_meanwhile() {
    bounded(|| {
        let runtime = runtime(2);
        let here = runtime.pinned().unwrap();
        let cown = Cown::new(0_u64);
        /// From the thread to a worker and back, many times.
        fn ping(here: &Pinned, cown: &Cown<u64>, left: u64) {
            let (next, again) = (here.clone(), cown.clone());
            drop(here.when(cown, move |mut n| {
                *n += 1;
                let home = RuntimeRef::current().unwrap();
                let back = again.clone();
                drop(home.when(&again, move |mut n| {
                    *n += 1;
                    if left > 1 {
                        ping(&next, &back, left - 1);
                    }
                }));
            }));
        }
        ping(&here, &cown, 1000);
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!(*acquire(read(&cown)).wait().guards(), 2000);
        // A handle, an acquisition, a scope: each needs this thread.
        ping(&here, &cown, 50);
        assert!(here.when(read(&cown), |n| *n > 2000).wait().unwrap());
        runtime.quiesce(Some(LONG)).unwrap();
        drop(here.when(&cown, |mut n| *n = 7));
        assert_eq!(*acquire(&cown).wait().guards(), 7);
        let mut seen = 0;
        runtime.scope(|s| {
            let made = here.when((), |()| 5);
            s.when(&made.cown(), |five| seen = *five);
        });
        assert_eq!(seen, 5);
        ping(&here, &cown, 100);
        runtime.wait(Some(LONG)).unwrap();
        assert!(matches!(here.pump(1, LONG), Err(Error::Stopped)));
        assert!(matches!(here.try_when((), |()| ()), Err(Error::Stopped)));
    });
}

#[test]
fn what_is_waited_for_on_one_runtime_may_need_what_is_pinned_on_another() {
    bounded(|| {
        let (first, second) = (runtime(1), runtime(1));
        let pins = [first.pinned().unwrap(), second.pinned().unwrap()];
        let cown = Cown::new(Vec::new());
        for i in 0..500 {
            let home = pins[i % 2].runtime();
            drop(pins[i % 2].when(&cown, move |mut list| {
                assert_eq!(RuntimeRef::current(), Some(home));
                list.push(i);
            }));
            drop(pins[i % 2].runtime().when(&cown, |_| ()));
        }
        second.wait(Some(LONG)).unwrap();
        first.wait(Some(LONG)).unwrap();
        assert!(acquire(&cown).wait().guards().iter().copied().eq(0..500));
    });
}

#[test]
fn misuse_is_a_clear_error() {
    bounded(|| {
        let runtime = Arc::new(runtime(1));
        let here = runtime.pinned().unwrap();
        assert!(here.is_here());
        let elsewhere = here.clone();
        thread::spawn(move || {
            assert!(!elsewhere.is_here());
            assert!(matches!(elsewhere.pump(1, LONG), Err(Error::WrongThread)));
            assert!(matches!(elsewhere.cown(1), Err(Error::WrongThread)));
        })
        .join()
        .unwrap();
        let pinned_there = runtime.when((), |()| RuntimeRef::current().unwrap().pinned().map(drop)).wait().unwrap();
        assert!(matches!(pinned_there, Err(Error::CannotPump)));
        // In a body: to pump, to wait for the runtime, to block on a handle.
        let (again, waits) = (here.clone(), runtime.clone());
        let errors = here.when((), move |()| {
            (again.pump(1, LONG), again.runtime().pinned().map(drop), waits.quiesce(None), waits.wait(Some(LONG)))
        });
        let errors = errors.wait().unwrap();
        assert!(matches!(errors.0, Err(Error::CannotPump)));
        assert!(matches!(errors.1, Err(Error::CannotPump)));
        assert!(matches!((errors.2, errors.3), (Err(Error::OnWorker), Err(Error::OnWorker))));
        let again = here.clone();
        let blocked = here.when((), move |()| again.when((), |()| 1).wait().unwrap()).wait();
        let Err(Failure::Panicked(text)) = blocked else { panic!("it would wait for itself") };
        assert!(text.downcast_ref::<&str>().unwrap().contains("runs behaviors"));
        deterministic::replay(1, || assert!(matches!(runtime.pinned(), Err(Error::CannotPump))));
        let text = Error::WrongThread.to_string() + &Error::CannotPump.to_string();
        assert!(text.contains("Pinned::when") && text.contains("plain thread"));
        runtime.quiesce(Some(LONG)).unwrap();
    });
}

#[test]
fn a_panic_goes_to_the_handle_and_the_pump_goes_on() {
    bounded(|| {
        let runtime = runtime(1);
        let here = runtime.pinned().unwrap();
        let cown = Cown::new(0);
        let failed = here.when(&cown, |_| panic!("on purpose"));
        let poisoned = here.when(&cown, |cown| cown.is_poisoned());
        assert_eq!(here.pump(2, LONG).unwrap(), 2);
        assert!(matches!(failed.wait(), Err(Failure::Panicked(_))));
        assert!(poisoned.wait().unwrap());
        assert_eq!(RuntimeRef::current(), None);
        runtime.wait(Some(LONG)).unwrap();
    });
}

#[test]
fn a_drop_elsewhere_waits_until_the_thread_has_pumped() {
    bounded(|| {
        let runtime = runtime(1);
        let here = runtime.pinned().unwrap();
        let ran = Arc::new(AtomicU64::new(0));
        for _ in 0..100 {
            let ran = ran.clone();
            drop(here.when((), move |()| ran.fetch_add(1, Ordering::Relaxed)));
        }
        let dropping = thread::spawn(move || drop(runtime));
        let mut pumped = 0;
        while pumped < 100 {
            assert!(!dropping.is_finished(), "dropped with work pending");
            pumped += here.pump(1, LONG).unwrap();
        }
        assert_eq!(ran.load(Ordering::Relaxed), 100);
        dropping.join().unwrap();
        assert!(matches!(here.pump(1, LONG), Err(Error::Stopped)));
    });
}

#[test]
fn a_drop_on_the_thread_itself_pumps() {
    bounded(|| {
        let runtime = runtime(2);
        let here = runtime.pinned().unwrap();
        let ran = Arc::new(AtomicU64::new(0));
        let cown = Cown::new(());
        for i in 0..1000 {
            let ran = ran.clone();
            let count = move || _ = ran.fetch_add(1, Ordering::Relaxed);
            drop(if i % 2 == 0 { here.when(&cown, move |_| count()) } else { runtime.when(&cown, move |_| count()) });
        }
        drop(runtime);
        assert_eq!(ran.load(Ordering::Relaxed), 1000);
    });
}

#[test]
fn the_last_owner_may_be_a_pinned_behavior() {
    bounded(|| {
        let runtime = runtime(1);
        let here = runtime.pinned().unwrap();
        let after = here.when((), move |()| drop(runtime));
        assert_eq!(here.pump(1, LONG).unwrap(), 1);
        after.wait().unwrap();
        until(|| matches!(here.pump(1, Duration::ZERO), Err(Error::Stopped)));
    });
}

#[test]
fn a_runtime_that_cancels_needs_no_pump() {
    bounded(|| {
        let (send, sent) = mpsc::channel();
        let (leave, left) = mpsc::channel::<()>();
        let owner = thread::spawn(move || {
            let runtime = Builder::new().workers(1).on_drop(OnDrop::Cancel).build().unwrap();
            let here = runtime.pinned().unwrap();
            let (cown, counted) = (Cown::new(0), Arc::new(()));
            // A long chain, of which only the first is in the inbox; and some that all are.
            let mut handles = Vec::new();
            for i in 0..100_000 {
                let held = counted.clone();
                let body = move || {
                    drop(held);
                    unreachable!("cancelled")
                };
                handles.push(match i % 3 {
                    0 => here.when(&cown, move |_| body()),
                    1 if i < 1000 => runtime.when(&cown, move |_| body()),
                    _ => here.when(&cown, move |_| body()),
                });
            }
            handles.extend((0..100).map(|_| here.when((), |()| unreachable!("cancelled"))));
            send.send((runtime, handles, counted)).unwrap();
            _ = left.recv_timeout(LONG);
        });
        let (runtime, handles, counted) = sent.recv_timeout(LONG).unwrap();
        drop(runtime);
        for handle in handles {
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
        assert_eq!(Arc::strong_count(&counted), 1);
        drop(leave);
        owner.join().unwrap();
    });
}

#[test]
fn what_is_pinned_to_a_thread_that_ends_is_cancelled_then_and_later() {
    bounded(|| {
        let runtime = runtime(1);
        let cown = Cown::new(0);
        let reference = runtime.reference();
        let chain = cown.clone();
        let (pinned, before) = thread::spawn(move || {
            let here = reference.pinned().unwrap();
            let mut handles: Vec<_> = (0..50_000).map(|_| here.when(&chain, |_| ())).collect();
            handles.push(here.when((), |()| ()));
            (here, handles)
        })
        .join()
        .unwrap();
        for handle in before {
            assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
        }
        for _ in 0..10 {
            assert!(matches!(pinned.when(&cown, |_| ()).wait(), Err(Failure::Cancelled)));
        }
        assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 0);
        runtime.wait(Some(LONG)).unwrap();
    });
}

#[test]
fn many_threads_push_and_none_is_lost() {
    bounded(|| {
        for _ in 0..20 {
            let runtime = runtime(2);
            let (pinned, thread) = pumping(&runtime);
            let done = Arc::new(AtomicU64::new(0));
            thread::scope(|scope| {
                for _ in 0..3 {
                    scope.spawn(|| {
                        for _ in 0..200 {
                            let (done, home) = (done.clone(), pinned.clone());
                            // One at a time, so that the pump sleeps in between as often as not.
                            let inner = pinned.when((), move |()| {
                                done.fetch_add(1, Ordering::Relaxed);
                                home.runtime().when((), |()| 1)
                            });
                            assert_eq!(inner.wait().unwrap().wait().unwrap(), 1);
                        }
                    });
                }
            });
            runtime.wait(Some(LONG)).unwrap();
            assert_eq!(thread.join().unwrap(), 600);
            assert_eq!(done.load(Ordering::Relaxed), 600);
        }
    });
}

/// Nanoseconds of processor time that the calling thread has used.
#[cfg(target_os = "linux")]
fn processor_time() -> u64 {
    let stat = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    stat.split(' ').next().unwrap().trim().parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn a_pump_that_waits_uses_no_processor_time() {
    bounded(|| {
        let runtime = runtime(1);
        let here = runtime.pinned().unwrap();
        let before = processor_time();
        assert_eq!(here.pump(1, Duration::from_millis(200)).unwrap(), 0);
        let pumped = processor_time() - before;
        assert!(pumped < 20_000_000, "{pumped} ns of 200 ms");
        // A wait that something else than mail keeps waiting.
        let (release, released) = mpsc::channel::<()>();
        drop(runtime.when((), move |()| _ = released.recv_timeout(LONG)));
        let before = processor_time();
        assert!(runtime.quiesce(Some(Duration::from_millis(200))).is_err());
        let waited = processor_time() - before;
        assert!(waited < 20_000_000, "{waited} ns of 200 ms");
        drop(release);
        runtime.wait(Some(LONG)).unwrap();
    });
}
