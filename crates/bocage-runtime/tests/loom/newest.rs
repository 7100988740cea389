//! Parking: no behavior that a worker keeps back is left there while another sleeps.

use loom::sync::atomic::Ordering;
use loom::thread;

use crate::plant::{Meeting, Plant};

/// A worker's body keeps a behavior back and goes on until another worker runs it, while that one lies down.
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

/// Two behaviors come at once for three workers that sleep. The body of the first keeps a third one back, and all three
/// go on until all of them run: whoever takes the second from under a watch that is not there has to see to the third.
#[test]
fn a_behavior_is_kept_back_while_another_worker_finds_something() {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(1);
    model.check(|| {
        let (plant, meeting) = (Plant::new(3), Meeting::new());
        let workers = [1, 2].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || plant.work(i, || meet_as_one_of_three(&plant, &meeting)))
        });
        plant.inject();
        plant.inject();
        plant.work(0, || meet_as_one_of_three(&plant, &meeting));
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

fn meet_as_one_of_three(plant: &Plant, meeting: &Meeting) {
    if plant.ran.fetch_add(1, Ordering::AcqRel) == 0 {
        plant.keep_newest();
    }
    meeting.meet(3);
    plant.idle.stop();
}
