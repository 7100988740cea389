//! Typed values for Rust programs, and snapshots saved, loaded and shown.
//!
//! This is the only module that knows the encoding (`bincode`, its standard configuration). A
//! value is kept as its bytes with the name of its type beside them, so that reading it as another
//! type is an error and not nonsense, and so that a snapshot can be shown.
//!
//! Type names are those of [`std::any::type_name`]: renaming or moving a type makes values of it
//! that were saved before unreadable, with an error that has both names.

use std::any::type_name;
use std::collections::HashMap;
use std::fmt::{self, Debug, Write as _};
use std::io::{Read, Write};
use std::sync::Arc;

use bincode::config::standard;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::{Board, Change, Error, Key, MAX_KEYS, Snapshot};

/// A value as bytes, with the name of its type.
///
/// What may be written may be read back, hence both bounds: a `String` goes on a board, a `&str`
/// does not.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Encoded {
    type_name: Box<str>,
    bytes: Box<[u8]>,
}

impl Encoded {
    /// Encodes `value`.
    ///
    /// # Errors
    ///
    /// [`Error::Encode`], if its `Serialize` fails.
    pub fn new<T: Serialize + DeserializeOwned>(value: &T) -> Result<Self, Error> {
        let bytes = bincode::serde::encode_to_vec(value, standard())
            .map_err(|error| Error::Encode { type_name: type_name::<T>(), reason: error.to_string() })?;
        Ok(Self { type_name: type_name::<T>().into(), bytes: bytes.into() })
    }

    /// Decodes it again, as the type it was made of.
    ///
    /// # Errors
    ///
    /// [`Error::WrongType`] for another type; [`Error::Decode`], if its `Deserialize` fails.
    pub fn decode<T: DeserializeOwned>(&self) -> Result<T, Error> {
        if *self.type_name != *type_name::<T>() {
            return Err(Error::WrongType { stored: self.type_name.to_string(), asked: type_name::<T>() });
        }
        let wrong = |reason: String| Error::Decode { type_name: type_name::<T>(), reason };
        let (value, used) =
            bincode::serde::decode_from_slice(&self.bytes, standard()).map_err(|error| wrong(error.to_string()))?;
        if used != self.bytes.len() {
            return Err(wrong(format!("{} bytes left over", self.bytes.len() - used)));
        }
        Ok(value)
    }

    /// The name of the type it was made of.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }
}

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} bytes)", self.type_name, self.bytes.len())
    }
}

impl Board<Encoded> {
    /// [`write`](Board::write) for a typed value. It is encoded here and now.
    ///
    /// # Errors
    ///
    /// A bad key ([`Key::new`]); [`Error::Encode`].
    pub fn put<T: Serialize + DeserializeOwned>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.write(key, Arc::new(Encoded::new(value)?))
    }

    /// [`seed`](Board::seed) for a typed value.
    ///
    /// # Errors
    ///
    /// Those of [`seed`](Board::seed), and [`Error::Encode`].
    pub fn seed_with<T: Serialize + DeserializeOwned>(&self, key: &str, value: &T) -> Result<(), Error> {
        self.seed(key, Arc::new(Encoded::new(value)?))
    }

    /// [`update`](Board::update) for typed values: `change` gets the value that is there when its
    /// turn comes, or `None`, and gives what takes its place; `None` takes the key off the board.
    ///
    /// A value of another type under `key` is a [`Warning`](crate::Warning), and stays.
    ///
    /// # Errors
    ///
    /// A bad key, see [`Key::new`].
    pub fn change<T, F>(&self, key: &str, change: F) -> Result<(), Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnOnce(Option<T>) -> Option<T> + Send + 'static,
    {
        self.update(key, move |old| {
            let old = old.map(|old| old.decode()).transpose()?;
            Ok(match change(old) {
                Some(new) => Change::Set(Arc::new(Encoded::new(&new)?)),
                None => Change::Remove,
            })
        })
    }
}

/// A saved snapshot is this mark, then a [`Saved`].
const MARK: &[u8; 16] = b"bocage-board v1\n";

#[derive(Serialize, Deserialize)]
struct Saved {
    version: u64,
    entries: Vec<(String, Encoded)>,
}

impl Snapshot<Encoded> {
    /// The value under `key`, if there is one.
    ///
    /// # Errors
    ///
    /// [`Error::WrongType`], if it was written as another type; [`Error::Decode`].
    pub fn get<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>, Error> {
        self.value(key).map(|value| value.decode()).transpose()
    }

    /// Writes it to `target`, for [`load`](Self::load).
    ///
    /// # Errors
    ///
    /// [`Error::Io`].
    pub fn save(&self, mut target: impl Write) -> Result<(), Error> {
        let saved = Saved {
            version: self.version(),
            entries: self.iter().map(|(key, value)| (key.to_string(), Encoded::clone(value))).collect(),
        };
        let bytes = bincode::serde::encode_to_vec(saved, standard())
            .map_err(|error| Error::Encode { type_name: "Snapshot", reason: error.to_string() })?;
        target.write_all(MARK)?;
        target.write_all(&bytes)?;
        target.flush()?;
        Ok(())
    }

    /// Reads to the end of `source` what [`save`](Self::save) wrote. A board goes on from it with
    /// [`Builder::first`](crate::Builder::first).
    ///
    /// # Errors
    ///
    /// [`Error::Io`]; [`Error::NotASnapshot`] for anything else that is there, however damaged. The
    /// values are decoded only when they are read.
    pub fn load(mut source: impl Read) -> Result<Self, Error> {
        let not = |reason: String| Error::NotASnapshot { reason };
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        let body = bytes.strip_prefix(MARK).ok_or_else(|| not("it does not begin with the mark of one".to_owned()))?;
        // A damaged length costs no memory: serde reserves little ahead, and the slice ends.
        let (saved, used): (Saved, usize) =
            bincode::serde::decode_from_slice(body, standard()).map_err(|error| not(error.to_string()))?;
        if used != body.len() {
            return Err(not(format!("{} bytes left over", body.len() - used)));
        }
        if saved.entries.len() > MAX_KEYS {
            return Err(not(format!("{} keys", saved.entries.len())));
        }
        let entries = saved
            .entries
            .into_iter()
            .map(|(key, value)| Ok((Key::new(&key)?, Arc::new(value))))
            .collect::<Result<_, Error>>()
            .map_err(|error| not(error.to_string()))?;
        Self::from_entries(saved.version, entries)
    }

    /// One line for each key: the key, the type of its value, and the value where `viewer` knows
    /// the type, else its size.
    pub fn show(&self, viewer: &Viewer) -> String {
        let mut text = String::new();
        for (key, value) in self.iter() {
            // Writing to a String does not fail.
            let _ = match viewer.view(value) {
                Some(Ok(seen)) => writeln!(text, "{key}: {} = {seen}", value.type_name),
                Some(Err(error)) => writeln!(text, "{key}: {value:?}, damaged: {error}"),
                None => writeln!(text, "{key}: {value:?}"),
            };
        }
        text
    }
}

type View = fn(&Encoded) -> Result<String, Error>;

/// The types whose values [`Snapshot::show`] can print: numbers, `bool`, `char`, `String`, vectors
/// of these, and what was added.
#[derive(Clone)]
pub struct Viewer(HashMap<&'static str, View>);

impl Viewer {
    /// Knows `T` too.
    #[must_use]
    pub fn with<T: DeserializeOwned + Debug>(mut self) -> Self {
        self.0.insert(type_name::<T>(), |value| value.decode::<T>().map(|value| format!("{value:?}")));
        self
    }

    fn view(&self, value: &Encoded) -> Option<Result<String, Error>> {
        self.0.get(value.type_name()).map(|view| view(value))
    }
}

impl Default for Viewer {
    fn default() -> Self {
        macro_rules! viewer_of {
            ($($type:ty)*) => {
                Self(HashMap::new())$(.with::<$type>().with::<Vec<$type>>())*
            };
        }
        viewer_of!(bool char i8 i16 i32 i64 i128 isize u8 u16 u32 u64 u128 usize f32 f64 String)
    }
}
