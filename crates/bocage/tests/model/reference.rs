//! What a program means: one behavior after the other.

use std::collections::BTreeMap;

use crate::program::{Id, Place, Program};

/// What can be told of a cown that has a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    pub value: u64,
    /// Whoever wrote it, in order.
    pub writers: Vec<Id>,
    pub poisoned: bool,
}

/// What a behavior saw of one of its cowns before it changed anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    pub value: u64,
    /// How many had written it.
    pub version: usize,
    pub poisoned: bool,
}

impl State {
    pub fn new(value: u64) -> Self {
        Self { value, writers: Vec::new(), poisoned: false }
    }
}

/// Depends on both, and on which is which.
fn mix(a: u64, b: u64) -> u64 {
    (a.rotate_left(7) ^ b).wrapping_mul(0x9E37_79B9_7F4A_7C15)
}

/// What a behavior makes of all that it saw: its result, and what it mixes into each value that it writes.
pub fn digest(id: Id, seen: &[Seen]) -> u64 {
    seen.iter().fold(id as u64, |all, seen| mix(mix(all, seen.value), seen.poisoned.into()))
}

pub fn write(value: u64, digest: u64) -> u64 {
    mix(value, digest)
}

/// Runs the behaviors in this order. Returns what each saw, and each cown's state in the end.
pub fn run(program: &Program, order: impl Iterator<Item = Id>) -> (BTreeMap<Id, Vec<Seen>>, BTreeMap<Place, State>) {
    let base = |at: usize| (Place::Base(at), State::new(at as u64));
    let mut states: BTreeMap<Place, State> = (0..program.cowns).map(base).collect();
    let mut all = BTreeMap::new();
    for id in order {
        let behavior = &program.behaviors[id];
        let look = |(place, _)| {
            states.get(&place).map(|state: &State| Seen {
                value: state.value,
                version: state.writers.len(),
                poisoned: state.poisoned,
            })
        };
        let Some(seen) = behavior.asks().map(look).collect::<Option<Vec<Seen>>>() else { continue };
        let digest = digest(id, &seen);
        for place in &behavior.writes {
            let state = states.get_mut(place).expect("looked at before");
            state.value = write(state.value, digest);
            state.writers.push(id);
            state.poisoned |= behavior.panics;
        }
        if !behavior.panics {
            states.insert(Place::Result(id), State::new(digest));
        }
        all.insert(id, seen);
    }
    (all, states)
}
