//! Random programs, scheduled by one thread and run by several, against a run of the same program one
//! behavior after the other: every value, result, failure and poison mark must be the same, and which of the guards are
//! aliases.
#![cfg(not(loom))]

mod pool;

use std::panic::resume_unwind;

use bocage_core::{Cown, Failure, Guard, Read, ReadGuard, read, when_on};
use pool::{Pool, Successors};
use proptest::prelude::*;
use proptest::sample::Index;

/// One behavior: which cowns it asks for (among those that there are by then, results included, and any of them
/// repeatedly), and whether it panics after it has changed them.
#[derive(Clone, Debug)]
struct Step {
    writes: Vec<Index>,
    reads: Vec<Index>,
    /// One to write, one to read.
    pairs: Vec<(Index, Index)>,
    panics: bool,
}

/// One name of a cown in a request.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Name {
    place: usize,
    writes: bool,
}

impl Step {
    /// In the order of the request `(&writes, (read(&reads), pairs))`.
    fn names(&self, cells: usize) -> Vec<Name> {
        let name = |index: &Index, writes| Name { place: index.index(cells), writes };
        let writes = self.writes.iter().map(|index| name(index, true));
        let reads = self.reads.iter().map(|index| name(index, false));
        let pairs = self.pairs.iter().flat_map(|(write, read)| [name(write, true), name(read, false)]);
        writes.chain(reads).chain(pairs).collect()
    }
}

/// Whether a name's guard is an alias: there is one to write the same cown, and it isn't the first such.
fn is_alias(names: &[Name], at: usize) -> bool {
    let writer = names.iter().position(|name| name.writes && name.place == names[at].place);
    writer.is_some_and(|writer| writer != at)
}

/// What the reference knows of a cown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// None in a result that is not there.
    value: Option<u64>,
    poisoned: bool,
}

fn step() -> impl Strategy<Value = Step> {
    let some = || prop::collection::vec(any::<Index>(), 0..4);
    let pairs = prop::collection::vec(any::<(Index, Index)>(), 0..3);
    (some(), some(), pairs, prop::bool::weighted(0.1)).prop_map(|(writes, reads, pairs, panics)| Step {
        writes,
        reads,
        pairs,
        panics,
    })
}

/// Depends on all that went in, and on the order.
fn mix(a: u64, b: u64) -> u64 {
    (a.rotate_left(7) ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What a body does at one guard. `value` is none if it is an alias. Gives what it has seen by then.
fn at_guard(seen: u64, value: Option<&u64>, poisoned: bool) -> u64 {
    mix(seen, value.map_or(u64::MAX, |value| mix(*value, poisoned.into())))
}

/// What it writes then, if it may.
fn written(seen: u64) -> u64 {
    mix(seen, 1)
}

fn sequentially(cowns: usize, steps: &[Step]) -> Vec<Cell> {
    let mut cells: Vec<Cell> = (0..cowns as u64).map(|n| Cell { value: Some(n), poisoned: false }).collect();
    for (number, step) in steps.iter().enumerate() {
        let names = step.names(cells.len());
        let mut result = None;
        if names.iter().all(|name| cells[name.place].value.is_some()) {
            let mut seen = number as u64;
            for (at, name) in names.iter().enumerate() {
                let cell = &mut cells[name.place];
                let alias = is_alias(&names, at);
                seen = at_guard(seen, cell.value.as_ref().filter(|_| !alias), cell.poisoned);
                if name.writes && !alias {
                    cell.value = Some(written(seen));
                }
            }
            for name in names.iter().filter(|name| name.writes && step.panics) {
                cells[name.place].poisoned = true;
            }
            result = Some(seen).filter(|_| !step.panics);
        }
        cells.push(Cell { value: result, poisoned: false });
    }
    cells
}

fn concurrently(cowns: usize, steps: &[Step], pool: &Pool) -> Vec<Cell> {
    let mut cells: Vec<Cown<u64>> = (0..cowns as u64).map(Cown::new).collect();
    for (number, step) in steps.iter().enumerate() {
        let of = |index: &Index| &cells[index.index(cells.len())];
        let writes: Vec<Cown<u64>> = step.writes.iter().map(|index| of(index).clone()).collect();
        let reads: Vec<Cown<u64>> = step.reads.iter().map(|index| of(index).clone()).collect();
        let pairs: Vec<(&Cown<u64>, Read<&Cown<u64>>)> =
            step.pairs.iter().map(|(write, reader)| (of(write), read(of(reader)))).collect();
        let panics = step.panics;
        let handle = when_on(pool.way(), (&writes, (read(&reads), pairs)), move |(writes, (reads, pairs))| {
            let mut seen = number as u64;
            let write = |mut guard: Guard<'_, u64>, seen: &mut u64| {
                *seen = at_guard(*seen, (!guard.is_alias()).then(|| &*guard), guard.is_poisoned());
                if !guard.is_alias() {
                    *guard = written(*seen);
                }
            };
            let look = |guard: ReadGuard<'_, u64>, seen: &mut u64| {
                *seen = at_guard(*seen, (!guard.is_alias()).then(|| &*guard), guard.is_poisoned());
            };
            writes.into_iter().for_each(|guard| write(guard, &mut seen));
            reads.into_iter().for_each(|guard| look(guard, &mut seen));
            for (writer, reader) in pairs {
                write(writer, &mut seen);
                look(reader, &mut seen);
            }
            if panics {
                resume_unwind(Box::new("as the program says"));
            }
            seen
        });
        cells.push(handle.into_cown());
    }
    let look = |cown: &Cown<u64>| {
        let seen = when_on(pool.way(), cown, |guard| Cell { value: Some(*guard), poisoned: guard.is_poisoned() });
        match seen.wait() {
            Ok(cell) => cell,
            Err(Failure::Missing) => Cell::default(),
            Err(other) => panic!("reading a cown ended otherwise: {other}"),
        }
    };
    cells.iter().map(look).collect()
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
