//! Readers that a worker runs one after the other: others take what it does not get to, and nothing is held too long.
#![cfg(not(loom))]

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bocage_core::{Cown, acquire, read, try_acquire};
use bocage_runtime::{Builder, OnDrop, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

fn runtime(workers: usize) -> Runtime {
    Builder::new().workers(workers).build().unwrap()
}

fn current() -> RuntimeRef {
    RuntimeRef::current().unwrap()
}

/// Waits until it is so, or the time is over.
fn becomes(so: impl Fn() -> bool) -> bool {
    let begin = Instant::now();
    while !so() && begin.elapsed() < LONG {
        std::thread::yield_now();
    }
    so()
}

/// Where readers wait for each other, so that it shows whether they run at the same time.
#[derive(Default)]
struct Meeting(Mutex<usize>, Condvar);

impl Meeting {
    fn meet(&self, all: usize) -> bool {
        let mut there = self.0.lock().unwrap();
        *there += 1;
        self.1.notify_all();
        let (there, _) = self.1.wait_timeout_while(there, LONG, |there| *there < all).unwrap();
        *there >= all
    }
}

/// Rows of short reads, by which the workers learn that it is not worth it to share them.
fn short_reads(cown: &Cown<u64>) {
    for _ in 0..200 {
        drop(current().when(cown, |mut value| *value += 1));
        for _ in 0..10 {
            drop(current().when(read(cown), |value| assert!(*value > 0)));
        }
    }
}

#[test]
fn readers_that_wait_for_each_other_meet_also_after_short_ones() {
    let runtime = runtime(3);
    for round in 0..100 {
        let cown = Cown::new(0);
        let (met, meeting) = (Arc::new(AtomicUsize::new(0)), Arc::new(Meeting::default()));
        let (count, own) = (met.clone(), cown.clone());
        drop(runtime.when((), move |()| {
            short_reads(&own);
            if round % 2 == 0 {
                // Handed over by a writer; else the first of them has nobody before it, or short readers.
                drop(current().when(&own, |mut value| *value += 1));
            }
            for _ in 0..3 {
                let (met, meeting) = (count.clone(), meeting.clone());
                drop(current().when(read(&own), move |_| met.fetch_add(meeting.meet(3).into(), Ordering::Relaxed)));
            }
        }));
        runtime.quiesce(Some(LONG)).unwrap();
        assert_eq!(met.load(Ordering::Relaxed), 3, "round {round}: not all three readers ran at the same time");
    }
}

#[test]
fn readers_behind_a_long_one_are_taken_by_others() {
    let runtime = runtime(2);
    for _ in 0..20 {
        let cown = Cown::new(0);
        let (behind, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let (count, has_seen, own) = (behind.clone(), seen.clone(), cown.clone());
        drop(runtime.when((), move |()| {
            short_reads(&own);
            let done = count.clone();
            let first = move |_: bocage_core::ReadGuard<'_, u64>| {
                // It goes on until all that are behind it have run.
                has_seen.store(becomes(|| done.load(Ordering::Relaxed) == 50), Ordering::Relaxed);
            };
            drop(current().when(read(&own), first));
            for _ in 0..50 {
                let count = count.clone();
                drop(current().when(read(&own), move |_| count.fetch_add(1, Ordering::Relaxed)));
            }
        }));
        runtime.quiesce(Some(LONG)).unwrap();
        assert!(seen.load(Ordering::Relaxed), "only {} of 50 ran beside it", behind.load(Ordering::Relaxed));
    }
}

/// The only worker is busy: who reads the cown from outside needs the reader before it to have the cown, not to have run.
#[test]
fn a_reader_outside_does_not_wait_for_one_whose_worker_is_busy() {
    let runtime = runtime(1);
    let cown = Cown::new(5);
    let (go, gone) = channel();
    let (done, is_done) = channel();
    let own = cown.clone();
    let waited = runtime.when((), move |()| {
        drop(current().when(read(&own), |_| ()));
        go.send(()).unwrap();
        is_done.recv_timeout(LONG).is_ok()
    });
    gone.recv_timeout(LONG).unwrap();
    drop(acquire(read(&cown)).wait());
    let _ = done.send(());
    assert!(waited.wait().unwrap(), "it had to wait for the body to end");
}

/// A read whose body schedules another on the same cown, until it is told to stop: there is always a turn.
fn reads(cown: &Cown<u64>, stop: &Arc<AtomicBool>) {
    let (next, stopped) = (cown.clone(), stop.clone());
    drop(current().when(read(cown), move |_| {
        if !stopped.load(Ordering::Relaxed) {
            reads(&next, &stopped);
        }
    }));
}

/// The same with writes, which are handed over.
fn writes(cown: &Cown<u64>, stop: &Arc<AtomicBool>) {
    let (next, stopped) = (cown.clone(), stop.clone());
    drop(current().when(cown, move |_| {
        if !stopped.load(Ordering::Relaxed) {
            writes(&next, &stopped);
        }
    }));
}

#[test]
fn readers_starve_nobody_and_are_starved_by_nobody() {
    for workers in [1, 2] {
        for load in [reads, writes] {
            for stranger in ["reads another cown", "writes the same one", "has none"] {
                let runtime = runtime(workers);
                let stop = Arc::new(AtomicBool::new(false));
                let ran = Arc::new(AtomicBool::new(false));
                let (stopped, count, busy, quiet) = (stop.clone(), ran.clone(), Cown::new(0), Cown::new(0));
                // From a body that has the load's cown, so that the load is handed over from the start.
                let own = busy.clone();
                drop(runtime.when(&own, move |_| {
                    load(&busy, &stopped);
                    let run = move || count.store(true, Ordering::Relaxed);
                    match stranger {
                        "reads another cown" => drop(current().when(read(&quiet), move |_| run())),
                        "writes the same one" => drop(current().when(&busy, move |_| run())),
                        _ => drop(current().when((), move |()| run())),
                    }
                }));
                let has_run = becomes(|| ran.load(Ordering::Relaxed));
                stop.store(true, Ordering::Relaxed);
                assert!(has_run, "with {workers} workers who {stranger} starved");
                runtime.wait(Some(LONG)).unwrap();
            }
        }
    }
}

#[test]
fn when_all_is_quiet_no_reader_holds_a_cown() {
    // Short ones are run by turns, others are granted.
    for (workers, spins) in [(1, 0), (2, 0), (1, 200), (2, 200)] {
        let runtime = runtime(workers);
        let cown = Cown::new(0);
        for round in 0..5_000 {
            let own = cown.clone();
            drop(runtime.when((), move |()| {
                for _ in 0..round % 5 {
                    drop(current().when(read(&own), move |value| {
                        (0..spins).for_each(|_| std::hint::spin_loop());
                        assert_eq!(*value, 0);
                    }));
                }
            }));
            // It spins for a while, so that it comes right when the last reader has ended.
            for looks in 0_u32.. {
                if runtime.pending() == 0 {
                    break;
                }
                if looks < 1_000 { std::hint::spin_loop() } else { std::thread::yield_now() }
            }
            assert!(try_acquire(&cown).is_some(), "round {round} with {workers} workers");
        }
    }
}

#[test]
fn the_writer_behind_readers_comes_before_what_has_nothing_to_do_with_them() {
    let runtime = runtime(1);
    let (cown, order) = (Cown::new(0), Arc::new(Mutex::new(Vec::new())));
    let (own, said) = (cown.clone(), order.clone());
    drop(runtime.when((), move |()| {
        let say = |what| {
            let said = said.clone();
            move || said.lock().unwrap().push(what)
        };
        let [first, second, third, stranger] = ["read", "read", "write", "stranger"].map(say);
        drop(current().when((), move |()| stranger()));
        drop(current().when(read(&own), move |_| first()));
        drop(current().when(read(&own), move |_| second()));
        drop(current().when(&own, move |_| third()));
    }));
    runtime.wait(Some(LONG)).unwrap();
    assert_eq!(*order.lock().unwrap(), ["read", "read", "write", "stranger"]);
}

#[test]
fn readers_of_two_runtimes_share_a_cown() {
    const NAMES: [&str; 2] = ["first", "second"];
    let runtimes = [1, 2].map(|n| Builder::new().workers(n).name_prefix(NAMES[n - 1]).build().unwrap());
    let cown = Cown::new(0);
    let (ran, held) = (Arc::new(AtomicUsize::new(0)), try_acquire(&cown).unwrap());
    for number in 0..1_000 {
        let count = ran.clone();
        let at = number / 3 % 2;
        drop(runtimes[at].when(read(&cown), move |_| {
            let name = std::thread::current().name().unwrap_or_default().to_owned();
            count.fetch_add(name.starts_with(NAMES[at]).into(), Ordering::Relaxed);
        }));
    }
    drop(held);
    for runtime in &runtimes {
        runtime.wait(Some(LONG)).unwrap();
    }
    assert_eq!(ran.load(Ordering::Relaxed), 1_000, "some ran where they were not scheduled");
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn a_runtime_that_is_dropped_cancels_the_readers_in_turn() {
    for workers in [1, 2] {
        let runtime = Builder::new().workers(workers).on_drop(OnDrop::Cancel).build().unwrap();
        let (cown, value) = (Cown::new(0), Arc::new(()));
        let (own, kept) = (cown.clone(), value.clone());
        let began = Arc::new(AtomicBool::new(false));
        let begun = began.clone();
        drop(runtime.when((), move |()| {
            for _ in 0..1_000 {
                let (kept, begun) = (kept.clone(), begun.clone());
                drop(current().when(read(&own), move |_| {
                    begun.store(true, Ordering::Relaxed);
                    std::hint::black_box(&kept);
                }));
            }
        }));
        assert!(becomes(|| began.load(Ordering::Relaxed)));
        drop(runtime);
        assert_eq!(Arc::strong_count(&value), 1, "with {workers} workers, something of a body is left");
        assert!(try_acquire(&cown).is_some());
    }
}

/// Two readers run when the first of them drops the runtime; the others were let in with them, and none of them runs.
#[test]
fn readers_that_were_let_in_at_once_are_cancelled_with_the_runtime() {
    let runtime = Builder::new().workers(2).on_drop(OnDrop::Cancel).build().unwrap();
    let (cown, ran) = (Cown::new(0), Arc::new(AtomicUsize::new(0)));
    let (is_dropped, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let (owner, owned) = channel::<Runtime>();
    let (own, count, dropped, begin) = (cown.clone(), ran.clone(), is_dropped.clone(), begun.clone());
    runtime.spawn((), move |()| {
        current().spawn(&own, |mut value| *value += 1);
        let dropped_by_first = dropped.clone();
        current().spawn(read(&own), move |_| {
            drop(owned.recv_timeout(LONG).unwrap());
            dropped_by_first.store(true, Ordering::SeqCst);
        });
        for _ in 0..20 {
            let (count, dropped, begin) = (count.clone(), dropped.clone(), begin.clone());
            current().spawn(read(&own), move |_| {
                count.fetch_add(usize::from(dropped.load(Ordering::SeqCst)), Ordering::SeqCst);
                begin.store(true, Ordering::SeqCst);
                assert!(becomes(|| dropped.load(Ordering::SeqCst)));
            });
        }
    });
    assert!(becomes(|| begun.load(Ordering::SeqCst)));
    owner.send(runtime).unwrap();
    assert!(becomes(|| Arc::strong_count(&ran) == 1), "something of a body is left");
    assert_eq!(ran.load(Ordering::SeqCst), 0);
    assert!(becomes(|| try_acquire(&cown).is_some()));
}

/// Caught, in a release build (in a debug build readers are not short): a row that sees it only at every 32nd reader.
#[test]
fn no_reader_in_turn_runs_after_one_that_drops_the_runtime() {
    let runtime = Builder::new().workers(1).on_drop(OnDrop::Cancel).build().unwrap();
    let (cown, ran) = (Cown::new(0), Arc::new(AtomicUsize::new(0)));
    let (own, count) = (cown.clone(), ran.clone());
    let (owner, owned) = channel::<Runtime>();
    drop(runtime.when((), move |()| {
        short_reads(&own);
        drop(current().when(&own, |mut value| *value += 1));
        drop(current().when(read(&own), move |_| drop(owned.recv_timeout(LONG).unwrap())));
        for _ in 0..20 {
            let count = count.clone();
            drop(current().when(read(&own), move |_| count.fetch_add(1, Ordering::Relaxed)));
        }
    }));
    owner.send(runtime).unwrap();
    assert!(becomes(|| Arc::strong_count(&ran) == 1), "something of a body is left");
    assert_eq!(ran.load(Ordering::Relaxed), 0);
    assert!(becomes(|| try_acquire(&cown).is_some()));
}

/// To begin with a reader settles what is owed of another cown, which may be the end of that. If what it held schedules a reader
/// then, that one's turn has to go somewhere.
#[test]
fn a_turn_that_comes_as_another_begins_is_not_lost() {
    /// Schedules a reader when it is dropped.
    struct Reads(Cown<u64>, Arc<AtomicUsize>);
    impl Drop for Reads {
        fn drop(&mut self) {
            let count = self.1.clone();
            current().spawn(read(&self.0), move |_| _ = count.fetch_add(1, Ordering::Relaxed));
        }
    }
    const ROUNDS: usize = 1000;
    for workers in [1, 2] {
        let runtime = runtime(workers);
        let (warm, read_twice, read_last) = (Cown::new(0), Cown::new(0), Cown::new(0));
        runtime.spawn((), move |()| short_reads(&warm));
        runtime.quiesce(Some(LONG)).unwrap();
        let count = Arc::new(AtomicUsize::new(0));
        for _ in 0..ROUNDS {
            let (count, read_twice, read_last) = (count.clone(), read_twice.clone(), read_last.clone());
            runtime.spawn((), move |()| {
                let cown = Cown::new(Reads(read_last, count));
                current().spawn(read(&cown), move |_| {
                    (0..2).for_each(|_| current().spawn(read(&read_twice), |_| ()));
                });
            });
            runtime.quiesce(Some(LONG)).unwrap();
        }
        assert_eq!(count.load(Ordering::Relaxed), ROUNDS, "with {workers} workers");
    }
}
