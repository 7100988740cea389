//! Shutdown: what was admitted runs, and nothing is admitted later.

use loom::sync::atomic::Ordering;
use loom::thread;

use bocage_runtime::quiesce::Goal;

use crate::plant::Plant;

/// A thread outside schedules while the owner shuts down: either it is refused, or its behavior runs.
///
/// Caught: closing without a second look at the counts; no fence in `admit`; no fence in `try_close`; a stop
/// that is not remembered for who lies down after it.
#[test]
fn shutdown_against_a_thread_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    plant.ran.fetch_add(1, Ordering::Relaxed);
                    plant.ledger.finish(0);
                })
            }
        });
        let outside = thread::spawn({
            let plant = plant.clone();
            move || {
                let admitted = plant.ledger.admit(1, 0);
                if admitted {
                    plant.inject();
                }
                admitted
            }
        });
        plant.ledger.wait(Goal::Closed, None, None).unwrap();
        plant.idle.stop();
        worker.join().unwrap();
        let admitted = outside.join().unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), usize::from(admitted));
        assert_eq!(plant.ledger.pending(), 0);
        assert!(!plant.ledger.admit(1, 0), "closed");
    });
}

/// Two threads outside schedule while the owner tries once to close. If either is admitted the runtime goes on,
/// as nothing finishes here; and then the other may not be refused.
///
/// Caught: a refusal while CLOSING; closing without a second look; no fence in `admit` or none in `try_close`.
#[test]
fn nobody_is_refused_by_a_runtime_that_goes_on() {
    loom::model(|| {
        let plant = Plant::new(1);
        let first = thread::spawn({
            let plant = plant.clone();
            move || plant.ledger.admit(1, 0)
        });
        let second = thread::spawn({
            let plant = plant.clone();
            move || plant.ledger.admit(1, 0)
        });
        // A wait that has its time over at once: one look.
        let now = std::time::Instant::now();
        let closed = plant.ledger.wait(Goal::Closed, Some(now), None).is_ok();
        let admitted = [first.join().unwrap(), second.join().unwrap()];
        assert!(closed || admitted == [true, true], "refused, and yet it goes on");
        assert!(!closed || admitted == [false, false], "admitted, and yet closed");
    });
}

/// A behavior schedules another while the owner shuts down: the runtime stops when both have run.
///
/// Caught: a Relaxed finish (it is closed and sees less than all); no fence in `look_for_waiters`.
#[test]
fn shutdown_against_a_behavior_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        assert!(plant.ledger.admit(1, 0));
        plant.pile.push();
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    let ran = plant.ran.load(Ordering::Relaxed) + 1;
                    if ran == 1 {
                        plant.ledger.schedule(0);
                        plant.pile.push();
                    }
                    plant.ran.store(ran, Ordering::Relaxed);
                    plant.ledger.finish(0);
                })
            }
        });
        plant.ledger.wait(Goal::Closed, None, None).unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 2, "closed, and all is done");
        plant.idle.stop();
        worker.join().unwrap();
        assert!(!plant.ledger.admit(1, 0), "closed");
    });
}
