//! One version of the board, and the place where the newest one hangs.
//!
//! A version is a sorted slice of at most 64 entries. Making the next one copies 64 pointers at
//! most, which costs less than any tree that would share its branches, and looking a key up is six
//! comparisons in memory that lies together.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use crate::{Error, Key, MAX_KEYS};

/// One version of a board: what it held at one moment, for as long as this is held.
///
/// Cloning it copies one pointer. Nothing that happens to the board later shows in it.
pub struct Snapshot<V>(Arc<Version<V>>);

struct Version<V> {
    number: u64,
    /// Sorted by key, each key once, at most [`MAX_KEYS`].
    entries: Box<[Entry<V>]>,
}

/// One allocation for key and pointer, so that the next version takes over an entry that did not
/// change by counting up once.
type Entry<V> = Arc<(Key, Arc<V>)>;

impl<V> Snapshot<V> {
    /// A version without entries.
    pub(crate) fn empty(number: u64) -> Self {
        Self(Arc::new(Version { number, entries: Box::new([]) }))
    }

    /// A version of these entries, in any order.
    ///
    /// Errors: a key that is there twice (given back), or more than [`MAX_KEYS`] of them.
    pub(crate) fn from_entries(number: u64, entries: Vec<(Key, Arc<V>)>) -> Result<Self, Error> {
        let mut entries: Vec<Entry<V>> = entries.into_iter().map(Arc::new).collect();
        entries.sort_by(|a, b| a.0.cmp(&b.0));
        if let Some(pair) = entries.windows(2).find(|pair| pair[0].0 == pair[1].0) {
            return Err(Error::NotASnapshot { reason: format!("key {:?} is in it twice", pair[0].0) });
        }
        if let Some(past) = entries.get(MAX_KEYS) {
            return Err(Error::Full { key: past.0.clone() });
        }
        Ok(Self(Arc::new(Version { number, entries: entries.into() })))
    }

    /// How many changes the board had seen when this version was published.
    pub fn version(&self) -> u64 {
        self.0.number
    }

    /// How many keys it holds.
    pub fn len(&self) -> usize {
        self.0.entries.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.entries.is_empty()
    }

    /// The value under `key`, if there is one. At most seven comparisons.
    pub fn value(&self, key: &str) -> Option<&Arc<V>> {
        let at = self.find(key).ok()?;
        Some(&self.0.entries[at].1)
    }

    /// Whether there is a value under `key`.
    pub fn contains(&self, key: &str) -> bool {
        self.find(key).is_ok()
    }

    /// Keys and values, in the order of the keys.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = (&Key, &Arc<V>)> {
        self.0.entries.iter().map(|entry| (&entry.0, &entry.1))
    }

    fn find(&self, key: &str) -> Result<usize, usize> {
        self.0.entries.binary_search_by(|entry| entry.0.as_str().cmp(key))
    }

    /// The next version: this one, with `value` under `key`. Gives a key back that would be one too
    /// many.
    pub(crate) fn with(&self, key: Key, value: Arc<V>) -> Result<Self, Key> {
        let old = &self.0.entries;
        let entries = match self.find(key.as_str()) {
            Ok(at) => {
                let mut entries = old.clone();
                entries[at] = Arc::new((key, value));
                entries
            }
            Err(_) if old.len() == MAX_KEYS => return Err(key),
            Err(at) => {
                let mut entries = Vec::with_capacity(old.len() + 1);
                entries.extend_from_slice(&old[..at]);
                entries.push(Arc::new((key, value)));
                entries.extend_from_slice(&old[at..]);
                entries.into()
            }
        };
        Ok(self.next(entries))
    }

    /// The next version: this one without `key`. `None` if `key` is not in it.
    pub(crate) fn without(&self, key: &str) -> Option<Self> {
        let at = self.find(key).ok()?;
        let old = &self.0.entries;
        let entries = old[..at].iter().chain(&old[at + 1..]).cloned().collect();
        Some(self.next(entries))
    }

    /// The next version: nothing.
    pub(crate) fn cleared(&self) -> Self {
        Self::empty(self.version() + 1)
    }

    fn next(&self, entries: Box<[Entry<V>]>) -> Self {
        Self(Arc::new(Version { number: self.version() + 1, entries }))
    }
}

impl<V> Clone for Snapshot<V> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<V: fmt::Debug> fmt::Debug for Snapshot<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "version {} ", self.version())?;
        f.debug_map().entries(self.iter()).finish()
    }
}

/// Where the newest version hangs. The writer puts one there, readers take it.
///
/// A lock held for one pointer copy, and not `arc-swap`: with one to four readers on two cores,
/// with and without a writer, `arc_swap::load_full`, a `Mutex` and an `RwLock` around the `Arc`
/// could not be told apart (11 ns alone, 20 ns for two readers: the `Arc`'s own counter is what
/// costs), so the crate that is not needed is not here.
pub(crate) struct Newest<V>(RwLock<Snapshot<V>>);

impl<V> Newest<V> {
    pub(crate) fn new(snapshot: Snapshot<V>) -> Self {
        Self(RwLock::new(snapshot))
    }

    /// The newest version.
    pub(crate) fn take(&self) -> Snapshot<V> {
        // Nothing that can panic runs under the lock, so a poisoned one still holds a version.
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Makes `snapshot` the newest version.
    pub(crate) fn publish(&self, snapshot: Snapshot<V>) {
        let mut newest = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *newest, snapshot);
        drop(newest);
        // Values of users may end here, and their destructors must not run under the lock.
        drop(old);
    }
}
