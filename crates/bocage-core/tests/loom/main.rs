//! Models of the queue protocol, for the loom model checker.
//!
//! `RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 cargo test -p bocage-core --release --test loom`
//!
//! | the story | file |
//! |---|---|
//! | request order, with reads and writes; release against late enqueue | `order.rs`, `readers.rs` |
//! | batch against batch, and against single behaviors | `batch.rs` |
//! | async cancel against grant; a thread that blocks | `acquisition.rs` |
//! | scope end against last release | `scope.rs` |
//! | last handle against last release | `last.rs` |
//! | readers that pass a cown from hand to hand | `turns.rs` |
//! | a look at what runs against its end, and against a late enqueue | `looks.rs` |
//!
//! Each model checks exclusion (the values are loom cells, which notice two accesses at once, or one that
//! does not happen after the other), that nothing is lost (every body ran, every block and value was
//! dropped: loom reports an `Arc` that leaks) and that the order of scheduling is the order of running.
#![cfg(loom)]

mod acquisition;
mod batch;
mod last;
mod looks;
mod order;
mod readers;
mod scope;
mod stage;
mod turns;
