//! Which runtime `when` takes, and what becomes of the default one.

use std::cell::RefCell;
use std::env;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use bocage::{Builder, Cown, Error, RuntimeRef, acquire, batch, default_runtime, quiesce, spawn, when};

const LONG: Duration = Duration::from_secs(60);

#[test]
fn a_behavior_schedules_on_the_runtime_that_runs_it() {
    let own = Builder::new().workers(1).build().unwrap();
    let count = Cown::new(0);
    let again = count.clone();
    let (outer, inner) = own
        .when(&count, move |_| {
            (RuntimeRef::current(), when(&again, |mut count| (*count += 1, RuntimeRef::current()).1))
        })
        .wait()
        .unwrap();
    assert_eq!(outer, Some(own.reference()));
    assert_eq!(inner.wait().unwrap(), Some(own.reference()));
    assert_ne!(own.reference(), default_runtime().reference());
}

#[test]
fn what_is_spawned_runs_where_when_would_run_it_in_order_with_it_and_its_panic_poisons() {
    let own = Builder::new().workers(2).build().unwrap();
    let log = Cown::new(Vec::new());
    let (outside, inside) = (log.clone(), log.clone());
    own.spawn(&log, move |mut log| {
        log.push(RuntimeRef::current());
        spawn(&inside, |mut log| log.push(RuntimeRef::current()));
        when(&inside, |mut log| log.push(RuntimeRef::current()));
    });
    own.quiesce(Some(LONG)).unwrap();
    spawn(&outside, |mut log| log.push(RuntimeRef::current()));
    let (of_own, of_default) = (Some(own.reference()), Some(default_runtime().reference()));
    assert_eq!(when(&log, |log| log.clone()).wait().unwrap(), [of_own, of_own, of_own, of_default]);
    let pushed = batch(|batch| {
        batch.spawn(&log, |mut log| {
            log.clear();
            std::panic::resume_unwind(Box::new("on purpose"));
        });
        batch.when(&log, |log| (log.len(), log.is_poisoned()))
    });
    assert_eq!(pushed.wait().unwrap(), (0, true));
}

#[test]
fn a_plain_thread_schedules_on_the_default_runtime() {
    let runs_on = when((), |()| RuntimeRef::current()).wait().unwrap();
    assert_eq!(runs_on, Some(default_runtime().reference()));
}

#[test]
fn after_quiesce_everything_is_done_and_the_runtime_goes_on() {
    let cowns: Vec<_> = (0..100).map(|_| Cown::new(0)).collect();
    for round in 1..=3 {
        for cown in &cowns {
            let same = cown.clone();
            when(cown, move |_| drop(when(&same, |mut n| *n += 1)));
        }
        quiesce(Some(LONG)).unwrap();
        for cown in &cowns {
            assert_eq!(when(cown, |n| *n).wait().unwrap(), round);
        }
    }
}

#[test]
fn quiesce_says_what_is_pending_when_its_time_is_over() {
    let (open, opened) = mpsc::channel::<()>();
    let held = when((), move |()| opened.recv().is_err());
    assert!(matches!(quiesce(Some(Duration::ZERO)), Err(Error::Pending(pending)) if pending.behaviors >= 1));
    drop(open);
    assert!(held.wait().unwrap());
    quiesce(Some(LONG)).unwrap();
}

#[test]
fn a_behavior_cannot_quiesce_whatever_its_runtime() {
    let own = Builder::new().workers(1).build().unwrap();
    for refused in [own.when((), |()| quiesce(None)), when((), |()| quiesce(None))] {
        assert!(matches!(refused.wait().unwrap(), Err(Error::OnWorker)));
    }
}

#[test]
fn a_handle_cannot_be_waited_for_in_a_behavior_and_the_panic_says_what_to_do() {
    let other = when((), |()| ());
    let failure = when((), move |()| other.wait().is_ok()).wait().unwrap_err();
    assert!(failure.to_string().contains("Schedule a behavior"), "{failure}");
}

/// The test process runs itself with this set to take the part of a whole program.
const PART: &str = "BOCAGE_TEST_PART";

/// This test in a process of its own, as `part`.
fn as_part(test: &str, part: &str) -> Child {
    let mut child = Command::new(env::current_exe().unwrap());
    child.args(["--exact", test, "--nocapture"]).env(PART, part);
    child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}

fn ended(mut child: Child) -> ExitStatus {
    let (done, ending) = mpsc::channel();
    thread::spawn(move || done.send(child.wait()));
    ending.recv_timeout(LONG).expect("the process ends").unwrap()
}

#[test]
fn a_process_ends_with_main_though_behaviors_go_on() {
    fn for_ever(cown: &Cown<u64>) {
        let again = cown.clone();
        when(cown, move |mut turns| {
            *turns += 1;
            for_ever(&again);
        });
    }
    if env::var_os(PART).is_some() {
        return for_ever(&Cown::new(0));
    }
    assert!(ended(as_part("a_process_ends_with_main_though_behaviors_go_on", "program")).success());
}

#[test]
fn nothing_starts_before_the_first_use() {
    /// Threads of this process; where that can't be asked, the answer does not matter.
    fn threads() -> usize {
        std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
    }
    if env::var_os(PART).is_none() {
        assert!(ended(as_part("nothing_starts_before_the_first_use", "program")).success());
        return;
    }
    let before = threads();
    let cown = Cown::new(1);
    quiesce(None).unwrap();
    assert_eq!(threads(), before);
    drop(when(&cown, |n| *n));
    assert!(before == 0 || threads() > before);
}

/// A thread's locals go one after the other when it ends, and those of ours may be gone already.
#[test]
fn what_the_last_locals_of_a_thread_do_is_done() {
    /// Does that when it is dropped.
    struct Late(Option<Box<dyn FnOnce()>>);
    impl Drop for Late {
        fn drop(&mut self) {
            self.0.take().expect("it was set")();
        }
    }
    thread_local! {
        static LATE: RefCell<Option<Late>> = const { RefCell::new(None) };
    }
    /// Makes it out of a cown.
    type Act = fn(Cown<i32>) -> Box<dyn FnOnce()>;
    let cown = Cown::new(0);
    let acts: [Act; 6] = [
        |cown| Box::new(move || spawn(&cown, |mut n| *n += 1)),
        |cown| Box::new(move || _ = when(&cown, |mut n| *n += 1)),
        |cown| Box::new(move || batch(|batch| batch.spawn(&cown, |mut n| *n += 1))),
        |cown| Box::new(move || *acquire(&cown).wait().guards() += 1),
        |cown| Box::new(move || bocage_core::spawn_on(bocage_core::Inline, &cown, |mut n| *n += 1)),
        |cown| {
            let held = acquire(&cown).wait();
            bocage_core::spawn_on(bocage_core::Inline, &cown, |mut n| *n += 1);
            Box::new(move || drop(held))
        },
    ];
    for (at, act) in (1..).zip(acts) {
        let last = cown.clone();
        std::thread::spawn(move || {
            // The first local, and so the last to go.
            LATE.set(Some(Late(None)));
            // Those of ours.
            when(&last, |_| ()).wait().unwrap();
            bocage_core::spawn_on(bocage_core::Inline, &last, |_| ());
            bocage::deterministic::replay(1, || ());
            LATE.with_borrow_mut(|late| late.as_mut().unwrap().0 = Some(act(last)));
        })
        .join()
        .unwrap();
        assert_eq!(when(&cown, |n| *n).wait().unwrap(), at, "{at}");
    }
}
