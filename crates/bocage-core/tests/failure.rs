//! Bodies that panic, behaviors that are cancelled, results that are not there; and waiting for all of it.
#![cfg(not(loom))]

mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc;
use std::sync::{Arc, Barrier, Mutex};
use std::thread;

use bocage_core::{Cown, Executor, Failure, Handle, Inline, Ready, enter_worker, try_acquire, when_on};
use pool::{Pool, Successors};

/// A panic with a payload that the hook does not print.
fn fail<T>(payload: &'static str) -> T {
    resume_unwind(Box::new(payload))
}

fn payload<R: Send + 'static>(handle: Handle<R>) -> &'static str {
    match handle.wait() {
        Err(Failure::Panicked(payload)) => payload.downcast_ref::<&str>().copied().expect("as it was given"),
        Err(other) => panic!("it failed otherwise: {other}"),
        Ok(_) => panic!("it did not fail"),
    }
}

/// Keeps what is ready until it is asked to do something with it.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Ready>>>);

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().push(ready);
    }
}

impl Shelf {
    fn take(&self) -> Vec<Ready> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

#[test]
fn a_panic_reaches_the_handle_and_its_cowns_are_released_and_poisoned() {
    let (a, b, other) = (Cown::new(1), Cown::new(2), Cown::new(3));
    let failed: Handle<()> = when_on(Inline, (&a, &b), |(mut a, _)| {
        *a = 10;
        fail("no more")
    });
    assert_eq!(payload(failed), "no more");
    let marks = when_on(Inline, (&a, &b, &other), |(mut a, b, other)| {
        let marks = (*a, a.is_poisoned(), b.is_poisoned(), other.is_poisoned());
        a.clear_poison();
        marks
    });
    assert_eq!(marks.wait().unwrap(), (10, true, true, false));
    let marks = when_on(Inline, (&a, &b), |(a, b)| (a.is_poisoned(), b.is_poisoned()));
    assert_eq!(marks.wait().unwrap(), (false, true));
}

#[test]
fn whoever_asks_for_a_result_that_is_not_there_does_not_run_and_says_so() {
    let cown = Cown::new(0);
    let failed: Handle<u32> = when_on(Inline, &cown, |_| fail("first"));
    let dependent = when_on(Inline, (&failed.cown(), &cown), |(_, mut cown)| *cown += 1);
    let further = when_on(Inline, &dependent.cown(), |_| ());
    assert!(matches!(further.wait(), Err(Failure::Missing)));
    assert!(matches!(dependent.wait(), Err(Failure::Missing)));
    assert_eq!(payload(failed), "first");
    assert_eq!(when_on(Inline, &cown, |cown| *cown).wait().unwrap(), 0, "the dependent's body did not run");
}

#[test]
fn a_result_that_was_taken_is_missing_for_those_who_come_later() {
    let made = when_on(Inline, (), |()| String::from("once"));
    let cown = made.cown();
    assert_eq!(when_on(Inline, &cown, |text| text.len()).wait().unwrap(), 4);
    assert_eq!(made.wait().unwrap(), "once");
    assert!(matches!(when_on(Inline, &cown, |text| text.len()).wait(), Err(Failure::Missing)));
}

#[test]
fn a_failure_says_what_happened() {
    let told: Handle<()> = when_on(Inline, (), |()| resume_unwind(Box::new(format!("at step {}", 3))));
    assert_eq!(told.wait().unwrap_err().to_string(), "the behavior panicked: at step 3");
    let silent: Handle<()> = when_on(Inline, (), |()| resume_unwind(Box::new(3)));
    assert_eq!(silent.wait().unwrap_err().to_string(), "the behavior panicked: (a payload that is no text)");
}

#[test]
fn dropping_a_ready_behavior_cancels_it_and_releases_its_cowns() {
    let shelf = Shelf::default();
    let cown = Cown::new(0);
    let cancelled = when_on(shelf.clone(), &cown, |mut n| *n += 1);
    let next = when_on(shelf.clone(), &cown, |mut n| {
        *n += 10;
        *n
    });
    assert_eq!(shelf.0.lock().unwrap().len(), 1, "the second waits for the first");
    drop(shelf.take());
    let ready = shelf.take();
    assert_eq!(ready.len(), 1, "and has the cown as soon as the first is cancelled");
    ready.into_iter().for_each(Ready::run);
    assert!(matches!(cancelled.wait(), Err(Failure::Cancelled)));
    assert_eq!(next.wait().unwrap(), 10);
}

#[test]
fn a_ready_behavior_survives_the_way_through_a_raw_pointer_and_through_dispatch() {
    let shelf = Shelf::default();
    let done = when_on(shelf.clone(), (), |()| 5);
    let [ready] = <[Ready; 1]>::try_from(shelf.take()).unwrap();
    // SAFETY: just made, and used once.
    unsafe { Ready::from_raw(ready.into_raw()) }.dispatch();
    shelf.take().into_iter().for_each(Ready::run);
    assert_eq!(done.wait().unwrap(), 5);
}

#[test]
fn a_closure_whose_drop_panics_still_releases_its_cowns() {
    struct Bad;
    impl Drop for Bad {
        fn drop(&mut self) {
            fail("in drop")
        }
    }
    let cown = Cown::new(0);
    let bad = Bad;
    let failed = when_on(Inline, &cown, move |_| drop(bad));
    assert_eq!(payload(failed), "in drop");
    let (shelf, bad) = (Shelf::default(), Bad);
    let cancelled = when_on(shelf.clone(), &cown, move |_| drop(bad));
    drop(shelf.take());
    assert_eq!(payload(cancelled), "in drop");
    assert_eq!(when_on(Inline, &cown, |n| *n).wait().unwrap(), 0);
}

#[test]
fn several_threads_wait_for_results_and_each_gets_its_own() {
    let pool = Pool::new(2, Successors::Next);
    let cown = Cown::new(0);
    let start = Barrier::new(8);
    thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                start.wait();
                let mut last = 0;
                for _ in 0..200 {
                    let turn = when_on(pool.way(), &cown, |mut n| {
                        *n += 1;
                        *n
                    });
                    let turn = turn.wait().unwrap();
                    assert!(turn > last);
                    last = turn;
                }
            });
        }
    });
    assert_eq!(when_on(pool.way(), &cown, |n| *n).wait().unwrap(), 8 * 200);
}

#[test]
fn a_wait_that_begins_before_the_behavior_is_done_ends_when_it_is() {
    let pool = Pool::new(1, Successors::Queue);
    let (open, opened) = mpsc::channel();
    let held = when_on(pool.way(), (), move |()| opened.recv().unwrap());
    let waiter = thread::spawn(|| held.wait().unwrap());
    open.send("through").unwrap();
    assert_eq!(waiter.join().unwrap(), "through");
}

#[test]
fn a_thread_that_runs_behaviors_may_not_wait_and_may_again_when_it_no_longer_does() {
    let try_wait = || {
        let handle = when_on(Inline, (), |()| 1);
        catch_unwind(AssertUnwindSafe(|| handle.wait().unwrap()))
    };
    let mark = enter_worker();
    let inner = enter_worker();
    drop(inner);
    let panic = try_wait().expect_err("marked");
    assert!(panic.downcast_ref::<&str>().is_some_and(|text| text.contains("Schedule a behavior on the cown instead")));
    drop(mark);
    assert_eq!(try_wait().unwrap(), 1);

    let other = when_on(Inline, (), |()| 1);
    let waits_in_body = when_on(Inline, (), move |()| other.wait().unwrap());
    assert!(matches!(waits_in_body.wait(), Err(Failure::Panicked(_))));
}

#[test]
fn what_is_acquired_by_trying_is_held_until_it_is_dropped_and_behaviors_wait_for_it() {
    let cown = Cown::new(0);
    let held = try_acquire(&cown).unwrap();
    assert!(try_acquire(&cown).is_none());
    let later = when_on(Inline, &cown, |mut n| {
        *n += 1;
        *n
    });
    drop(held);
    assert_eq!(later.wait().unwrap(), 1);
    drop(try_acquire(&cown).expect("free again"));
    assert_eq!(cown.references(), 1);
}
