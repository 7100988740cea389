//! The inbox of a thread that runs behaviors when it chooses to: how it sleeps for want of mail, and why no wake is
//! lost.
//!
//! Anybody pushes; only the owner, one thread, takes. While it has nothing to take it may sleep in one of two ways:
//!
//! | the owner     | sleeps                                     | is woken by                                     |
//! |---------------|--------------------------------------------|-------------------------------------------------|
//! | is awake      | -                                          | needs no waking: it looks before it sleeps      |
//! | parks         | by `thread::park`                          | `unpark`, after each push                       |
//! | lies in a bed | in a ledger's `wait`, for a runtime to be quiet | whoever pushes disturbs the bed, after the unpark |
//!
//! # The rules
//!
//! 1. *Push*: under the lock put the mail in and look which bed the owner lies in, if any. Then, without the lock,
//!    unpark the owner, and disturb that bed.
//! 2. *Park*: look into the inbox, and park only if it was empty.
//! 3. *Bed*: say under the lock which bed it is, before the first look. Then, holding the ledger's lock until it
//!    sleeps, look into the inbox, and sleep only if it was empty. To disturb a bed takes the ledger's lock, too.
//!
//! # Why no wake is lost
//!
//! A push and a look take the same lock. If the push comes first, the look sees the mail. If the look comes first, the
//! push is followed by an unpark: the token stays with the thread until it parks, which then returns at once. And the
//! push sees the bed, which was made before the look; the disturbance waits for the ledger's lock, and so until the
//! owner sleeps, and wakes it.
//!
//! Tokens may be left over, as from behaviors that nobody slept for, and `park` may return for no reason: the owner
//! looks again each time.

use std::collections::VecDeque;
use std::time::Duration;

use crate::sync::{Mutex, Thread, lock, park, thread};

/// Mail `M` for one thread, which may lie in a bed of type `B`.
pub struct Inbox<M, B> {
    content: Mutex<Content<M, B>>,
    owner: Thread,
}

struct Content<M, B> {
    mail: VecDeque<M>,
    bed: Option<B>,
    /// The owner is gone.
    closed: bool,
}

impl<M, B: Clone> Inbox<M, B> {
    /// The calling thread's.
    pub fn new() -> Self {
        let content = Content { mail: VecDeque::new(), bed: None, closed: false };
        Self { content: Mutex::new(content), owner: thread::current() }
    }

    /// Puts mail in, and wakes the owner if it parks. If it lies in a bed, the caller is given that, to disturb it.
    ///
    /// # Errors
    ///
    /// Gives the mail back if the inbox is closed.
    pub fn push(&self, mail: M) -> Result<Option<B>, M> {
        let bed = self.put(mail)?;
        self.wake();
        Ok(bed)
    }

    /// [`push`](Self::push), but for the wake.
    pub fn put(&self, mail: M) -> Result<Option<B>, M> {
        let mut content = lock(&self.content);
        if content.closed {
            return Err(mail);
        }
        content.mail.push_back(mail);
        Ok(content.bed.clone())
    }

    /// The mail that has lain there for longest.
    pub fn take(&self) -> Option<M> {
        lock(&self.content).mail.pop_front()
    }

    /// Whether there is mail.
    pub fn has_mail(&self) -> bool {
        !lock(&self.content).mail.is_empty()
    }

    /// The owner parks, unless there is mail, for at most `time`; perhaps for less.
    pub fn park(&self, time: Option<Duration>) {
        if !self.has_mail() {
            park(time);
        }
    }

    /// The owner says which bed it is about to lie in, or that it has got up. Returns what it said before.
    pub fn make_bed(&self, bed: Option<B>) -> Option<B> {
        std::mem::replace(&mut lock(&self.content).bed, bed)
    }

    /// Takes out what `unwanted` says.
    pub fn take_out(&self, unwanted: impl FnMut(&M) -> bool) -> VecDeque<M> {
        let mut content = lock(&self.content);
        let (out, rest) = std::mem::take(&mut content.mail).into_iter().partition(unwanted);
        content.mail = rest;
        out
    }

    /// Takes no more mail, and gives out what is left.
    pub fn close(&self) -> VecDeque<M> {
        let mut content = lock(&self.content);
        content.closed = true;
        std::mem::take(&mut content.mail)
    }

    /// Whether it takes no more mail.
    pub fn is_closed(&self) -> bool {
        lock(&self.content).closed
    }

    /// Wakes the owner if it parks, for mail or another reason.
    pub fn wake(&self) {
        self.owner.unpark();
    }
}

impl<M, B: Clone> Default for Inbox<M, B> {
    fn default() -> Self {
        Self::new()
    }
}
