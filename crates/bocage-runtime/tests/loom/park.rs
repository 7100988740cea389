//! Parking: no push is missed by a worker that lies down.

use loom::sync::atomic::Ordering;
use loom::thread;

use crate::plant::{Meeting, Plant};

/// A thread outside pushes while the only worker lies down.
///
/// Caught: no fence in `work_pushed`; no fence in `last_look`; a last look before the word is changed; a stop
/// that is not remembered for who lies down after it.
#[test]
fn park_against_a_push_from_outside() {
    loom::model(|| {
        let plant = Plant::new(1);
        let worker = thread::spawn({
            let plant = plant.clone();
            move || plant.work(0, || plant.run_one_of(1))
        });
        plant.inject();
        worker.join().unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 1);
    });
}

/// A worker's body pushes a behavior and goes on until another worker runs it, while that one lies down.
///
/// Caught: no last look of a worker that parks.
#[test]
fn park_against_a_push_from_inside() {
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
        // Worker 0, in a body: not searching, not parked.
        plant.inject();
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// Two behaviors come at once for two idle workers, and each body waits for the other's: one wake must lead
/// to a second.
///
/// Caught: a searcher that finds something and takes no last look; a worker that parks without having
/// searched (half search already) and takes no last look; a sleep that ends with any unpark, its flag unset.
#[test]
fn a_burst_wakes_as_many_as_there_is_work_for() {
    // Three threads and a long protocol: a bound of 2 takes ten seconds, one of 3 many minutes.
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(2).min(2));
    model.check(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let workers = [0, 1].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || {
                plant.work(i, || {
                    meeting.meet(2);
                    plant.run_one_of(2);
                })
            })
        });
        plant.inject();
        plant.inject();
        for worker in workers {
            worker.join().unwrap();
        }
    });
}

/// A worker's body pushed two behaviors into its own queue. Another worker steals both, one to run and one into its own
/// queue, while the first lies down; and each body waits for the other's.
///
/// Caught: a thief that looks for sleepers in the word as it left it, and not again after the fence (the model found
/// this one in what had passed for right); a searcher that finds something and takes no last look.
#[test]
fn park_against_a_steal() {
    loom::model(|| {
        let (plant, meeting) = (Plant::with_deques(2, 2), Meeting::new());
        let run = |plant: &Plant, meeting: &Meeting| {
            meeting.meet(2);
            plant.run_one_of(2);
        };
        let thief = thread::spawn({
            let (plant, meeting) = (plant.clone(), meeting.clone());
            move || plant.work(1, || run(&plant, &meeting))
        });
        // Worker 0, in a body: not searching, not parked.
        plant.push(0);
        plant.push(0);
        plant.work(0, || run(&plant, &meeting));
        thief.join().unwrap();
        assert_eq!(plant.ran.load(Ordering::Relaxed), 2);
    });
}
