//! The interpreter host: a worker of the runtime is a thread attached to a sub-interpreter of its own.
//!
//! # The life of a worker's interpreter
//!
//! | state   | what it is                                      | next                                        |
//! |---------|-------------------------------------------------|---------------------------------------------|
//! | made    | with its own GIL, `bocage` imported             | working                                     |
//! | working | a worker's thread is attached to it             | paused while that thread is parked; parked when the runtime stops |
//! | parked  | no thread; the program's modules are forgotten  | working, when a runtime starts; ended at exit |
//!
//! Interpreters are parked and used again, not ended, since ending one loses memory: 1.7 to 3.7 MB each time
//! on CPython 3.13. A paused interpreter's GIL is free, so threads that the program started there go on.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, PoisonError};

use bocage_runtime::Builder;

use crate::py::interpreter::{Attachment, Interpreter};
use crate::py::{Attached, Error, Obj, Result};
use crate::state::State;

/// What an interpreter must know of the program before it imports anything.
pub(crate) struct Program {
    /// `sys.path`
    path: Vec<String>,
    /// `sys.argv`
    argv: Vec<String>,
}

/// Interpreters that wait to be used again.
static PARKED: Mutex<Vec<Interpreter>> = Mutex::new(Vec::new());

thread_local! {
    /// The attachment of this worker's thread, and its interpreter.
    static HERE: RefCell<Option<(Attachment, Interpreter)>> = const { RefCell::new(None) };
}

impl Program {
    /// Of the calling thread's interpreter.
    pub(crate) fn of_this_interpreter(py: Attached) -> Result<Program> {
        let sys = py.import(c"sys")?;
        let strings = |object: Obj| -> Vec<String> {
            let items = object.sequence_items().unwrap_or_default();
            items.iter().filter(|item| item.is_str()).map(Obj::display).collect()
        };
        // A program that runs embedded may have no argv.
        let argv = sys.attr(c"argv").map(strings).unwrap_or_default();
        Ok(Program { path: strings(sys.attr(c"path")?), argv })
    }
}

/// Adds what makes a worker's thread a host.
pub(crate) fn hooks(builder: Builder, program: Arc<Program>) -> Builder {
    builder
        .on_start(move |_| arrive(&program).map_err(Into::into))
        .on_stop(|_| leave())
        .before_park(|_| HERE.with_borrow(|here| here.iter().for_each(|(attachment, _)| pause(attachment))))
        .after_park(|_| HERE.with_borrow(|here| here.iter().for_each(|(attachment, _)| attachment.resume())))
}

/// Releases the GIL of a worker that has nothing to do.
fn pause(attachment: &Attachment) {
    let py = attachment.py();
    if let Ok(state) = State::current(py) {
        state.lender.take_back(py);
    }
    attachment.pause();
}

/// Attaches the calling thread to an interpreter that is ready to run behaviors of `program`.
fn arrive(program: &Program) -> std::result::Result<(), String> {
    let parked = PARKED.lock().unwrap_or_else(PoisonError::into_inner).pop();
    let interpreter = parked.map_or_else(Interpreter::create, Ok)?;
    let attachment = interpreter.attach()?;
    let py = attachment.py();
    if let Err(error) = prepare(py, program) {
        let reason = error.describe(py);
        attachment.leave();
        let _ = interpreter.end();
        return Err(format!("a worker's interpreter can't import bocage: {reason}"));
    }
    HERE.set(Some((attachment, interpreter)));
    Ok(())
}

fn prepare(py: Attached, program: &Program) -> Result<()> {
    let list = |items: &[String]| {
        let items = items.iter().map(|item| Obj::text(py, item)).collect::<Result<Vec<_>>>()?;
        Obj::list(py, items)
    };
    let (path, argv) = (list(&program.path)?, list(&program.argv)?);
    // Where bocage itself is found may be known only to the program's own path.
    let sys = py.import(c"sys")?;
    sys.set_attr(c"path", &path)?;
    py.import(c"bocage._bocage")?;
    let state = State::current(py)?;
    let notify = sys_notify(&state)?;
    state.worker(c"prepare")?.call(&[(&path).into(), (&argv).into(), (&notify).into()])?;
    Ok(())
}

fn sys_notify(state: &State) -> Result<Obj> {
    state.py().import(c"bocage._bocage")?.attr(c"_importing")
}

/// Parks the interpreter of the calling thread.
fn leave() {
    let Some((attachment, interpreter)) = HERE.take() else { return };
    let py = attachment.py();
    let clean = State::current(py).and_then(|state| {
        state.forget_program();
        state.worker(c"reset")?.call0().map(drop)
    });
    let clean = clean.map_err(|error| error.describe(py)).is_ok();
    attachment.leave();
    if clean {
        PARKED.lock().unwrap_or_else(PoisonError::into_inner).push(interpreter);
    } else {
        // It keeps something of the program: better a slow end than a wrong start.
        let _ = interpreter.end();
    }
}

/// Forgets the parked interpreters, in a forked child, which has lost them. Waits for nothing, and gives false if
/// the list was in use.
#[cfg(unix)]
pub(crate) fn forget_parked() -> bool {
    let mut parked = match PARKED.try_lock() {
        Ok(parked) => parked,
        Err(std::sync::TryLockError::Poisoned(parked)) => parked.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return false,
    };
    std::mem::forget(std::mem::take(&mut *parked));
    true
}

/// Ends all parked interpreters, at exit. The calling thread is attached to the main interpreter and the
/// runtime has stopped.
pub(crate) fn end_parked(py: Attached) {
    let parked = std::mem::take(&mut *PARKED.lock().unwrap_or_else(PoisonError::into_inner));
    py.detached(|| {
        for interpreter in parked {
            // A failure means that there is no memory for a thread state; the process is about to end.
            let _ = interpreter.end();
        }
    });
    after_the_last(py);
}

/// What is left to do for the main interpreter's end, when no other interpreter will run again.
pub(crate) fn after_the_last(py: Attached) {
    let _ = py;
    #[cfg(not(Py_3_13))]
    if let Err(error) = crate::py::parsers::make_immortal(py) {
        error.report(py, None);
    }
}

/// The error for a runtime that could not start.
pub(crate) fn start_error(error: &bocage_runtime::Error) -> Error {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(inner) = source {
        text = format!("{text}: {inner}");
        source = inner.source();
    }
    Error::runtime_error(format!("bocage could not start its workers: {text}"))
}
