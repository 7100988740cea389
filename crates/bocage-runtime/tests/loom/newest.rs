//! Parking: no behavior that a worker keeps back is left there while another sleeps.

use bocage_runtime::park::{Parked, Was};
use loom::sync::Arc;
use loom::sync::atomic::Ordering;
use loom::thread;

use crate::plant::{Meeting, Plant};

/// Worker 1, to whom the only behavior that it runs is one for which a body on another worker waits.
fn worker_1(plant: &Arc<Plant>, meeting: &Arc<Meeting>) -> thread::JoinHandle<()> {
    let (plant, meeting) = (plant.clone(), meeting.clone());
    thread::spawn(move || {
        plant.work(1, || {
            meeting.meet(2);
            plant.run_one_of(1);
        })
    })
}

/// A worker's body keeps a behavior back and goes on until another worker runs it, while that one lies down.
///
/// Caught: a worker that parks and does not watch; a watcher that stops though others run.
#[test]
fn park_against_a_behavior_that_is_kept_back() {
    loom::model(|| {
        let (plant, meeting) = (Plant::new(2), Meeting::new());
        let other = worker_1(&plant, &meeting);
        // Worker 0, in a body.
        plant.keep_newest();
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// A worker takes the first of a row out of its queue, while another one lies down, and puts back the rest, of which it tells
/// nobody. Its body goes on until the other runs that.
///
/// Caught: a watcher that looks at what is kept back only, and not into the queues.
#[test]
fn park_against_the_rest_of_a_row() {
    loom::model(|| {
        let (plant, meeting) = (Plant::with_deques(2, 2), Meeting::new());
        plant.push(0);
        assert!(plant.next(0), "nobody else is there");
        let other = worker_1(&plant, &meeting);
        // Worker 0, before and in a body.
        plant.put_back(0);
        meeting.meet(2);
        plant.work(0, || unreachable!("there was only one"));
        other.join().unwrap();
    });
}

/// A worker's body grants rows to readers while another worker lies down, and goes on until that one runs some.
///
/// Caught: a watcher that looks at what is kept back only, and not into the queues.
#[test]
fn park_against_rows_that_are_granted() {
    loom::model(|| {
        let (plant, meeting) = (Plant::with_deques(2, 2), Meeting::new());
        let other = worker_1(&plant, &meeting);
        // Worker 0, in a body.
        plant.grant(0);
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
    kept_back_when_nobody_watches(0, |plant, _| plant.keep_newest());
}

/// The same of rows that the body grants.
///
/// Caught: no look at the word; a worker that parks and does not watch.
#[test]
fn rows_are_granted_when_nobody_watches() {
    kept_back_when_nobody_watches(2, Plant::grant);
}

/// With so many queues of workers' own; `keep` is told by which worker.
fn kept_back_when_nobody_watches(deques: usize, keep: fn(&Plant, usize)) {
    let mut model = loom::model::Builder::new();
    model.preemption_bound = Some(model.preemption_bound.unwrap_or(2).min(2));
    model.check(move || {
        let (plant, meeting) = (Plant::with_deques(2, deques), Meeting::new());
        let workers = [0, 1].map(|i| {
            let (plant, meeting) = (plant.clone(), meeting.clone());
            thread::spawn(move || {
                plant.work(i, || {
                    if plant.ran.fetch_add(1, Ordering::AcqRel) == 0 {
                        keep(&plant, i);
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

/// Of three workers, on one thread: all lay down, the first as the watcher, which stopped then.
fn all_lie_down(plant: &Plant) -> [Parked<'_>; 3] {
    let down = |worker| plant.idle.lie_down(worker, Was::Running, || plant.work_left()).expect("it runs");
    let mut parked = [down(2), down(1), down(0)];
    assert!(parked[0].watches());
    parked[0].stop_watching();
    parked
}

/// The one who lies here, on this thread, sleeps until somebody wakes him. (`Parked::sleep` may leave the thread's token behind,
/// which loom takes for the end of another thread.)
fn sleep(parked: &Parked<'_>) {
    thread::park();
    assert!(parked.is_woken());
}

/// A worker wakes up, as something was pushed.
fn wake(plant: &Plant, parked: &Parked<'_>) {
    plant.inject();
    sleep(parked);
    assert!(plant.pile.take());
}

/// Worker 0 keeps a behavior back while worker 1 searches, and finds something. Then neither looks for what is kept back, and
/// worker 2 is to be woken for that.
///
/// Caught: a worker that becomes RUNNING and does not see whether others do.
#[test]
fn a_behavior_is_kept_back_as_the_last_searcher_ends() {
    loom::model(|| {
        let plant = Plant::new(3);
        let [sleeper, searcher, keeper] = all_lie_down(&plant);
        wake(&plant, &keeper);
        plant.idle.found(|| plant.work_left());
        wake(&plant, &searcher);
        let other = thread::spawn({
            let plant: Arc<Plant> = plant.clone();
            move || plant.idle.found(|| plant.work_left())
        });
        plant.keep_newest();
        sleep(&sleeper);
        other.join().unwrap();
    });
}

/// The same, but that worker 1 watched, and gets up for what it has seen elsewhere.
///
/// Caught: a watcher that gets up and does not see whether others run.
#[test]
fn a_behavior_is_kept_back_as_the_watcher_gets_up() {
    loom::model(|| {
        let plant = Plant::new(3);
        let down = |worker| plant.idle.lie_down(worker, Was::Running, || plant.work_left()).expect("it runs");
        let (watcher, sleeper) = (down(1), down(2));
        assert!(watcher.watches() && !sleeper.watches());
        let other = thread::spawn({
            let plant: Arc<Plant> = plant.clone();
            move || plant.keep_newest()
        });
        assert!(watcher.get_up(|| plant.work_left()).is_ok());
        sleep(&sleeper);
        other.join().unwrap();
    });
}
