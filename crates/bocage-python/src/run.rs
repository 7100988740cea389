//! Running a behavior's body in a worker's interpreter: from the grant of its cowns to their release.
//!
//! ```text
//!   granted -> claim cells -> callable, arguments -> call -> make cells portable -> fill result -> released
//! ```
//!
//! One Python frame runs: the body's own. Whatever fails becomes an exception in the result's cell, and the
//! cells are always given back.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use bocage_core::{Labelled, Place};

use crate::cell::{Cell, CownHandle};
use crate::function::Bound;
use crate::py::{Attached, Error, Kind, Obj, Ref, Result};
use crate::state::State;
use crate::value::{self, Value};
use crate::{cown, pending, resolve};

/// All that a behavior carries to its worker.
pub(crate) struct Call {
    /// What to run.
    pub(crate) bound: Arc<Bound>,
    /// The cowns in the order of `@when`, groups flattened, duplicates kept.
    pub(crate) cowns: Box<[CownHandle]>,
    /// How they are grouped into arguments; `None` if each is one.
    pub(crate) groups: Option<Box<[Argument]>>,
    /// Values for the parameters after the cowns, keyword-only ones last.
    pub(crate) captures: Box<[Value]>,
}

/// One argument of `@when`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Argument {
    /// A cown.
    One,
    /// So many cowns, as a list.
    Group(usize),
}

impl Labelled<Cell> for Call {
    /// Of a thread that may be attached to no interpreter: no object is in there.
    fn label(&self) -> String {
        self.bound.function.name.clone()
    }

    /// Runs it. The core has granted the cowns; the place has the result's cell, which nobody else can own yet.
    fn run(mut self, mut place: Place<'_, Cell>) {
        let Some(result) = place.get_mut() else { return };
        // SAFETY: the runtime's start hook attached this thread to its interpreter, and it is paused only
        // while the thread is parked.
        let py = unsafe { Attached::assume() };
        // The state is there as long as the interpreter is, which the runtime's stop hook parks.
        let outcome = State::current(py).map(|state| self.run_in(&state));
        let (value, raised) = outcome.unwrap_or((Value::None, false));
        result.fill(value, raised);
    }
}

impl Call {
    fn run_in(&mut self, state: &State) -> (Value, bool) {
        let py = state.py();
        for cown in &self.cowns {
            // SAFETY: granted by the core. Duplicates are claimed twice, by the same owner.
            unsafe { cown.cell().claim(py) };
        }
        let captures = std::mem::take(&mut self.captures);
        let (bound, cowns) = (&self.bound, &self.cowns);
        state.in_behavior.set(true);
        let note = pending::note(self);
        let outcome = catch_unwind(AssertUnwindSafe(|| self.call(state, captures)))
            .unwrap_or_else(|_| Err(Error::system_error("bocage failed internally while it ran a behavior")))
            .and_then(|value| value::encode(state, &value).map_err(|error| no_result(state, bound, error)));
        let lost = release(state, bound, cowns);
        drop(note);
        state.in_behavior.set(false);
        drop(state.board_snapshot.take());
        state.lender.take_back(py);
        match lost.map_or(outcome, Err) {
            Ok(value) => (value, false),
            Err(error) => {
                let error = error.into_object(py);
                if error.is_instance_of(&Kind::ImportError.class(py))
                    && let Ok(explain) = state.worker(c"explain")
                {
                    // Only adds a sentence; the exception itself matters more than a failure to do so.
                    let _ = explain.call1(&error);
                }
                (value::exception::encode(state, &error), true)
            }
        }
    }

    fn call(&self, state: &State, captures: Box<[Value]>) -> Result<Obj> {
        let callable = resolve::callable(state, &self.bound)?;
        let keyword_only = &self.bound.function.keyword_only;
        let mut arguments = Vec::with_capacity(self.cowns.len() + captures.len());
        let mut cowns = self.cowns.iter().cloned();
        match &self.groups {
            None => {
                for cown in cowns {
                    arguments.push(cown::new_object(state, cown)?);
                }
            }
            Some(groups) => {
                for group in groups {
                    arguments.push(match group {
                        Argument::One => cown::new_object(state, cowns.next().expect("counted by @when"))?,
                        Argument::Group(count) => {
                            let items = cowns.by_ref().take(*count).map(|c| cown::new_object(state, c));
                            Obj::list(state.py(), items.collect::<Result<Vec<_>>>()?)?
                        }
                    });
                }
            }
        }
        for capture in captures {
            arguments.push(capture.into_object(state)?);
        }
        let borrowed: Vec<Ref<'_>> = arguments.iter().map(Ref::from).collect();
        if keyword_only.is_empty() {
            return callable.call(&borrowed);
        }
        let names = keyword_only.iter().map(|n| Obj::text(state.py(), n)).collect::<Result<Vec<_>>>()?;
        callable.call_named(&borrowed, &Obj::tuple(state.py(), names)?)
    }
}

/// Makes all cells portable and gives them up. The first that could not be is the error.
fn release(state: &State, bound: &Bound, cowns: &[CownHandle]) -> Option<Error> {
    let mut lost = None;
    for (index, cown) in cowns.iter().enumerate() {
        let cell = cown.cell();
        // A duplicate was given up by its first occurrence.
        if !cell.is_owned(state.py()) {
            continue;
        }
        let describe = || format!("the new value of cown {} of behavior '{}'", index + 1, bound.function.name);
        if let Err(error) = cell.release(state, describe) {
            lost.get_or_insert(error);
        }
    }
    lost
}

fn no_result(state: &State, bound: &Bound, error: Error) -> Error {
    let py = state.py();
    let reason = error.into_object(py);
    if reason.is_instance_of(&Kind::ImportError.class(py)) {
        // A stand-in for what this worker couldn't import was returned: that is what the behavior lacked.
        return Error::Raised(reason);
    }
    let name = &bound.function.name;
    let message = format!("the result of behavior '{name}' can't be sent to other interpreters: {}", reason.display());
    let error = Error::type_error(message).into_object(py);
    // Best effort: the message says it all already.
    let _ = error.set_attr(c"__cause__", &reason);
    Error::Raised(error)
}
