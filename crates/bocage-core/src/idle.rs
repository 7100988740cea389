//! What a thread that blocks on a cown does meanwhile: it sleeps, unless it has been told of something better.
//!
//! An executor that runs behaviors on the very thread that waits for them would never get to it otherwise.

use std::cell::Cell;
use std::marker::PhantomData;

use crate::sync::thread;

thread_local! {
    static HELP: Cell<Option<fn() -> bool>> = const { Cell::new(None) };
}

thread_local! {
    static STEP: Cell<Option<fn() -> bool>> = const { Cell::new(None) };
}

/// For as long as it lives futures are polled by [`step_while_polled`]'s rule.
#[derive(Debug)]
pub struct Stepping {
    before: Option<fn() -> bool>,
    _not_send: PhantomData<*const ()>,
}

/// From now on, when the current thread polls a future for a cown that it can't have yet, that calls `step`, again and again,
/// until it has the cown or there was nothing to do, which `step` says by `false`. Then its waker is woken at once, since nobody
/// else would have it polled again: for a thread that runs the behaviors it awaits, and nothing else does.
pub fn step_while_polled(step: fn() -> bool) -> Stepping {
    Stepping { before: STEP.replace(Some(step)), _not_send: PhantomData }
}

impl Drop for Stepping {
    fn drop(&mut self) {
        STEP.set(self.before);
    }
}

/// Steps until it is `done`, or nothing is left to do; whether the thread has such a rule.
pub(crate) fn step_until(done: impl Fn() -> bool) -> bool {
    let step = STEP.get();
    while !done() && step.is_some_and(|step| step()) {}
    step.is_some()
}

/// For as long as it lives a blocked thread calls what [`help_while_waiting`] was given.
#[derive(Debug)]
pub struct Helping {
    before: Option<fn() -> bool>,
    _not_send: PhantomData<*const ()>,
}

/// From now on, when the current thread would block on a cown, it calls `help` instead, again and again until
/// it has the cown. When that returns `false` there was nothing to do, and the thread sleeps until it is woken.
/// If `help` panics, the wait ends with that panic, and gives up its place in line. (The end of a [scope](crate::scope)
/// is not called off so: it waits on without help, and panics then.)
pub fn help_while_waiting(help: fn() -> bool) -> Helping {
    Helping { before: HELP.replace(Some(help)), _not_send: PhantomData }
}

impl Drop for Helping {
    fn drop(&mut self) {
        HELP.set(self.before);
    }
}

/// Helps, or sleeps until the thread is unparked (or for no reason).
pub(crate) fn idle() {
    if !HELP.get().is_some_and(|help| help()) {
        thread::park();
    }
}
