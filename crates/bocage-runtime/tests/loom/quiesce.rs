//! Quiescence: a thread that waits is woken when nothing is left to do, and not before.

use loom::sync::atomic::Ordering;
use loom::thread;

use bocage_runtime::quiesce::Goal;

use crate::plant::Plant;

/// A thread waits until it is quiet while a worker runs a behavior that schedules another.
///
/// Caught: no fence in `look_for_waiters` or none in `wait`, or a notify without the lock (the waiter sleeps for
/// ever); the scheduled counts added up before the finished ones (it returns between the two behaviors); a
/// Relaxed finish (it sees the count without the write).
#[test]
fn quiesce_against_a_behavior_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        assert!(plant.ledger.admit(1, 0));
        plant.pile.push();
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    // One writer at a time, so that only the ledger can make it visible.
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
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 2);
        plant.idle.stop();
        worker.join().unwrap();
    });
}

/// Two workers each finish one, and then look for the one thread that waits.
///
/// Caught: no fence in `look_for_waiters` or none in `wait`; a notify without the lock.
#[test]
fn quiesce_against_two_last_finishes() {
    loom::model(|| {
        let plant = Plant::new(2);
        let workers = [0, 1].map(|i| {
            plant.ledger.admit(1, 0);
            let plant = plant.clone();
            thread::spawn(move || {
                plant.ledger.finish(i);
                plant.ledger.look_for_waiters();
            })
        });
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert_eq!(plant.ledger.pending(), 0);
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A thread outside schedules while another waits that has scheduled before. The second behavior is pushed by a thread
/// that may be stopped just there.
///
/// Caught: a Relaxed finish (it sees the count without the write); no fence in `look_for_waiters` or none in `wait`.
#[test]
fn quiesce_against_a_thread_that_schedules() {
    loom::model(|| {
        let plant = Plant::new(1);
        let worker = thread::spawn({
            let plant = plant.clone();
            move || {
                plant.work(0, || {
                    // One writer, so that only the ledger can make it visible.
                    plant.ran.store(plant.ran.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
                    plant.ledger.finish(0);
                })
            }
        });
        assert!(plant.ledger.admit(1, 0));
        let outside = thread::spawn({
            let plant = plant.clone();
            move || {
                assert!(plant.ledger.admit(1, 0));
                plant.inject();
            }
        });
        plant.inject();
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert!(plant.ran.load(Ordering::Relaxed) > 0, "what was scheduled before the wait has run");
        outside.join().unwrap();
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 2);
        plant.idle.stop();
        worker.join().unwrap();
    });
}

/// A thread outside is admitted, and takes that back, while another waits.
///
/// Caught: a retraction that does not look for waiters; a notify without the lock.
#[test]
fn quiesce_against_a_schedule_that_is_taken_back() {
    loom::model(|| {
        let plant = Plant::new(1);
        assert!(plant.ledger.admit(1, 0));
        let outside = thread::spawn({
            let plant = plant.clone();
            move || plant.ledger.retract(0)
        });
        plant.ledger.wait(Goal::Quiet, None, None).unwrap();
        outside.join().unwrap();
        assert_eq!(plant.ledger.pending(), 0);
    });
}
