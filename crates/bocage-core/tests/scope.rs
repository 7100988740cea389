//! Scopes: bodies borrow from the stack, and none of them outlives it.
#![cfg(not(loom))]

mod block_on;
mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, mpsc};
use std::thread;
use std::time::Duration;

use block_on::block_on;
use bocage_core::{
    Cown, Erased, Executor, Failure, Held, Inline, Ready, Requests, acquire, enter_worker, help_while_waiting, read,
    scope, try_acquire, when_on,
};
use pool::{Pool, Successors};

#[test]
fn bodies_write_to_the_stack_and_are_done_when_the_scope_is() {
    let pool = Pool::new(3, Successors::Queue);
    for round in 0..200_usize {
        let cowns: Vec<Cown<usize>> = (0..4).map(|_| Cown::new(0)).collect();
        let (ran, mut slots) = (AtomicUsize::new(0), [0_usize; 16]);
        scope(|s| {
            for (i, slot) in slots.iter_mut().enumerate() {
                let ran = &ran;
                s.when_on(pool.way(), (&cowns[i % 4], read(&cowns[(i + 1) % 4])), move |(mut own, _)| {
                    *own += 1;
                    *slot = i + round;
                    ran.fetch_add(1, Ordering::Relaxed);
                });
            }
        });
        assert_eq!(ran.load(Ordering::Relaxed), 16);
        assert_eq!(slots, std::array::from_fn(|i| i + round));
        for cown in &cowns {
            let held = try_acquire(cown);
            assert!(held.is_some(), "the cowns are released when the scope ends, and not soon after");
            drop(held);
            assert_eq!(*acquire(cown).wait().guards(), 4);
        }
    }
}

#[test]
fn bodies_schedule_in_their_own_scope_and_it_waits_for_those_too() {
    let (pool, cown, depth) = (Pool::new(2, Successors::Next), Cown::new(0), AtomicUsize::new(0));
    fn dig<'scope>(
        s: &'scope bocage_core::Scope<'scope, '_>,
        way: pool::Way,
        cown: &'scope Cown<usize>,
        depth: &'scope AtomicUsize,
    ) {
        let next = way.clone();
        s.when_on(way, cown, move |mut n| {
            *n += 1;
            depth.fetch_add(1, Ordering::Relaxed);
            if *n < 1000 {
                dig(s, next, cown, depth);
            }
        });
    }
    scope(|s| dig(s, pool.way(), &cown, &depth));
    assert_eq!(depth.load(Ordering::Relaxed), 1000);
}

#[test]
fn it_joins_also_when_its_closure_panics() {
    let (pool, cown, ran) = (Pool::new(2, Successors::Next), Cown::new(0), AtomicUsize::new(0));
    let held = try_acquire(&cown).expect("it is new");
    let (panics, in_panic) = mpsc::channel();
    let outcome = thread::scope(|threads| {
        let blocked = threads.spawn(|| {
            catch_unwind(AssertUnwindSafe(|| {
                scope(|s| {
                    for _ in 0..10 {
                        s.when_on(pool.way(), &cown, |_| ran.fetch_add(1, Ordering::Relaxed));
                    }
                    panics.send(()).unwrap();
                    resume_unwind(Box::new("the closure's"));
                })
            }))
        });
        in_panic.recv().unwrap();
        assert_eq!(ran.load(Ordering::Relaxed), 0);
        drop(held);
        blocked.join().unwrap()
    });
    assert_eq!(outcome.unwrap_err().downcast_ref(), Some(&"the closure's"));
    assert_eq!(ran.load(Ordering::Relaxed), 10);
}

#[test]
fn a_body_that_panics_ends_the_scope_with_a_panic_unless_somebody_took_it() {
    fn fails() {
        resume_unwind(Box::new("the body's"));
    }
    let cown = Cown::new(0);
    let said = catch_unwind(AssertUnwindSafe(|| {
        scope(|s| {
            s.when_on(Inline, &cown, |_| fails());
            s.when_on(Inline, &cown, |mut n| *n += 1);
        });
    }));
    assert_eq!(said.unwrap_err().downcast_ref(), Some(&"a scoped behavior panicked"));
    let mut held = acquire(&cown).wait();
    assert_eq!((*held.guards(), held.guards().is_poisoned()), (1, true), "the others ran all the same");
    drop(held);

    let seen = scope(|s| {
        let first = s.when_on(Inline, &cown, |_| fails()).wait();
        let second = block_on(s.when_on(Inline, &cown, |_| fails()).into_future());
        [first, second]
    });
    for outcome in seen {
        let Err(Failure::Panicked(payload)) = outcome else { panic!("it panicked") };
        assert_eq!(payload.downcast_ref(), Some(&"the body's"));
    }
    let one_of_two = catch_unwind(AssertUnwindSafe(|| {
        scope(|s| {
            s.when_on(Inline, &cown, |_| fails());
            let _ = s.when_on(Inline, &cown, |_| fails()).wait();
        });
    }));
    assert!(one_of_two.is_err());
}

#[test]
fn a_result_can_outlive_the_scope_and_others_can_ask_for_it_in_there() {
    let text = String::from("borrowed");
    let length = scope(|s| {
        let length = s.when_on(Inline, (), |()| text.len());
        let again = length.cown();
        assert_eq!(s.when_on(Inline, &again, |n| *n + text.len()).wait().unwrap(), 16);
        length.into_cown()
    });
    assert_eq!(when_on(Inline, &length, |n| *n).wait().unwrap(), 8);
}

#[test]
fn what_an_executor_cancels_drops_what_it_borrowed_before_the_end() {
    #[derive(Clone)]
    struct Cancels;
    impl Executor for Cancels {
        fn ready(&self, ready: Ready) {
            drop(ready);
        }
    }
    struct Notes<'a>(&'a Mutex<Vec<u8>>);
    impl Drop for Notes<'_> {
        fn drop(&mut self) {
            self.0.lock().unwrap().push(1);
        }
    }
    let dropped = Mutex::new(Vec::new());
    scope(|s| {
        let notes = Notes(&dropped);
        let outcome = s.when_on(Cancels, (), move |()| drop(notes)).wait();
        assert!(matches!(outcome, Err(Failure::Cancelled)));
    });
    assert_eq!(dropped.into_inner().unwrap(), [1]);
}

#[test]
fn a_request_that_panics_does_not_keep_the_scope_open() {
    /// Shows its cown, and panics then.
    struct Broken<'a>(&'a Cown<i32>);
    // SAFETY: it never gets as far as guards.
    unsafe impl Requests for Broken<'_> {
        type Shape = ();
        type Guards<'a> = ();
        type Lasting = Broken<'static>;
        fn count(&self) -> usize {
            1
        }
        fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
            see(Erased::new(self.0));
            panic!("on purpose")
        }
        fn shape(&self) {}
        unsafe fn guards((): &(), _: &mut Held<'_>) {}
    }
    let cown = Cown::new(0);
    scope(|s| {
        let broken = catch_unwind(AssertUnwindSafe(|| s.when_on(Inline, Broken(&cown), |()| ())));
        assert!(broken.is_err());
    });
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn on_a_worker_it_panics_before_its_closure_runs() {
    let ran = AtomicUsize::new(0);
    let _mark = enter_worker();
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        scope(|_| ran.fetch_add(1, Ordering::Relaxed));
    }));
    assert!(outcome.unwrap_err().downcast_ref::<&str>().unwrap().contains("runs behaviors"));
    assert_eq!(ran.load(Ordering::Relaxed), 0);
}

/// Strangers link behind the scope's behaviors all the time, so that some blocks outlive the scope.
#[test]
fn a_stranger_that_comes_behind_drops_nothing_that_was_borrowed() {
    let (pool, cown) = (Pool::new(2, Successors::Next), Cown::new(0_usize));
    let stop = AtomicUsize::new(0);
    thread::scope(|threads| {
        threads.spawn(|| {
            while stop.load(Ordering::Relaxed) == 0 {
                drop(acquire(&cown).wait());
            }
        });
        for round in 0..2000 {
            let guarded = Box::new(round);
            scope(|s| {
                for _ in 0..4 {
                    s.when_on(pool.way(), &cown, |mut n| *n += usize::from(*guarded == round));
                }
            });
            drop(guarded);
        }
        stop.store(1, Ordering::Relaxed);
    });
    assert_eq!(*acquire(&cown).wait().guards(), 8000);
}

#[test]
fn a_help_that_panics_ends_the_scope_with_that_panic_but_not_before_the_bodies_are_done() {
    /// Long enough for a scope that does not wait to end, and short enough for one that does to be waited for.
    const WHILE: Duration = Duration::from_millis(50);
    let cown = Cown::new(0);
    let held = try_acquire(&cown).expect("nobody has it");
    let (ended, has_ended) = mpsc::channel();
    let releaser = thread::spawn(move || {
        let early = has_ended.recv_timeout(WHILE).is_ok();
        drop(held);
        early
    });
    let panic = {
        let _helping = help_while_waiting(|| resume_unwind(Box::new("no help")));
        let mut borrowed = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            scope(|s| {
                let borrowed = &mut borrowed;
                s.when_on(Inline, &cown, move |_| *borrowed = 1);
            });
        }));
        // Who takes the other side for gone is right.
        let _ = ended.send(());
        assert!(!releaser.join().unwrap(), "what the body borrows was gone before the body ran");
        assert_eq!(borrowed, 1);
        outcome.unwrap_err()
    };
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"no help"));
}
