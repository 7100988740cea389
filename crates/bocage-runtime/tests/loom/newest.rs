//! Parking: no behavior that a worker keeps back is left there while another sleeps.

use loom::sync::atomic::Ordering;
use loom::thread;

use crate::plant::{Meeting, Plant};

/// A worker's body keeps a behavior back and goes on until another worker runs it, while that one lies down.
///
/// Caught: a worker that parks and does not watch; a watcher that stops though others run.
#[test]
fn park_against_a_behavior_that_is_kept_back() {
    loom::model(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let other = thread::spawn({
            let (plant, meeting) = (plant.clone(), meeting.clone());
            move || {
                plant.work(1, || {
                    meeting.meet(2);
                    plant.run_one_of(1);
                })
            }
        });
        // Worker 0, in a body.
        plant.keep_newest();
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// A thread outside wakes one of two workers that sleep; its body keeps a behavior back and goes on until the other runs
/// that, though nobody watched.
///
/// Caught: no wake for what is kept back; a worker that parks and does not watch.
#[test]
fn a_behavior_is_kept_back_when_nobody_watches() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(2).min(2));
    model.check(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let workers = [0, 1].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || {
                plant.work(i, || {
                    if plant.ran.fetch_add(1, Ordering::AcqRel) == 0 {
                        plant.keep_newest();
                        meeting.meet(2);
                    } else {
                        meeting.meet(2);
                        plant.idle.stop();
                    }
                })
            })
        });
        plant.inject();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}
