//! Models of the runtime's protocols, parking, pumping and quiescence, run by the model checker:
//!
//! ```text
//! RUSTFLAGS="--cfg loom" LOOM_MAX_PREEMPTIONS=2 cargo test -p bocage-runtime --release --test loom
//! ```
//!
//! `Idle`, `Kept` and `Ledger` are the very structs that ship; what stands in for the rest is in `plant.rs`.
//!
//! | the story | file |
//! |---|---|
//! | park against push from outside, from inside, and steal | `park.rs` |
//! | park against a behavior that is kept back | `newest.rs` |
//! | what is kept back: its owner against who rescues it | `kept.rs` |
//! | a pump that parks against pushes and a stop | `inbox.rs` |
//! | quiesce against spawn | `quiesce.rs` |
//! | shutdown against spawn | `shutdown.rs` |
//!
//! A lost wake shows as a deadlock, which loom reports. Each model names the bugs that it was seen to catch.
#![cfg(loom)]

mod inbox;
mod kept;
mod newest;
mod park;
mod plant;
mod quiesce;
mod shutdown;
