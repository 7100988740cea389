//! `await cown`: the turns of the coroutines of one asyncio loop.
//!
//! Like `Cown.result`, an await puts an empty behavior into the cown's queue. Whoever releases the cown brings its
//! token, from whatever thread and without any GIL, to the loop's inbox. The loop hears of it and resumes the
//! coroutine, which takes the value and releases the cown. Until then the cown is the coroutine's: it may still be
//! cancelled, and then it must have consumed nothing.
//!
//! | turn       | what happened                                | next                                              |
//! |------------|----------------------------------------------|---------------------------------------------------|
//! | `Entering` | its behavior is being scheduled              | `Came` at once, if the cown is free; or `Waiting` |
//! | `Waiting`  | the coroutine is suspended                   | `Came`, and the loop is told; or left             |
//! | `Came`     | the token is here                            | taken, or left                                    |
//! | left       | the coroutine went on, was cancelled or died | a token that still comes releases the cown        |
//!
//! A turn that was left is no longer in `turns`. Invariant, under the lock: the bell is readable while `arrived` holds
//! something. No token and no handle is dropped under it: that can bring the next token to this inbox.

use std::collections::HashMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bocage_core::{Erased, Executor, Inline, Ready, Shown, schedule_erased};

use crate::bell::Bell;
use crate::cell::CownHandle;
use crate::cown::Cown;
use crate::py::class::Class;
use crate::py::method::{Method, Property, getter, method};
use crate::py::slot::{self, Slot};
use crate::py::{Args, Error, Obj, Payload, Result, Signature, This};
use crate::{fork, lifecycle, result};

enum Stand {
    Entering,
    Waiting,
    /// Shown, since it may be long until the loop goes on.
    Came(Shown),
}

#[derive(Default)]
struct Turns {
    turns: HashMap<u64, Stand>,
    /// Turns that came while their coroutines were suspended, and that the loop has not heard of.
    arrived: Vec<u64>,
    next: u64,
    closed: bool,
}

struct Shared {
    turns: Mutex<Turns>,
    /// For a thread that hears in the loop's place.
    came: Condvar,
    bell: Option<Bell>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Turns> {
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Turns that came since the last call; waits for one until then.
    fn hear(&self, until: Option<Instant>) -> Vec<u64> {
        let mut turns = self.lock();
        while turns.arrived.is_empty()
            && let Some(left) = until.map(|until| until.saturating_duration_since(Instant::now()))
            && !left.is_zero()
        {
            turns = self.came.wait_timeout(turns, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        if let Some(bell) = &self.bell {
            bell.silence();
        }
        std::mem::take(&mut turns.arrived)
    }

    /// Gives all turns up, and those to come.
    fn close(&self) {
        // An orphan's locks may be held by a thread that it doesn't have.
        if fork::is_orphan() {
            return;
        }
        let mut turns = self.lock();
        turns.closed = true;
        let left = std::mem::take(&mut turns.turns);
        drop(turns);
        left.into_values().for_each(give_up);
    }
}

fn give_up(stand: Stand) {
    if let Stand::Came(token) = stand {
        Inline.ready(token.into_ready());
    }
}

/// Brings a token to the inbox.
#[derive(Clone)]
struct Deliver {
    shared: Arc<Shared>,
    turn: u64,
}

impl Executor for Deliver {
    fn ready(&self, ready: Ready) {
        let mut turns = self.shared.lock();
        let Some(stand) = turns.turns.get_mut(&self.turn) else {
            drop(turns);
            // Releases the cown, to a million such tokens in a row without a recursion.
            Inline.ready(ready);
            return;
        };
        if let Stand::Waiting = std::mem::replace(stand, Stand::Came(Shown::new(ready))) {
            turns.arrived.push(self.turn);
            if turns.arrived.len() == 1 {
                if let Some(bell) = &self.shared.bell {
                    bell.ring();
                }
                self.shared.came.notify_one();
            }
        }
    }
}

/// What an instance of `_Inbox` holds.
pub(crate) struct Inbox(Arc<Shared>);

impl Payload for Inbox {}

impl Drop for Inbox {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// What an instance of `_Turn` holds: a place in a cown's queue, given up when it is dropped.
pub(crate) struct Turn {
    shared: Arc<Shared>,
    number: u64,
    handle: CownHandle,
}

impl Payload for Turn {}

impl Turn {
    fn leave(&self) {
        if fork::is_orphan() {
            return;
        }
        let left = self.shared.lock().turns.remove(&self.number);
        left.into_iter().for_each(give_up);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.leave();
    }
}

static INBOX_METHODS: [Method; 5] = [
    method(c"descriptor", descriptor, c"A descriptor that is readable while there is something to hear, or None."),
    method(c"enter", enter, c"enter(cown): a new turn, after all that is scheduled on the cown."),
    method(
        c"hear",
        hear,
        c"hear(timeout=None): numbers of the turns that came while waited for; waits for one for so long.",
    ),
    method(c"close", close, c"Give all turns up."),
    Method::END,
];

static INBOX_SLOTS: [Slot; 1] = [slot::new(new)];

/// The class of inboxes.
pub(crate) static INBOX: Class<Inbox> =
    Class::new(c"bocage._bocage._Inbox", c"The turns of the coroutines of one event loop.")
        .methods(&INBOX_METHODS)
        .slots(&INBOX_SLOTS);

static TURN_METHODS: [Method; 4] = [
    method(c"came", came, c"Whether it came; if not, the inbox hears of it when it does."),
    method(c"take", take, c"Take the value of the cown, whose turn came, and release the cown."),
    method(c"leave", leave, c"Give the turn up, if it was not taken."),
    Method::END,
];

static TURN_PROPERTIES: [Property; 2] =
    [getter(c"number", number, c"By which the inbox names the turn."), Property::END];

/// The class of turns.
pub(crate) static TURN: Class<Turn> = Class::new(c"bocage._bocage._Turn", c"A place in a cown's queue.")
    .methods(&TURN_METHODS)
    .properties(&TURN_PROPERTIES);

static NEW: Signature<0> = Signature::new("_Inbox", [], 0);

fn new(args: Args<'_>) -> Result<Inbox> {
    NEW.bind(&args)?;
    Ok(Inbox(Arc::new(Shared { turns: Mutex::default(), came: Condvar::new(), bell: Bell::new() })))
}

fn descriptor(this: This<'_, Inbox>, _args: Args<'_>) -> Result<Obj> {
    match &this.0.bell {
        Some(bell) => this.py().int(bell.descriptor().into()),
        None => Ok(this.py().none()),
    }
}

static ENTER: Signature<1> = Signature::new("enter", ["cown"], 1);

fn enter(this: This<'_, Inbox>, args: Args<'_>) -> Result<Obj> {
    let [cown] = ENTER.bind(&args)?;
    let state = this.state()?;
    let cown = cown.as_deref().and_then(|cown| state.cown.get(cown));
    let handle = cown.map(Cown::handle).ok_or_else(|| Error::type_error("enter() needs a Cown"))?;
    result::check(state, handle, "`await cown`")?;
    let shared = this.0.clone();
    let mut turns = shared.lock();
    if turns.closed {
        return Err(Error::runtime_error("the interpreter is at its end: no cown can be awaited any more"));
    }
    let number = turns.next;
    turns.next += 1;
    turns.turns.insert(number, Stand::Entering);
    drop(turns);
    // From here on dropping it gives the turn up.
    let turn = Turn { shared, number, handle: handle.clone() };
    let deliver = Deliver { shared: turn.shared.clone(), turn: number };
    drop(schedule_erased(deliver, &mut [Erased::new(handle.core())], Some(()), |_| {}));
    state.turn.instantiate(turn)
}

static HEAR: Signature<1> = Signature::new("hear", ["timeout"], 0);

fn hear(this: This<'_, Inbox>, args: Args<'_>) -> Result<Obj> {
    let [timeout] = HEAR.bind(&args)?;
    let py = this.py();
    let until = lifecycle::deadline(timeout)?;
    fork::check()?;
    let shared = &*this.0;
    let heard = if until.is_some() { py.detached(|| shared.hear(until)) } else { shared.hear(None) };
    Obj::list(py, heard.into_iter().map(|number| py.uint(number)).collect::<Result<Vec<_>>>()?)
}

fn close(this: This<'_, Inbox>, _args: Args<'_>) -> Result<()> {
    this.0.close();
    Ok(())
}

fn number(this: This<'_, Turn>) -> Result<Obj> {
    this.py().uint(this.number)
}

fn came(this: This<'_, Turn>, _args: Args<'_>) -> Result<bool> {
    fork::check()?;
    let mut turns = this.shared.lock();
    Ok(match turns.turns.get_mut(&this.number) {
        Some(Stand::Came(_)) => true,
        Some(stand) => {
            *stand = Stand::Waiting;
            false
        }
        None => false,
    })
}

fn take(this: This<'_, Turn>, _args: Args<'_>) -> Result<Obj> {
    fork::check()?;
    let mut turns = this.shared.lock();
    let token = match turns.turns.remove(&this.number) {
        Some(Stand::Came(token)) => token,
        Some(early) => {
            turns.turns.insert(this.number, early);
            return Err(Error::runtime_error("the turn has not come yet"));
        }
        None => return Err(Error::runtime_error("the turn was given up")),
    };
    drop(turns);
    result::unwrap(this.state()?, &this.handle, token.into_ready())
}

fn leave(this: This<'_, Turn>, _args: Args<'_>) -> Result<()> {
    this.payload().leave();
    Ok(())
}
