//! Long chains: a million hand-overs take no more stack than one.
#![cfg(not(loom))]

mod pool;

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
