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

use std::cell::UnsafeCell;
use std::mem;
use std::sync::atomic::{AtomicUsize, Ordering};

use bocage_core::Ready;

use crate::py::{Attached, Error, Obj, Result};
use crate::state::State;
use crate::unraised;
use crate::value::{self, Value};

/// A cown, from any thread: cheap to clone, compared by identity.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct CownHandle(bocage_core::Cown<Cell>);

/// The value of such a cown.
pub(crate) struct Cell {
    /// The owner's interpreter, by address; 0 if there is none.
    owner: AtomicUsize,
    inner: UnsafeCell<Inner>,
}

struct Inner {
    payload: Payload,
    /// The value is an exception that a behavior raised.
    raised: bool,
    /// Somebody looked at that exception.
    seen: bool,
    /// The token of code that acquired the cown outside behaviors.
    token: Option<Ready>,
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
        CownHandle(bocage_core::Cown::new(Cell::new(value)))
    }

    /// Wraps the result's cown of a behavior.
    pub(crate) fn from_core(cown: bocage_core::Cown<Cell>) -> CownHandle {
        CownHandle(cown)
    }

    /// The core's own handle.
    pub(crate) fn core(&self) -> &bocage_core::Cown<Cell> {
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
            inner: UnsafeCell::new(Inner { payload: Payload::Portable(value), raised: false, seen: false, token: None }),
        }
    }

    /// Whether the interpreter of the calling thread owns the cown.
    pub(crate) fn is_owned(&self, py: Attached) -> bool {
        // Relaxed: if it names our interpreter, it was set under the GIL that we hold; any other value just
        // means no.
        self.owner.load(Ordering::Relaxed) == name_of(py)
    }

    fn owned(&self, py: Attached) -> Result<&mut Inner> {
        if !self.is_owned(py) {
            return Err(Error::runtime_error(
                "this cown is not owned here: its value can be reached only in a behavior that lists it in @when, \
                 or in a `with cown:` block",
            ));
        }
        // SAFETY: the owner is our interpreter and we hold its GIL. The reference is used within one method
        // of this file, none of which lets Python code run while it has it, but through the objects that it
        // took out first.
        Ok(unsafe { &mut *self.inner.get() })
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
        let inner = self.owned(state.py())?;
        inner.seen = true;
        match &mut inner.payload {
            Payload::Live(object, _) => Ok(object.0.clone()),
            Payload::Portable(value) => {
                let value = mem::take(value);
                let raised = inner.raised;
                // Decoding can run Python code, which can come back to this very cell: so the value is out
                // of it meanwhile, and the reference is taken anew.
                if raised || !value.moves() {
                    let object = value.to_object(state);
                    let inner = self.owned(state.py())?;
                    match object {
                        Ok(object) => {
                            // A form that can be used again, unless the object can change under it.
                            let again = (raised || value.is_immutable()).then_some(value);
                            inner.payload = Payload::Live(Foreign(object.clone()), again);
                            Ok(object)
                        }
                        Err(error) => {
                            inner.payload = Payload::Portable(value);
                            Err(error)
                        }
                    }
                } else {
                    let object = value.into_object(state);
                    let inner = self.owned(state.py())?;
                    match object {
                        Ok(object) => {
                            inner.payload = Payload::Live(Foreign(object.clone()), None);
                            Ok(object)
                        }
                        Err(error) => {
                            // Its matrices may be gone: nobody is to take what is left for data.
                            inner.payload = Payload::Portable(value::exception::encode(state, &error.to_object(state.py())));
                            inner.raised = true;
                            Err(error)
                        }
                    }
                }
            }
        }
    }

    /// Replaces the value.
    pub(crate) fn set(&self, py: Attached, object: &Obj) -> Result<()> {
        let inner = self.owned(py)?;
        inner.raised = false;
        if matches!(&inner.payload, Payload::Live(old, _) if old.0.is(object)) {
            return Ok(());
        }
        let old = mem::replace(&mut inner.payload, Payload::Live(Foreign(object.clone()), None));
        // Dropping it can run Python code.
        drop(old);
        Ok(())
    }

    /// Whether the value is an exception that a behavior raised.
    pub(crate) fn raised(&self, py: Attached) -> Result<bool> {
        Ok(self.owned(py)?.raised)
    }

    /// Sets that flag.
    pub(crate) fn set_raised(&self, py: Attached, raised: bool) -> Result<()> {
        let inner = self.owned(py)?;
        inner.raised = raised;
        inner.seen = false;
        Ok(())
    }

    /// Takes the value out and leaves `None`: the portable form, or the object if it was live.
    pub(crate) fn take(&self, state: &State) -> Result<(Obj, bool)> {
        let object = self.get(state)?;
        let inner = self.owned(state.py())?;
        let raised = mem::take(&mut inner.raised);
        let old = mem::replace(&mut inner.payload, Payload::Portable(Value::default()));
        drop(old);
        Ok((object, raised))
    }

    /// Makes the payload portable and clears the owner, right before the core releases the cown. If the
    /// value can't cross, an exception that says so takes its place, and is returned too.
    pub(crate) fn release(&self, state: &State, describe: impl FnOnce() -> String) -> Result<()> {
        let py = state.py();
        let inner = self.owned(py)?;
        let mut outcome = Ok(());
        if matches!(inner.payload, Payload::Live(..)) {
            let payload = mem::replace(&mut inner.payload, Payload::Portable(Value::default()));
            let Payload::Live(object, portable) = payload else { unreachable!("matched above") };
            // Encoding can run Python code: no reference into the cell is held meanwhile.
            let (value, failed) = match portable {
                Some(value) => (value, false),
                None => match value::encode(state, &object.0) {
                    Ok(value) => (value, false),
                    Err(error) => {
                        let reason = error.into_object(py);
                        let error = cannot_cross(state, &describe(), &reason);
                        let value = value::exception::encode(state, &error);
                        outcome = Err(Error::Raised(error));
                        (value, true)
                    }
                },
            };
            drop(object);
            let inner = self.owned(py)?;
            inner.payload = Payload::Portable(value);
            if failed {
                inner.raised = true;
                inner.seen = true;
            }
        }
        // Relaxed: the release by the core orders the payload for the next owner.
        self.owner.store(0, Ordering::Relaxed);
        outcome
    }

    /// Puts the result of a behavior in, before anybody else can own the cown.
    pub(crate) fn fill(&mut self, value: Value, raised: bool) {
        let inner = self.inner.get_mut();
        inner.payload = Payload::Portable(value);
        inner.raised = raised;
        inner.seen = false;
    }

    /// Keeps the token of an acquisition outside behaviors.
    pub(crate) fn keep_token(&self, py: Attached, token: Ready) -> Result<()> {
        self.owned(py)?.token = Some(token);
        Ok(())
    }

    /// Takes that token, if there is one.
    pub(crate) fn take_token(&self, py: Attached) -> Result<Option<Ready>> {
        Ok(self.owned(py)?.token.take())
    }

    /// Whether the cown was acquired outside behaviors, and is so still.
    pub(crate) fn has_token(&self, py: Attached) -> bool {
        self.owned(py).is_ok_and(|inner| inner.token.is_some())
    }
}

impl Drop for Cell {
    fn drop(&mut self) {
        let inner = self.inner.get_mut();
        if inner.raised
            && !inner.seen
            && let Payload::Portable(value) = &mut inner.payload
        {
            unraised::report(mem::take(value));
        }
    }
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
