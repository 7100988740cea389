//! What a verb that cannot go on has to say.

use std::fmt;

/// The result of everything that can fail here.
pub type Result<T> = std::result::Result<T, Error>;

/// A sentence for the person at the terminal: what went wrong, and what to do about it.
#[derive(Debug)]
pub struct Error(String);

impl Error {
    pub fn new(sentence: impl Into<String>) -> Self {
        Error(sentence.into())
    }

    /// Says which file or folder an operation of the standard library failed on.
    pub fn io(what: &str, path: &std::path::Path, cause: &std::io::Error) -> Self {
        Error(format!("cannot {what} {}: {cause}", path.display()))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
