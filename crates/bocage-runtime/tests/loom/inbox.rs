//! The inbox of a thread that pumps, against those who push, and against the end of either.

use std::ops::ControlFlow;
use std::time::Duration;

use loom::sync::Arc;
use loom::thread;

use bocage_runtime::inbox::Inbox;
use bocage_runtime::quiesce::{Goal, Ledger, Tick};

/// Where the thread may sleep for its runtime.
type Bed = Arc<Ledger>;

/// That of a runtime with one worker.
fn ledger() -> Bed {
    let ledger = Ledger::new(1);
    ledger.open(1);
    Arc::new(ledger)
}

/// A thread that pumps parks while two others push, one behavior each.
///
/// Caught: an unpark before the mail is in; no unpark.
#[test]
fn a_pump_that_parks_against_two_pushes() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<u8, Bed>::new());
        let pushers = [1, 2].map(|mail| {
            let inbox = inbox.clone();
            thread::spawn(move || assert!(inbox.push(mail).is_ok_and(|bed| bed.is_none())))
        });
        let mut sum = 0;
        while sum < 3 {
            match inbox.take() {
                Some(mail) => sum += mail,
                None => inbox.park(None),
            }
        }
        for pusher in pushers {
            pusher.join().unwrap();
        }
        assert!(!inbox.has_mail());
    });
}

/// A thread that pumps waits for its runtime, while a worker hands it a pinned behavior, and finishes its own.
///
/// Caught: a push that disturbs no bed; a bed that is made after the first look; a look before the ledger's lock is
/// taken; a disturbance without that lock.
#[test]
fn a_wait_that_pumps_against_a_hand_over() {
    loom::model(|| {
        let ledger = ledger();
        // The one that the worker runs, and the one that is pinned and waits for the other's cown.
        assert!(ledger.admit(1, 0) && ledger.admit(1, 0));
        let inbox = Arc::new(Inbox::<(), Bed>::new());
        let worker = thread::spawn({
            let (ledger, inbox) = (ledger.clone(), inbox.clone());
            move || {
                // Without the wake: loom's would also end a wait on a condition variable, which the real one does not.
                if let Ok(Some(bed)) = inbox.put(()) {
                    bed.disturb();
                }
                ledger.finish(0);
                ledger.look_for_waiters();
            }
        });
        inbox.make_bed(Some(ledger.clone()));
        let mut ran = 0;
        let mut pump = || {
            if inbox.take().is_some() {
                ran += 1;
                ledger.retract(0);
            }
            ControlFlow::Continue(())
        };
        let tick: Tick<'_> = (Duration::MAX, &mut pump);
        ledger.wait_in(Goal::Quiet, None, Some(tick), || inbox.has_mail()).unwrap();
        inbox.make_bed(None);
        assert_eq!(ran, 1);
        assert_eq!(ledger.pending(), 0);
        worker.join().unwrap();
    });
}

/// A thread pumps while the owner of its runtime closes that: it is told, and does not wait for ever.
///
/// Caught: an owner that is not woken by the stop; a look at the state before the wake is possible, and none after.
#[test]
fn a_pump_that_parks_against_a_stop() {
    loom::model(|| {
        let ledger = ledger();
        let inbox = Arc::new(Inbox::<(), Bed>::new());
        let owner = thread::spawn({
            let (ledger, inbox) = (ledger.clone(), inbox.clone());
            move || {
                ledger.wait(Goal::Closed, None, None).unwrap();
                inbox.wake();
            }
        });
        while ledger.is_open(1) {
            inbox.park(None);
        }
        owner.join().unwrap();
    });
}

/// A behavior is pushed while the thread that it is pinned to ends: either it is among what is left over, or it is
/// given back to whoever pushed it.
///
/// Caught: a push that does not look whether the inbox is closed.
#[test]
fn a_push_against_the_end_of_the_thread() {
    loom::model(|| {
        let inbox = Arc::new(Inbox::<(), Bed>::new());
        let pusher = thread::spawn({
            let inbox = inbox.clone();
            move || inbox.push(()).is_err()
        });
        let left = inbox.close().len();
        let given_back = pusher.join().unwrap();
        assert!(inbox.is_closed() && !inbox.has_mail());
        assert_eq!(left + usize::from(given_back), 1);
    });
}
