//! `Cown.result`: waiting for one cown.
//!
//! The waiting thread puts an empty behavior into the cown's queue, whose token comes to a mailbox: when it is
//! there, all behaviors scheduled before are done, and the thread owns the cown until it drops the token.
//!
//! | mailbox     | what happened                                | next                                           |
//! |-------------|----------------------------------------------|------------------------------------------------|
//! | `Empty`     | the thread waits                             | `Full` by whoever releases the cown, or `Abandoned` by the thread |
//! | `Full`      | the token came                               | the thread takes it                            |
//! | `Abandoned` | the thread gave up: a timeout, or Ctrl-C     | a token that still comes releases the cown at once |

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use bocage_core::{Erased, Executor, Inline, Ready, schedule_erased};

use crate::cell::CownHandle;
use crate::cown::Cown;
use crate::lifecycle::{self, TICK};
use crate::py::{Args, Error, Obj, Result, Signature, This};
use crate::state::State;

enum Post {
    Empty,
    Full(Ready),
    Abandoned,
}

struct Mailbox {
    post: Mutex<Post>,
    came: Condvar,
}

impl Mailbox {
    fn lock(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the token is there, but not past `until`.
    fn wait(&self, until: Instant) -> Option<Ready> {
        let mut post = self.lock();
        loop {
            match std::mem::replace(&mut *post, Post::Empty) {
                Post::Full(token) => return Some(token),
                other => *post = other,
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            post = self.came.wait_timeout(post, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

/// Puts tokens into the mailbox.
#[derive(Clone)]
struct Deliver(Arc<Mailbox>);

impl Executor for Deliver {
    fn ready(&self, ready: Ready) {
        let mut post = self.0.lock();
        if matches!(*post, Post::Abandoned) {
            drop(post);
            // Releases the cown, to a million such tokens in a row without a recursion.
            Inline.ready(ready);
            return;
        }
        *post = Post::Full(ready);
        drop(post);
        self.0.came.notify_one();
    }
}

/// A place in a cown's queue, given up when it is dropped.
struct Turn(Arc<Mailbox>);

impl Turn {
    fn take(handle: &CownHandle) -> Turn {
        let mailbox = Arc::new(Mailbox { post: Mutex::new(Post::Empty), came: Condvar::new() });
        drop(schedule_erased(Deliver(mailbox.clone()), &mut [Erased::new(handle.core())], Some(()), |_| {}));
        Turn(mailbox)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let post = std::mem::replace(&mut *self.0.lock(), Post::Abandoned);
        // A token that came too late: with the lock released.
        if let Post::Full(token) = post {
            Inline.ready(token);
        }
    }
}

static PARAMETERS: Signature<1> = Signature::new("result", ["timeout"], 0);

/// `Cown.result`
pub(crate) fn result(this: This<'_, Cown>, args: Args<'_>) -> Result<Obj> {
    let state = this.state()?;
    let py = state.py();
    let [timeout] = PARAMETERS.bind(&args)?;
    let deadline = lifecycle::deadline(timeout)?;
    let handle = this.handle();
    check(state, handle, "result()")?;
    let turn = Turn::take(handle);
    let token = loop {
        let now = Instant::now();
        let until = deadline.map_or(now + TICK, |deadline| deadline.min(now + TICK));
        if let Some(token) = py.detached(|| turn.0.wait(until)) {
            break token;
        }
        py.check_signals()?;
        if deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Error::timeout_error(
                "behaviors that were scheduled on this cown are not done yet; nothing is lost: they go on, and result() \
                 can be called again",
            ));
        }
    };
    unwrap(state, handle, token)
}

/// An error where `waiting` for the cown could wait for itself.
pub(crate) fn check(state: &State, handle: &CownHandle, waiting: &str) -> Result<()> {
    crate::fork::check()?;
    if state.in_behavior.get() {
        return Err(Error::runtime_error(format!(
            "{waiting} in a behavior could wait for itself: schedule a behavior on the cown instead"
        )));
    }
    if handle.cell().has_token(state.py()) {
        return Err(Error::runtime_error(
            "the cown is acquired here, and what was scheduled on it waits for its release(): read its value, or call \
             unwrap()",
        ));
    }
    Ok(())
}

/// Takes the value of a cown that was just granted, and releases it.
pub(crate) fn unwrap(state: &State, handle: &CownHandle, token: Ready) -> Result<Obj> {
    let cell = handle.cell();
    // SAFETY: the token was granted, and is kept until the end.
    unsafe { cell.claim(state.py()) };
    let taken = cell.take(state);
    let released = cell.release(state, || "the value of the cown".to_owned());
    // After the cell is portable: others may own it from here on.
    state.py().detached(|| Inline.ready(token));
    released?;
    match taken? {
        (exception, true) => Err(Error::Raised(exception)),
        (value, false) => Ok(value),
    }
}
