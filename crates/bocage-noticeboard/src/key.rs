//! What may be a key.

use std::borrow::Borrow;
use std::fmt;

use crate::Error;

/// A checked key: text of at most [`Key::MAX_BYTES`] bytes of UTF-8, without NUL.
///
/// Every method of a board takes `&str` and checks it at the call, so that a bad key is refused
/// where it was written and not later, on the writer's thread.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key(Box<str>);

impl Key {
    /// The longest key, in bytes of UTF-8.
    pub const MAX_BYTES: usize = 63;

    /// Checks `text` and makes it a key.
    ///
    /// # Errors
    ///
    /// [`Error::KeyTooLong`] or [`Error::KeyHasNul`].
    pub fn new(text: &str) -> Result<Self, Error> {
        if text.len() > Self::MAX_BYTES {
            return Err(Error::KeyTooLong { key: text.to_owned() });
        }
        if let Some(at) = text.find('\0') {
            return Err(Error::KeyHasNul { key: text.to_owned(), at });
        }
        Ok(Self(text.into()))
    }

    /// The key as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_counts_bytes_and_not_characters() {
        assert!(Key::new(&"x".repeat(63)).is_ok());
        assert!(matches!(Key::new(&"x".repeat(64)), Err(Error::KeyTooLong { .. })));
        assert!(Key::new(&"é".repeat(31)).is_ok()); // 62 bytes
        assert!(matches!(Key::new(&"é".repeat(32)), Err(Error::KeyTooLong { .. })));
    }

    #[test]
    fn nul_is_refused_and_the_empty_key_is_not() {
        assert!(matches!(Key::new("a\0b"), Err(Error::KeyHasNul { at: 1, .. })));
        assert_eq!(Key::new("").unwrap().as_str(), "");
    }
}
