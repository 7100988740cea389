//! Batches: several behaviors in one step.
#![cfg(not(loom))]

mod pool;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use bocage_core::{Batch, Cown, Inline, read, when_on};
use pool::{Pool, Successors};

#[test]
fn they_run_in_the_order_in_which_they_were_added() {
    let log = Cown::new(Vec::new());
    let other = Cown::new(());
    let mut batch = Batch::new();
    for i in 0..10 {
        if i % 3 == 0 {
            drop(batch.when_on(Inline, (&log, &other), move |(mut log, _)| log.push(i)));
        } else {
            drop(batch.when_on(Inline, &log, move |mut log| log.push(i)));
        }
    }
    assert_eq!(batch.len(), 10);
    let before = when_on(Inline, &log, |log| log.len());
    assert_eq!(before.wait().unwrap(), 0, "nothing is scheduled before the batch is dropped");
    drop(batch);
    assert_eq!(when_on(Inline, &log, |log| log.clone()).wait().unwrap(), (0..10).collect::<Vec<_>>());
}

#[test]
fn behaviors_without_cowns_and_empty_batches_are_fine() {
    drop(Batch::new());
    let mut batch = Batch::new();
    let alone = batch.when_on(Inline, (), |()| 5);
    drop(batch);
    assert_eq!(alone.wait().unwrap(), 5);
}

#[test]
fn a_handle_in_a_batch_may_outlive_all_others_of_its_cown() {
    let mut batch = Batch::new();
    let handle = {
        let cown = Cown::new(String::from("kept"));
        batch.when_on(Inline, read(&cown), |text| text.len())
    };
    drop(batch);
    assert_eq!(handle.wait().unwrap(), 4);
}

#[test]
fn no_stranger_comes_between() {
    for successors in [Successors::Next, Successors::Queue] {
        watch_for_strangers(&Pool::new(3, successors));
    }
}

fn watch_for_strangers(pool: &Pool) {
    // Each value is odd only between the two behaviors of a batch.
    let cowns: Vec<Cown<u64>> = (0..4).map(|_| Cown::new(0)).collect();
    let torn = Arc::new(AtomicBool::new(false));
    thread::scope(|threads| {
        for thread in 0..3_usize {
            let (cowns, way, torn) = (&cowns, pool.way(), &torn);
            threads.spawn(move || {
                for round in 0..2000_usize {
                    let (a, b) = (&cowns[(thread + round) % 4], &cowns[(thread + round + 1 + round % 3) % 4]);
                    if round % 2 == 0 {
                        let mut batch = Batch::new();
                        drop(batch.when_on(way.clone(), (a, b), |(mut a, mut b)| {
                            *a += 1;
                            *b += 1;
                        }));
                        for cown in [b, a] {
                            drop(batch.when_on(way.clone(), cown, |mut cown| *cown += 1));
                        }
                    } else {
                        let torn = torn.clone();
                        drop(when_on(way.clone(), (read(a), read(b)), move |(a, b)| {
                            if (*a | *b) & 1 != 0 {
                                torn.store(true, Ordering::Relaxed);
                            }
                        }));
                    }
                }
            });
        }
    });
    let total: u64 = cowns.iter().map(|cown| when_on(pool.way(), cown, |cown| *cown).wait().unwrap()).sum();
    assert!(!torn.load(Ordering::Relaxed), "somebody saw a cown between the two behaviors of a batch");
    assert_eq!(total, 3 * 1000 * 4);
}
