//! The one error type of the crate.

use std::fmt;
use std::time::Duration;

use crate::writer::Failure;
use crate::{Key, MAX_KEYS};

/// Why a call on a board, or on a snapshot, did not do what it says.
///
/// What goes wrong later, on the writer's thread, is a [`Warning`](crate::Warning) instead.
#[derive(Debug)]
pub enum Error {
    /// The key is longer than [`Key::MAX_BYTES`] bytes of UTF-8.
    KeyTooLong {
        /// The refused key.
        key: String,
    },
    /// The key holds a NUL character.
    KeyHasNul {
        /// The refused key.
        key: String,
        /// Where the NUL is, in bytes from the start.
        at: usize,
    },
    /// The board holds [`MAX_KEYS`] other keys.
    Full {
        /// The key that found no place.
        key: Key,
    },
    /// The writer did not get to it in the time given. It goes on: nothing is lost.
    TimedOut {
        /// The time given.
        waited: Duration,
    },
    /// The call waits for the writer, and was made from the writer's own thread (from an update, a
    /// hook or the warning callback), where it would wait for itself.
    OnWriterThread,
    /// The writer's thread has ended.
    WriterGone,
    /// The writer's thread could not be started, or its start hook failed.
    Start(Failure),
    /// A value could not be encoded.
    Encode {
        /// The type of the value.
        type_name: &'static str,
        /// What the encoder said.
        reason: String,
    },
    /// A value could not be decoded.
    Decode {
        /// The type asked for.
        type_name: &'static str,
        /// What the decoder said.
        reason: String,
    },
    /// The value under this key has another type than the one asked for.
    WrongType {
        /// The type the value was written with.
        stored: String,
        /// The type asked for.
        asked: &'static str,
    },
    /// What was to be loaded is not a saved snapshot, or is damaged.
    NotASnapshot {
        /// What is wrong with it.
        reason: String,
    },
    /// Reading or writing a saved snapshot failed.
    Io(std::io::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KeyTooLong { key } => {
                write!(f, "noticeboard key {key:?} has {} bytes; the longest has {}", key.len(), Key::MAX_BYTES)
            }
            Self::KeyHasNul { key, at } => {
                write!(f, "noticeboard key {key:?} has a NUL character at byte {at}")
            }
            Self::Full { key } => write!(
                f,
                "noticeboard key {key:?} was not installed: the board holds {MAX_KEYS} keys, \
                 which is the most; delete one, or keep several values under one key"
            ),
            Self::TimedOut { waited } => {
                write!(f, "the noticeboard's writer had messages left after {waited:?}; it goes on with them")
            }
            Self::OnWriterThread => f.write_str(
                "this call waits for the noticeboard's writer and was made from its own thread, \
                 where it would wait for itself",
            ),
            Self::WriterGone => f.write_str("the noticeboard's writer thread has ended"),
            Self::Start(failure) => {
                write!(f, "the noticeboard's writer could not start: {failure}")
            }
            Self::Encode { type_name, reason } => {
                write!(f, "a value of type {type_name} can't be encoded: {reason}")
            }
            Self::Decode { type_name, reason } => {
                write!(f, "can't decode a value of type {type_name}: {reason}")
            }
            Self::WrongType { stored, asked } => {
                write!(f, "the value is a {stored}, and was read as a {asked}")
            }
            Self::NotASnapshot { reason } => {
                write!(f, "not a saved noticeboard snapshot: {reason}")
            }
            Self::Io(error) => write!(f, "a saved noticeboard snapshot: {error}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io(error) => Some(error),
            Self::Start(failure) => Some(&**failure),
            _ => None,
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(error: std::io::Error) -> Self {
        Self::Io(error)
    }
}
