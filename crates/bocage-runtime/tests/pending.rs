//! What a wait that runs out of time tells of what is left.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::Duration;

use bocage_core::{
    Cown, Erased, Executor, Failure, Labelled, Place, Ready, Requests, acquire, read, schedule_labelled, try_acquire,
    when_on,
};
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
fn hold<Q: Requests>(runtime: &Runtime, requests: Q) -> mpsc::Sender<()> {
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel());
    runtime.spawn(requests, move |_| {
        begun.send(()).unwrap();
        _ = released.recv_timeout(LONG);
    });
    begin.recv_timeout(LONG).unwrap();
    release
}

/// The name of one that holds a cown to write.
const HOLD: &str = "pending::hold<&Cown<i32>>";

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
    assert!(left.named.iter().all(|behavior| !behavior.runs && behavior.since.is_some()));
    let told = left.to_string();
    assert!(told.starts_with("2 behaviors are pending: `pending::transfer` on cown 0x"), "{told}");
    assert!(
        told.contains(&format!("cown {:#x}, read cown {:#x} held by `acquire` (waits since", of(&a), of(&b))),
        "{told}"
    );
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
    assert_eq!((&*left.named[0].name, left.named[0].runs), (HOLD, true));
    assert!(!left.named[1].runs);
    assert_eq!(left.named[1].cowns[0].held_by.as_deref(), Some(HOLD));
    assert_eq!(left.named[1].cowns[1].held_by, None);
    let told = left.to_string();
    assert!(told.contains("(runs since") && told.contains(&format!("held by `{HOLD}`")), "{told}");
    assert!(!told.contains("none of them runs"), "{told}");
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn readers_do_not_keep_each_other_waiting() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let release = hold(&runtime, read(&cown));
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

/// One that does not note its behaviors.
fn silent(workers: usize) -> Runtime {
    Builder::new().workers(workers).name_pending(false).build().unwrap()
}

#[test]
fn unasked_it_finds_what_runs_and_what_waits_behind_that() {
    fn after(runtime: &Runtime, result: &Cown<()>) {
        drop(runtime.when(result, |_| ()));
    }
    let runtime = silent(2);
    let (a, b, c) = (Cown::new(1), Cown::new(2), Cown::new(3));
    let release = hold(&runtime, &a);
    transfer(&runtime, &b, &a);
    // Behind the one that waits and has `b`; behind both; behind the result of that.
    drop(runtime.when((read(&c), read(&b)), |_| ()));
    let last = runtime.when((&c, &a), |_| ()).cown();
    after(&runtime, &last);
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (5, 5), "{left:?}");
    assert_eq!((&*left.named[0].name, left.named[0].runs), (HOLD, true));
    assert_eq!(cowns(&left.named[0]), [(of(&a), false)]);
    let waits: Vec<_> = left.named[1..].iter().map(|behavior| (&*behavior.name, cowns(behavior))).collect();
    for found in [
        ("pending::transfer", vec![(of(&b), false), (of(&a), true)]),
        ("pending::unasked_it_finds_what_runs_and_what_waits_behind_that", vec![(of(&c), true), (of(&b), true)]),
        ("pending::unasked_it_finds_what_runs_and_what_waits_behind_that", vec![(of(&c), false), (of(&a), false)]),
        ("pending::unasked_it_finds_what_runs_and_what_waits_behind_that::after", vec![(of(&last), false)]),
    ] {
        assert!(waits.contains(&found), "{found:?} in {waits:?}");
    }
    assert!(left.named[1..].iter().all(|behavior| !behavior.runs && behavior.since.is_none()));
    let told = left.to_string();
    assert!(told.contains(&format!("`{HOLD}` on cown {:#x} (runs)", of(&a))), "{told}");
    assert!(told.contains(&format!("read cown {:#x} held by `{HOLD}` (waits)", of(&a))), "{told}");
    assert!(!told.contains("name_pending"), "all were found: {told}");
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn unasked_it_finds_what_is_ready_and_it_runs_all_the_same() {
    let runtime = silent(1);
    let (cown, count) = (Cown::new(0), Cown::new(0));
    let release = hold(&runtime, &cown);
    let others: Vec<_> = (0..100).map(Cown::new).collect();
    for other in &others {
        drop(runtime.when((other, &count), |(_, mut count)| *count += 1));
    }
    // The first has `count`; of these nobody has anything else.
    let ready: Vec<_> = (0..10).map(|_| runtime.when(&Cown::new(0), |n| *n)).collect();
    let left = pending(&runtime);
    assert_eq!(left.behaviors, 111);
    assert_eq!(left.named.len(), 111, "{left:?}");
    assert_eq!(left.named.iter().filter(|behavior| behavior.runs).count(), 1);
    // One that hardly waits leaves the queues alone.
    let Err(Error::Pending(few)) = runtime.quiesce(Some(Duration::ZERO)) else { panic!("nothing is pending") };
    assert_eq!((few.behaviors, few.named.len()), (111, 1), "{few:?}");
    assert!(
        few.to_string().ends_with("; and 110 more (`Builder::name_pending(true)` would tell of all, and since when)")
    );
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    assert!(ready.into_iter().all(|ready| ready.wait().is_ok()));
    assert_eq!(*acquire(&count).wait().guards(), 100);
}

/// A lone worker's newest and turn are looked at as well, and are run once.
#[test]
fn unasked_it_finds_what_a_lone_worker_keeps_back() {
    for reads in [false, true] {
        let runtime = silent(1);
        let (cown, count) = (Cown::new(0), Arc::new(AtomicUsize::new(0)));
        let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        runtime.spawn((), {
            let (cown, count) = (cown.clone(), count.clone());
            move |()| {
                let here = RuntimeRef::current().unwrap();
                let counts = move || _ = count.fetch_add(1, Ordering::Relaxed);
                if reads {
                    here.spawn(read(&cown), move |_| counts());
                } else {
                    here.spawn(&cown, move |_| counts());
                }
                begun.send(()).unwrap();
                _ = released.recv_timeout(LONG);
            }
        });
        begin.recv_timeout(LONG).unwrap();
        for _ in 0..3 {
            let left = pending(&runtime);
            assert_eq!((left.behaviors, left.named.len()), (2, 2), "{left:?}");
            assert_eq!(cowns(&left.named[1]), [(of(&cown), reads)]);
        }
        drop(release);
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!((count.load(Ordering::Relaxed), runtime.pending()), (1, 0), "reads: {reads}");
    }
}

#[test]
fn unasked_it_finds_each_reader_that_was_let_in_beside_a_long_one() {
    let runtime = silent(2);
    let (cown, other) = (Cown::new(0), Cown::new(0));
    let (release, others) = (hold(&runtime, &cown), hold(&runtime, &other));
    let ((begun, begin), (end, ended)) = (mpsc::channel(), mpsc::channel());
    runtime.spawn(read(&cown), move |_| {
        begun.send(()).unwrap();
        _ = ended.recv_timeout(LONG);
    });
    let readers: Vec<_> = (0..9).map(|_| runtime.when(read(&cown), |n| *n)).collect();
    drop(release);
    begin.recv_timeout(LONG).unwrap();
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (11, 11), "{left:?}");
    let ready = left.named.iter().filter(|behavior| !behavior.runs && cowns(behavior) == [(of(&cown), true)]);
    assert_eq!(ready.count(), readers.len());
    end.send(()).unwrap();
    drop(others);
    runtime.quiesce(Some(LONG)).unwrap();
    assert!(readers.into_iter().all(|reader| reader.wait().is_ok()));
}

#[test]
fn unasked_it_finds_the_writer_behind_readers_and_no_reader_that_may_have_gone() {
    let runtime = silent(2);
    let cown = Cown::new(0);
    let release = hold(&runtime, read(&cown));
    // Beside it, and gone.
    for _ in 0..10 {
        runtime.when(read(&cown), |_| ()).wait().unwrap();
    }
    drop(runtime.when(&cown, |mut n| *n += 1));
    drop(runtime.when(read(&cown), |_| ()));
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (3, 3), "{left:?}");
    let found: Vec<_> = left.named.iter().map(|behavior| (behavior.runs, behavior.cowns[0].reads)).collect();
    assert_eq!(found, [(true, true), (false, false), (false, true)]);
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn who_runs_holds_its_result_too() {
    for noted in [false, true] {
        let runtime = Builder::new().workers(1).name_pending(noted).build().unwrap();
        let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
        let running = runtime.when((), move |()| {
            begun.send(()).unwrap();
            _ = released.recv_timeout(LONG);
        });
        begin.recv_timeout(LONG).unwrap();
        let result = running.into_cown();
        let guarded = Cown::new(0);
        let held = acquire(&guarded).wait();
        drop(runtime.when((&result, &guarded), |_| ()));
        let left = pending(&runtime);
        let by: Vec<_> = left.named[1].cowns.iter().map(|cown| cown.held_by.as_deref()).collect();
        assert_eq!(by, [Some("pending::who_runs_holds_its_result_too"), Some("acquire")], "{left}");
        drop((release, held));
        runtime.quiesce(Some(LONG)).unwrap();
    }
}

#[test]
fn unasked_it_finds_what_waits_for_a_guard() {
    let runtime = silent(1);
    let (a, b, c) = (Cown::new(0), Cown::new(0), Cown::new(0));
    let held = acquire((&a, read(&b))).wait();
    let tried = try_acquire(&c).unwrap();
    transfer(&runtime, &a, &b);
    runtime.spawn(&c, |mut n| *n += 1);
    // Beside the guard that reads.
    runtime.when(read(&b), |_| ()).wait().unwrap();
    let told = pending(&runtime).to_string();
    let (a, b) = (of(&a), of(&b));
    let waits = format!("`pending::transfer` on cown {a:#x} held by `acquire`, read cown {b:#x} (waits)");
    assert!(told.contains(&waits), "{told}");
    assert!(told.contains(&format!("on cown {:#x} held by `acquire` (waits)", of(&c))), "{told}");
    assert!(told.contains("none of them runs: a cown is held outside, by a guard of `acquire`"), "{told}");
    assert!(!told.contains("name_pending"), "all were found: {told}");
    drop((held, tried));
    runtime.quiesce(Some(LONG)).unwrap();
}

#[test]
fn unasked_it_finds_what_waits_for_a_guard_that_went_to_another_thread() {
    let runtime = silent(1);
    let cowns: Vec<_> = (0..100).map(Cown::new).collect();
    let (release, released) = mpsc::channel::<()>();
    let held: Vec<_> =
        cowns.iter().map(|cown| thread::scope(|s| s.spawn(|| acquire(cown).wait()).join().unwrap())).collect();
    cowns.iter().for_each(|cown| runtime.spawn(cown, |mut n| *n += 1));
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (100, 100), "{left}");
    thread::scope(|scope| {
        scope.spawn(move || {
            _ = released.recv_timeout(LONG);
            drop(held);
        });
        assert_eq!(pending(&runtime).named.len(), 100);
        drop(release);
    });
    runtime.quiesce(Some(LONG)).unwrap();
    // What guards were once is not looked for any more.
    let still_held = acquire(&cowns[0]).wait();
    runtime.spawn(&cowns[0], |_| ());
    assert_eq!(pending(&runtime).named.len(), 1);
    drop(still_held);
}

#[test]
fn unasked_it_finds_what_waits_for_a_pinned_behavior_that_runs() {
    let runtime = silent(1);
    let cown = Cown::new(0);
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel::<()>());
    thread::scope(|scope| {
        let (runtime, cown) = (&runtime, &cown);
        scope.spawn(move || {
            let here = runtime.pinned().unwrap();
            drop(here.when(cown, move |mut n| {
                begun.send(()).unwrap();
                _ = released.recv_timeout(LONG);
                *n += 1;
            }));
            assert_eq!(here.pump(1, LONG).unwrap(), 1);
        });
        begin.recv_timeout(LONG).unwrap();
        transfer(runtime, cown, &Cown::new(0));
        let left = pending(runtime);
        let found: Vec<_> = left.named.iter().map(|behavior| (behavior.pinned, behavior.runs)).collect();
        assert_eq!(found, [(true, true), (false, false)]);
        let holder = "pending::unasked_it_finds_what_waits_for_a_pinned_behavior_that_runs";
        assert_eq!(left.named[1].cowns.iter().find_map(|cown| cown.held_by.as_deref()), Some(holder), "{left}");
        drop(release);
    });
    runtime.quiesce(Some(LONG)).unwrap();
}

#[test]
fn unasked_it_finds_what_waits_for_another_runtime() {
    let (runtime, other) = (silent(1), silent(2));
    let (a, b) = (Cown::new(0), Cown::new(0));
    let release = hold(&other, &a);
    // Behind the other's that waits, too.
    other.spawn((&a, &b), |_| ());
    transfer(&runtime, &b, &Cown::new(0));
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (1, 1), "{left}");
    assert_eq!(left.named[0].name, "pending::transfer");
    transfer(&runtime, &a, &Cown::new(0));
    let told = pending(&runtime).to_string();
    assert!(told.contains(&format!("cown {:#x} held by `{HOLD}`", of(&a))), "{told}");
    drop(release);
    runtime.quiesce(Some(LONG)).unwrap();
    other.quiesce(Some(LONG)).unwrap();
}

#[test]
fn unasked_it_counts_what_waits_for_an_executor_that_does_not_show_it_and_says_how_to_ask() {
    /// Keeps what is ready, and its cowns.
    #[derive(Clone)]
    struct Shelf(mpsc::Sender<Ready>);
    impl Executor for Shelf {
        fn ready(&self, ready: Ready) {
            _ = self.0.send(ready);
        }
    }
    let runtime = silent(1);
    let cown = Cown::new(0);
    let (shelf, held) = mpsc::channel();
    drop(when_on(Shelf(shelf), &cown, |_| ()));
    drop(runtime.when(&cown, |_| ()));
    let left = pending(&runtime);
    assert_eq!((left.behaviors, left.named.len()), (1, 0));
    let told = left.to_string();
    assert!(told.contains("none of them runs: a cown is held outside"), "{told}");
    assert!(told.contains("Builder::name_pending(true)"), "{told}");
    drop(held);
    runtime.wait(Some(LONG)).unwrap();
    drop(runtime);
    // The next one, which may use the same memory, is told otherwise.
    let runtime = self::runtime(1);
    let release = hold(&runtime, &cown);
    assert!(pending(&runtime).named[0].since.is_some());
    drop(release);
}

#[test]
fn unasked_it_finds_what_is_pinned_to_a_thread_that_does_not_pump() {
    let runtime = silent(1);
    let (begun, begin) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    let cown = Cown::new(0);
    thread::scope(|scope| {
        let (runtime, cown) = (&runtime, &cown);
        scope.spawn(move || {
            let here = runtime.pinned().unwrap();
            drop(here.when(cown, |mut n| *n += 1));
            begun.send(()).unwrap();
            _ = released.recv_timeout(LONG);
            assert_eq!(here.pump(1, LONG).unwrap(), 1);
        });
        begin.recv_timeout(LONG).unwrap();
        drop(runtime.when(cown, |mut n| *n += 1));
        let left = pending(runtime);
        let found: Vec<_> = left.named.iter().map(|behavior| (behavior.pinned, behavior.runs)).collect();
        assert_eq!(found, [(true, false), (false, false)]);
        let name = "pending::unasked_it_finds_what_is_pinned_to_a_thread_that_does_not_pump";
        assert!(left.named.iter().all(|behavior| behavior.name == name), "{left}");
        assert!(left.to_string().contains("(waits, pinned to a thread)"), "{left}");
        drop(release);
    });
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(*acquire(&cown).wait().guards(), 2);
}

/// Each of them stands behind the one before it in four queues: there are very many ways to the last.
#[test]
fn unasked_it_finds_each_once_that_stands_in_several_queues() {
    // Had by the looker too, so that a look that does not end keeps nobody waiting for their drop.
    let (runtime, other) = (Arc::new(silent(1)), Arc::new(silent(1)));
    let cowns: Vec<_> = (0..4).map(Cown::new).collect();
    let release = hold(&runtime, &cowns);
    // None of its own, so that it goes on to the end.
    for _ in 0..200 {
        other.spawn(&cowns, |_| ());
    }
    runtime.spawn(&cowns, |_| ());
    let (tell, told) = mpsc::channel();
    let looker = thread::spawn({
        let (runtime, other) = (runtime.clone(), other.clone());
        move || {
            let left = pending(&runtime);
            drop(other);
            tell.send(left).unwrap();
        }
    });
    let left = told.recv_timeout(LONG).expect("the look ends");
    looker.join().unwrap();
    assert_eq!((left.behaviors, left.named.len()), (2, 2), "{left:?}");
    drop(release);
    runtime.wait(Some(LONG)).unwrap();
    other.wait(Some(LONG)).unwrap();
}

/// Looks go on while behaviors of all kinds come and go.
#[test]
fn unasked_it_looks_while_all_goes_on() {
    const BEHAVIORS: u64 = 50_000;
    let runtime = silent(3);
    let cowns: Vec<_> = (0..5).map(|_| Cown::new(0_u64)).collect();
    let done = AtomicBool::new(false);
    let (tell, told) = mpsc::channel();
    // Until some looks are over, and behaviors of all kinds stand in line.
    let release = hold(&runtime, &cowns[..2]);
    thread::scope(|scope| {
        let looker = scope.spawn(|| {
            let mut looks = 0;
            while !done.load(Ordering::Relaxed) {
                if let Err(Error::Pending(left)) =
                    runtime.quiesce(Some(Duration::from_micros(if looks % 8 == 7 { 1000 } else { 0 })))
                {
                    assert!(left.behaviors >= left.named.len() as u64);
                    looks += 1;
                    if looks == 20 {
                        tell.send(()).unwrap();
                    }
                }
            }
            looks
        });
        // Guards come and go, too.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                *acquire((&cowns[4], read(&cowns[3]))).wait().guards().0 += 1;
            }
        });
        for n in 0..BEHAVIORS as usize {
            let (a, b) = (&cowns[n % 5], &cowns[n / 5 % 4]);
            match n % 4 {
                0 => runtime.spawn((a, read(b)), |(mut a, _)| {
                    if !a.is_alias() {
                        *a += 1
                    }
                }),
                1 => runtime.spawn(read(a), |_| ()),
                2 => drop(runtime.when((&cowns[..], read(b)), |_| ())),
                _ => runtime.spawn(a, |mut a| *a += 1),
            }
            if n == 1000 {
                told.recv_timeout(LONG).unwrap();
                release.send(()).unwrap();
            }
        }
        runtime.quiesce(Some(LONG)).unwrap();
        done.store(true, Ordering::Relaxed);
        println!("{} looks", looker.join().unwrap());
    });
    assert_eq!(runtime.pending(), 0);
    runtime.wait(Some(LONG)).unwrap();
}

/// A body that says what it is.
struct Named(String, mpsc::Sender<()>, Mutex<mpsc::Receiver<()>>);

impl Labelled<()> for Named {
    fn label(&self) -> String {
        self.0.clone()
    }

    fn run(self, _: Place<'_, ()>) {
        _ = self.1.send(());
        _ = self.2.lock().unwrap().recv_timeout(LONG);
    }
}

/// Schedules one, and gives the two ends that let it run.
fn schedule_named(runtime: &Runtime, name: &str, cowns: &mut [Erased<'_>]) -> (mpsc::Receiver<()>, mpsc::Sender<()>) {
    let ((begun, begin), (release, released)) = (mpsc::channel(), mpsc::channel());
    let body = Named(name.to_owned(), begun, Mutex::new(released));
    runtime.admit().unwrap().schedule(|executor| drop(schedule_labelled(executor, cowns, Some(()), body)));
    (begin, release)
}

fn names(left: &Pending, runs: bool) -> Vec<&str> {
    let mut names: Vec<_> = left.named.iter().filter(|named| named.runs == runs).map(|named| &*named.name).collect();
    names.sort_unstable();
    names
}

#[test]
fn unasked_it_calls_what_waits_or_is_ready_by_its_label() {
    let runtime = silent(1);
    let (a, b) = (Cown::new(0), Cown::new(0));
    let (begin, release) = schedule_named(&runtime, "runs", &mut [Erased::new(&a)]);
    begin.recv_timeout(LONG).unwrap();
    let ends = [
        schedule_named(&runtime, "waits", &mut [Erased::new(&a), Erased::new(&b)]),
        schedule_named(&runtime, "waits behind that", &mut [Erased::new(&b)]),
        schedule_named(&runtime, "is ready", &mut []),
    ];
    drop(ends);
    // It has begun, so that its body is not there to be asked.
    for left in [pending(&runtime), runtime.look()] {
        assert_eq!(left.behaviors, 4);
        assert_eq!(names(&left, true), ["pending::Named"]);
        assert_eq!(names(&left, false), ["is ready", "waits", "waits behind that"]);
        assert!(left.to_string().contains(&format!("`waits behind that` on cown {:#x}", of(&b))), "{left}");
    }
    drop(release);
    assert!(runtime.rests_within(LONG).unwrap());
    assert_eq!(runtime.look().behaviors, 0);
}

#[test]
fn labels_are_read_while_behaviors_come_and_go() {
    const LOOKS: usize = 300;
    const LABEL: &str = "a name that is long enough to be told from one that is gone";
    let runtime = silent(2);
    let cowns = [Cown::new(0), Cown::new(0)];
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (runtime, cowns, done) = (&runtime, &cowns, &done);
        scope.spawn(move || {
            // Relaxed: it ends some time after.
            for n in (0..).take_while(|_| !done.load(Ordering::Relaxed)) {
                drop(schedule_named(runtime, LABEL, &mut [Erased::new(&cowns[n % 2])]));
                drop(schedule_named(runtime, LABEL, &mut cowns.each_ref().map(Erased::new)));
                if n % 64 == 0 {
                    runtime.rests_within(LONG).unwrap();
                }
            }
        });
        for _ in 0..LOOKS {
            let left = runtime.look();
            assert!(left.named.iter().all(|named| named.runs || named.name == LABEL), "{left:?}");
        }
        done.store(true, Ordering::Relaxed);
    });
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_wait_that_only_says_whether_it_is_done_is_not_interrupted_and_stops() {
    let runtime = silent(1);
    let release = hold(&runtime, ());
    assert!(!runtime.rests_within(Duration::ZERO).unwrap());
    assert!(!runtime.stops_within(SHORT).unwrap());
    let again = runtime.reference();
    runtime.when((), move |()| drop(again.when((), |()| ())));
    drop(release);
    assert!(runtime.stops_within(LONG).unwrap());
    assert!(matches!(runtime.try_when((), |()| ()), Err(Error::Stopped)));
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
