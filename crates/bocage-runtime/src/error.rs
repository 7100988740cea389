//! What can go wrong with a runtime.

use std::error::Error as StdError;
use std::{fmt, io};

use crate::pending::Pending;

/// An error of this crate.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// A runtime was asked for with no workers, or absurdly many.
    Workers(usize),
    /// The operating system refused a worker's thread.
    Spawn {
        /// The worker's index.
        worker: usize,
        /// What it said.
        source: io::Error,
    },
    /// A worker's start hook failed.
    Start {
        /// The worker's index.
        worker: usize,
        /// The hook's own error.
        source: Box<dyn StdError + Send + Sync>,
    },
    /// The runtime has stopped and takes no more behaviors.
    Stopped,
    /// The time was over before everything was done. Nothing is lost: it goes on, and one may wait again.
    Pending(Pending),
    /// The waiter's own callback ended the wait before everything was done. Nothing is lost here either.
    Interrupted(Pending),
    /// A behavior waited for its own runtime, and so for itself.
    OnWorker,
    /// A thread that runs behaviors was to pump.
    CannotPump,
    /// A thread was to pump what is pinned to another one, or to give or get a value that belongs to another one.
    WrongThread,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Workers(count) => {
                write!(f, "a runtime has 1 to {} workers, not {count}", crate::builder::MAX_WORKERS)
            }
            Self::Spawn { worker, source } => write!(f, "worker {worker}: its thread could not be started: {source}"),
            Self::Start { worker, source } => write!(f, "worker {worker}: its start hook failed: {source}"),
            Self::Stopped => f.write_str("the runtime has stopped: build a new one to schedule more"),
            Self::Pending(pending) => write!(f, "the time is over, and {pending}. Waiting again goes on from here"),
            Self::Interrupted(pending) => {
                write!(f, "the wait was interrupted, and {pending}. Waiting again goes on from here")
            }
            Self::OnWorker => f.write_str(
                "a behavior can't wait for its own runtime, it would wait for itself: schedule a further behavior instead",
            ),
            Self::CannotPump => f.write_str(
                "a thread that runs a behavior or a deterministic program can't pump pinned behaviors: pump on a plain \
                 thread, outside of behaviors",
            ),
            Self::WrongThread => f.write_str(
                "what is pinned to a thread is run, made and reached by that thread alone, the one that called `pinned`: \
                 schedule there what needs it, by `Pinned::when`",
            ),
        }
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Spawn { source, .. } => Some(source),
            Self::Start { source, .. } => Some(&**source),
            _ => None,
        }
    }
}
