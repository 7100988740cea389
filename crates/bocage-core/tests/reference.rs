//! Random programs, scheduled by one thread and run by several, against a run of the same program one
//! behavior after the other: every value, result, failure and poison mark must be the same.
#![cfg(not(loom))]

mod pool;

use std::panic::resume_unwind;

use bocage_core::{Cown, Failure, when_on};
use pool::{Pool, Successors};
use proptest::prelude::*;
use proptest::sample::Index;

/// One behavior: which cowns it asks for (among those that there are by then, results included), and
/// whether it panics after it has changed them.
#[derive(Clone, Debug)]
struct Step {
    cowns: Vec<Index>,
    panics: bool,
}

/// What the reference knows of a cown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// None in a result that is not there.
    value: Option<u64>,
    poisoned: bool,
}

fn step() -> impl Strategy<Value = Step> {
    (prop::collection::vec(any::<Index>(), 0..5), prop::bool::weighted(0.1))
        .prop_map(|(cowns, panics)| Step { cowns, panics })
}

/// Depends on all that went in, and on the order.
fn mix(a: u64, b: u64) -> u64 {
    (a.rotate_left(7) ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What a behavior does to the values of its cowns; gives its result.
fn body<'a>(number: u64, cells: impl Iterator<Item = (&'a mut u64, bool)>) -> u64 {
    cells.fold(number, |seen, (value, poisoned)| {
        *value = mix(*value, mix(seen, poisoned.into()));
        mix(seen, *value)
    })
}

/// The places that a step asks for, each once, in the step's own order.
fn places(step: &Step, cells: usize) -> Vec<usize> {
    let mut places: Vec<usize> = Vec::new();
    for index in &step.cowns {
        let place = index.index(cells);
        if !places.contains(&place) {
            places.push(place);
        }
    }
    places
}

fn sequentially(cowns: usize, steps: &[Step]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = (0..cowns as u64).map(|n| Cell { value: Some(n), poisoned: false }).collect();
    for (number, step) in steps.iter().enumerate() {
        let places = places(step, cells.len());
        let mut result = None;
        if places.iter().all(|place| cells[*place].value.is_some()) {
            let mut taken: Vec<Cell> = places.iter().map(|place| cells[*place]).collect();
            let all = taken.iter_mut().map(|cell| (cell.value.as_mut().unwrap(), cell.poisoned));
            result = Some(body(number as u64, all)).filter(|_| !step.panics);
            for (place, cell) in places.iter().zip(taken) {
                cells[*place] = Cell { poisoned: cell.poisoned || step.panics, ..cell };
            }
        }
        cells.push(Cell { value: result, poisoned: false });
    }
    cells
}

fn concurrently(cowns: usize, steps: &[Step], pool: &Pool) -> Vec<Cell> {
    let mut cells: Vec<Cown<u64>> = (0..cowns as u64).map(Cown::new).collect();
    for (number, step) in steps.iter().enumerate() {
        let asked: Vec<_> = places(step, cells.len()).into_iter().map(|place| cells[place].clone()).collect();
        let panics = step.panics;
        let handle = when_on(pool.way(), &asked, move |guards| {
            let mut guards: Vec<_> = guards.into_iter().collect();
            let result = body(
                number as u64,
                guards.iter_mut().map(|guard| {
                    let poisoned = guard.is_poisoned();
                    (&mut **guard, poisoned)
                }),
            );
            if panics {
                resume_unwind(Box::new("as the program says"));
            }
            result
        });
        cells.push(handle.into_cown());
    }
    let read = |cown: &Cown<u64>| {
        let seen = when_on(pool.way(), cown, |guard| Cell { value: Some(*guard), poisoned: guard.is_poisoned() });
        match seen.wait() {
            Ok(cell) => cell,
            Err(Failure::Missing) => Cell::default(),
            Err(other) => panic!("reading a cown ended otherwise: {other}"),
        }
    };
    cells.iter().map(read).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn several_threads_get_what_one_behavior_after_the_other_gets(
        cowns in 1..5_usize,
        steps in prop::collection::vec(step(), 0..60),
        threads in 1..4_usize,
        successors in prop::sample::select(vec![Successors::Next, Successors::Queue]),
    ) {
        let pool = Pool::new(threads, successors);
        prop_assert_eq!(concurrently(cowns, &steps, &pool), sequentially(cowns, &steps));
    }
}
