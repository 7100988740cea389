//! Each program on each engine that this build has.

#[cfg(feature = "rayon")]
use crate::Mutexes;
#[cfg(feature = "tokio")]
use crate::Tasks;
#[cfg(feature = "threads")]
use crate::Threads;
#[cfg(feature = "verona")]
use crate::Verona;
use crate::case::{Bank, Case, Contended, Fibonacci, Philosophers, Readers, Ring, Spawn, SpawnOnExisting, Tree, Wide};
use crate::engine::Engine;
use crate::latency::{self, Latency};
use crate::{Bocage, Handles};

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
                #[cfg(feature = "tokio")]
                (Tasks::NAME, Tree::round::<Tasks>),
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
        #[cfg(feature = "tokio")]
        (Tasks::NAME, latency::tokio),
        #[cfg(feature = "threads")]
        (Threads::NAME, latency::threads),
    ]
}

fn on_every_engine<C: Case>() -> Measured {
    #[allow(unused_mut, reason = "without a peer, nothing is added")]
    let mut engines = vec![(Bocage::NAME, C::round::<Bocage> as Round), (Handles::NAME, C::round::<Handles>)];
    #[cfg(feature = "rayon")]
    engines.push((Mutexes::NAME, C::round::<Mutexes>));
    #[cfg(feature = "tokio")]
    engines.push((Tasks::NAME, C::round::<Tasks>));
    #[cfg(feature = "threads")]
    engines.push((Threads::NAME, C::round::<Threads>));
    #[cfg(feature = "verona")]
    engines.push((Verona::NAME, C::round::<Verona>));
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
    use std::sync::{Arc, Mutex};

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
    fn a_wide_behavior_has_every_one_of_its_cowns() {
        fn assert_all<E: Engine>() {
            for width in [9, 64] {
                let seen = Arc::new(Mutex::new(Vec::new()));
                let all = seen.clone();
                E::run(2, move |place| {
                    let cowns: Vec<_> = (0..width).map(|number| E::cown(number)).collect();
                    E::when_all(place, &cowns, move |number| all.lock().unwrap().push(*number));
                });
                let mut seen = std::mem::take(&mut *seen.lock().unwrap());
                seen.sort_unstable();
                assert!(seen.iter().copied().eq(0..width), "{} of {width}: {seen:?}", E::NAME);
            }
        }
        assert_all::<Bocage>();
        #[cfg(feature = "rayon")]
        assert_all::<Mutexes>();
        #[cfg(feature = "tokio")]
        assert_all::<Tasks>();
        #[cfg(feature = "threads")]
        assert_all::<Threads>();
        #[cfg(feature = "verona")]
        assert_all::<Verona>();
    }

    #[test]
    fn every_engine_tells_when_it_started() {
        for (name, latency) in latencies() {
            assert_eq!(latency(2, 3).len(), 3, "{name}");
        }
    }
}
