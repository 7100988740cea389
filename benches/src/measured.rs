//! Each program on each engine that this build has.

use crate::Bocage;
#[cfg(feature = "rayon")]
use crate::Mutexes;
#[cfg(feature = "threads")]
use crate::Threads;
#[cfg(feature = "verona")]
use crate::Verona;
use crate::case::{Bank, Case, Contended, Fibonacci, Philosophers, Readers, Ring, Spawn, SpawnOnExisting, Tree, Wide};
use crate::engine::Engine;
use crate::latency::{self, Latency};

/// Runs a program with so many workers and behaviors; returns how many behaviors it counted.
pub type Round = fn(workers: usize, behaviors: u64) -> u64;

/// A program on all engines.
#[derive(Clone, Debug)]
pub struct Measured {
    /// As in the benchmarks' names.
    pub case: &'static str,
    /// How many behaviors a round has.
    pub behaviors: u64,
    /// By the engine's name; ours comes first.
    pub engines: Vec<(&'static str, Round)>,
}

/// W1 to W9.
pub fn programs() -> Vec<Measured> {
    vec![
        on_every_engine::<Spawn>(),
        on_every_engine::<SpawnOnExisting>(),
        on_every_engine::<Contended>(),
        on_every_engine::<Ring>(),
        on_every_engine::<Bank>(),
        on_every_engine::<Philosophers>(),
        Measured {
            case: Fibonacci::NAME,
            behaviors: Fibonacci::BEHAVIORS,
            engines: vec![
                (Bocage::NAME, Fibonacci::round::<Bocage> as Round),
                #[cfg(feature = "verona")]
                (Verona::NAME, Fibonacci::round::<Verona>),
            ],
        },
        beside_writes::<Readers<true, false>, Readers<false, false>>(),
        beside_writes::<Readers<true, true>, Readers<false, true>>(),
        on_every_engine::<Wide<9>>(),
        on_every_engine::<Wide<64>>(),
        Measured {
            case: Tree::NAME,
            behaviors: Tree::BEHAVIORS,
            engines: vec![
                (Bocage::NAME, Tree::round::<Bocage> as Round),
                #[cfg(feature = "rayon")]
                (Mutexes::NAME, Tree::round::<Mutexes>),
                #[cfg(feature = "threads")]
                (Threads::NAME, Tree::round::<Threads>),
                #[cfg(feature = "verona")]
                (Verona::NAME, Tree::round::<Verona>),
            ],
        },
    ]
}

/// W10.
pub fn latencies() -> Vec<(&'static str, Latency)> {
    vec![
        (Bocage::NAME, latency::bocage as Latency),
        #[cfg(feature = "rayon")]
        (Mutexes::NAME, latency::rayon),
        ("channel", latency::channel),
    ]
}

fn on_every_engine<C: Case>() -> Measured {
    fn add<C: Case, E: Engine>(engines: &mut Vec<(&'static str, Round)>) {
        if C::WIDTH <= E::WIDEST {
            engines.push((E::NAME, C::round::<E>));
        }
    }
    let mut engines = Vec::new();
    add::<C, Bocage>(&mut engines);
    #[cfg(feature = "rayon")]
    add::<C, Mutexes>(&mut engines);
    #[cfg(feature = "threads")]
    add::<C, Threads>(&mut engines);
    #[cfg(feature = "verona")]
    add::<C, Verona>(&mut engines);
    Measured { case: C::NAME, behaviors: C::BEHAVIORS, engines }
}

/// On every engine, and beside the same program on Bocage in which every request is a write.
fn beside_writes<C: Case, Writes: Case>() -> Measured {
    let mut measured = on_every_engine::<C>();
    measured.engines.push(("writes", Writes::round::<Bocage>));
    measured
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_engine_loses_a_behavior_of_any_program() {
        for Measured { case, behaviors, engines } in programs() {
            let behaviors = if case == Fibonacci::NAME { behaviors } else { behaviors.min(10_000) };
            for (name, round) in engines {
                for workers in [1, 2] {
                    assert_eq!(round(workers, behaviors), behaviors, "{case} on {name} with {workers} workers");
                }
            }
        }
    }

    #[test]
    fn every_engine_tells_when_it_started() {
        for (name, latency) in latencies() {
            assert_eq!(latency(2, 3).len(), 3, "{name}");
        }
    }
}
