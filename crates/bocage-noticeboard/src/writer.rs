//! The messages and the one thread that applies them.
//!
//! # The protocol
//!
//! Every change of a board is a message in one channel. The channel keeps the order in which
//! one thread sent its messages, and of messages from two threads, if one was sent before the
//! other was begun. The writer takes one at a time and does all of it before the next:
//!
//! | message | the board holds the key | it does not | the board is full, key is new |
//! | --- | --- | --- | --- |
//! | `Write` | new version | new version | warning, no version |
//! | `Update`, gives [`Change::Set`] | new version | new version | warning, no version |
//! | `Update`, gives [`Change::Remove`] | new version | no version | no version |
//! | `Update`, fails or panics | warning, no version | warning, no version | warning, no version |
//! | `Delete` | new version | no version | no version |
//! | `Seed` | new version, then `Ok` | new version, then `Ok` | `Err`, no version |
//! | `Clear` | new version | new version | new version |
//! | `Flush` | answers with the newest version | the same | the same |
//!
//! The writer keeps the newest version itself, so it reads without a lock; `Newest` is only where
//! readers look. A sender that was answered (`Seed`, `Flush`) or that learned of it in another way
//! sees the version: publishing comes before the answer.
//!
//! The thread ends when the last sender is gone *and* the channel is empty: closing drains.
//!
//! # Code of users
//!
//! Updates, the warning callback, the hooks and the destructors of values run on this thread,
//! each under `catch_unwind`. One that panics costs its own message and nothing else.

use std::any::Any;
use std::fmt;
use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender};

use crate::snapshot::{Newest, Snapshot};
use crate::{Error, Key};

/// Why an update or a hook failed: any error. A `&str` or `String` becomes one with `?` or `into`.
pub type Failure = Box<dyn std::error::Error + Send + Sync>;

/// What an update makes of the value it was given.
pub enum Change<V> {
    /// This value takes its place.
    Set(Arc<V>),
    /// The key goes. Nothing happens if it was not there.
    Remove,
}

/// An update: takes the value that is there when its turn comes, gives what takes its place.
pub(crate) type Update<V> = Box<dyn FnOnce(Option<&Arc<V>>) -> Result<Change<V>, Failure> + Send>;

/// A message that had no effect, and whose sender is long gone.
#[derive(Debug)]
pub enum Warning {
    /// A key was not installed: the board holds [`MAX_KEYS`](crate::MAX_KEYS) others.
    Full {
        /// The key.
        key: Key,
    },
    /// An update returned an error. The old value stays.
    UpdateFailed {
        /// The key it was for.
        key: Key,
        /// What it returned.
        failure: Failure,
    },
    /// An update panicked. The old value stays.
    UpdatePanicked {
        /// The key it was for.
        key: Key,
        /// The panic's message.
        message: String,
    },
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { key } => Error::Full { key: key.clone() }.fmt(f),
            Self::UpdateFailed { key, failure } => {
                write!(f, "an update of noticeboard key {key:?} failed: {failure}")
            }
            Self::UpdatePanicked { key, message } => {
                write!(f, "an update of noticeboard key {key:?} panicked: {message}")
            }
        }
    }
}

pub(crate) enum Message<V> {
    Write(Key, Arc<V>),
    Update(Key, Update<V>),
    Delete(Key),
    Seed(Key, Arc<V>, Sender<Result<(), Error>>),
    Clear,
    Flush(Sender<Snapshot<V>>),
}

pub(crate) type OnStart = Box<dyn FnOnce() -> Result<(), Failure> + Send>;
pub(crate) type OnStop = Box<dyn FnOnce() + Send>;
pub(crate) type OnWarning = Box<dyn Fn(&Warning) + Send>;

/// The writer: what its thread owns.
pub(crate) struct Writer<V> {
    pub(crate) board: Snapshot<V>,
    pub(crate) newest: Arc<Newest<V>>,
    pub(crate) messages: Receiver<Message<V>>,
    pub(crate) on_warning: OnWarning,
}

impl<V> Writer<V> {
    /// Applies messages until the last sender is gone and none is left.
    pub(crate) fn run(mut self) {
        while let Ok(message) = self.messages.recv() {
            // The old value's destructor may panic while a version is published. The version is in
            // place by then, so the next message finds a whole board.
            quietly(|| self.apply(message));
        }
    }

    fn apply(&mut self, message: Message<V>) {
        match message {
            Message::Write(key, value) => self.write(key, value),
            Message::Update(key, update) => self.update(key, update),
            Message::Delete(key) => {
                if let Some(next) = self.board.without(key.as_str()) {
                    self.publish(next);
                }
            }
            Message::Seed(key, value, answer) => {
                let outcome = match self.board.with(key, value) {
                    Ok(next) => {
                        self.publish(next);
                        Ok(())
                    }
                    Err(key) => Err(Error::Full { key }),
                };
                // The one who asked may have given up waiting.
                let _ = answer.send(outcome);
            }
            Message::Clear => self.publish(self.board.cleared()),
            Message::Flush(answer) => {
                let _ = answer.send(self.board.clone());
            }
        }
    }

    fn write(&mut self, key: Key, value: Arc<V>) {
        match self.board.with(key, value) {
            Ok(next) => self.publish(next),
            Err(key) => self.warn(Warning::Full { key }),
        }
    }

    fn update(&mut self, key: Key, update: Update<V>) {
        let old = self.board.value(key.as_str());
        match catch_unwind(AssertUnwindSafe(|| update(old))) {
            Ok(Ok(Change::Set(value))) => self.write(key, value),
            Ok(Ok(Change::Remove)) => {
                if let Some(next) = self.board.without(key.as_str()) {
                    self.publish(next);
                }
            }
            Ok(Err(failure)) => self.warn(Warning::UpdateFailed { key, failure }),
            Err(panic) => {
                let message = panic_message(panic);
                self.warn(Warning::UpdatePanicked { key, message });
            }
        }
    }

    fn publish(&mut self, next: Snapshot<V>) {
        let old = std::mem::replace(&mut self.board, next.clone());
        self.newest.publish(next);
        // Last, because it may run destructors of users, which may panic.
        drop(old);
    }

    fn warn(&self, warning: Warning) {
        (self.on_warning)(&warning);
    }
}

/// What a panic said, if it said it in text.
pub(crate) fn panic_message(panic: Box<dyn Any + Send>) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
    quietly(|| drop(panic));
    text.unwrap_or_else(|| "(a payload that is not text)".to_owned())
}

/// Calls code of users, whose panic has been reported by the panic hook. Its payload's drop may panic as well.
pub(crate) fn quietly(call: impl FnOnce()) {
    if let Err(payload) = catch_unwind(AssertUnwindSafe(call))
        && let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(payload)))
    {
        // There is no end to that.
        mem::forget(again);
    }
}
