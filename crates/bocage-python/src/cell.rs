//! What a cown of the Python layer owns: a value that is portable whenever nobody owns the cown.
//!
//! # States of the payload
//!
//! | payload    | what it holds                                              | who may look |
//! |------------|------------------------------------------------------------|--------------|
//! | `Portable` | a Rust value that any interpreter can decode               | the owner    |
//! | `Live`     | an object of the owner's interpreter, and perhaps the portable form that it was made from | the owner |
//!
//! | from       | to         | when                                                                       |
//! |------------|------------|----------------------------------------------------------------------------|
//! | `Portable` | `Live`     | the owner first reads the value: a body that never does, never decodes     |
//! | any        | `Live`     | the owner sets the value                                                   |
//! | `Live`     | `Portable` | the owner gives the cown up. The portable form is taken again if the object is immutable, and made anew otherwise |
//!
//! # The owner
//!
//! `owner` names the interpreter that may touch the payload: the one on which the behavior that holds the
//! cown runs, or the one whose code acquired it. It is set right after the core grants the cown and cleared
//! right before the core releases it. Anybody may read it, from any thread: whoever finds its own interpreter
//! there was let in by that interpreter, whose GIL it holds.

use std::cell::{RefCell, UnsafeCell};
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use bocage_core::{Acquired, Cown};

use crate::py::{Attached, Error, Kind, Obj, Result};
use crate::state::State;
use crate::value::{self, Value};
use crate::{cycles, holds, unraised};

/// A cown, from any thread: cheap to clone, compared by identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CownHandle(Cown<Cell>);

/// The value of such a cown.
pub(crate) struct Cell {
    /// The owner's interpreter, by address; 0 if there is none.
    owner: AtomicUsize,
    inner: UnsafeCell<Inner>,
}

/// A cown that is held outside behaviors.
type Held = Acquired<&'static Cown<Cell>>;

struct Inner {
    payload: Payload,
    /// The value is an exception that a behavior raised.
    raised: bool,
    /// Somebody looked at that exception.
    seen: bool,
    /// Where it is listed until then, if it is.
    unseen: Option<unraised::Unseen>,
    /// That of code that acquired the cown outside behaviors.
    token: Option<Held>,
    /// Where its interpreter notes that.
    place: holds::Place,
    /// Where the cell is listed, while its payload is portable and holds cowns.
    listing: Option<cycles::Listing>,
}

enum Payload {
    Portable(Value),
    Live(Foreign, Option<Value>),
}

/// An object of the owner's interpreter.
struct Foreign(Obj);

// SAFETY: touched only by the owner, who is attached to the object's interpreter; `Cell::release` makes it
// portable before the cown goes to anybody else.
unsafe impl Send for Foreign {}

// SAFETY: all of the payload is reached by the owner alone, through the checks of `owned`; the token is a
// pointer that only the owner uses.
unsafe impl Send for Cell {}

/// An interpreter, as the name of an owner.
fn name_of(py: Attached) -> usize {
    py.interpreter().addr()
}

impl CownHandle {
    /// A new cown.
    pub(crate) fn new(value: Value) -> CownHandle {
        let handle = CownHandle(Cown::new(Cell::new(value)));
        // SAFETY: nobody else has the handle.
        unsafe { handle.cell().list() };
        handle
    }

    /// Wraps the result's cown of a behavior.
    pub(crate) fn from_core(cown: Cown<Cell>) -> CownHandle {
        CownHandle(cown)
    }

    /// The core's own handle.
    pub(crate) fn core(&self) -> &Cown<Cell> {
        &self.0
    }

    /// A number that no other living cown has; cowns are acquired in its order.
    pub(crate) fn id(&self) -> usize {
        self.0.id().get()
    }

    /// The cell, for its methods that check or are told who owns it.
    pub(crate) fn cell(&self) -> &Cell {
        // SAFETY: the handle keeps the cown alive, and its value is always there: it was given up front.
        // What is shared in a cell is atomic; the rest is reached under the owner's rules only.
        unsafe { &*self.0.value_ptr() }
    }
}

impl Cell {
    /// A cell that nobody owns.
    pub(crate) fn new(value: Value) -> Cell {
        Cell {
            owner: AtomicUsize::new(0),
            inner: UnsafeCell::new(Inner {
                payload: Payload::Portable(value),
                raised: false,
                seen: false,
                unseen: None,
                token: None,
                place: holds::Place::default(),
                listing: None,
            }),
        }
    }

    /// Whether the interpreter of the calling thread owns the cown.
    pub(crate) fn is_owned(&self, py: Attached) -> bool {
        // Relaxed: if it names our interpreter, it was set under the GIL that we hold; any other value just
        // means no.
        self.owner.load(Ordering::Relaxed) == name_of(py)
    }

    /// Lets the owner at what is inside. `work` lets no Python code run, which could come back to this cell: it
    /// drops no object and calls nothing of one.
    fn with<R>(&self, py: Attached, work: impl FnOnce(&mut Inner) -> R) -> Result<R> {
        if !self.is_owned(py) {
            return Err(Error::runtime_error(
                "this cown is not owned here: its value can be reached only in a behavior that lists it in @when, \
                 or in a `with cown:` block",
            ));
        }
        // SAFETY: the owner is our interpreter and we hold its GIL, which `work` doesn't release, so this is the
        // only reference.
        Ok(work(unsafe { &mut *self.inner.get() }))
    }

    /// Makes the calling thread's interpreter the owner.
    ///
    /// # Safety
    /// The caller was granted the cown by the core.
    pub(crate) unsafe fn claim(&self, py: Attached) {
        // Relaxed: see `is_owned`; the grant orders the payload.
        self.owner.store(name_of(py), Ordering::Relaxed);
    }

    /// The value, decoded if it wasn't yet.
    pub(crate) fn get(&self, state: &State) -> Result<Obj> {
        enum Found {
            Object(Obj),
            Value(Value, bool),
        }
        let py = state.py();
        // Decoding can run Python code, which can come back to this very cell: the value is out of it meanwhile.
        let found = self.with(py, |inner| {
            inner.seen = true;
            inner.unseen = None;
            if let Payload::Live(object, _) = &inner.payload {
                return Found::Object(object.0.clone());
            }
            Found::Value(self.take_portable(inner), inner.raised)
        })?;
        let (value, raised) = match found {
            Found::Object(object) => return Ok(object),
            Found::Value(value, raised) => (value, raised),
        };
        let (outcome, payload, raised) = if raised || !value.moves() {
            match value.to_object(state) {
                Ok(object) => {
                    // A form that can be used again, unless the object can change under it.
                    let again = (raised || value.is_immutable()).then_some(value);
                    (Ok(object.clone()), Payload::Live(Foreign(object), again), raised)
                }
                Err(error) => (Err(error), Payload::Portable(value), raised),
            }
        } else {
            match value.into_object(state) {
                Ok(object) => (Ok(object.clone()), Payload::Live(Foreign(object), None), raised),
                Err(error) => {
                    // Its matrices may be gone: nobody is to take what is left for data.
                    let value = value::exception::encode(state, &error.to_object(py));
                    (Err(error), Payload::Portable(value), true)
                }
            }
        };
        let old = self.with(py, |inner| {
            inner.raised = raised;
            self.put(inner, payload)
        })?;
        drop(old);
        outcome
    }

    /// Replaces the value.
    pub(crate) fn set(&self, py: Attached, object: &Obj) -> Result<()> {
        let old = self.with(py, |inner| {
            inner.raised = false;
            inner.unseen = None;
            match &inner.payload {
                Payload::Live(old, _) if old.0.is(object) => None,
                _ => Some(self.put(inner, Payload::Live(Foreign(object.clone()), None))),
            }
        })?;
        // Dropping it can run Python code.
        drop(old);
        Ok(())
    }

    /// Whether the value is an exception that a behavior raised.
    pub(crate) fn raised(&self, py: Attached) -> Result<bool> {
        self.with(py, |inner| inner.raised)
    }

    /// Sets that flag, which only an exception can have: it is to be raised.
    pub(crate) fn set_raised(&self, state: &State, raised: bool) -> Result<()> {
        let py = state.py();
        if raised {
            self.get(state)?;
        }
        self.with(py, |inner| {
            let fits = match &inner.payload {
                Payload::Live(object, _) => object.0.is_instance_of(&Kind::BaseException.class(py)),
                Payload::Portable(_) => false,
            };
            if raised && !fits {
                return Err(Error::type_error(
                    "only an exception can be flagged as raised: set the value to an exception first, then the flag",
                ));
            }
            inner.raised = raised;
            inner.seen = false;
            inner.unseen = None;
            Ok(())
        })?
    }

    /// Takes the value out and leaves `None`: the portable form, or the object if it was live.
    pub(crate) fn take(&self, state: &State) -> Result<(Obj, bool)> {
        let object = self.get(state)?;
        let (raised, old) = self.with(state.py(), |inner| {
            (mem::take(&mut inner.raised), self.put(inner, Payload::Portable(Value::default())))
        })?;
        drop(old);
        Ok((object, raised))
    }

    /// Makes the payload portable and clears the owner, right before the core releases the cown. If the
    /// value can't cross, an exception that says so takes its place, and is returned too.
    pub(crate) fn release(&self, state: &State, describe: impl FnOnce() -> String) -> Result<()> {
        let py = state.py();
        let (live, raised) = self.with(py, |inner| match &inner.payload {
            Payload::Live(..) => (Some(self.put(inner, Payload::Portable(Value::default()))), inner.raised),
            Payload::Portable(_) => (None, inner.raised),
        })?;
        let mut outcome = Ok(());
        if let Some(Payload::Live(object, portable)) = live {
            let encoded = match portable {
                Some(portable) => Ok(portable),
                // As those that a behavior's body raises: what comes out is an exception, whatever it pickles to.
                None if raised => Ok(value::exception::encode(state, &object.0)),
                None => value::encode(state, &object.0),
            };
            let (value, failed) = match encoded {
                Ok(value) => (value, false),
                Err(error) => {
                    let reason = error.into_chained(py);
                    let error = cannot_cross(state, &describe(), &reason);
                    let value = value::exception::encode(state, &error);
                    outcome = Err(Error::Raised(error));
                    (value, true)
                }
            };
            drop(object);
            let old = self.with(py, |inner| {
                // Encoding can run Python code, which may have set another value and its flag.
                inner.raised = raised || failed;
                inner.seen |= failed;
                self.put(inner, Payload::Portable(value))
            })?;
            drop(old);
        }
        // Relaxed: the release by the core orders the payload for the next owner.
        self.owner.store(0, Ordering::Relaxed);
        outcome
    }

    /// Puts a payload in, and gives what was there.
    fn put(&self, inner: &mut Inner, payload: Payload) -> Payload {
        self.unlist(inner);
        let old = mem::replace(&mut inner.payload, payload);
        self.list_inner(inner);
        old
    }

    /// Takes a portable value out, and leaves `None`.
    fn take_portable(&self, inner: &mut Inner) -> Value {
        self.unlist(inner);
        match &mut inner.payload {
            Payload::Portable(value) => mem::take(value),
            Payload::Live(..) => Value::default(),
        }
    }

    /// Lists the cell if its payload is portable and holds cowns.
    fn list_inner(&self, inner: &mut Inner) {
        if let Payload::Portable(value) = &inner.payload {
            inner.listing = cycles::list(self, value);
        }
    }

    fn unlist(&self, inner: &mut Inner) {
        if let Some(listing) = inner.listing.take() {
            cycles::unlist(self, listing);
        }
    }

    /// # Safety
    /// The caller is the only one to use the cell.
    unsafe fn list(&self) {
        // SAFETY: the caller's promise.
        self.list_inner(unsafe { &mut *self.inner.get() });
    }

    /// Takes the value out of a cell that nobody can own any more, and its place in the list, which the caller
    /// frees.
    ///
    /// # Safety
    /// The cell is alive, and the caller is the only one to use it.
    pub(crate) unsafe fn take_unreachable(cell: *const Cell) -> Option<(Value, cycles::Listing)> {
        // SAFETY: the caller's promise.
        let inner = unsafe { &mut *(*cell).inner.get() };
        let listing = inner.listing.take()?;
        let Payload::Portable(value) = &mut inner.payload else { return None };
        let value = mem::take(value);
        if inner.raised && !mem::replace(&mut inner.seen, true) {
            unraised::report(value, inner.unseen.take());
            return Some((Value::default(), listing));
        }
        Some((value, listing))
    }

    /// Puts the result of a behavior in, before anybody else can own the cown.
    pub(crate) fn fill(&mut self, value: Value, raised: bool) {
        let inner = self.inner.get_mut();
        inner.unseen = if raised { unraised::list(&value) } else { None };
        inner.payload = Payload::Portable(value);
        inner.raised = raised;
        inner.seen = false;
        // SAFETY: exclusive, as `self` is.
        unsafe { self.list() };
    }

    /// Keeps the token of an acquisition outside behaviors.
    pub(crate) fn keep_token(&self, py: Attached, token: Held, place: holds::Place) -> Result<()> {
        self.with(py, |inner| {
            inner.token = Some(token);
            inner.place = place;
        })
    }

    /// Takes that token, if there is one.
    pub(crate) fn take_token(&self, py: Attached) -> Result<Option<(Held, holds::Place)>> {
        self.with(py, |inner| inner.token.take().map(|token| (token, inner.place)))
    }

    /// Whether the cown was acquired outside behaviors, and is so still.
    pub(crate) fn has_token(&self, py: Attached) -> bool {
        self.with(py, |inner| inner.token.is_some()).unwrap_or(false)
    }
}

thread_local! {
    /// Values of cells that are going, while some thread's drop of one works through them.
    static GOING: RefCell<Option<Vec<Value>>> = const { RefCell::new(None) };
}

impl Drop for Cell {
    fn drop(&mut self) {
        let listing = self.inner.get_mut().listing.take();
        if let Some(listing) = listing {
            cycles::unlist(self, listing);
        }
        let inner = self.inner.get_mut();
        let Payload::Portable(value) = &mut inner.payload else { return };
        if inner.raised && !inner.seen {
            unraised::report(mem::take(value), inner.unseen.take());
        } else if value.holds_own_cowns() {
            drop_flat(mem::take(value));
        }
    }
}

/// Drops a value whose cowns may be the last ones, whose values hold the last ones, and so on for a million: each
/// waits for its turn here, instead of on the stack.
fn drop_flat(value: Value) {
    // A thread that has no place for it any more is at its end.
    let mut given = Some(value);
    let first = GOING.try_with(|going| {
        let mut going = going.borrow_mut();
        let first = going.is_none();
        going.get_or_insert_default().extend(given.take());
        first
    });
    if first != Ok(true) {
        return;
    }
    while let Ok(Some(next)) = GOING.try_with(|going| going.borrow_mut().as_mut().and_then(Vec::pop)) {
        drop(next);
    }
    let _ = GOING.try_with(|going| going.borrow_mut().take());
}

/// The exception for a value that can't leave the interpreter.
fn cannot_cross(state: &State, what: &str, reason: &Obj) -> Obj {
    let py = state.py();
    let message = format!("{what} can't be sent to other interpreters: {}", reason.display());
    let error = Error::type_error(message).into_object(py);
    // Best effort: the message says it all already.
    let _ = error.set_attr(c"__cause__", reason);
    error
}
