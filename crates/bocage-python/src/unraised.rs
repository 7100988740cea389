//! Exceptions that a behavior raised and nobody looked at: reported once, when their cown goes away.
//!
//! A cown can go away on any thread, attached to any interpreter or to none. So the exception waits here for
//! the main interpreter, which calls `sys.unraisablehook`, as soon as it next runs Python code.
//!
//! A cown that the program keeps until its end goes away when the modules do, among them those of the exception and
//! of the hook. So what nobody looked at is listed too, and what is on the list at exit is reported then.

use std::collections::BTreeMap;
use std::ffi::{c_int, c_void};
use std::num::NonZeroU64;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::fork;
use crate::py::{self, Attached, Obj, Result};
use crate::state::State;
use crate::value::Value;

static WAITING: Mutex<Vec<Value>> = Mutex::new(Vec::new());

/// More than this are not kept: a program that loses so many has been told.
const MOST: usize = 1000;

/// What nobody looked at, by number: in the order in which it was raised.
struct List {
    exceptions: BTreeMap<NonZeroU64, Value>,
    next: NonZeroU64,
}

static LIST: Mutex<List> = Mutex::new(List { exceptions: BTreeMap::new(), next: NonZeroU64::MIN });

/// An exception's place on the list; dropping it takes the exception off.
pub(crate) struct Unseen(NonZeroU64);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lists an exception that was just raised, unless it holds cowns: the list would keep these, and with them perhaps
/// the exception's own.
pub(crate) fn list(exception: &Value) -> Option<Unseen> {
    if exception.holds_own_cowns() || fork::is_orphan() {
        return None;
    }
    let mut list = lock(&LIST);
    let number = list.next;
    list.next = number.saturating_add(1);
    list.exceptions.insert(number, exception.clone());
    Some(Unseen(number))
}

impl Unseen {
    /// Whether it was still there.
    fn take_off(&self) -> bool {
        // Nobody reads it in an orphan, and the lock may be held for ever.
        if fork::is_orphan() {
            return false;
        }
        let exception = lock(&LIST).exceptions.remove(&self.0);
        // Here the lock is released.
        exception.is_some()
    }
}

impl Drop for Unseen {
    fn drop(&mut self) {
        self.take_off();
    }
}

/// Leaves an exception to be reported, whose cown goes; unless it was listed, and is no more.
pub(crate) fn report(exception: Value, unseen: Option<Unseen>) {
    // It was the parent's, who reports it; and no lock can be had here for sure.
    if fork::is_orphan() || unseen.is_some_and(|unseen| !unseen.take_off()) {
        return;
    }
    let mut waiting = lock(&WAITING);
    if waiting.len() < MOST {
        waiting.push(exception);
    }
    drop(waiting);
    py::call_soon(drain_soon);
}

/// Empties the list, in a forked child: its parent reports. Waits for nothing, and gives false if the list was in use.
#[cfg(unix)]
pub(crate) fn forget_listed() -> bool {
    let mut list = match LIST.try_lock() {
        Ok(list) => list,
        Err(std::sync::TryLockError::Poisoned(list)) => list.into_inner(),
        Err(std::sync::TryLockError::WouldBlock) => return false,
    };
    std::mem::forget(std::mem::take(&mut list.exceptions));
    true
}

extern "C" fn drain_soon(_: *mut c_void) -> c_int {
    // SAFETY: CPython makes pending calls on the main thread, attached to the main interpreter.
    let py = unsafe { Attached::assume() };
    if let Ok(state) = State::current(py) {
        drain(&state);
    }
    0
}

/// Reports what waits. In the main interpreter only.
pub(crate) fn drain(state: &State) {
    let py = state.py();
    if !py.is_main_interpreter() {
        return;
    }
    let waiting = std::mem::take(&mut *lock(&WAITING));
    for value in waiting {
        let exception = match value.to_object(state) {
            Ok(exception) => exception,
            Err(error) => error.into_object(py),
        };
        let origin = origin(py, &value).unwrap_or_else(|_| py.none());
        py.write_unraisable(exception, &origin);
    }
}

/// Where it came from: CPython's hook shows it above the exception, and shows no notes.
fn origin(py: Attached, exception: &Value) -> Result<Obj> {
    let mut text = "a behavior whose result nobody looked at".to_owned();
    if let Value::Exception(exception) = exception
        && let Some(traceback) = exception.traceback()
    {
        text.push_str("; ");
        text.push_str(traceback);
    }
    let text = Obj::text(py, &text)?;
    // The text itself will do.
    Ok(py.import(c"bocage._unraised").and_then(|module| module.attr(c"Origin")?.call1(&text)).unwrap_or(text))
}

/// Reports all that nobody looked at, at exit. In the main interpreter only.
pub(crate) fn drain_all(state: &State) {
    let listed = std::mem::take(&mut lock(&LIST).exceptions);
    lock(&WAITING).extend(listed.into_values().take(MOST));
    drain(state);
}
