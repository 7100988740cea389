//! Values that never leave their thread.
#![cfg(not(loom))]

use std::cell::{Cell, RefCell};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::{Arc, OnceLock, mpsc};
use std::thread::{self, ThreadId};
use std::time::Duration;

use bocage_core::{Cown, Failure, ReadGuard, acquire, read};
use bocage_runtime::{Builder, Error, PinnedCown, PinnedGuard, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

/// Tells where it is dropped. No `Send`.
struct Tells(mpsc::Sender<ThreadId>, Rc<Cell<u32>>);

impl Drop for Tells {
    fn drop(&mut self) {
        let _ = self.0.send(thread::current().id());
    }
}

fn told() -> (Tells, mpsc::Receiver<ThreadId>) {
    let (send, sent) = mpsc::channel();
    (Tells(send, Rc::new(Cell::new(0))), sent)
}

#[test]
fn the_same_value_is_seen_each_time_whoever_schedules() {
    let runtime = runtime(2);
    let here = runtime.pinned().unwrap();
    let value = Rc::new(RefCell::new(Vec::new()));
    let cown = here.cown(value.clone()).unwrap();
    let (model, other) = (Cown::new(0), here.cown(Cell::new(0)).unwrap());
    thread::scope(|scope| {
        for i in 0..4 {
            let (here, cown, model, other) = (here.clone(), cown.clone(), &model, &other);
            scope.spawn(move || {
                for _ in 0..100 {
                    let one = Cown::new(1);
                    let asked = (&cown, (model, read(&one), other));
                    drop(here.when(asked, move |(value, (mut model, one, other))| {
                        *model += *one;
                        other.set(other.get() + 1);
                        value.borrow_mut().push((i, *model));
                    }));
                }
            });
        }
    });
    runtime.quiesce(Some(LONG)).unwrap();
    let (a_slice, a_vec) = ([Cown::new(1), Cown::new(2)], vec![Cown::new(3)]);
    let sum = here.when((&other, &a_slice[..], &a_vec, ()), |(other, two, one, ())| {
        other.get() + two.iter().chain(&one).sum::<i32>()
    });
    assert_eq!(sum.wait().unwrap(), 406);
    // Also without a behavior, since the thread has a reference of its own.
    assert_eq!(value.borrow().len(), 400);
    assert!(value.borrow().iter().map(|(_, n)| *n).eq(1..=400));
    assert_eq!(Rc::strong_count(&value), 2);
    drop(cown);
    assert_eq!(Rc::strong_count(&value), 1);
}

#[test]
fn it_is_dropped_on_its_thread_wherever_the_last_handle_goes() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let me = thread::current().id();
    // Here.
    let (tells, dropped) = told();
    drop(here.cown(tells).unwrap());
    assert_eq!(dropped.recv_timeout(LONG).unwrap(), me);
    // On another thread: it waits for the next pump, which it does not count for.
    let (tells, dropped) = told();
    let cown = here.cown(tells).unwrap();
    thread::spawn(move || drop(cown)).join().unwrap();
    assert!(dropped.try_recv().is_err());
    assert_eq!(here.pump(1, Duration::ZERO).unwrap(), 0);
    assert_eq!(dropped.recv_timeout(LONG).unwrap(), me);
    // In a worker's behavior; and nothing waits for it.
    let (tells, dropped) = told();
    let cown = here.cown(tells).unwrap();
    drop(runtime.when((), move |()| drop(cown)));
    runtime.wait(Some(LONG)).unwrap();
    while let Ok(_) | Err(Error::Pending(_)) = here.pump(1, Duration::from_millis(1)) {}
    assert_eq!(dropped.recv_timeout(LONG).unwrap(), me);
}

#[test]
fn it_is_dropped_when_its_thread_ends_whatever_handles_there_are() {
    let runtime = runtime(1);
    let (tells, dropped) = mpsc::channel();
    let reference = runtime.reference();
    let owner = thread::spawn(move || {
        let here = reference.pinned().unwrap();
        (here.cown(Tells(tells, Rc::default())).unwrap(), here)
    });
    let id = owner.thread().id();
    let (cown, pinned) = owner.join().unwrap();
    assert_eq!(dropped.recv_timeout(LONG).unwrap(), id);
    assert!(matches!(pinned.when(&cown, |value| value.1.get()).wait(), Err(Failure::Cancelled)));
    drop(cown);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_panic_leaves_it_there_and_poisoned() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let cown = here.cown(Rc::new(Cell::new(1))).unwrap();
    let failed = here.when(&cown, |value| {
        value.set(2);
        panic!("on purpose");
    });
    assert!(matches!(failed.wait(), Err(Failure::Panicked(_))));
    let left = here.when(&cown, |mut value| {
        let was = value.is_poisoned();
        value.clear_poison();
        (value.get(), was, value.is_poisoned())
    });
    assert_eq!(left.wait().unwrap(), (2, true, false));
}

#[test]
fn a_forgotten_guard_loses_the_value_and_says_so() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let cown = here.cown(Rc::new(1)).unwrap();
    here.when(&cown, |guard| std::mem::forget(guard)).wait().unwrap();
    let Err(Failure::Panicked(text)) = here.when(&cown, |value| **value).wait() else { panic!("it is gone") };
    assert!(text.downcast_ref::<&str>().unwrap().contains("was forgotten"));
}

#[test]
fn on_the_wrong_thread_it_is_refused_where_it_is_asked_for() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let reference = runtime.reference();
    let (send, sent) = mpsc::channel::<PinnedCown<Rc<i32>>>();
    let (leave, left) = mpsc::channel::<()>();
    let owner = thread::spawn(move || {
        let there = reference.pinned().unwrap();
        send.send(there.cown(Rc::new(1)).unwrap()).unwrap();
        _ = left.recv_timeout(LONG);
    });
    let theirs = sent.recv_timeout(LONG).unwrap();
    let ours = here.cown(Rc::new(2)).unwrap();
    assert!(matches!(here.try_when((&ours, &theirs), |_| ()), Err(Error::WrongThread)));
    assert!(matches!(here.try_when([&ours, &theirs], |_| ()), Err(Error::WrongThread)));
    assert!(matches!(here.try_when(((), vec![(&ours, [&theirs])]), |_| ()), Err(Error::WrongThread)));
    let both = [ours.clone(), theirs.clone()];
    assert!(matches!(here.try_when(&both, |_| ()), Err(Error::WrongThread)));
    assert!(matches!(here.try_when(&both[1..], |_| ()), Err(Error::WrongThread)));
    assert!(matches!(here.try_when(&both.to_vec(), |_| ()), Err(Error::WrongThread)));
    let asked = catch_unwind(AssertUnwindSafe(|| drop(here.when(&theirs, |_| ()))));
    assert!(asked.unwrap_err().downcast_ref::<String>().unwrap().contains("Pinned::when"));
    assert_eq!(runtime.pending(), 0);
    drop(leave);
    owner.join().unwrap();
    // A behavior makes what another thread can't.
    let maker = here.clone();
    let made = here.when((), move |()| maker.cown(Rc::new(3)).unwrap()).wait().unwrap();
    assert_eq!(here.when((&ours, &made), |(two, three)| **two + **three).wait().unwrap(), 5);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_value_whose_drop_panics_ends_neither_the_pump_nor_the_process() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("in a drop");
        }
    }
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let cown = here.cown(Bomb).unwrap();
    thread::spawn(move || drop(cown)).join().unwrap();
    let after = here.when((), |()| 1);
    assert_eq!(here.pump(1, LONG).unwrap(), 1);
    assert_eq!(after.wait().unwrap(), 1);
    // When its thread ends: a panic that got out of there would abort the process.
    let reference = runtime.reference();
    thread::spawn(move || reference.pinned().unwrap().cown(Bomb).unwrap()).join().unwrap();
}

#[test]
fn a_pinned_body_reads_at_the_same_time_as_one_on_a_worker() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let (window, model) = (here.cown(Rc::new(1)).unwrap(), Cown::new(2));
    let others = vec![Cown::new(3), Cown::new(4)];
    // Each waits until the other is in its body, which a request to write would never let happen.
    let (here_in, is_here) = mpsc::channel();
    let (there_in, is_there) = mpsc::channel();
    let there = runtime.when((read(&model), read(&others)), move |(model, others)| {
        there_in.send(()).unwrap();
        is_here.recv_timeout(LONG).unwrap();
        *model + others[0]
    });
    let sum =
        here.when((&window, read(&model), read(&others), read(&others[1])), move |(window, model, others, last)| {
            here_in.send(()).unwrap();
            is_there.recv_timeout(LONG).unwrap();
            **window + *model + others.iter().sum::<i32>() + *last
        });
    assert_eq!(sum.wait().unwrap(), 14);
    assert_eq!(there.wait().unwrap(), 5);
    // And a writer comes after them.
    drop(runtime.when(&model, |mut model| *model = 20));
    assert_eq!(here.when((read(&model), &window), |(model, window)| *model + **window).wait().unwrap(), 21);
}

#[test]
fn pinned_cowns_are_asked_for_in_any_shape_and_come_in_its_order() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let pinned: Vec<_> = (0..5).map(|i| here.cown(Rc::new(i)).unwrap()).collect();
    let [a, b, c, ..] = &pinned[..] else { unreachable!() };
    let numbers = [Cown::new(10), Cown::new(11)];
    let all = |guards: Vec<PinnedGuard<'_, Rc<i32>>>| guards.iter().map(|guard| ***guard).collect();
    let lists: [Vec<i32>; 3] = [
        here.when(&pinned, all).wait().unwrap(),
        here.when(&pinned[..], all).wait().unwrap(),
        here.when(pinned.iter().rev().collect::<Vec<_>>(), all).wait().unwrap(),
    ];
    assert_eq!(lists, [vec![0, 1, 2, 3, 4], vec![0, 1, 2, 3, 4], vec![4, 3, 2, 1, 0]]);
    let pair = [c.clone(), a.clone()];
    assert_eq!(here.when(&pair, |guards| guards.map(|guard| **guard)).wait().unwrap(), [2, 0]);
    assert_eq!(here.when([b, a], |guards| guards.map(|guard| **guard)).wait().unwrap(), [1, 0]);
    // Pinned ones and others, each to write or to read, in lists of both.
    let both = vec![(c, read(&numbers[0])), (b, read(&numbers[1]))];
    let sums = |guards: Vec<(PinnedGuard<'_, Rc<i32>>, ReadGuard<'_, i32>)>| {
        guards.iter().map(|(pinned, number)| ***pinned + **number).collect::<Vec<_>>()
    };
    assert_eq!(here.when(&both, sums).wait().unwrap(), [12, 12]);
    assert_eq!(here.when(&both[1..], sums).wait().unwrap(), [12]);
    let nested = here.when((&numbers, (read(&numbers[..]), [[a], [b]])), |([mut ten, eleven], (aliases, pinned))| {
        *ten += *eleven;
        (aliases.len(), pinned.map(|[guard]| **guard))
    });
    assert_eq!(nested.wait().unwrap(), (2, [0, 1]));
    assert_eq!(here.when(read(&numbers), |numbers| *numbers[0]).wait().unwrap(), 21);
    let none: Vec<&PinnedCown<Rc<i32>>> = Vec::new();
    assert_eq!(here.when((none, &pinned[..0]), |(one, two)| one.len() + two.len()).wait().unwrap(), 0);
}

#[test]
fn a_pinned_cown_that_is_named_twice_has_one_guard_with_its_value() {
    let runtime = runtime(1);
    let here = runtime.pinned().unwrap();
    let (a, b) = (here.cown(Rc::new(1)).unwrap(), here.cown(Rc::new(2)).unwrap());
    let named = here.when(([&a, &b, &a], &b), |([first, second, mut again], last)| {
        // An alias gives nothing back, and clears the poison of its cown as the other guard does.
        again.clear_poison();
        let aliases = [&first, &second, &again, &last].map(|guard| guard.is_alias());
        assert!(format!("{again:?}").contains("alias"));
        drop((again, last));
        (aliases, **first + **second)
    });
    assert_eq!(named.wait().unwrap(), ([false, false, true, true], 3));
    for body in
        [|alias: &PinnedGuard<'_, Rc<i32>>| _ = ***alias, |alias: &PinnedGuard<'_, Rc<i32>>| _ = Rc::clone(alias)]
    {
        let Err(Failure::Panicked(text)) = here.when((&a, &a), move |(_, alias)| body(&alias)).wait() else {
            panic!("an alias gave a value")
        };
        let text = text.downcast_ref::<String>().unwrap();
        assert!(text.contains("more than once") && text.contains("is_alias"), "{text}");
    }
    let Err(Failure::Panicked(_)) = here.when((&a, &a), |(_, mut alias)| *alias = Rc::new(0)).wait() else {
        panic!("an alias took a value")
    };
    assert_eq!(here.when(&a, |value| **value).wait().unwrap(), 1, "it is there, whatever the aliases did");
}

/// A value whose drop waits: the wake for what its thread waited for before comes meanwhile.
#[test]
fn a_value_whose_drop_waits_swallows_no_wake() {
    /// What the thread waits for when it drops this.
    type Waited = Arc<OnceLock<Cown<()>>>;
    struct Waits(RuntimeRef, Waited, mpsc::Sender<()>);
    impl Drop for Waits {
        fn drop(&mut self) {
            let waited = self.1.get().expect("it was set before the last handle went");
            // In line behind the thread's own place.
            let behind = self.0.when(read(waited), |_| ());
            self.2.send(()).unwrap();
            behind.wait().unwrap();
        }
    }
    let (done, is_done) = mpsc::channel();
    thread::spawn(move || {
        let runtime = runtime(2);
        let here = runtime.pinned().unwrap();
        let ((begun, begin), waited) = (mpsc::channel(), Waited::default());
        let cown = here.cown(Waits(runtime.reference(), waited.clone(), begun)).unwrap();
        let (start, started) = mpsc::channel::<()>();
        let dropped = runtime.when((), move |()| {
            _ = started.recv_timeout(LONG);
            drop(cown);
            begin.recv_timeout(LONG).unwrap();
        });
        let dropped = dropped.into_cown();
        waited.set(dropped.clone()).unwrap();
        start.send(()).unwrap();
        drop(acquire(read(&dropped)).wait());
        done.send(()).unwrap();
    });
    is_done.recv_timeout(LONG).expect("it goes on");
}
