//! Stages of those who hold cowns and are no workers.
#![cfg(not(loom))]

use std::collections::HashSet;
use std::ptr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use bocage_core::{Cown, Outside, acquire, read, try_acquire};

/// The cowns of what is held, as far as they are among these.
fn held(cowns: &[Cown<u32>]) -> Vec<usize> {
    Outside::look(|holders| {
        let ids = holders.iter().flat_map(|holder| holder.seen().cowns().map(|(id, _)| id).collect::<Vec<_>>());
        ids.filter_map(|id| cowns.iter().position(|cown| cown.id() == id)).collect()
    })
}

#[test]
fn what_is_acquired_is_seen_until_it_is_released() {
    let cowns: Vec<_> = (0..3).map(Cown::new).collect();
    assert_eq!(held(&cowns), []);
    let two = acquire((&cowns[0], read(&cowns[2]))).wait();
    assert_eq!(held(&cowns), [0, 2]);
    let one = acquire(&cowns[1]).wait();
    assert_eq!(held(&cowns).len(), 3);
    drop(two);
    assert_eq!(held(&cowns), [1]);
    drop(one);
    assert_eq!(held(&cowns), []);
}

/// Nobody who is found releases before the look is over.
///
/// Caught: a guard that does not stop at the gate.
#[test]
fn what_is_seen_is_held_as_long_as_one_looks() {
    /// More than it takes.
    const LONG: Duration = Duration::from_secs(60);
    let cowns: Vec<_> = (0..4).map(Cown::new).collect();
    let done = AtomicBool::new(false);
    let (found, released) = thread::scope(|scope| {
        for own in cowns.chunks(2) {
            let (done, cowns) = (&done, &cowns);
            scope.spawn(move || {
                for turn in 0.. {
                    if done.load(Ordering::Relaxed) {
                        break;
                    }
                    *acquire(&own[turn % 2]).wait().guards() += 1;
                    *acquire(&cowns[turn % 4]).wait().guards() += 1;
                }
            });
        }
        let (mut found, mut released) = (0, 0);
        let begun = Instant::now();
        while found < 200 && begun.elapsed() < LONG {
            Outside::look(|holders| {
                let ids: HashSet<_> =
                    holders.iter().flat_map(|holder| holder.seen().cowns().collect::<Vec<_>>()).collect();
                for cown in cowns.iter().filter(|cown| ids.contains(&(cown.id(), false))) {
                    found += 1;
                    released += usize::from(try_acquire(cown).is_some());
                }
            });
        }
        done.store(true, Ordering::Relaxed);
        (found, released)
    });
    assert!(found >= 200, "only {found} were found in all the time");
    assert_eq!(released, 0, "of {found} that were found");
}

#[test]
fn each_is_had_by_one() {
    let all: Vec<_> = std::iter::from_fn(Outside::claim).collect();
    assert!(all.len() >= 16, "as many as a thread tries");
    let different: HashSet<_> = all.iter().map(|outside| ptr::from_ref(outside.stage())).collect();
    assert_eq!(different.len(), all.len());
    assert!(Outside::claim().is_none());
    // Does without, and nothing is lost.
    let cown = Cown::new(1);
    assert_eq!(*acquire(&cown).wait().guards(), 1);
    drop(all);
    assert!(Outside::claim().is_some());
}
