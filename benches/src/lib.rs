//! What the criterion suites measure, and on what.
//!
//! ```
//! use bocage_benches::{Bocage, Case, Ring};
//!
//! assert_eq!(Ring::round::<Bocage>(2, 1_000), 1_000);
//! ```
//!
//! # A map
//!
//! - `case.rs`: the programs, each written once for all engines.
//! - `engine.rs`: what an engine is. `bocage.rs`, `mutexes.rs` (feature `rayon`) and `verona.rs` (feature
//!   `verona`): those there are.
//! - `benches/`: one suite for each case, upon `benches/suite.rs`.
//!
//! # Invariants
//!
//! - Engines are measured in one process and in turns: after each round of one, each of the others has a
//!   round that is not timed, so that all meet the same caches, clocks and neighbours.
//! - A round is a whole program: the workers start, a first behavior schedules all others, the workers stop.
//! - A case counts what its behaviors did, and a suite refuses a wrong count: losing work is no gain.

mod bocage;
mod case;
mod engine;
#[cfg(feature = "rayon")]
mod mutexes;
#[cfg(feature = "verona")]
mod verona;

pub use bocage::Bocage;
pub use case::{Bank, Case, Contended, Ring, Spawn};
pub use engine::Engine;
#[cfg(feature = "rayon")]
pub use mutexes::Mutexes;
#[cfg(feature = "verona")]
pub use verona::Verona;

/// Runs a case with so many workers and behaviors; returns how many behaviors it counted.
pub type Round = fn(workers: usize, behaviors: u64) -> u64;

/// The case on each engine that this build has, by the engine's name; ours comes first.
pub fn on_every_engine<C: Case>() -> Vec<(&'static str, Round)> {
    vec![
        (Bocage::NAME, C::round::<Bocage> as Round),
        #[cfg(feature = "rayon")]
        (Mutexes::NAME, C::round::<Mutexes>),
        #[cfg(feature = "verona")]
        (Verona::NAME, C::round::<Verona>),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn loses_nothing<C: Case>() {
        for (name, round) in on_every_engine::<C>() {
            for workers in [1, 2] {
                assert_eq!(round(workers, 10_000), 10_000, "{} on {name} with {workers} workers", C::NAME);
            }
        }
    }

    #[test]
    fn no_engine_loses_a_behavior_of_any_case() {
        loses_nothing::<Spawn>();
        loses_nothing::<Contended>();
        loses_nothing::<Ring>();
        loses_nothing::<Bank>();
    }
}
