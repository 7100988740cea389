//! Functions and globals, as they travel: plain Rust data, made once and shared by all interpreters.
//!
//! ```text
//!   Bound  = Function + the Globals it is to see          one for each time a global was rebound
//!   Globals = values and definitions of one Home           also those that values may need, of `__main__`
//!   Function = record (code or name) + values in it       one for each distinct record
//!   Home   = a namespace: how to rebuild or import it      one for each key
//!   Sent   = one global's value, with a version            one for each time it was rebound
//! ```
//!
//! A behavior carries one `Arc<Bound>`. What it means to a worker (a callable, namespaces, which versions are
//! bound there) is kept in that worker's interpreter ([`crate::resolve`]); how a program's function becomes
//! one of these is [`crate::schedule`]'s business. Records and payloads are bytes that `_definitions.py` makes
//! and `_worker.py` reads.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

use crate::value::Value;

/// A callable that workers can load.
pub(crate) struct Function {
    /// Unique in the process; workers remember what they loaded by it.
    pub(crate) id: u64,
    /// For messages.
    pub(crate) name: String,
    /// For `_worker.resolve`.
    pub(crate) record: Box<[u8]>,
    /// What the record refers to by number.
    pub(crate) values: Box<[Value]>,
    /// Names of the keyword-only parameters, in the order in which their captures travel.
    pub(crate) keyword_only: Box<[String]>,
}

/// A namespace in which functions find their globals.
pub(crate) struct Home {
    /// The worker's name for it.
    pub(crate) key: String,
    /// For `_worker.build`.
    pub(crate) payload: Box<[u8]>,
    /// The newest of all globals sent for it, for definitions that need one while they run.
    sent: Mutex<HashMap<String, Arc<Sent>>>,
}

/// One global that was sent.
pub(crate) struct Sent {
    /// Its name.
    pub(crate) name: String,
    /// Grows with each sending, of whatever global.
    pub(crate) version: u64,
    /// What it is bound to.
    pub(crate) content: Content,
}

/// What a global that was sent is bound to.
pub(crate) enum Content {
    /// A value.
    Value(Value),
    /// A function, class or module for `_worker.unpack`.
    Packed(Box<[u8]>, Box<[Value]>),
}

/// A function and the globals that it is to find.
pub(crate) struct Bound {
    /// The function.
    pub(crate) function: Arc<Function>,
    /// What it needs of its home.
    pub(crate) globals: Arc<Globals>,
    /// What the program's classes and functions need that may be part of a value.
    pub(crate) beside: Option<Arc<Globals>>,
}

/// What is to be there in a namespace.
pub(crate) struct Globals {
    /// The namespace.
    pub(crate) home: Arc<Home>,
    /// Globals to be bound in it.
    pub(crate) sent: Box<[Arc<Sent>]>,
    /// Definitions that must exist in it.
    pub(crate) needs: Box<[String]>,
    /// How many of its statements the program is past.
    pub(crate) ran: usize,
}

impl Home {
    /// The newest value sent for a global.
    pub(crate) fn newest(&self, name: &str) -> Option<Arc<Sent>> {
        lock(&self.sent).get(name).cloned()
    }

    /// Sends a global.
    pub(crate) fn send(&self, name: &str, content: Content) -> Arc<Sent> {
        static VERSION: AtomicU64 = AtomicU64::new(1);
        // Relaxed: only distinctness counts.
        let version = VERSION.fetch_add(1, Ordering::Relaxed);
        let sent = Arc::new(Sent { name: name.to_owned(), version, content });
        lock(&self.sent).insert(name.to_owned(), sent.clone());
        sent
    }
}

/// What all interpreters share of one program: forgotten when the runtime stops.
#[derive(Default)]
struct Registry {
    homes: HashMap<String, Arc<Home>>,
    /// By home and record; only records that hold no values are shared.
    functions: HashMap<(String, Box<[u8]>), Arc<Function>>,
}

static REGISTRY: LazyLock<Mutex<Registry>> = LazyLock::new(Mutex::default);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The home of that key. The first payload for a key is kept: a worker that schedules has the same program.
pub(crate) fn home(key: &str, payload: &[u8]) -> Arc<Home> {
    let mut registry = lock(&REGISTRY);
    if let Some(home) = registry.homes.get(key) {
        return home.clone();
    }
    let home = Arc::new(Home { key: key.to_owned(), payload: payload.into(), sent: Mutex::default() });
    registry.homes.insert(key.to_owned(), home.clone());
    home
}

/// The function of that record.
pub(crate) fn function(
    home: &Arc<Home>,
    name: &str,
    record: &[u8],
    values: Box<[Value]>,
    keyword_only: Box<[String]>,
) -> Arc<Function> {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let make = |values| {
        Arc::new(Function {
            // Relaxed: only distinctness counts.
            id: NEXT.fetch_add(1, Ordering::Relaxed),
            name: name.to_owned(),
            record: record.into(),
            values,
            keyword_only,
        })
    };
    if !values.is_empty() {
        return make(values);
    }
    let mut registry = lock(&REGISTRY);
    let key = (home.key.clone(), record.into());
    registry.functions.entry(key).or_insert_with(|| make(values)).clone()
}

/// Forgets everything: the runtime stopped, and the next one's workers start with nothing.
pub(crate) fn forget_all() {
    let old = std::mem::take(&mut *lock(&REGISTRY));
    // Values may hold cowns, whose end may need the lock.
    drop(old);
}
