//! Long chains: a million hand-overs take no more stack than one.
#![cfg(not(loom))]

mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use bocage_core::{Cown, Inline, try_acquire, when_on};
use pool::{Pool, Successors};

const LINKS: u64 = 1_000_000;

/// Less than a byte for each link.
const STACK: usize = 256 * 1024;

fn on_a_small_stack<T: Send + 'static>(body: impl FnOnce() -> T + Send + 'static) -> T {
    thread::Builder::new().stack_size(STACK).spawn(body).unwrap().join().unwrap()
}

#[test]
fn a_million_behaviors_that_wait_for_one_cown_run_on_a_small_stack() {
    let seen = on_a_small_stack(|| {
        let cown = Cown::new(0);
        let held = try_acquire(&cown).unwrap();
        for _ in 0..LINKS {
            drop(when_on(Inline, &cown, |mut n| *n += 1));
        }
        let last = when_on(Inline, &cown, |n| *n);
        drop(held);
        last.wait().unwrap()
    });
    assert_eq!(seen, LINKS);
}

#[test]
fn a_behavior_that_schedules_itself_a_million_times_runs_on_a_small_stack() {
    fn step(cown: Cown<u64>) {
        let again = cown.clone();
        drop(when_on(Inline, &cown, move |mut n| {
            *n += 1;
            if *n < LINKS {
                step(again);
            }
        }));
    }
    let seen = on_a_small_stack(|| {
        let cown = Cown::new(0);
        step(cown.clone());
        when_on(Inline, &cown, |n| *n).wait().unwrap()
    });
    assert_eq!(seen, LINKS);
}

#[test]
fn a_million_results_that_each_wait_for_the_one_before_are_freed_on_a_small_stack() {
    let seen = on_a_small_stack(|| {
        let pool = Pool::new(1, Successors::Queue);
        let mut last = when_on(pool.way(), (), |()| 0_u64).into_cown();
        for _ in 0..LINKS {
            last = when_on(pool.way(), &last, |n| *n + 1).into_cown();
        }
        when_on(pool.way(), &last, |n| *n).wait().unwrap()
    });
    assert_eq!(seen, LINKS);
}

#[test]
fn a_million_cowns_that_each_hold_the_next_are_freed_on_a_small_stack() {
    /// A list, and who counts its ends.
    struct Node(#[expect(dead_code, reason = "it is there to be dropped")] Option<Cown<Node>>, Arc<AtomicU64>);
    impl Drop for Node {
        fn drop(&mut self) {
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }
    let list = |ends: &Arc<AtomicU64>| {
        (0..LINKS).fold(None, |next, _| Some(Cown::new(Node(next, ends.clone())))).expect("it is long")
    };
    let ends = Arc::new(AtomicU64::new(0));
    // By the last handle; by a behavior that has the first; in the value of another; as a result.
    let ways: [fn(Cown<Node>); 4] = [
        drop,
        |list| {
            let first = list.clone();
            when_on(Inline, &first, move |_| drop(list)).wait().unwrap();
        },
        |list| {
            let cown = Cown::new(vec![list]);
            when_on(Inline, &cown, |mut lists| lists.clear()).wait().unwrap();
        },
        |list| drop(when_on(Inline, (), |()| list)),
    ];
    for (at, way) in (1..).zip(ways) {
        let list = list(&ends);
        on_a_small_stack(move || way(list));
        assert_eq!(ends.load(Ordering::Relaxed), at * LINKS);
    }
}

/// What ends inside an end is over when the handle is gone, as long as it is not too deep.
#[test]
fn a_value_in_a_value_ends_where_its_handle_does() {
    struct Tells(Arc<AtomicU64>);
    impl Drop for Tells {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
    struct Outer(Option<Cown<Tells>>, Arc<AtomicU64>);
    impl Drop for Outer {
        fn drop(&mut self) {
            self.0 = None;
            assert_eq!(self.1.load(Ordering::Relaxed), 1);
        }
    }
    let told = Arc::new(AtomicU64::new(0));
    let outer = Cown::new(Outer(Some(Cown::new(Tells(told.clone()))), told.clone()));
    drop(Cown::new(outer));
    assert_eq!(told.load(Ordering::Relaxed), 1);
}
