//! Acquisition without a behavior: by a future in any runtime, or by a thread that blocks; and results as futures.
#![cfg(not(loom))]

mod block_on;
mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc;
use std::task::{Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use block_on::{Bell, block_on, poll};
use bocage_core::{
    Acquire, Acquired, Cown, Failure, Guard, Handle, Inline, Outcome, ReadGuard, acquire, enter_worker, read,
    try_acquire, when_on,
};
use pool::{Pool, Successors};

const LIMIT: Duration = Duration::from_secs(60);

/// Whether nobody holds it. Asks once.
fn is_free<T: Send + 'static>(cown: &Cown<T>) -> bool {
    try_acquire(cown).is_some()
}

#[test]
fn what_is_acquired_is_held_until_it_is_dropped_and_then_handed_on_in_order() {
    let (a, b) = (Cown::new(vec![0]), Cown::new(0));
    let mut held = acquire((&a, &b)).wait();
    let first = when_on(Inline, &a, |mut a| a.push(2));
    let mut second = acquire(&a);
    let bell = Arc::new(Bell::default());
    assert!(poll(&mut second, &bell).is_pending());
    let third = when_on(Inline, &a, |a| a.clone());
    held.guards().0.push(1);
    *held.guards().1 = 5;
    assert_eq!(bell.rings(), 0, "the first comes before it");
    drop(held);
    first.wait().unwrap();
    assert_eq!(bell.rings(), 1);
    let Poll::Ready(mut second) = poll(&mut second, &bell) else { panic!("it is its turn") };
    second.guards().push(3);
    drop(second);
    assert_eq!(third.wait().unwrap(), [0, 1, 2, 3]);
    assert_eq!(*acquire(&b).wait().guards(), 5);
}

#[test]
fn readers_hold_a_cown_together_whether_they_are_behaviors_or_not() {
    let cown = Cown::new(7);
    let (mut one, mut two) = (acquire(read(&cown)).wait(), block_on(acquire((read(&cown), read(&cown)))));
    assert_eq!((*one.guards(), *two.guards().0, *two.guards().1), (7, 7, 7));
    assert_eq!(when_on(Inline, read(&cown), |n| *n).wait().unwrap(), 7);
    let mut write = acquire(&cown);
    let bell = Arc::new(Bell::default());
    assert!(poll(&mut write, &bell).is_pending());
    drop(one);
    assert!(poll(&mut write, &bell).is_pending());
    drop(two);
    assert_eq!((bell.rings(), poll(&mut write, &bell).is_ready()), (1, true));
}

#[test]
fn a_future_that_moves_to_another_task_wakes_the_latest() {
    let cown = Cown::new(());
    let held = acquire(&cown).wait();
    let mut future = acquire(&cown);
    let (old, new) = (Arc::new(Bell::default()), Arc::new(Bell::default()));
    assert!(poll(&mut future, &old).is_pending());
    assert!(poll(&mut future, &new).is_pending());
    assert!(poll(&mut future, &new).is_pending());
    assert_eq!(Arc::strong_count(&old), 1, "the waker before is dropped");
    drop(held);
    assert_eq!((old.rings(), new.rings()), (0, 1));
    assert!(poll(&mut future, &old).is_ready());
    drop(future);
    assert_eq!(Arc::strong_count(&new), 1);
}

#[test]
fn a_waker_that_panics_stops_no_release() {
    /// Its drop panics as well.
    struct Trouble;
    impl Drop for Trouble {
        fn drop(&mut self) {
            // Takes no memory, which is lost.
            std::panic::resume_unwind(Box::new(()));
        }
    }
    struct Alarm;
    impl Wake for Alarm {
        fn wake(self: Arc<Self>) {
            std::panic::resume_unwind(Box::new(Trouble));
        }
    }
    let (a, b) = (Cown::new(0), Cown::new(0));
    let held = acquire((&a, &b)).wait();
    let mut future = acquire(&a);
    let waker = Waker::from(Arc::new(Alarm));
    let mut context = std::task::Context::from_waker(&waker);
    assert!(std::pin::Pin::new(&mut future).poll(&mut context).is_pending());
    drop(held);
    assert!(is_free(&b), "the cowns after it are released too");
    drop(future);
    assert!(is_free(&a));
}

#[test]
fn to_get_lost_is_no_trouble_for_a_thread_that_holds_nothing() {
    let cown = Cown::new(0);
    drop(acquire(&cown));
    assert!(is_free(&cown), "not polled: never in line");
    let references = cown.references();
    let held = acquire(&cown).wait();
    drop(acquire(&cown));
    let mut future = acquire(&cown);
    assert!(poll(&mut future, &Arc::default()).is_pending());
    drop(future);
    drop(held);
    assert!(is_free(&cown));
    assert_eq!(cown.references(), references);
}

/// Each release hands over to one that is not wanted any more, and so on: the stack must not grow with them.
#[test]
fn a_million_cancelled_in_line_take_no_stack() {
    let cown = Cown::new(0);
    let held = acquire(&cown).wait();
    let bell = Arc::new(Bell::default());
    for _ in 0..1_000_000 {
        let mut future = acquire(&cown);
        assert!(poll(&mut future, &bell).is_pending());
    }
    let last = when_on(Inline, &cown, |mut n| {
        *n += 1;
        *n
    });
    let small = thread::Builder::new().stack_size(256 << 10);
    thread::scope(|s| small.spawn_scoped(s, || drop(held)).unwrap().join().unwrap());
    assert_eq!(last.wait().unwrap(), 1);
    assert_eq!(bell.rings(), 0);
}

#[test]
fn a_panic_poisons_what_was_acquired_to_write() {
    let (written, looked_at) = (Cown::new(1), Cown::new(2));
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let mut held = acquire((&written, read(&looked_at))).wait();
        *held.guards().0 = 10;
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(outcome.is_err());
    assert!(!acquire(read(&looked_at)).wait().guards().is_poisoned());
    let mut held = acquire(&written).wait();
    assert!(held.guards().is_poisoned());
    held.guards().clear_poison();
    drop(held);
    assert!(!acquire(&written).wait().guards().is_poisoned());

    // One that is only let go of while another panic passes by is in order.
    struct LooksWhileItFalls(Cown<i32>);
    impl Drop for LooksWhileItFalls {
        fn drop(&mut self) {
            *acquire(&self.0).wait().guards() += 1;
        }
    }
    let cown = written.clone();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let _looks = LooksWhileItFalls(cown);
        std::panic::resume_unwind(Box::new("on purpose"));
    }));
    assert!(outcome.is_err());
    let mut held = acquire(&written).wait();
    assert_eq!((*held.guards(), held.guards().is_poisoned()), (11, false));
}

#[test]
fn a_result_that_is_not_there_is_an_error_and_not_a_guard() {
    let failed = when_on(Inline, (), |()| -> i32 { std::panic::resume_unwind(Box::new("on purpose")) }).into_cown();
    let other = Cown::new(1);
    let mut held = acquire((&other, &failed)).wait();
    assert!(matches!(held.try_guards().map(drop), Err(Failure::Missing)));
    let Err(said) = catch_unwind(AssertUnwindSafe(|| *held.guards().1)) else { panic!("there is no value") };
    assert!(said.downcast_ref::<&str>().unwrap().contains("try_guards"));
    drop(held);
    assert!(is_free(&failed) && is_free(&other));
    let there = when_on(Inline, (), |()| 4).into_cown();
    assert_eq!(*acquire(&there).wait().guards(), 4);
}

#[test]
fn a_worker_that_would_block_panics_before_it_is_in_line() {
    let cown = Cown::new(0);
    let waits = cown.clone();
    let outcome = when_on(Inline, (), move |()| {
        drop(acquire(&waits).wait());
    });
    let Err(Failure::Panicked(text)) = outcome.wait() else { panic!("a behavior can't block") };
    assert!(text.downcast_ref::<&str>().unwrap().contains("runs behaviors"));
    let _mark = enter_worker();
    assert!(catch_unwind(AssertUnwindSafe(|| drop(acquire(&cown).wait()))).is_err());
    assert!(is_free(&cown));
}

#[test]
fn results_are_futures_whatever_became_of_the_behavior() {
    let cown = Cown::new(1);
    let held = acquire(&cown).wait();
    let mut sum = when_on(Inline, &cown, |n| *n + 1).into_future();
    let mut lost = when_on(Inline, &cown, |_| ()).into_future();
    let cancelled = when_on(Inline, &cown, |n| *n).into_cown();
    let bell = Arc::new(Bell::default());
    assert!(poll(&mut sum, &bell).is_pending());
    assert!(poll(&mut lost, &Arc::default()).is_pending());
    drop(lost);
    drop(held);
    assert_eq!(bell.rings(), 1);
    assert!(matches!(poll(&mut sum, &bell), Poll::Ready(Ok(2))));
    assert!(catch_unwind(AssertUnwindSafe(|| poll(&mut sum, &bell))).is_err(), "it was taken");
    assert!(is_free(&cancelled));

    let failed: Handle<()> = when_on(Inline, &cown, |_| std::panic::resume_unwind(Box::new(42)));
    let Err(Failure::Panicked(payload)) = block_on(failed.into_future()) else { panic!("the panic arrives") };
    assert_eq!(payload.downcast_ref(), Some(&42));
}

#[test]
fn tasks_of_tokio_and_behaviors_and_threads_share_cowns() {
    share(Successors::Next);
    share(Successors::Queue);
}

fn share(successors: Successors) {
    const TASKS: u64 = 8;
    const TURNS: u64 = 300;
    let cowns: Arc<Vec<Cown<u64>>> = Arc::new((0..4).map(|_| Cown::new(0)).collect());
    let pool = Pool::new(2, successors);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let (done, finished) = mpsc::channel();
    for task in 0..TASKS {
        let (cowns, done, way) = (cowns.clone(), done.clone(), pool.way());
        runtime.spawn(async move {
            for turn in 0..TURNS {
                let (x, y) = ((task + turn) as usize % 4, (task + turn * 3 + 1) as usize % 4);
                if x == y {
                    when_on(way.clone(), &cowns[x], |mut x| *x += 2).await.unwrap();
                    continue;
                }
                let mut held = acquire((&cowns[x], &cowns[y])).await;
                // Guards stay in a task over an await.
                let (mut x, mut y) = held.guards();
                let before = (*x, *y);
                tokio::task::yield_now().await;
                assert_eq!((*x, *y), before, "nobody else has them");
                *x += 1;
                *y += 1;
            }
            done.send(()).unwrap();
        });
    }
    for turn in 0..TURNS as usize {
        *acquire(&cowns[turn % 4]).wait().guards() += 2;
    }
    drop(done);
    for _ in 0..TASKS {
        finished.recv_timeout(LIMIT).expect("every task ends");
    }
    let total: u64 = acquire(&cowns[..]).wait().guards().iter().sum();
    assert_eq!(total, (TASKS + 1) * TURNS * 2);
}

/// What may go where is part of the contract.
#[test]
fn guards_are_as_send_and_sync_as_references() {
    fn send<T: Send>() {}
    fn sync<T: Sync>() {}
    send::<Guard<'_, std::cell::Cell<i32>>>();
    sync::<Guard<'_, i32>>();
    send::<ReadGuard<'_, i32>>();
    sync::<ReadGuard<'_, i32>>();
    send::<Acquire<(&Cown<std::cell::Cell<i32>>, bocage_core::Read<&Cown<i32>>)>>();
    send::<Acquired<&Cown<std::cell::Cell<i32>>>>();
    send::<Outcome<std::cell::Cell<i32>>>();

    // A behavior may share its cowns out among threads of its own.
    let (a, b) = (Cown::new(1), Cown::new(2));
    let both = when_on(Inline, (&a, read(&b)), |(mut a, b)| {
        thread::scope(|s| {
            let look = &b;
            s.spawn(move || *a += **look).join().unwrap();
        });
        *b
    });
    assert_eq!(both.wait().unwrap(), 2);
    assert_eq!(*acquire(&a).wait().guards(), 3);
}
