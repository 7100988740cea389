//! Ambient state in at most 64 keys, read as immutable snapshots.
//!
//! A program that runs many behaviors wants a place for what all of them may know and none of them
//! owns: a setting, the best result so far, how far along the work is. A [`Board`] is that place.
//! Reading never waits for a change to be made: a reader takes one pointer, a [`Snapshot`], and sees
//! one version of the whole board for as long as it holds it. (The pointer is behind a lock, which is
//! held for as long as it takes to copy it.) Writing never waits for a reader: a write is a message to
//! one thread, which applies all of them in order.
//!
//! ```
//! use bocage_noticeboard::{Board, Encoded};
//!
//! let board: Board<Encoded> = Board::new();
//! board.put("limit", &100_u32)?;
//! for found in [17_u32, 99, 3] {
//!     // Read, change and write back as one step, on the board's own thread.
//!     board.change("best", move |best: Option<u32>| Some(found.max(best.unwrap_or(0))))?;
//! }
//!
//! let now = board.flush(None)?; // everything sent so far is in this snapshot
//! assert_eq!(now.get::<u32>("best")?, Some(99));
//!
//! board.delete("best")?;
//! board.flush(None)?;
//! assert_eq!(board.snapshot().get::<u32>("best")?, None);
//! assert_eq!(now.get::<u32>("best")?, Some(99)); // what was taken stays as it was
//! # Ok::<(), bocage_noticeboard::Error>(())
//! ```
//!
//! # Modules, in reading order
//!
//! - `key.rs`: what may be a key.
//! - `snapshot.rs`: one version of the board, and the place where the newest one hangs.
//! - `writer.rs`: the messages and the thread that applies them. The protocol stands there.
//! - `board.rs`: the handle that sends the messages; how to build and close a board.
//! - `codec.rs`: typed values for Rust programs, and snapshots saved, loaded and shown. The only
//!   module that knows the encoding.
//! - `error.rs`: the one error type.
//!
//! # Invariants
//!
//! - This crate knows neither cowns nor the runtime. Its one thread is the board's writer.
//! - Only the writer makes versions; a version never changes once published.
//! - Version numbers grow by one with each change, and readers never see them go back.
//! - No code of a user runs under a lock, and none of it can end the writer by panicking.

mod board;
mod codec;
mod error;
mod key;
mod snapshot;
mod writer;

pub use board::{Board, Builder, Flush};
pub use codec::{Encoded, Viewer};
pub use error::Error;
pub use key::Key;
pub use snapshot::Snapshot;
pub use writer::{Change, Failure, Warning};

/// How many keys a board can hold.
pub const MAX_KEYS: usize = 64;
