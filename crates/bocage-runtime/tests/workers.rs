//! How many workers there are, what their threads are like, and what they count.
#![cfg(not(loom))]

use std::sync::mpsc;
use std::time::{Duration, Instant};

use bocage_core::Cown;
use bocage_runtime::{Builder, Runtime, RuntimeRef};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

/// What a thread may use is its own: narrowing it here leaves the other tests alone.
#[cfg(target_os = "linux")]
#[test]
fn there_is_a_worker_for_each_processor_that_affinity_allows() {
    /// The processors that the calling thread may use.
    fn allowed() -> Vec<usize> {
        // SAFETY: a set of bits, of which all zeros is one; the call writes no more than the size that it is told, and
        // the bits that are asked for are in it.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            assert_eq!(libc::sched_getaffinity(0, size_of_val(&set), &mut set), 0);
            (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &set)).collect()
        }
    }
    fn allow(cpus: &[usize]) {
        // SAFETY: as above; the processors come from `allowed`.
        unsafe {
            let mut set: libc::cpu_set_t = std::mem::zeroed();
            cpus.iter().for_each(|cpu| libc::CPU_SET(*cpu, &mut set));
            assert_eq!(libc::sched_setaffinity(0, size_of_val(&set), &set), 0);
        }
    }
    let narrow = || {
        let all = allowed();
        // The standard library respects the cgroup, which may allow less than affinity does.
        let most = std::thread::available_parallelism().unwrap().get();
        for count in 1..=all.len().min(4) {
            allow(&all[..count]);
            let runtime = Runtime::new().unwrap();
            assert_eq!(runtime.workers(), count.min(most));
            // The workers are held to the same processors.
            let theirs = runtime.when((), |()| allowed()).wait().unwrap();
            assert_eq!(theirs, all[..count]);
        }
    };
    std::thread::spawn(narrow).join().unwrap();
}

#[test]
fn the_stack_is_as_large_as_was_asked_for() {
    /// Uses a kilobyte for each level.
    fn deep(levels: usize) -> usize {
        let mut here = [0_u8; 1024];
        std::hint::black_box(&mut here);
        if levels == 0 { 0 } else { 1 + deep(levels - 1) + usize::from(here[levels % 1024]) }
    }
    // More than the usual two megabytes, in a build without optimisation too.
    let runtime = Builder::new().workers(1).stack_size(64 << 20).build().unwrap();
    assert_eq!(runtime.when((), |()| deep(16 << 10)).wait().unwrap(), 16 << 10);
}

#[test]
fn a_worker_that_looks_round_in_vain_counts_it_and_an_idle_one_does_not_go_on() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let mut before = 0;
    for round in 1..=50 {
        runtime.when((), |()| ()).wait().unwrap();
        let begin = Instant::now();
        while runtime.stats()[0].spins == before {
            assert!(begin.elapsed() < LONG, "it never looked round after behavior {round}");
            std::thread::yield_now();
        }
        before = runtime.stats()[0].spins;
    }
    let stats = runtime.stats()[0];
    // One round for each time that it lay down, and one for each time that it was woken for nothing.
    assert!(stats.spins <= 2 * (stats.parked + stats.run + 1), "{stats:?}");
    drop(runtime);
    let next = Builder::new().workers(1).build().unwrap();
    let (begun, begin) = mpsc::channel();
    let (release, released) = mpsc::channel::<()>();
    drop(next.when((), move |()| {
        begun.send(()).unwrap();
        _ = released.recv_timeout(LONG);
    }));
    begin.recv_timeout(LONG).unwrap();
    assert!(next.stats()[0].spins <= 2, "statistics start anew");
    drop(release);
}

#[test]
fn runtimes_that_nest_share_cowns_with_those_around_them() {
    let outer = Builder::new().workers(2).build().unwrap();
    let (here, shared) = (outer.reference(), Cown::new(Vec::new()));
    let inside = shared.clone();
    let rounds = outer.when((), move |()| {
        let inner = Builder::new().workers(2).build().unwrap();
        for i in 0..300 {
            let home = if i % 2 == 0 { here } else { inner.reference() };
            // Each is handed over by a worker of the other runtime, or found free by this one.
            drop(home.when(&inside, move |mut list| {
                assert_eq!(RuntimeRef::current(), Some(home));
                list.push(i);
            }));
        }
        // What is scheduled on the outer one needs its other worker only.
        inner.wait(Some(LONG)).unwrap();
        inner.stats().iter().map(|stats| stats.run).sum::<u64>()
    });
    assert_eq!(rounds.wait().unwrap(), 150);
    outer.quiesce(Some(LONG)).unwrap();
    outer.when(&shared, |list| assert!(list.iter().copied().eq(0..300))).wait().unwrap();
}
