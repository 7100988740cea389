//! A work-stealing runtime for behaviors: the threads on which the behaviors of [`bocage_core`] run.
//!
//! ```
//! use bocage_core::Cown;
//! use bocage_runtime::Runtime;
//!
//! let runtime = Runtime::new()?;
//! let (src, dst) = (Cown::new(100), Cown::new(0));
//! for _ in 0..4 {
//!     drop(runtime.when((&src, &dst), |(mut src, mut dst)| {
//!         *src -= 10;
//!         *dst += 10;
//!     }));
//! }
//! let sum = runtime.when((&src, &dst), |(src, dst)| (*src, *dst));
//! assert_eq!(sum.wait().unwrap(), (60, 40));
//! runtime.wait(None)?;
//! # Ok::<(), bocage_runtime::Error>(())
//! ```
//!
//! # A map, in reading order
//!
//! - `runtime.rs`, what a program sees: the owner, references; `admission.rs`, the count and the executor of each
//!   behavior; `builder.rs`, how it is set up; `batch.rs`, several behaviors in one step; `scope.rs`, behaviors that borrow;
//!   `wait.rs`, waiting; `error.rs`; `pending.rs`, what an expired wait tells, and `survey.rs`, how that is found where nobody has noted it.
//! - `worker.rs`, the loop of a worker's thread: take, run, look elsewhere, park; `turn.rs`, how it runs readers.
//! - `queue.rs`, where its ready behaviors wait, and why nobody starves; `entry.rs`, what lies there; `kept.rs`, what it keeps
//!   back, and `barrier.rs`, the fence that this does without; `steal.rs`, taking from others.
//! - `park.rs`, the parking protocol: states, rules, and why no wake is lost.
//! - `quiesce.rs`, the protocol of knowing that nothing is left to do, and of closing at such a moment.
//! - `pinned.rs`, behaviors that one given thread runs when it pumps; `pinned_cown.rs`, values that stay there;
//!   `pinned_requests.rs`, what such a behavior asks for; `owner.rs`, that thread, and when it pumps; `inbox.rs`, how it
//!   sleeps and is woken.
//! - `shared.rs`, what the threads share, and why a pointer to it can't dangle; `stats.rs`, counters.
//! - `deterministic.rs`, one thread and a seed instead: to find an order that breaks a program, and to replay it.
//! - `rayon.rs` (feature `rayon`), behaviors on a rayon pool instead.
//! - `trace.rs` (feature `trace`), what ran where and when, for Perfetto.
//! - `sync.rs`, atomics, locks and threads, real or loom's.
//!
//! # Invariants
//!
//! - A behavior is counted as scheduled before it is enqueued, and as finished after its run has returned;
//!   a runtime stops only when both counts agree. So a runtime never ends under a behavior of its own.
//! - Beside the cowns' no cache line is written by several workers for each behavior: queues are a worker's own until
//!   they are stolen from, counts have one writer, the parking word changes only when somebody searches or parks.
//! - Nobody spins for long. A worker without work goes round the others' queues for some 20 µs and parks; while others run,
//!   one of those that are parked gets up now and then to look. A runtime in which all are parked uses no processor time.
//! - A behavior that waits in a queue that others take from is never left there while a worker sleeps; and one that a
//!   worker keeps back is not left for long while another sleeps.
//! - Only a worker's own thread runs behaviors, or the one that they are pinned to, and it survives whatever they do.

#[cfg(not(loom))]
mod admission;
#[cfg(not(loom))]
mod batch;
#[cfg(not(loom))]
mod builder;
#[cfg(not(loom))]
pub mod deterministic;
#[cfg(not(loom))]
mod entry;
#[cfg(not(loom))]
mod error;
#[cfg(not(loom))]
mod owner;
#[cfg(not(loom))]
mod pending;
#[cfg(not(loom))]
mod pinned;
#[cfg(not(loom))]
mod pinned_cown;
#[cfg(not(loom))]
mod pinned_requests;
#[cfg(not(loom))]
mod queue;
#[cfg(all(not(loom), feature = "rayon"))]
pub mod rayon;
#[cfg(not(loom))]
mod runtime;
#[cfg(not(loom))]
mod scope;
#[cfg(not(loom))]
mod shared;
#[cfg(not(loom))]
mod stats;
#[cfg(not(loom))]
mod steal;
#[cfg(not(loom))]
mod survey;
mod sync;
#[cfg(all(not(loom), feature = "trace"))]
pub mod trace;
#[cfg(not(loom))]
mod turn;
#[cfg(not(loom))]
mod wait;
#[cfg(not(loom))]
mod worker;

mod barrier;
#[cfg(not(loom))]
mod inbox;
#[cfg(not(loom))]
mod kept;
#[cfg(not(loom))]
mod park;
#[cfg(not(loom))]
mod quiesce;

// The models run these; with loom's atomics there is nothing else of the crate that could run.
#[cfg(loom)]
pub mod inbox;
#[cfg(loom)]
pub mod kept;
#[cfg(loom)]
pub mod park;
#[cfg(loom)]
pub mod quiesce;

#[cfg(not(loom))]
pub use admission::{Admission, RuntimeExecutor};
#[cfg(not(loom))]
pub use batch::Batch;
#[cfg(not(loom))]
pub use builder::{Builder, OnDrop};
#[cfg(not(loom))]
pub use error::Error;
#[cfg(not(loom))]
pub use pending::{Pending, PendingBehavior, PendingCown};
#[cfg(not(loom))]
pub use pinned::Pinned;
#[cfg(not(loom))]
pub use pinned_cown::{PinnedCown, PinnedGuard};
#[cfg(not(loom))]
pub use pinned_requests::PinnedRequests;
#[cfg(not(loom))]
pub use runtime::{Runtime, RuntimeRef};
#[cfg(not(loom))]
pub use scope::Scope;
#[cfg(not(loom))]
pub use stats::WorkerStats;
