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
//! - `case.rs`: the programs W1 to W9, each written once for all engines; `latency.rs`: W10; `work.rs`: what a
//!   microsecond of work is.
//! - `engine.rs`: what an engine is. `bocage.rs`, `mutexes.rs` (feature `rayon`), `tasks.rs` (feature `tokio`),
//!   `threads.rs` (feature `threads`) and `verona.rs` (feature `verona`, its name in the tables is `boc`): those there
//!   are. The feature `peers` is all of them but `verona`.
//! - `measured.rs`: each program on each engine. `allocator.rs`: what all of them allocate with.
//! - `benches/suite.rs`: how all suites measure; `benches/engine.rs` is W1 to W10, `spawn.rs`, `contended.rs`, `ring.rs`
//!   and `bank.rs` are one of them each.
//! - `examples/once.rs`: one program on one engine, for a profiler; `examples/counts.rs` (feature `counts`): how often
//!   a behavior allocates; `examples/rows.rs`: where the time of W7-1us goes.
//!
//! # Invariants
//!
//! - Engines are measured in one process and in turns: in each round every one of them runs the program twice, of
//!   which the second time counts, so that all meet the same caches, clocks and neighbours.
//! - A round is a whole program: the workers start, a first behavior schedules all others, the workers stop.
//! - A case counts what its behaviors did, and the suite refuses a wrong count: losing work is no gain.

pub mod allocator;
mod bocage;
mod case;
mod engine;
pub mod latency;
mod measured;
#[cfg(feature = "rayon")]
mod mutexes;
#[cfg(feature = "tokio")]
mod tasks;
#[cfg(feature = "threads")]
mod threads;
#[cfg(feature = "verona")]
mod verona;
mod work;

pub use bocage::{Bocage, Handles, Ours};
pub use case::{
    Bank, Case, Contended, Counted, Fibonacci, Philosophers, Readers, Ring, Spawn, SpawnOnExisting, Tree, Wide,
};
pub use engine::{Engine, Results};
pub use measured::{Measured, Round, latencies, programs};
#[cfg(feature = "rayon")]
pub use mutexes::Mutexes;
#[cfg(feature = "tokio")]
pub use tasks::Tasks;
#[cfg(feature = "threads")]
pub use threads::Threads;
#[cfg(feature = "verona")]
pub use verona::Verona;
pub use work::microsecond;
