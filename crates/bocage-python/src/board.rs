//! The noticeboard: `notice_write`, `notice_delete`, `notice_read`, `noticeboard`.
//!
//! Nobody waits for a write, so what goes wrong with it is logged, by Python's `logging`. The board's own thread is
//! attached to no interpreter, and to log from the middle of whatever the main thread does could wait for itself in a
//! handler. So the warnings wait here until the program next calls something of the board in the main interpreter, waits
//! or ends.

use bocage_noticeboard::{Board, Builder, Error as BoardError, Key, Snapshot, Warning};
use std::sync::{Arc, Mutex, PoisonError};

use crate::lifecycle;
use crate::py::method::{Method, function};
use crate::py::{Args, Error, Obj, Ref, Result, Signature};
use crate::state::State;
use crate::value::{self, Value};

/// A board for one run.
pub(crate) fn start() -> std::result::Result<Board<Value>, BoardError> {
    Builder::new().thread_name("bocage-board").on_warning(warn).start()
}

static WARNINGS: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// More than this are not kept: a program that doesn't look for so long has been told.
const MOST: usize = 1000;

fn warn(warning: &Warning) {
    let mut warnings = WARNINGS.lock().unwrap_or_else(PoisonError::into_inner);
    if warnings.len() < MOST {
        warnings.push(warning.to_string());
    }
}

/// Logs what went wrong with writes, in the main interpreter.
pub(crate) fn log_warnings(state: &State) -> Result<()> {
    let py = state.py();
    if !py.is_main_interpreter() {
        return Ok(());
    }
    let warnings = std::mem::take(&mut *WARNINGS.lock().unwrap_or_else(PoisonError::into_inner));
    if warnings.is_empty() {
        return Ok(());
    }
    let log = py.import(c"logging")?.attr(c"getLogger")?.call1(&Obj::text(py, "bocage")?)?.attr(c"warning")?;
    let format = Obj::text(py, "%s")?;
    for warning in warnings {
        log.call(&[(&format).into(), (&Obj::text(py, &warning)?).into()])?;
    }
    Ok(())
}

/// `notice_write`
pub(crate) const WRITE: Method =
    function(c"notice_write", notice_write, c"notice_write(key, value)\n--\n\nPut a value on the noticeboard, for every behavior to read.\n\nFire and forget: it is applied in order by one thread. key is a str of at most 63 UTF-8 bytes without NUL; the board\nholds 64 keys, and one more is not installed: a warning is logged. The value is converted now, so a bad one raises\nhere. Raises RuntimeError before the runtime is started.");

/// `notice_delete`
pub(crate) const DELETE: Method = function(
    c"notice_delete",
    notice_delete,
    c"notice_delete(key)\n--\n\nTake a key off the noticeboard, if it is there.\n\nFire and forget: applied in order with what notice_write sends. Raises RuntimeError before the runtime is started.",
);

/// `notice_read`
pub(crate) const READ: Method =
    function(c"notice_read", notice_read, c"notice_read(key, default=None)\n--\n\nOne entry of the noticeboard.\n\nInside a behavior the first read fixes one snapshot for the rest of that behavior. Outside, each call takes the\nnewest version.");

/// `noticeboard`
pub(crate) const BOARD: Method =
    function(c"noticeboard", noticeboard, c"noticeboard()\n--\n\nThe noticeboard as a read-only mapping; inside a behavior the snapshot that notice_read uses too.");

/// The Python exception for a board's error.
pub(crate) fn error(error: &BoardError) -> Error {
    match error {
        BoardError::KeyTooLong { .. } | BoardError::KeyHasNul { .. } => Error::value_error(error.to_string()),
        _ => Error::runtime_error(error.to_string()),
    }
}

fn key_of<'a>(key: &'a Ref<'_>) -> Result<&'a str> {
    if !key.is_str() {
        return Err(Error::type_error(format!("a noticeboard key must be a str, not {}", key.type_name())));
    }
    key.to_utf8()
}

fn running(state: &State, what: &str) -> Result<Arc<lifecycle::Run>> {
    log_warnings(state)?;
    lifecycle::current()?.ok_or_else(|| {
        Error::runtime_error(format!(
            "{what} the noticeboard: the runtime is not started; call start() or schedule a behavior first"
        ))
    })
}

static WRITE_PARAMETERS: Signature<2> = Signature::new("notice_write", ["key", "value"], 2);

fn notice_write(state: &State, args: Args<'_>) -> Result<()> {
    let [key, value] = WRITE_PARAMETERS.bind(&args)?;
    let (key, object) = (key.expect("required"), value.expect("required"));
    let key = key_of(&key)?;
    let run = running(state, "cannot write to")?;
    // A bad key is to be refused before the value moves.
    Key::new(key).map_err(|e| error(&e))?;
    let value = value::encode(state, &object)?;
    run.board.write(key, Arc::new(value)).map_err(|e| error(&e))
}

static DELETE_PARAMETERS: Signature<1> = Signature::new("notice_delete", ["key"], 1);

fn notice_delete(state: &State, args: Args<'_>) -> Result<()> {
    let [key] = DELETE_PARAMETERS.bind(&args)?;
    let key = key.expect("required");
    let key = key_of(&key)?;
    running(state, "cannot delete from")?.board.delete(key).map_err(|e| error(&e))
}

/// The snapshot that reads see now: a behavior's own, once it has one.
fn snapshot(state: &State) -> Result<Option<Snapshot<Value>>> {
    log_warnings(state)?;
    if let Some(snapshot) = &*state.board_snapshot.borrow() {
        return Ok(Some(snapshot.clone()));
    }
    let snapshot = lifecycle::current()?.map(|run| run.board.snapshot());
    if state.in_behavior.get() {
        state.board_snapshot.borrow_mut().clone_from(&snapshot);
    }
    Ok(snapshot)
}

static READ_PARAMETERS: Signature<2> = Signature::new("notice_read", ["key", "default"], 1);

fn notice_read(state: &State, args: Args<'_>) -> Result<Obj> {
    let [key, default] = READ_PARAMETERS.bind(&args)?;
    let key = key.expect("required");
    let key = key_of(&key)?;
    match snapshot(state)?.and_then(|snapshot| snapshot.value(key).cloned()) {
        Some(value) => value.to_object(state),
        None => Ok(default.map_or_else(|| state.py().none(), Ref::own)),
    }
}

fn noticeboard(state: &State, args: Args<'_>) -> Result<Obj> {
    if !args.positional().is_empty() {
        return Err(Error::type_error("noticeboard() takes no arguments"));
    }
    let dict = match snapshot(state)? {
        Some(snapshot) => to_dict(state, &snapshot)?,
        None => Obj::dict(state.py())?,
    };
    state.py().import(c"types")?.attr(c"MappingProxyType")?.call1(&dict)
}

/// All of a snapshot, decoded.
pub(crate) fn to_dict(state: &State, snapshot: &Snapshot<Value>) -> Result<Obj> {
    let dict = Obj::dict(state.py())?;
    for (key, value) in snapshot.iter() {
        dict.dict_set(&Obj::text(state.py(), key.as_str())?, &value.to_object(state)?)?;
    }
    Ok(dict)
}
