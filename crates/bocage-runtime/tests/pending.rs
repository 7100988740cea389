//! What a wait that runs out of time tells of what is left.
#![cfg(not(loom))]

use std::sync::mpsc;
use std::time::Duration;

use bocage_core::{Cown, Failure, acquire, read};
use bocage_runtime::{Builder, Error, Pending, PendingBehavior, Runtime, RuntimeRef, deterministic};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);
/// Less than what is waited for.
const SHORT: Duration = Duration::from_millis(5);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).name_pending(true).build().unwrap()
}

fn pending(runtime: &Runtime) -> Pending {
    match runtime.quiesce(Some(SHORT)) {
        Err(Error::Pending(pending)) => pending,
        other => panic!("nothing is pending: {other:?}"),
    }
}

/// The cowns that it asked for, and whether to read.
fn cowns(behavior: &PendingBehavior) -> Vec<(usize, bool)> {
    behavior.cowns.iter().map(|cown| (cown.id.get(), cown.reads)).collect()
}

fn of<T>(cown: &Cown<T>) -> usize {
    cown.id().get()
}

/// Schedules a behavior that has begun, and runs until the sender is used or dropped.
fn hold(runtime: &Runtime, cown: &Cown<i32>) -> mpsc::Sender<()> {
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel());
    drop(runtime.when(cown, move |_| {
        begun.send(()).unwrap();
        _ = released.recv_timeout(LONG);
    }));
    begin.recv_timeout(LONG).unwrap();
    release
}

fn transfer(runtime: &Runtime, from: &Cown<i32>, to: &Cown<i32>) {
    drop(runtime.when((from, read(to)), |(mut from, to)| *from -= *to));
}

#[test]
fn a_cown_that_a_guard_holds_is_named_with_those_who_wait_for_it() {
    let runtime = runtime(2);
    let (a, b) = (Cown::new(1), Cown::new(2));
    let held = acquire(&b).wait();
    transfer(&runtime, &a, &b);
    // It has `a`, and so this one waits as well.
    drop(runtime.when(&a, |_| ()));
    let left = pending(&runtime);
    assert_eq!(left.behaviors, 2);
    let [first, second] = &left.named[..] else { panic!("{left:?}") };
    assert_eq!(first.name, "pending::transfer");
    assert_eq!(cowns(first), [(of(&a), false), (of(&b), true)]);
    assert_eq!(cowns(second), [(of(&a), false)]);
    assert!(left.named.iter().all(|behavior| !behavior.runs && behavior.since >= Duration::ZERO));
    let told = left.to_string();
    assert!(told.starts_with("2 behaviors are pending: `pending::transfer` on cown 0x"), "{told}");
    assert!(told.contains(&format!("cown {:#x}, read cown {:#x} (waits since", of(&a), of(&b))), "{told}");
    assert!(told.contains("held outside, by a guard of `acquire`"), "{told}");
    drop(held);
    runtime.wait(Some(LONG)).unwrap();
    assert_eq!(*acquire(&a).wait().guards(), -1);
}

#[test]
fn what_runs_comes_first_and_is_said_to_hold_the_cown() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let release = hold(&runtime, &cown);
    drop(runtime.when((read(&cown), &Cown::new(0)), |_| ()));
    let left = pending(&runtime);
    assert_eq!(left.behaviors, 2);
    assert_eq!((&*left.named[0].name, left.named[0].runs), ("pending::hold", true));
    assert!(!left.named[1].runs);
    assert_eq!(left.named[1].cowns[0].held_by.as_deref(), Some("pending::hold"));
    assert_eq!(left.named[1].cowns[1].held_by, None);
    let told = left.to_string();
    assert!(told.contains("(runs since") && told.contains("held by `pending::hold`"), "{told}");
    assert!(!told.contains("none of them runs"), "{told}");
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn readers_do_not_keep_each_other_waiting() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    drop(runtime.when(read(&cown), move |_| {
        begun.send(()).unwrap();
        _ = released.recv_timeout(LONG);
    }));
    begin.recv_timeout(LONG).unwrap();
    // Only the worker keeps it from running.
    drop(runtime.when(read(&cown), |_| ()));
    assert_eq!(pending(&runtime).named[1].cowns[0].held_by, None);
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn all_ways_to_schedule_are_named_and_few_are_shown() {
    let runtime = runtime(2);
    let cown = Cown::new(0);
    let held = acquire(&cown).wait();
    drop(runtime.when(&cown, |_| ()));
    drop(runtime.try_when(&cown, |_| ()).unwrap());
    runtime.batch(|batch| {
        drop(batch.when(&cown, |_| ()));
        drop(batch.when((&cown, &Cown::new(1)), |_| ()));
    });
    // From a behavior, and so in a worker's part of the register.
    let again = cown.clone();
    runtime.when((), move |()| drop(RuntimeRef::current().unwrap().when(&again, |_| ()))).wait().unwrap();
    // Counted, but nothing is known of it.
    let admission = runtime.admit().unwrap();
    let few = pending(&runtime);
    assert_eq!((few.behaviors, few.named.len()), (6, 5));
    assert!(few.named.iter().all(|behavior| cowns(behavior).contains(&(of(&cown), false))));
    assert!(few.to_string().ends_with("; and 1 more"), "{few}");
    drop(admission);
    for _ in 0..1000 {
        drop(runtime.when(&cown, |_| ()));
    }
    let many = pending(&runtime);
    assert_eq!((many.behaviors, many.named.len()), (1005, 256));
    assert!(many.named.is_sorted_by(|a, b| a.since >= b.since), "the longest wait comes first");
    assert!(many.to_string().contains("; and 997 more"), "{many}");
    drop(held);
    runtime.quiesce(Some(LONG)).unwrap();
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn nothing_stays_in_the_register_whatever_becomes_of_a_behavior() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    assert!(matches!(runtime.when(&cown, |_| panic!("on purpose")).wait(), Err(Failure::Panicked(_))));
    // Its cown's behavior panicked: this one misses a value, and is never called.
    let failed = runtime.when((), |()| -> i32 { panic!("on purpose") });
    assert!(matches!(runtime.when(&failed.cown(), |_| ()).wait(), Err(Failure::Missing)));
    runtime.quiesce(Some(LONG)).unwrap();
    let release = hold(&runtime, &cown);
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (1, 1));
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn unasked_it_says_how_to_ask() {
    let runtime = Builder::new().workers(1).name_pending(false).build().unwrap();
    let cown = Cown::new(0);
    let release = hold(&runtime, &cown);
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (1, 0));
    assert!(left.to_string().contains("Builder::name_pending(true)"), "{left}");
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
    drop(runtime);
    // The next one, which may use the same memory, is told otherwise.
    let runtime = self::runtime(1);
    let release = hold(&runtime, &cown);
    assert_eq!(pending(&runtime).named.len(), 1);
    drop(release);
}

#[test]
fn a_deterministic_program_names_what_can_never_run() {
    fn stuck(program: &deterministic::Program, cown: &Cown<i32>) {
        drop(program.when(cown, |_| ()));
    }
    let cown = Cown::new(0);
    let held = acquire(&cown).wait();
    let failed = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        deterministic::replay(1, || {
            let program = deterministic::Program::current().unwrap();
            stuck(&program, &cown);
            let Err(Error::Pending(left)) = program.quiesce() else { panic!("nothing is pending") };
            assert_eq!(cowns(&left.named[0]), [(of(&cown), false)]);
        });
    }));
    let told = failed.unwrap_err().downcast::<String>().unwrap();
    assert!(told.contains("1 behavior is pending: `pending::a_deterministic_program"), "{told}");
    assert!(told.contains("stuck` on cown"), "{told}");
    drop(held);
}
