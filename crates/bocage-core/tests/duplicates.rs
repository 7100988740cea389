//! A request that names a cown more than once.
#![cfg(not(loom))]

mod pool;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::channel;
use std::time::Duration;

use bocage_core::{Batch, Cown, Failure, Inline, acquire, read, scope, when_on};
use pool::{Pool, Successors};

/// Longer than any step of these tests takes.
const LIMIT: Duration = Duration::from_secs(60);

fn text_of(failure: &Failure) -> String {
    failure.to_string()
}

#[test]
fn the_first_guard_that_writes_has_the_value_wherever_it_stands() {
    let (a, b) = (Cown::new(1), Cown::new(2));
    let aliases = when_on(Inline, (read(&a), (&b, [&a, &a]), read(&b), &a), |(r, (mut b, [mut a, x]), s, y)| {
        *a += 10;
        *b += 20;
        (r.is_alias(), b.is_alias(), a.is_alias(), x.is_alias(), s.is_alias(), y.is_alias())
    });
    assert_eq!(aliases.wait().unwrap(), (true, false, false, true, true, true));
    assert_eq!(when_on(Inline, (&a, &b), |(a, b)| (*a, *b)).wait().unwrap(), (11, 22));
}

#[test]
fn all_guards_of_a_cown_that_is_only_read_have_the_value() {
    let cown = Cown::new(7);
    let list = vec![cown.clone(); 20];
    let seen = when_on(Inline, (read(&cown), read(&list), [read(&cown)]), |(one, all, [last])| {
        assert!(!one.is_alias());
        // All at once, as shared references may be.
        let together: Vec<&i32> = all.iter().chain([&*one, &*last]).collect();
        let sum = together.iter().copied().sum::<i32>();
        assert!(all.into_iter().all(|guard| !guard.is_alias()));
        sum
    });
    assert_eq!(seen.wait().unwrap(), 22 * 7);
}

#[test]
fn an_alias_panics_in_the_body_and_says_which_cown_and_what_to_do() {
    let cown = Cown::new(1);
    let written = when_on(Inline, (&cown, &cown), |(_, mut again)| *again = 2).wait().unwrap_err();
    let seen = when_on(Inline, (&cown, &cown), |(_, again)| *again).wait().unwrap_err();
    let read_too = when_on(Inline, (read(&cown), &cown), |(first, _)| *first).wait().unwrap_err();
    for failure in [written, seen, read_too] {
        let text = text_of(&failure);
        assert!(text.contains(&format!("names {:?} more than once", cown.id())), "{text}");
        assert!(text.contains("is_alias"), "{text}");
    }
    // It is a panic like any other: the cown is free, as it was, and poisoned.
    let after = when_on(Inline, &cown, |cown| (*cown, cown.is_poisoned()));
    assert_eq!(after.wait().unwrap(), (1, true));
}

#[test]
fn an_alias_shows_and_clears_poison_and_can_be_printed() {
    let cown = Cown::new(1);
    assert!(when_on(Inline, &cown, |_| panic!("on purpose")).wait().is_err());
    let shown = when_on(Inline, (&cown, read(&cown), &cown), |(first, reader, mut again)| {
        assert!(first.is_poisoned() && reader.is_poisoned() && again.is_poisoned());
        again.clear_poison();
        assert!(!first.is_poisoned() && !reader.is_poisoned());
        format!("{first:?} {reader:?} {again:?}")
    });
    let id = cown.id();
    assert_eq!(shown.wait().unwrap(), format!("1 <alias of {id:?}> <alias of {id:?}>"));
}

#[test]
fn references_are_returned_however_often_a_cown_is_named() {
    let cown = Cown::new(0_u8);
    for times in 0..40 {
        let names: Vec<&Cown<u8>> = vec![&cown; times];
        drop(when_on(Inline, names, |_| ()));
        let names = vec![(read(&cown), &cown); times];
        drop(when_on(Inline, &names[..], |_| ()));
        let names = vec![read(&cown); times];
        drop(when_on(Inline, names, |_| ()));
    }
    assert_eq!(cown.references(), 1);
}

#[test]
fn read_and_write_of_one_cown_is_a_write_to_others() {
    let pool = Pool::new(2, Successors::Queue);
    let cown = Cown::new(0);
    let (go, gate) = channel::<()>();
    let (begun, has_begun) = channel();
    drop(when_on(pool.way(), (read(&cown), &cown), move |(_, mut cown)| {
        begun.send(()).unwrap();
        gate.recv_timeout(LIMIT).unwrap();
        *cown = 1;
    }));
    has_begun.recv_timeout(LIMIT).unwrap();
    // The second thread is free, but a reader has to wait for the writer.
    let reader = when_on(pool.way(), (read(&cown), read(&cown)), |(cown, _)| *cown);
    // Passes through the pool's queue after the reader would have.
    when_on(pool.way(), (), |()| ()).wait().unwrap();
    go.send(()).unwrap();
    assert_eq!(reader.wait().unwrap(), 1);
}

#[test]
fn readers_of_a_cown_that_they_name_twice_run_at_the_same_time() {
    let pool = Pool::new(2, Successors::Queue);
    let cown = Cown::new(5);
    let ((to_one, one), (to_other, other)) = (channel(), channel());
    let meet = move |send: std::sync::mpsc::Sender<()>, receive: std::sync::mpsc::Receiver<()>| {
        send.send(()).unwrap();
        receive.recv_timeout(LIMIT).unwrap();
    };
    let first = when_on(pool.way(), (read(&cown), read(&cown)), move |(a, b)| {
        meet(to_other, one);
        *a + *b
    });
    let second = when_on(pool.way(), [read(&cown), read(&cown)], move |[a, b]| {
        meet(to_one, other);
        *a + *b
    });
    assert_eq!((first.wait().unwrap(), second.wait().unwrap()), (10, 10));
}

#[test]
fn batches_scopes_and_acquisitions_merge_too() {
    let cown = Cown::new(1);
    let mut batch = Batch::new();
    drop(batch.when_on(Inline, (&cown, &cown), |(mut cown, _)| *cown *= 2));
    let seen = batch.when_on(Inline, (read(&cown), &cown), |(_, mut cown)| {
        *cown *= 3;
        *cown
    });
    drop(batch);
    assert_eq!(seen.wait().unwrap(), 6);

    let mut borrowed = 0;
    scope(|s| {
        s.when_on(Inline, [&cown, &cown], |[cown, again]| borrowed = *cown + i32::from(again.is_alias()));
    });
    assert_eq!(borrowed, 7);

    let mut held = acquire((&cown, (read(&cown), [&cown; 2]))).wait();
    let (mut cown_guard, (reader, others)) = held.guards();
    *cown_guard += 1;
    assert!(reader.is_alias() && others.iter().all(|guard| guard.is_alias()));
    assert!(catch_unwind(AssertUnwindSafe(|| *reader)).is_err());
    // Once more, as they may be had: the same one has the value.
    assert_eq!(*held.guards().0, 7);
    drop(held);
    assert_eq!(cown.references(), 1);
}

#[test]
fn a_result_that_is_asked_for_twice_comes_once_and_a_missing_one_is_missing() {
    let result = when_on(Inline, (), |()| 3).into_cown();
    assert_eq!(when_on(Inline, (&result, read(&result)), |(result, _)| *result).wait().unwrap(), 3);
    let missing = when_on(Inline, (), |()| -> i32 { panic!("on purpose") }).into_cown();
    let failure = when_on(Inline, (read(&missing), &missing), |_| ()).wait().unwrap_err();
    assert!(matches!(failure, Failure::Missing));
}
