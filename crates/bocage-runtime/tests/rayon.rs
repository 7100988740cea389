//! Behaviors on a rayon pool.
#![cfg(feature = "rayon")]

use std::sync::{Arc, mpsc};
use std::time::Duration;

use bocage_core::{Cown, Failure, acquire, scope, when_on};
use bocage_runtime::rayon::{GlobalPool, OwnPool};
use bocage_runtime::{Builder, Error};
use rayon_core::ThreadPoolBuilder;

/// Sums by halves, so that the thread waits inside the behavior again and again.
fn sum(numbers: &[u64]) -> u64 {
    if numbers.len() < 32 {
        return numbers.iter().sum();
    }
    let (left, right) = numbers.split_at(numbers.len() / 2);
    let (left, right) = rayon_core::join(|| sum(left), || sum(right));
    left + right
}

#[test]
fn join_inside_behaviors_that_share_cowns_neither_deadlocks_nor_reorders() {
    for threads in 1..=4 {
        let pool = OwnPool::new(Arc::new(ThreadPoolBuilder::new().num_threads(threads).build().unwrap()));
        let cowns: Vec<_> = (0..4).map(|_| Cown::new((0..1000_u64).collect::<Vec<_>>())).collect();
        let log = Cown::new(Vec::new());
        let handles: Vec<_> = (0..200_usize)
            .map(|i| {
                when_on(pool.clone(), (&cowns[i % 4], &log), move |(mut numbers, mut log)| {
                    numbers[0] += 1;
                    log.push(i);
                    sum(&numbers)
                })
            })
            .collect();
        for (i, handle) in handles.into_iter().enumerate() {
            assert_eq!(handle.wait().unwrap(), 499_500 + (i / 4) as u64 + 1);
        }
        let order = when_on(pool, &log, |log| log.clone()).wait().unwrap();
        assert!(order.iter().copied().eq(0..200), "in the order of scheduling");
    }
}

#[test]
fn a_panic_reaches_the_handle_and_the_pool_goes_on() {
    let pool = OwnPool::new(Arc::new(ThreadPoolBuilder::new().num_threads(1).build().unwrap()));
    let cown = Cown::new(1);
    let failed = when_on(pool.clone(), &cown, |_| -> i32 { panic!("on purpose") });
    let later = when_on(pool, &cown, |cown| (*cown, cown.is_poisoned()));
    assert!(failed.wait().is_err());
    assert_eq!(later.wait().unwrap(), (1, true));
}

#[test]
fn what_waits_for_a_behavior_of_a_pool_is_named_and_so_is_that() {
    /// More than it takes.
    const LONG: Duration = Duration::from_secs(60);
    /// For what can't end.
    const SHORT: Duration = Duration::from_millis(5);
    let runtime = Builder::new().workers(1).name_pending(false).build().unwrap();
    let (cown, other) = (Cown::new(0), Cown::new(0));
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    // One inside the other on the same thread, which runs no more than one at a time.
    let pool = OwnPool::new(Arc::new(ThreadPoolBuilder::new().num_threads(1).build().unwrap()));
    drop(when_on(pool.clone(), &cown, {
        let (pool, other) = (pool, other.clone());
        move |_| {
            drop(when_on(pool, &other, move |_| {
                begun.send(()).unwrap();
                _ = released.recv_timeout(LONG);
            }));
            while rayon_core::yield_now() != Some(rayon_core::Yield::Executed) {}
        }
    }));
    begin.recv_timeout(LONG).unwrap();
    runtime.spawn(&cown, |mut n| *n += 1);
    runtime.spawn((&other, &cown), |(mut other, cown)| *other += *cown);
    let Err(Error::Pending(left)) = runtime.quiesce(Some(SHORT)) else { panic!("it can't end") };
    assert_eq!((left.behaviors, left.named.len()), (2, 2), "{left:?}");
    let held_by = "rayon::what_waits_for_a_behavior_of_a_pool_is_named_and_so_is_that";
    for cown in left.named.iter().flat_map(|behavior| &behavior.cowns) {
        assert!(cown.held_by.as_ref().is_some_and(|name| name.ends_with(held_by)), "{left:?}");
    }
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(when_on(GlobalPool, (&cown, &other), |(cown, other)| (*cown, *other)).wait().unwrap(), (1, 1));
}

#[test]
fn what_would_block_a_thread_of_the_pool_panics() {
    let pool = OwnPool::new(Arc::new(ThreadPoolBuilder::new().num_threads(1).build().unwrap()));
    let cown = Cown::new(1);
    let blocks: [fn(OwnPool, Cown<i32>); 3] = [
        |_, cown| drop(acquire(&cown).wait()),
        |pool, cown| drop(when_on(pool, &cown, |_| ()).wait()),
        |pool, cown| scope(|scope| drop(scope.when_on(pool, &cown, |_| ()))),
    ];
    for block in blocks {
        let (done, is_done) = mpsc::channel();
        let (in_body, of_body) = (pool.clone(), cown.clone());
        let handle = when_on(pool.clone(), &cown, move |_| block(in_body, of_body));
        std::thread::spawn(move || done.send(handle.wait()));
        let outcome = is_done.recv_timeout(Duration::from_secs(60)).expect("it does not wait for itself");
        let Err(Failure::Panicked(panic)) = outcome else { panic!("it is refused") };
        assert!(panic.message().is_some_and(|text| text.contains("behavior")), "{panic:?}");
        // The mark goes with the behavior.
        assert!(when_on(pool.clone(), &cown, |cown| *cown).wait().is_ok());
    }
}
