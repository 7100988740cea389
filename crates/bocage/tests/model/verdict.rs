//! What must hold of a run.

use std::collections::BTreeMap;

use crate::machine::{Record, Run};
use crate::program::{Id, Place, Program};
use crate::reference;

/// Any run, however it came about.
pub fn of_any(program: &Program, run: &Run) -> Result<(), String> {
    ran(program, run)?;
    let mut order: Vec<(u64, Id)> = records(run).map(|(id, record)| (record.tick, id)).collect();
    order.sort_unstable();
    is_as_if(program, run, order.into_iter().map(|(_, id)| id))?;
    let accesses = Accesses::of(program, run);
    causal_order(program, run, &accesses)?;
    batches(program, &accesses)
}

/// A run of a program whose one thread schedules everything: it is as if each ran when it was scheduled.
pub fn of_fixed_order(program: &Program, run: &Run) -> Result<(), String> {
    of_any(program, run)?;
    is_as_if(program, run, 0..program.behaviors.len())
}

fn records(run: &Run) -> impl Iterator<Item = (Id, &Record)> {
    run.records.iter().enumerate().filter_map(|(id, record)| Some((id, record.as_ref()?)))
}

/// Everything runs that is to, and nothing else does.
fn ran(program: &Program, run: &Run) -> Result<(), String> {
    let expected = program.runs().into_iter().zip(&run.records).enumerate();
    match expected.into_iter().find(|(_, (expected, record))| *expected != record.is_some()) {
        Some((id, (true, _))) => Err(format!("#{id} did not run")),
        Some((id, (false, _))) => Err(format!("#{id} ran, without a value that it asked for")),
        None => Ok(()),
    }
}

/// Everybody saw what he would have seen, had the behaviors run one after the other in this order; and the cowns are
/// in the end what they would be.
fn is_as_if(program: &Program, run: &Run, order: impl Iterator<Item = Id>) -> Result<(), String> {
    let (seen, states) = reference::run(program, order);
    for (id, record) in records(run) {
        if seen.get(&id) != Some(&record.seen) {
            return Err(format!("#{id} saw {:?}, and not {:?}", record.seen, seen.get(&id)));
        }
    }
    for (place, state) in &run.states {
        if states.get(place) != state.as_ref() {
            return Err(format!("{place:?} is {state:?} in the end, and not {:?}", states.get(place)));
        }
    }
    Ok(())
}

/// A behavior's turn on a cown: after so many writers, and whether it only reads.
#[derive(Clone, Copy)]
struct Turn {
    version: usize,
    reads: bool,
}

impl Turn {
    /// Whether it can be told to be before the other, which is so unless both read with no writer in between.
    fn is_before(self, other: Turn) -> bool {
        self.version < other.version || (self.version == other.version && self.reads && !other.reads)
    }
}

/// Who had which cown, and when.
struct Accesses(BTreeMap<Place, BTreeMap<Id, Turn>>);

impl Accesses {
    fn of(program: &Program, run: &Run) -> Self {
        let mut all: BTreeMap<Place, BTreeMap<Id, Turn>> = BTreeMap::new();
        for (id, record) in records(run) {
            for ((place, reads), seen) in program.behaviors[id].asks().zip(&record.seen) {
                all.entry(place).or_default().insert(id, Turn { version: seen.version, reads });
            }
        }
        Self(all)
    }
}

/// Who was scheduled first, causally, was first on every cown of both that not both only read.
fn causal_order(program: &Program, run: &Run, accesses: &Accesses) -> Result<(), String> {
    for (later, record) in records(run) {
        for (place, _) in program.behaviors[later].asks() {
            let turns = &accesses.0[&place];
            for (earlier, turn) in turns.iter().filter(|(earlier, _)| record.past.contains(**earlier)) {
                if turns[&later].is_before(*turn) {
                    return Err(format!("#{earlier} was scheduled before #{later}, and was behind it on {place:?}"));
                }
            }
        }
    }
    Ok(())
}

/// No stranger between two of a batch on a cown of both.
fn batches(program: &Program, accesses: &Accesses) -> Result<(), String> {
    for members in program.steps().map(|step| step.members()) {
        for (place, turns) in &accesses.0 {
            let of_batch: Vec<Turn> = members.iter().filter_map(|id| turns.get(id).copied()).collect();
            for (stranger, turn) in turns.iter().filter(|(id, _)| !members.contains(id)) {
                let before = of_batch.iter().any(|member| member.is_before(*turn));
                let after = of_batch.iter().any(|member| turn.is_before(*member));
                if before && after {
                    return Err(format!("#{stranger} came between those of the batch {members:?} on {place:?}"));
                }
            }
        }
    }
    Ok(())
}
