//! The thread to which behaviors are pinned: when it runs them, and what it keeps for them.
//!
//! Those that are ready lie in its inbox ([`crate::inbox`]). It pumps, which is to say runs them, where it would do
//! nothing else:
//!
//! | the thread blocks in                               | it pumps since                                               |
//! |----------------------------------------------------|--------------------------------------------------------------|
//! | `Pinned::pump`                                     | it is there for that                                         |
//! | `Runtime::wait`, `quiesce`, the drop of a `Runtime` | the ledger's wait asks the inbox before it sleeps           |
//! | `Handle::wait`, `Acquire::wait`, the end of a scope | it is what the core calls while the thread would block      |
//!
//! A thread has one inbox, for all runtimes: what it waits for on one may need what is pinned to it on another.

use std::any::Any;
use std::cell::{Cell, OnceCell, RefCell};
use std::collections::HashMap;
use std::mem;
use std::ops::ControlFlow;
use std::ptr;
use std::sync::Arc;
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use bocage_core::{Helping, Outside, Ready, enter_worker, help_while_waiting, quietly};

use crate::deterministic::Program;
use crate::inbox::Inbox;
use crate::quiesce::{Goal, Ledger, Tick, Unquiet};
use crate::runtime::RuntimeRef;
use crate::shared::Shared;

/// A thread that waits for its runtime runs so many pinned behaviors before it looks at the clock.
const IN_A_ROW: usize = 32;

/// A thread to which behaviors are pinned, as others see it.
pub(crate) struct Owner {
    thread: ThreadId,
    inbox: Inbox<Mail, &'static Ledger>,
}

enum Mail {
    /// A behavior that has its cowns.
    Turn(Turn),
    /// The last handle of a pinned cown is gone: the value with this key is to be dropped.
    Discard(u64),
}

/// A pinned behavior that is ready. Dropped before it ran it is cancelled; it is finished in any case.
struct Turn {
    ready: Option<Ready>,
    home: RuntimeRef,
}

impl Drop for Turn {
    fn drop(&mut self) {
        drop(self.ready.take());
        self.home.finish_outside();
    }
}

/// A pinned behavior that was taken out of its thread's inbox, and goes back.
pub(crate) struct Mailed {
    turn: Turn,
    owner: Arc<Owner>,
}

impl Mailed {
    /// It is ready.
    pub(crate) fn ready(&self) -> Option<&Ready> {
        self.turn.ready.as_ref()
    }

    /// Puts it into the inbox again.
    pub(crate) fn give_back(mut self) {
        if let Some(ready) = self.turn.ready.take() {
            self.owner.take_in(ready, self.turn.home);
            // It is counted as finished when it has run there.
            mem::forget(self.turn);
        }
    }
}

/// What a thread to which behaviors are pinned keeps for itself.
struct Here {
    owner: Arc<Owner>,
    /// The values of its pinned cowns; none in place of one that a body has now.
    values: RefCell<HashMap<u64, Option<Box<dyn Any>>>>,
    next: Cell<u64>,
    /// From now on, and until the thread ends.
    _helping: Helping,
}

thread_local! {
    static HERE: OnceCell<Here> = const { OnceCell::new() };
    /// The runtime whose pinned behavior this thread runs.
    static RUNNING: Cell<Option<RuntimeRef>> = const { Cell::new(None) };
}

impl Drop for Here {
    fn drop(&mut self) {
        for mail in self.owner.inbox.close() {
            if let Mail::Turn(turn) = mail {
                cancel(turn);
            }
        }
        for value in std::mem::take(self.values.get_mut()).into_values() {
            quietly(|| drop(value));
        }
    }
}

/// What the calling thread keeps, if behaviors are or were pinned to it.
fn here<T>(f: impl FnOnce(&Here) -> T) -> Option<T> {
    HERE.try_with(|here| here.get().map(f)).ok().flatten()
}

/// The runtime whose pinned behavior the calling thread runs.
pub(crate) fn running() -> Option<RuntimeRef> {
    RUNNING.get()
}

/// Whether the calling thread can't pump, nor wait until another does: it runs behaviors.
pub(crate) fn runs_behaviors() -> bool {
    RuntimeRef::current().is_some() || Program::current().is_some()
}

/// Waits as the ledger does, and pumps meanwhile, if behaviors may be pinned to the calling thread.
pub(crate) fn wait(
    ledger: &'static Ledger,
    goal: Goal,
    deadline: Option<Instant>,
    tick: Option<Tick<'_>>,
) -> Result<(), Unquiet> {
    /// Gets up, though a callback panics.
    struct Bed<'a>(&'a Owner, Option<&'static Ledger>);
    impl Drop for Bed<'_> {
        fn drop(&mut self) {
            self.0.inbox.make_bed(self.1);
        }
    }
    let Some(owner) = here(|here| here.owner.clone()) else { return ledger.wait(goal, deadline, tick) };
    let _bed = Bed(&owner, owner.inbox.make_bed(Some(ledger)));
    let (every, mut on_tick) = tick.map_or((Duration::MAX, None), |(every, on_tick)| (every, Some(on_tick)));
    let mut pump = || {
        owner.run(IN_A_ROW);
        on_tick.as_mut().map_or(ControlFlow::Continue(()), |on_tick| on_tick())
    };
    ledger.wait_in(goal, deadline, Some((every, &mut pump)), || owner.inbox.has_mail())
}

/// What the thread does while the core would block it. Whether it did anything.
fn help() -> bool {
    let help = |owner: &Owner| {
        // To drop a value may wait as well, and swallow the wake that was meant for this wait: it looks again then.
        let has_mail = owner.inbox.has_mail();
        owner.run(1) > 0 || has_mail
    };
    here(|here| help(&here.owner)).unwrap_or(false)
}

impl Owner {
    /// The calling thread.
    pub(crate) fn current() -> Option<Arc<Self>> {
        let make = || Here {
            owner: Arc::new(Self { thread: thread::current().id(), inbox: Inbox::new() }),
            values: RefCell::default(),
            next: Cell::new(0),
            _helping: help_while_waiting(help),
        };
        HERE.try_with(|here| here.get_or_init(make).owner.clone()).ok()
    }

    /// Which thread it is.
    pub(crate) fn thread(&self) -> ThreadId {
        self.thread
    }

    /// Whether the thread has ended.
    pub(crate) fn is_gone(&self) -> bool {
        self.inbox.is_closed()
    }

    /// Wakes it, to see whether its runtime has stopped.
    pub(crate) fn wake(&self) {
        self.inbox.wake();
    }

    fn push(&self, mail: Mail) -> Result<(), Mail> {
        if let Some(bed) = self.inbox.push(mail)? {
            bed.disturb();
        }
        Ok(())
    }

    /// Takes in a behavior of the runtime `home` that has its cowns.
    pub(crate) fn take_in(&self, ready: Ready, home: RuntimeRef) {
        let shared = home.shared();
        if let Err(Mail::Turn(turn)) = self.push(Mail::Turn(Turn { ready: Some(ready), home })) {
            cancel(turn);
        } else if shared.cancels() {
            // Pushed after `cancel_all` had been here, or else it is gone by now.
            self.cancel_all(shared);
        }
    }

    /// Cancels what waits here to run for the runtime of `shared`.
    pub(crate) fn cancel_all(&self, shared: &'static Shared) {
        let unwanted = |mail: &Mail| matches!(mail, Mail::Turn(turn) if ptr::eq(turn.home.shared(), shared));
        for mail in self.inbox.take_out(unwanted) {
            if let Mail::Turn(turn) = mail {
                cancel(turn);
            }
        }
    }

    /// Takes out what waits here to run for the runtime of `shared`.
    pub(crate) fn take_out(self: &Arc<Self>, shared: &'static Shared) -> impl Iterator<Item = Mailed> {
        let mail = self.inbox.take_out(|mail| matches!(mail, Mail::Turn(turn) if ptr::eq(turn.home.shared(), shared)));
        mail.into_iter().filter_map(|mail| match mail {
            Mail::Turn(turn) => Some(Mailed { turn, owner: self.clone() }),
            Mail::Discard(_) => None,
        })
    }

    /// Runs at most so many behaviors, as long as there are some; returns how many. On its own thread.
    pub(crate) fn run(&self, most: usize) -> usize {
        let mut ran = 0;
        while ran < most {
            match self.inbox.take() {
                None => break,
                Some(Mail::Discard(key)) => discard(key),
                Some(Mail::Turn(turn)) => {
                    turn.run();
                    ran += 1;
                }
            }
        }
        ran
    }

    /// Sleeps until there may be something to run, at most for `time`. On its own thread.
    pub(crate) fn park(&self, time: Option<Duration>) {
        self.inbox.park(time);
    }

    /// The value with this key is not used any more.
    pub(crate) fn discard(&self, key: u64) {
        if self.thread == thread::current().id() {
            discard(key);
        } else {
            // If the thread has ended, its values are gone.
            let _ = self.push(Mail::Discard(key));
        }
    }
}

impl Turn {
    fn run(mut self) {
        /// Says that a pinned behavior runs; there may be one further down the stack, of another runtime.
        struct Running(Option<RuntimeRef>);
        impl Drop for Running {
            fn drop(&mut self) {
                RUNNING.set(self.0);
            }
        }
        if self.home.shared().cancels() {
            return cancel(self);
        }
        if let Some(ready) = self.ready.take() {
            let _mark = enter_worker();
            let _running = Running(RUNNING.replace(Some(self.home)));
            #[cfg(feature = "trace")]
            let (tracer, outer) = {
                let tracer = &self.home.shared().tracer;
                (tracer, tracer.open(ready.as_ptr()))
            };
            Outside::run(ready);
            #[cfg(feature = "trace")]
            tracer.close(crate::trace::By::Owner, outer);
        }
    }
}

/// Cancels a behavior. What that hands over may have to be cancelled too, and so on: it is left to the call that is
/// first on this thread's stack, so that a long chain takes no stack.
fn cancel(turn: Turn) {
    thread_local! {
        /// While a call is under way: the turns left to it.
        static LEFT: RefCell<Option<Vec<Turn>>> = const { RefCell::new(None) };
    }
    let mut next = Some(turn);
    // If the thread is ending and has no locals any more, it does without.
    let first = LEFT.try_with(|left| {
        let left = &mut *left.borrow_mut();
        if let Some(left) = left {
            left.extend(next.take());
            return false;
        }
        *left = Some(Vec::new());
        true
    });
    while let Some(turn) = next {
        drop(turn);
        next = LEFT.try_with(|left| left.borrow_mut().as_mut().and_then(Vec::pop)).ok().flatten();
    }
    if matches!(first, Ok(true)) {
        LEFT.with(|left| *left.borrow_mut() = None);
    }
}

/// Keeps a value of the calling thread, to which behaviors may be pinned; returns its key.
pub(crate) fn keep(value: Box<dyn Any>) -> Option<u64> {
    here(|here| {
        let key = here.next.get();
        here.next.set(key + 1);
        here.values.borrow_mut().insert(key, Some(value));
        key
    })
}

/// Takes the value with this key, for a body to have it.
pub(crate) fn lend(key: u64) -> Option<Box<dyn Any>> {
    here(|here| here.values.borrow_mut().get_mut(&key).and_then(Option::take)).flatten()
}

/// Gives it back.
pub(crate) fn give_back(key: u64, value: Box<dyn Any>) {
    here(|here| here.values.borrow_mut().insert(key, Some(value)));
}

/// Drops the value with this key.
fn discard(key: u64) {
    if let Some(value) = here(|here| here.values.borrow_mut().remove(&key)).flatten() {
        quietly(|| drop(value));
    }
}
