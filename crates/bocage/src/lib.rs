//! Behavior-oriented concurrency for Rust: say which data a piece of code needs, and it runs when it has
//! them all. No locks, no deadlocks, no data races.
//!
//! A [`Cown`] (say "cone") owns a value. A *behavior* is a closure and the cowns that it needs: [`when`]
//! schedules it and returns at once. It runs when it can have all its cowns, alone; behaviors that share a
//! cown run in the order in which they were scheduled, all others run in parallel.
//!
//! ```
//! use bocage::{Cown, when};
//!
//! let (src, dst) = (Cown::new(100), Cown::new(0));
//! let moved = when((&src, &dst), |(mut src, mut dst)| {
//!     *src -= 40;
//!     *dst += 40;
//!     40
//! });
//! // Named the other way round: no deadlock, and it runs after the transfer, which was scheduled first.
//! let sum = when((&dst, &src), |(dst, src)| *dst + *src);
//!
//! assert_eq!(moved.wait()?, 40);
//! assert_eq!(sum.wait()?, 100);
//! # Ok::<(), bocage::Failure>(())
//! ```
//!
//! What `when` takes is a [`Requests`]: a cown, a slice, a `Vec` or an array of cowns, a tuple of these. A cown may be
//! asked for only to be [`read`]: behaviors that read it run at the same time. It may be named [twice](Guard#aliases).
//!
//! What `when` gives is a [`Handle`] of the result. Wait for it on a plain thread; `.await` it in any async runtime; in a
//! behavior, ask for the result as one asks for any cown, or ignore it. A behavior whose result nobody asks for is
//! scheduled by [`spawn`], which gives no handle and is the cheapest.
//!
//! ```
//! use bocage::{Cown, spawn, when};
//!
//! let prices: Vec<Cown<u64>> = (1..=10).map(Cown::new).collect();
//! let (rate, log) = (Cown::new(3), Cown::new(Vec::new()));
//!
//! let total = when((&prices[..], &rate), |(prices, rate)| {
//!     prices.iter().map(|price| price * *rate).sum::<u64>()
//! });
//! spawn((&total.cown(), &log), |(total, mut log)| log.push(format!("total {}", *total)));
//! assert_eq!(when(&log, |log| log.join(", ")).wait()?, "total 165");
//! # Ok::<(), bocage::Failure>(())
//! ```
//!
//! # Beside behaviors
//!
//! [`acquire`] takes the same requests and no body: `.await` it in a task of any async runtime, or
//! [`wait`](Acquire::wait) for it on a plain thread. Its guards are there until it is dropped, and it stands in the same
//! queues as behaviors do. [`scope`] is for behaviors that borrow from the stack: it returns when they are done.
//!
//! ```
//! use bocage::{Cown, acquire, read, scope};
//!
//! let (total, rate) = (Cown::new(0), Cown::new(3));
//! let prices = [1, 2, 3];
//! scope(|s| {
//!     for price in &prices {
//!         s.when((&total, read(&rate)), |(mut total, rate)| *total += *price * *rate);
//!     }
//! });
//!
//! // In a task: `acquire((&total, &rate)).await`.
//! let mut held = acquire((&total, &rate)).wait();
//! let (mut total, rate) = held.guards();
//! *total -= *rate;
//! assert_eq!(*total, 15);
//! ```
//!
//! # Which allocator
//!
//! A behavior is one small block, which is often freed on another thread than the one that made it, so the
//! allocator is a good part of what scheduling costs. A program of many small behaviors should take another
//! than the system's: we recommend and measure with `mimalloc`, in its version 2 (the crate's default, version 3, is slower
//! for blocks of this size). With glibc's a behavior takes up to twice as many instructions.
//!
//! ```toml
//! mimalloc = { version = "0.1", default-features = false, features = ["v2"] }
//! ```
//!
//! A `static` of type `mimalloc::MiMalloc` with `#[global_allocator]` then makes it the program's.
//!
//! # Where behaviors run
//!
//! Inside a behavior, [`when`] schedules on the [`Runtime`] that runs it. Anywhere else it schedules on the
//! process's [default runtime](default_runtime), which the first call starts, with one worker for each
//! processor that the process may use. A program that wants another number of workers, or several runtimes,
//! builds its own and calls [`Runtime::when`].
//!
//! The process ends when `main` returns, as it does under any other thread: **what has not run by then does
//! not run**, and what runs is cut off, on the default runtime. So a program ends by waiting for the
//! handles that it needs, or by [`quiesce`] for all there is. (An own [`Runtime`] that goes out of scope
//! waits by itself, or cancels what has not begun: [`Builder::on_drop`].)
//!
//! A program that goes wrong in some orders and not in others is found out by [`deterministic::explore`], which runs it
//! under one seed after the other, and by [`deterministic::replay`]:
//!
//! ```
//! use bocage::{Cown, deterministic, quiesce, when};
//!
//! deterministic::explore(0..100, || {
//!     let (cold, warm) = (Cown::new(3), Cown::new(4));
//!     for _ in 0..2 {
//!         when((&cold, &warm), |(mut cold, mut warm)| std::mem::swap(&mut *cold, &mut *warm));
//!     }
//!     when(&cold, |mut cold| *cold += 10);
//!     quiesce(None).unwrap();
//!     // Had this an order in which it fails, the panic would name the seed.
//!     assert_eq!(when((&cold, &warm), |(cold, warm)| (*cold, *warm)).wait().unwrap(), (13, 4));
//! });
//! ```
//!
//! What only one thread may touch, as a window, is owned by a [`PinnedCown`]; behaviors on it are scheduled by
//! [`Pinned::when`] or, in one step with others, by [`Batch::when_pinned`], and run when that thread
//! [pumps](Pinned::pump), or waits. What they ask for is a [`PinnedRequests`].
//!
//! Behaviors on rayon's threads instead: the feature `rayon` of `bocage-runtime`, with `when_on` of `bocage-core`. They may share
//! cowns with those of a runtime.
//!
//! A program that hangs: wait for it with a timeout. The error names the [`Pending`] behaviors and their cowns, and who
//! holds them: what runs, what is ready and what waits behind those, behind a guard of [`acquire`], or behind what another
//! runtime runs; in a debug build, or if [`Builder::name_pending`] says so, all of them.
//!
//! A panic in a body goes to its handle, and the worker lives on; the cowns that the body had are released,
//! and [poisoned](Guard::is_poisoned).
//!
//! # A map
//!
//! | here | from | what |
//! | --- | --- | --- |
//! | [`when`], [`spawn`], [`batch`], [`quiesce`], [`default_runtime`] | this crate, `default.rs` | the default runtime |
//! | [`Cown`], [`Requests`], [`Guard`], [`Guards`], [`Handle`], [`Failure`], [`Panic`] | `bocage-core` | what a behavior asks for, and gets |
//! | [`acquire`], [`try_acquire`], [`Acquired`] | `bocage-core` | cowns without a behavior |
//! | [`scope`], [`Scope`] | this crate, `scope.rs`, on `bocage-core`'s | behaviors that borrow from the stack |
//! | [`Runtime`], [`Builder`], [`RuntimeRef`], [`Batch`], [`Error`] | `bocage-runtime` | workers, and what they are told |
//! | [`Pinned`], [`PinnedCown`] | `bocage-runtime` | behaviors that one given thread runs, values that stay there |
//! | [`deterministic`] | `bocage-runtime` | one thread and a seed: to find an order that breaks a program |
//! | [`noticeboard`] | feature `noticeboard` | at most 64 named values, read as snapshots |
//! | [`matrix`] | feature `matrix` | a dense matrix of `f64` |
//! | [`prelude`] | | the names that most programs want |
//!
//! The feature `trace`, off by default, adds the module `trace`: what ran where and when, as JSON for Perfetto. The other
//! two are on.
//!
//! # Invariants
//!
//! - This crate composes the crates below it and adds no mechanism, but for one static: the default runtime.
//! - The default runtime starts on the first use, never before, and lives as long as the process.
//! - `when` and `spawn` never block on a behavior, and no choice of cowns can deadlock. What blocks ([`Handle::wait`],
//!   [`Acquire::wait`], [`scope`], [`quiesce`]) refuses to in a behavior.

mod default;
mod scope;

pub use bocage_core::{
    Acquire, Acquired, Cown, CownId, Failure, Guard, Guards, Handle, IntoGuards, IntoReadGuards, Outcome, Panic, Read,
    ReadGuard, ReadGuards, Requests, ScopedHandle, ScopedOutcome, Values, ValuesMut, acquire, read, try_acquire,
};
pub use bocage_runtime::{
    Batch, Builder, Error, OnDrop, Pending, PendingBehavior, PendingCown, Pinned, PinnedCown, PinnedGuard,
    PinnedRequests, Runtime, RuntimeRef, WorkerStats, deterministic,
};
pub use default::{batch, default_runtime, quiesce, spawn, when};
pub use scope::{Scope, scope};

#[cfg(feature = "trace")]
#[doc(inline)]
pub use bocage_runtime::trace;

#[cfg(feature = "matrix")]
#[doc(no_inline)]
pub use bocage_matrix as matrix;
#[cfg(feature = "noticeboard")]
#[doc(no_inline)]
pub use bocage_noticeboard as noticeboard;

/// The names that most programs want: `use bocage::prelude::*;`
///
/// ```
/// use bocage::prelude::*;
///
/// let cown = Cown::new(vec![1, 2]);
/// when(&cown, |mut numbers| numbers.push(3));
/// quiesce(None)?;
/// # Ok::<(), bocage::Error>(())
/// ```
pub mod prelude {
    pub use crate::{
        Acquired, Cown, Failure, Guard, Handle, ReadGuard, Requests, Runtime, acquire, quiesce, read, scope, spawn,
        when,
    };
}

/// The crate's page, whose program is a doctest like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
