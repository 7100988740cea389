//! The acquisition core of behavior-oriented concurrency: cowns, requests, behaviors. No threads.
//!
//! A [`Cown`] wraps data that one behavior at a time may touch, or several that only [`read`] it. A behavior names the cowns it
//! needs and runs when it has them all. Deadlock cannot happen, and behaviors that share a cown run in the order in
//! which they were scheduled, unless both only read it ("When Concurrency Matters: Behaviour-Oriented Concurrency", OOPSLA 2023).
//!
//! ```
//! use bocage_core::{Cown, Executor, Ready, when_on};
//! use std::thread;
//!
//! // Any executor will do: here, a thread for each behavior.
//! #[derive(Clone)]
//! struct Threads;
//! impl Executor for Threads {
//!     fn ready(&self, ready: Ready) {
//!         thread::spawn(move || ready.run());
//!     }
//! }
//!
//! let (src, dst) = (Cown::new(100), Cown::new(0));
//! let moved = when_on(Threads, (&src, &dst), |(mut src, mut dst)| {
//!     *src -= 40;
//!     *dst += 40;
//!     40
//! });
//! let sum = when_on(Threads, (&dst, &src), |(dst, src)| *src + *dst);
//! assert_eq!(moved.wait().unwrap(), 40);
//! assert_eq!(sum.wait().unwrap(), 100);
//! ```
//!
//! # A map, in reading order
//!
//! - `slot.rs`, the queue protocol: one word a slot, its states and transitions. Start here.
//! - `cown.rs`, the value and its queue's tail; `behavior.rs`, the one allocation of a behavior;
//!   `block.rs`, the same with its types: made, run and freed; `body.rs`, what runs.
//! - `acquire.rs`, the enqueuer's side (two phases), `order.rs`, which cown comes first, and `leftover.rs`, what it frees at the
//!   end; `release.rs`, the releaser's side; `grant.rs`, who is next, and the readers' count; `turn.rs`, readers that pass a
//!   cown from hand to hand, and `row.rs`, readers that are queued as one.
//! - `batch.rs`, several behaviors scheduled as one; `scope.rs`, behaviors that borrow from the stack.
//! - `executor.rs`, where ready behaviors go; `request.rs` and `shape.rs`, what a Rust program asks for, `guard.rs` and
//!   `guards.rs`, what it gets; `handle.rs`, results.
//! - `end.rs`, the end of a cown whose value holds others; `pool.rs`, where blocks come from; `prefetch.rs`, which of their lines are asked for early; `apart.rs`, where in its memory a
//!   cown stands; `stall.rs`, waiting for a thread
//!   that was stopped in the middle of its enqueue; `stage.rs`, looking at what runs and at what waits for it,
//!   and `outside.rs`, at what holds cowns elsewhere.
//! - `hold.rs`, acquisition without a behavior, by a future or a thread that blocks; `mailbox.rs`, where it is told
//!   that it has the cowns; `worker.rs`, threads that must not
//!   block; `idle.rs`, what a thread that blocks does meanwhile.
//! - `quietly.rs`, calls of the program's code from where nothing may unwind; `sync.rs`, atomics, real or loom's.
//!
//! # Invariants
//!
//! - This crate never starts a thread and has no global queue.
//! - A release never recurses, and waits for no enqueue and no behavior. (While somebody looks at who holds what, which takes
//!   microseconds, a body's end waits for that: `stage.rs`.)
//! - An enqueue waits only for a thread that is in the middle of its own enqueue on the same cown, which may wait for another
//!   one in turn.
//! - One block for each behavior, and so one allocation at most; none for a handle, a request or a release. (A list of requests
//!   that are no cowns takes one for its shape, if its members have one, and one for its guards.)

mod acquire;
mod apart;
mod batch;
mod behavior;
mod block;
mod body;
mod cown;
mod end;
mod executor;
mod grant;
mod guard;
mod guards;
mod handle;
mod hold;
mod idle;
mod leftover;
mod mailbox;
mod order;
mod outside;
mod pool;
mod prefetch;
mod quietly;
mod release;
mod request;
mod row;
mod scope;
mod shape;
mod slot;
mod stage;
mod stall;
mod sync;
mod turn;
mod worker;

pub use acquire::{Erased, Now, schedule_erased, schedule_labelled};
pub use batch::Batch;
pub use block::Place;
pub use body::Labelled;
pub use cown::{Cown, CownId};
pub use executor::{Executor, Home, Inline, Ready};
pub use guard::{Guard, ReadGuard};
pub use guards::{Guards, IntoGuards, IntoReadGuards, ReadGuards, Values, ValuesMut};
pub use handle::{Failure, Handle, Outcome, Panic, Receipt, schedule_on, schedule_on_with, spawn_on, when_on};
pub use hold::{Acquire, Acquired, acquire, try_acquire};
pub use idle::{Helping, Stepping, help_while_waiting, step_while_polled};
pub use outside::{Outside, Shown};
pub use quietly::quietly;
pub use request::{Held, Read, Requests, read};
pub use row::{Readers, Row};
pub use scope::{Scope, ScopedHandle, ScopedOutcome, scope};
pub use stage::{Holder, Seen, Stage, Stages, look_behind};
pub use turn::{Owed, Reader, Turn};
pub use worker::{WorkerMark, enter_worker};

/// The crate's page, whose program is a doctest like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
