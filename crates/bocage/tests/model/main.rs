//! Random programs against what they mean.
//!
//! A program has behaviors that write and read cowns, the results of others among them; batches; bodies that schedule;
//! and bodies that panic. It runs on 1 to 8 workers, or deterministically under many seeds, and every behavior writes
//! down what it saw (`machine.rs`). Of that must hold (`verdict.rs`):
//!
//! - A cown is held by one writer or by readers, and what a body sees of it does not change while it is held.
//! - What is to run runs once, and every value is dropped once.
//! - It is as if the behaviors had run one after the other (`reference.rs`): values, results and poison marks agree. If
//!   one thread schedules everything, that is the order of scheduling.
//! - Causal order: if a behavior was scheduled before another, by the same author or by somebody of whom that author
//!   could know, it was before it on each cown of both, unless both only read it.
//! - Nobody came between the behaviors of a batch on a cown of two of them.
//!
//! The seed is printed; `BOCAGE_SEED` makes the same programs again, `PROPTEST_CASES` says how many. What fails is shrunk
//! to a small program (`program.rs`), for which each candidate is tried many times, as an interleaving may be rare.
//!
//! Seen to catch: an enqueuer that does not wait for its predecessor's phase 1; a batch whose slots are chained the wrong
//! way round, or pass for enqueued one after the other; a reader that takes the cown whoever is before it, and a writer that
//! takes it whoever reads; a panic that poisons nothing; a body that runs though a value is missing; an executor that loses
//! a behavior. Not seen to catch: a phase 2 that comes a few nanoseconds too early, and a reader that is counted a few too
//! late, which two processors do not hit in some thousand programs. The core's loom models catch both, and so does the stress
//! test within a minute.

mod machine;
mod program;
mod reference;
mod verdict;

use std::cell::Cell;
use std::env;
use std::sync::atomic::Ordering;
use std::time::SystemTime;

use proptest::prelude::*;
use proptest::test_runner::{RngSeed, TestRunner};

use machine::Run;
use program::{Program, Shape};

/// So often a smaller program is run before it is believed to be right.
const TRIES: usize = 100;

/// In milliseconds.
const SHRINKING: u32 = 60_000;

/// Runs `once` on random values; on every value that shrinking comes to, often.
fn check<T: std::fmt::Debug>(cases: u32, values: impl Strategy<Value = T>, once: impl Fn(&T) -> Result<(), String>) {
    let clock = || SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64);
    let given = env::var("BOCAGE_SEED").ok().map(|seed| seed.parse().expect("BOCAGE_SEED is a number"));
    let seed = given.unwrap_or_else(clock);
    println!("BOCAGE_SEED={seed}");
    let config = ProptestConfig {
        cases,
        rng_seed: RngSeed::Fixed(seed),
        max_shrink_time: SHRINKING,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let shrinks = Cell::new(false);
    let outcome = TestRunner::new(config).run(&values, |value| {
        let tries = if shrinks.get() { TRIES } else { 1 };
        (0..tries).try_for_each(|_| once(&value)).map_err(|why| {
            shrinks.set(true);
            // What hangs is to shrink too; that a busy machine is taken for a hang can't turn a good run into a bad one now.
            machine::PATIENCE.store(2_000, Ordering::Relaxed);
            TestCaseError::fail(why)
        })
    });
    if let Err(failure) = outcome {
        panic!("BOCAGE_SEED={seed} {failure}");
    }
}

/// A unit of how many programs there are to be.
fn cases() -> u32 {
    ProptestConfig::default().cases
}

/// Some seeds for one program, never the same ones.
fn seeds() -> impl Strategy<Value = u64> {
    any::<u64>().no_shrink()
}

/// So many orders of each program are tried.
const ORDERS: u64 = 4;

/// One thread schedules it all.
const ONE_AUTHOR: Shape = Shape { cowns: 1..6, threads: 1..=1, steps: 0..40, asks: 0..5, depth: 0 };

/// Threads and bodies do.
const MANY_AUTHORS: Shape = Shape { cowns: 1..6, threads: 1..=3, steps: 0..20, asks: 0..5, depth: 2 };

/// Few cowns, and many who are at the same time about to get in line for more than one of them.
const CROWD: Shape = Shape { cowns: 2..4, threads: 2..=4, steps: 0..100, asks: 2..5, depth: 1 };

fn in_some_orders(
    program: Program,
    first: u64,
    verdict: impl Fn(&Program, &Run) -> Result<(), String>,
) -> Result<(), String> {
    let program = program.without_panics();
    for seed in (0..ORDERS).map(|i| first.wrapping_add(i)) {
        let run = machine::deterministically(&program, seed)?;
        verdict(&program, &run).map_err(|why| format!("with seed {seed}: {why}"))?;
    }
    Ok(())
}

#[test]
fn one_thread_fixes_the_order_on_any_number_of_workers() {
    check(4 * cases(), (ONE_AUTHOR.programs(), 1..=8_usize), |(program, workers)| {
        verdict::of_fixed_order(program, &machine::on_workers(program, *workers)?)
    });
}

#[test]
fn causal_order_is_kept_on_any_number_of_workers() {
    check(4 * cases(), (MANY_AUTHORS.programs(), 1..=8_usize), |(program, workers)| {
        verdict::of_any(program, &machine::on_workers(program, *workers)?)
    });
}

#[test]
fn causal_order_is_kept_in_a_crowd() {
    check(cases() / 2, (CROWD.programs(), 1..=8_usize), |(program, workers)| {
        verdict::of_any(program, &machine::on_workers(program, *workers)?)
    });
}

#[test]
fn one_thread_fixes_the_order_whatever_the_seed() {
    check(cases(), (ONE_AUTHOR.programs(), seeds()), |(program, seed)| {
        in_some_orders(program.clone(), *seed, verdict::of_fixed_order)
    });
}

#[test]
fn causal_order_is_kept_whatever_the_seed() {
    check(cases(), (MANY_AUTHORS.programs(), seeds()), |(program, seed)| {
        in_some_orders(program.clone(), *seed, verdict::of_any)
    });
}
