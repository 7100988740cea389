//! Closures, values and results are dropped, each once, whatever becomes of the behavior.
#![cfg(not(loom))]

mod pool;

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use bocage_core::{
    Batch, Cown, Erased, Executor, Inline, Ready, read, schedule_erased, spawn_on, try_acquire, when_on,
};
use pool::{Pool, Successors};

/// How many [`Token`]s there are.
#[derive(Clone, Default)]
struct Census(Arc<AtomicIsize>);

struct Token(Census);

impl Census {
    fn token(&self) -> Token {
        self.0.fetch_add(1, Ordering::Relaxed);
        Token(self.clone())
    }

    fn alive(&self) -> isize {
        // Acquire: pairs with the Release of the drops.
        self.0.load(Ordering::Acquire)
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `alive`.
        let before = self.0.0.fetch_sub(1, Ordering::Release);
        assert!(before > 0, "more drops than tokens");
    }
}

#[derive(Clone)]
struct Cancels;

impl Executor for Cancels {
    fn ready(&self, ready: Ready) {
        drop(ready);
    }
}

#[test]
fn a_closure_is_dropped_when_its_body_ends_and_a_value_with_the_last_handle() {
    let census = Census::default();
    let (cown, token) = (Cown::new(census.token()), census.token());
    let handle = when_on(Inline, &cown, move |_| {
        let _token = token;
    });
    assert_eq!(census.alive(), 1, "the handle does not keep the closure");
    drop((handle, cown));
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_result_is_dropped_once_whether_it_is_taken_ignored_or_replaced() {
    let census = Census::default();
    let make = |census: &Census| {
        let census = census.clone();
        when_on(Inline, (), move |()| census.token())
    };
    drop(make(&census));
    assert_eq!(census.alive(), 0);
    let taken = make(&census).wait().unwrap();
    assert_eq!(census.alive(), 1);
    drop(taken);
    assert_eq!(census.alive(), 0);

    let replaced = make(&census).into_cown();
    let again = census.clone();
    drop(when_on(Inline, &replaced, move |mut token| *token = again.token()));
    assert_eq!(census.alive(), 1);
    drop(replaced);
    assert_eq!(census.alive(), 0);
}

#[test]
fn nothing_is_left_when_bodies_panic_or_are_cancelled() {
    let census = Census::default();
    let cown = Cown::new(census.token());
    for run in 0..2 {
        let (token, payload) = (census.token(), census.token());
        let body = move |_| {
            let _token = token;
            resume_unwind(Box::new(payload))
        };
        let handle = if run == 0 {
            when_on(Inline, &cown, |guard| body(guard.is_poisoned()))
        } else {
            when_on(Cancels, &cown, |guard| body(guard.is_poisoned()))
        };
        assert_eq!(census.alive(), 2 - run, "the payload is kept for the handle");
        drop::<bocage_core::Handle<()>>(handle);
        assert_eq!(census.alive(), 1);
    }
    drop(cown);
    assert_eq!(census.alive(), 0);
}

#[test]
fn nothing_is_left_of_a_behavior_without_a_handle_when_its_run_is_over() {
    fn body(tokens: (Token, Token), panics: bool) {
        let (_token, payload) = tokens;
        if panics {
            resume_unwind(Box::new(payload));
        }
    }
    let census = Census::default();
    let (a, b) = (Cown::new(census.token()), Cown::new(0));
    for panics in [false, true] {
        // Free; behind one that holds the cown; and never run.
        let tokens = || (census.token(), census.token());
        spawn_on(Inline, &a, {
            let tokens = tokens();
            move |_| body(tokens, panics)
        });
        assert_eq!(census.alive(), 1);
        let held = try_acquire(&b).expect("nobody has it");
        spawn_on(Inline, (read(&b), &a), {
            let tokens = tokens();
            move |_| body(tokens, panics)
        });
        assert_eq!(census.alive(), 3, "it waits");
        drop(held);
        assert_eq!(census.alive(), 1);
        spawn_on(Cancels, &a, {
            let tokens = tokens();
            move |_| body(tokens, panics)
        });
        let mut batch = Batch::new();
        batch.spawn_on(Inline, &a, {
            let tokens = tokens();
            move |_| body(tokens, panics)
        });
        drop(batch);
        assert_eq!(census.alive(), 1);
        assert_eq!(when_on(Inline, &a, |a| a.is_poisoned()).wait().unwrap(), panics);
    }
    drop(a);
    assert_eq!(census.alive(), 0);
}

#[test]
fn a_result_that_was_given_up_front_is_replaced_or_kept_and_goes_if_the_body_panics() {
    let census = Census::default();
    for ending in ["keep", "set", "panic"] {
        let (first, again) = (census.token(), census.clone());
        let mut cowns: [Erased<'_>; 0] = [];
        let result = schedule_erased(Inline, &mut cowns, Some(first), move |mut place| match ending {
            "keep" => assert!(place.get_mut().is_some()),
            "set" => place.set(again.token()),
            _ => resume_unwind(Box::new("ends")),
        });
        assert_eq!(census.alive(), if ending == "panic" { 0 } else { 1 }, "{ending}");
        drop(result);
        assert_eq!(census.alive(), 0, "{ending}");
    }
}

#[test]
fn a_cown_lives_as_long_as_a_behavior_waits_for_it() {
    let census = Census::default();
    let seen = {
        let cown = Cown::new(census.token());
        let again = cown.clone();
        when_on(Inline, &cown, move |_| {
            let inner = when_on(Inline, &again, |guard| guard.0.alive());
            drop(again);
            inner
        })
    };
    assert_eq!(seen.wait().unwrap().wait().unwrap(), 1);
    assert_eq!(census.alive(), 0);
}

#[test]
fn nothing_is_left_after_many_behaviors_on_several_threads() {
    let census = Census::default();
    let pool = Pool::new(3, Successors::Queue);
    let cowns: Vec<_> = (0..4).map(|_| Cown::new(census.token())).collect();
    for turn in 0..4000 {
        let (token, result) = (census.token(), census.token());
        let pair = (&cowns[turn % 4], &cowns[(turn * 3 + 1) % 4]);
        let fails = turn % 10 == 0;
        if pair.0 == pair.1 {
            continue;
        }
        drop(when_on(pool.way(), pair, move |(mut first, _)| {
            *first = token;
            if fails {
                resume_unwind(Box::new(result));
            }
            result
        }));
    }
    drop((cowns, pool));
    assert_eq!(census.alive(), 0);
}

/// A value whose drop panics.
struct Bomb;

impl Drop for Bomb {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            panic!("in a drop");
        }
    }
}

/// Keeps what is ready until it is run.
#[derive(Clone, Default)]
struct Shelf(Arc<std::sync::Mutex<Vec<Ready>>>);

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().push(ready);
    }
}

impl Shelf {
    fn run_all(&self) {
        while let Some(ready) = { self.0.lock().unwrap().pop() } {
            ready.run();
        }
    }
}

#[test]
fn a_value_whose_drop_panics_keeps_no_cown_from_its_release() {
    for reads in [false, true] {
        let (shelf, bomb, other, result) = (Shelf::default(), Cown::new(Bomb), Cown::new(0), Cown::new(0));
        // The last reference to the bomb goes in the middle of the release.
        let handle = if reads {
            when_on(shelf.clone(), (read(&bomb), &other), |_| Bomb)
        } else {
            when_on(shelf.clone(), (&bomb, &other), |_| Bomb)
        };
        // And the result's at its end.
        drop((bomb, handle));
        drop(when_on(shelf.clone(), (&other, &result), |(other, mut result)| *result = *other + 1));
        shelf.run_all();
        assert_eq!(when_on(Inline, (&other, &result), |(other, result)| (*other, *result)).wait().unwrap(), (0, 1));
    }
}
