//! Nothing starves, and workers are awake when there is work for them.
#![cfg(not(loom))]

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, mpsc};
use std::task::{Context, Waker};
use std::time::{Duration, Instant};

use bocage_core::{Cown, ReadGuard, acquire, read, try_acquire};
use bocage_runtime::{Builder, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

/// Where behaviors wait for each other, so that it shows whether they run at the same time.
#[derive(Default)]
struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    /// Whether `all` were there before the time was over.
    fn meet(&self, all: usize) -> bool {
        let mut there = self.0.lock().unwrap();
        *there += 1;
        self.1.notify_all();
        let (there, _) = self.1.wait_timeout_while(there, LONG, |there| *there < all).unwrap();
        *there >= all
    }
}

/// A behavior that schedules itself again on the cown that it holds, until it is told to stop.
fn chain(cown: &Cown<u64>, stop: &Arc<AtomicBool>) {
    let (next, stopped) = (cown.clone(), stop.clone());
    drop(RuntimeRef::current().unwrap().when(cown, move |mut n| {
        *n += 1;
        if !stopped.load(Ordering::Relaxed) {
            chain(&next, &stopped);
        }
    }));
}

/// A behavior on no cown that schedules one like itself, until it is told to stop.
fn flood(stop: &Arc<AtomicBool>) {
    let stopped = stop.clone();
    drop(RuntimeRef::current().unwrap().when((), move |()| {
        if !stopped.load(Ordering::Relaxed) {
            flood(&stopped);
        }
    }));
}

/// Ends a load also when a check fails: the runtime's drop would wait for it for ever.
struct StopOnDrop(Arc<AtomicBool>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Starts `load` inside `runtime`, and checks that behaviors from outside and from inside run beside it.
fn others_run_beside(runtime: &Runtime, load: impl Fn(&Arc<AtomicBool>) + Send + 'static) {
    let stop = Arc::new(AtomicBool::new(false));
    let load_ends = StopOnDrop(stop.clone());
    let inside = Arc::new(AtomicBool::new(false));
    let (stopped, ran) = (stop.clone(), inside.clone());
    let start = move |()| {
        load(&stopped);
        // One behind the load in the worker's own queue.
        drop(RuntimeRef::current().unwrap().when((), move |()| ran.store(true, Ordering::Relaxed)));
    };
    runtime.when((), start).wait().unwrap();
    let begin = Instant::now();
    while !inside.load(Ordering::Relaxed) && begin.elapsed() < LONG {
        std::thread::yield_now();
    }
    assert!(inside.load(Ordering::Relaxed), "a behavior in the worker's own queue starved");
    for _ in 0..20 {
        let outside = Arc::new(AtomicBool::new(false));
        let ran = outside.clone();
        drop(runtime.when((), move |()| ran.store(true, Ordering::Relaxed)));
        while !outside.load(Ordering::Relaxed) && begin.elapsed() < LONG {
            std::thread::yield_now();
        }
        assert!(outside.load(Ordering::Relaxed), "a behavior from outside starved");
    }
    assert!(runtime.pending() > 0, "the load is still on");
    drop(load_ends);
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_chain_on_one_cown_starves_nobody() {
    for workers in [1, 2] {
        let cown = Cown::new(0);
        others_run_beside(&runtime(workers), move |stop| chain(&cown, stop));
    }
}

/// The stranger is the newest of a worker that is handed one behavior of the chain after the other.
#[test]
fn a_chain_starves_nobody_that_one_of_its_own_bodies_schedules() {
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let stop = Arc::new(AtomicBool::new(false));
        let load_ends = StopOnDrop(stop.clone());
        let (ran, count) = (Arc::new(AtomicBool::new(false)), Cown::new(0));
        let (stranger_ran, next) = (ran.clone(), count.clone());
        let first = runtime.when(&count, move |_| {
            chain(&next, &stop);
            drop(RuntimeRef::current().unwrap().when((), move |()| stranger_ran.store(true, Ordering::Relaxed)));
        });
        first.wait().unwrap();
        let begin = Instant::now();
        while !ran.load(Ordering::Relaxed) && begin.elapsed() < LONG {
            std::thread::yield_now();
        }
        assert!(ran.load(Ordering::Relaxed), "with {workers} workers the stranger starved");
        drop(load_ends);
    }
}

#[test]
fn many_chains_starve_nobody() {
    for workers in [1, 3] {
        let cowns: Vec<_> = (0..100).map(Cown::new).collect();
        others_run_beside(&runtime(workers), move |stop| cowns.iter().for_each(|cown| chain(cown, stop)));
    }
}

#[test]
fn a_flood_in_one_queue_starves_nobody() {
    for workers in [1, 2] {
        others_run_beside(&runtime(workers), |stop| (0..1000).for_each(|_| flood(stop)));
    }
}

#[test]
fn a_flood_from_outside_starves_no_queue_of_a_worker() {
    let runtime = runtime(1);
    let cown = Cown::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                if runtime.pending() < 10_000 {
                    drop(runtime.when((), |()| ()));
                }
            }
        });
        let turns = Arc::new(AtomicU64::new(0));
        let (count, own) = (turns.clone(), cown.clone());
        fn turn(cown: &Cown<i32>, turns: &Arc<AtomicU64>) {
            if turns.fetch_add(1, Ordering::Relaxed) < 100 {
                let (next, count) = (cown.clone(), turns.clone());
                drop(RuntimeRef::current().unwrap().when((), move |()| turn(&next, &count)));
            }
        }
        drop(runtime.when((), move |()| turn(&own, &count)));
        let begin = Instant::now();
        while turns.load(Ordering::Relaxed) < 100 && begin.elapsed() < LONG {
            std::thread::yield_now();
        }
        stop.store(true, Ordering::Relaxed);
        assert!(turns.load(Ordering::Relaxed) >= 100);
    });
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn a_burst_from_outside_wakes_as_many_workers_as_there_is_work_for() {
    let runtime = runtime(6);
    for round in 1..=200 {
        let all = 1 + round % 6;
        let meeting = Arc::new(Meeting::default());
        let met: Vec<_> = (0..all)
            .map(|_| {
                let meeting = meeting.clone();
                runtime.when((), move |()| meeting.meet(all))
            })
            .collect();
        assert!(met.into_iter().all(|met| met.wait().unwrap()), "round {round}: not all {all} were awake");
        if round % 2 == 0 {
            runtime.quiesce(Some(LONG)).unwrap();
        }
    }
}

#[test]
fn a_body_that_goes_on_does_not_hide_what_it_scheduled() {
    let runtime = runtime(4);
    for round in 0..200 {
        let met = runtime.when((), move |()| {
            let meeting = Arc::new(Meeting::default());
            for _ in 0..3 {
                let meeting = meeting.clone();
                drop(RuntimeRef::current().unwrap().when((), move |()| meeting.meet(4)));
            }
            meeting.meet(4)
        });
        assert!(met.wait().unwrap(), "round {round}");
    }
}

#[test]
fn what_one_release_makes_ready_runs_on_all_workers() {
    let runtime = runtime(4);
    let cowns: Vec<_> = (0..4).map(Cown::new).collect();
    for round in 0..200 {
        let (meeting, start) = (Arc::new(Meeting::default()), Arc::new(Meeting::default()));
        let began = start.clone();
        // Holds all four, until one waits for each.
        let holder = runtime.when(&cowns, move |_| began.meet(2));
        let met: Vec<_> = cowns
            .iter()
            .map(|cown| {
                let meeting = meeting.clone();
                runtime.when(cown, move |_| meeting.meet(4))
            })
            .collect();
        assert!(start.meet(2));
        assert!(holder.wait().unwrap());
        assert!(met.into_iter().all(|met| met.wait().unwrap()), "round {round}");
    }
    runtime.quiesce(Some(LONG)).unwrap();
    let stats = runtime.stats();
    assert!(stats.iter().map(|stats| stats.handed_over).sum::<u64>() > 0, "{stats:?}");
    assert!(stats.iter().map(|stats| stats.stolen).sum::<u64>() > 0, "{stats:?}");
    assert_eq!(stats.iter().map(|stats| stats.run).sum::<u64>(), 200 * 5);
}

#[test]
fn a_million_hand_overs_take_constant_stack() {
    let runtime = Builder::new().workers(1).stack_size(64 << 10).build().unwrap();
    let cown = Cown::new(0_u64);
    let counted = cown.clone();
    let all = runtime.when(&cown, move |_| {
        let here = RuntimeRef::current().unwrap();
        for _ in 0..1_000_000 {
            drop(here.when(&counted, |mut n| *n += 1));
        }
    });
    all.wait().unwrap();
    runtime.quiesce(Some(LONG)).unwrap();
    assert_eq!(runtime.when(&cown, |n| *n).wait().unwrap(), 1_000_000);
    assert!(runtime.stats()[0].handed_over >= 1_000_000);
}

/// What a body lets go of is for others while it goes on.
#[test]
fn what_a_body_makes_ready_before_its_end_runs_beside_it() {
    /// How a body comes to release a cown.
    type Way = fn(&Cown<u32>) -> Box<dyn FnOnce() + Send>;
    let guard: Way = |cown| {
        let held = acquire(cown).wait();
        Box::new(|| drop(held))
    };
    let tried: Way = |cown| {
        let held = try_acquire(cown).unwrap();
        Box::new(|| drop(held))
    };
    for way in [guard, tried] {
        for waits_to_read in [false, true] {
            let runtime = runtime(2);
            let cown = Cown::new(0);
            let release = way(&cown);
            let meeting = Arc::new(Meeting::default());
            let other = meeting.clone();
            let waits = if waits_to_read {
                runtime.when(read(&cown), move |_| other.meet(2))
            } else {
                runtime.when(&cown, move |_| other.meet(2))
            };
            let releases = runtime.when((), move |()| {
                release();
                meeting.meet(2)
            });
            assert!(waits.wait().unwrap() && releases.wait().unwrap(), "reads: {waits_to_read}");
        }
    }
}

/// A lone worker passes a cown from reader to reader, but for one whose body runs elsewhere.
#[test]
fn a_reader_from_elsewhere_does_not_wait_for_the_reader_before_it() {
    let (lone, other) = (runtime(1), runtime(1));
    let cown = Cown::new(0);
    // Writes until it is told to stop, so that readers come behind it.
    let writes = || {
        let (stop, stopped) = mpsc::channel::<()>();
        lone.spawn(&cown, move |_| _ = stopped.recv_timeout(LONG));
        stop
    };
    for of_runtime in [false, true] {
        // Until readers are taken to be short.
        for _ in 0..200 {
            let writes = writes();
            (0..50).for_each(|_| lone.spawn(read(&cown), |_| ()));
            drop(writes);
        }
        lone.quiesce(Some(LONG)).unwrap();
        let meeting = Arc::new(Meeting::default());
        let meets = || {
            let meeting = meeting.clone();
            move |_: ReadGuard<'_, i32>| meeting.meet(2)
        };
        let writes = writes();
        let first = lone.when(read(&cown), meets());
        let beside = if of_runtime {
            let second = other.when(read(&cown), meets());
            drop(writes);
            second.wait().unwrap()
        } else {
            let mut second = acquire(read(&cown));
            let mut context = Context::from_waker(Waker::noop());
            assert!(Pin::new(&mut second).poll(&mut context).is_pending());
            drop(writes);
            let second = second.wait();
            let met = meeting.meet(2);
            drop(second);
            met
        };
        assert!(beside && first.wait().unwrap(), "of another runtime: {of_runtime}");
    }
}
