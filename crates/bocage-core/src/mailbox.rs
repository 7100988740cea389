//! Where the token of an acquisition without a body arrives.
//!
//! A [`Claim`] is a behavior with an empty body, whose executor puts the token into a mailbox instead of running
//! it. Whoever has the token holds the cowns; to drop it releases them. One side is the *claimant*: a future that
//! is polled, or a thread that blocks. The other is the *granter*: the thread that acquired the last cown.
//!
//! # The word of a mailbox
//!
//! | value     | bits                    | meaning                                           |
//! |-----------|-------------------------|---------------------------------------------------|
//! | *empty*   | null                    | no token yet, and nobody to tell of it            |
//! | *waker*   | address of a boxed waker | no token yet; the granter is to wake this         |
//! | *arrived* | the token, `ARRIVED`    | the cowns are held for the claimant               |
//! | *gone*    | `GONE`                  | the claimant took the token, or wants it no more  |
//!
//! | from            | to        | who      | when                                              |
//! |-----------------|-----------|----------|---------------------------------------------------|
//! | *empty, waker*  | *waker*   | claimant | it finds no token; the waker before is dropped    |
//! | *empty, waker*  | *arrived* | granter  | once; it then wakes the waker that it took out    |
//! | *gone*          | *arrived* | granter  | once; nobody looks any more, so it drops the token |
//! | any             | *gone*    | claimant | it takes the token, or is dropped                 |
//!
//! Each step is one exchange, and who makes it owns what was in the word before: a waker is dropped or woken, and a
//! token taken or dropped, by exactly one side. That is why a claimant may go at any moment. Neither side waits for
//! the other: a release never does, but for what the waker itself does.

use std::cell::RefCell;
use std::ptr::{self, NonNull};
use std::task::{Context, Poll, Wake, Waker};

use crate::acquire::schedule;
use crate::block::{Fill, Place};
use crate::body::Body;
use crate::executor::{Executor, Ready};
use crate::idle;
use crate::quietly::quietly;
use crate::sync::{Arc, AtomicPtr, Ordering, thread, thread_local};

/// The word is a token. (Behaviors and boxed wakers are at least 4-aligned.)
const ARRIVED: usize = 1;
/// The claimant is gone.
const GONE: *mut () = ptr::without_provenance_mut(2);

struct Mailbox(AtomicPtr<()>);

/// What stands in a mailbox's word.
enum Mail {
    Empty,
    Waker(*mut Waker),
    Arrived(NonNull<()>),
    Gone,
}

impl Mail {
    fn of(word: *mut ()) -> Self {
        if word.addr() & ARRIVED != 0 {
            Self::Arrived(NonNull::new(word.map_addr(|a| a & !ARRIVED)).expect("a token is no null pointer"))
        } else if word == GONE {
            Self::Gone
        } else if word.is_null() {
            Self::Empty
        } else {
            Self::Waker(word.cast())
        }
    }
}

impl Mailbox {
    /// The granter's step.
    fn deliver(&self, ready: Ready) {
        let token = ready.into_raw();
        // AcqRel: Release passes on what the cowns' last owners wrote; Acquire pairs with the Release in
        // `register`: the waker is about to be used.
        match Mail::of(self.0.swap(token.as_ptr().map_addr(|a| a | ARRIVED), Ordering::AcqRel)) {
            Mail::Waker(waker) => {
                // SAFETY: boxed by `register`, and ours since the exchange took it out.
                let waker = unsafe { Box::from_raw(waker) };
                // We are in the middle of a release.
                quietly(|| waker.wake());
            }
            // SAFETY: nobody looks into the mailbox any more, so the token is still ours.
            Mail::Gone => cancel(unsafe { Ready::from_raw(token) }),
            Mail::Empty => {}
            Mail::Arrived(_) => unreachable!("a behavior becomes ready once"),
        }
    }

    fn has_arrived(&self) -> bool {
        // Relaxed: `close` does the acquiring.
        matches!(Mail::of(self.0.load(Ordering::Relaxed)), Mail::Arrived(_))
    }

    /// The claimant's step while it waits; `false` if the token is there, and nothing was done.
    fn register(&self, waker: Waker) -> bool {
        // Relaxed: what can be there but a token is our own.
        let before = self.0.load(Ordering::Relaxed);
        if matches!(Mail::of(before), Mail::Arrived(_)) {
            return false;
        }
        let boxed = Box::into_raw(Box::new(waker));
        // Release: publishes the waker to `deliver`. Relaxed on failure: `close` does the acquiring.
        let exchanged = self.0.compare_exchange(before, boxed.cast(), Ordering::Release, Ordering::Relaxed);
        let unused = match Mail::of(before) {
            _ if exchanged.is_err() => boxed,
            Mail::Waker(waker) => waker,
            _ => return true,
        };
        // SAFETY: boxed here, now or before, and not in the word: ours.
        drop(unsafe { Box::from_raw(unused) });
        exchanged.is_ok()
    }

    /// The claimant's last step: the token, if it is there.
    fn close(&self) -> Option<Ready> {
        // Acquire: pairs with the Release in `deliver`: the cowns are ours now. Nothing is published.
        match Mail::of(self.0.swap(GONE, Ordering::Acquire)) {
            // SAFETY: put there by `deliver`, and ours since the exchange took it out.
            Mail::Arrived(token) => return Some(unsafe { Ready::from_raw(token) }),
            // SAFETY: as above, by `register`.
            Mail::Waker(waker) => drop(unsafe { Box::from_raw(waker) }),
            Mail::Empty | Mail::Gone => {}
        }
        None
    }
}

/// The executor of claims.
#[derive(Clone)]
struct Deliver(Arc<Mailbox>);

impl Executor for Deliver {
    fn ready(&self, ready: Ready) {
        self.0.deliver(ready);
    }
}

/// The body of what holds cowns without a behavior.
pub(crate) struct Nothing;

impl Body<()> for Nothing {
    type Ticket = ();

    fn ticket(&mut self) {}

    fn run(self, _: Place<'_, ()>) {}

    fn name() -> &'static str {
        "acquire"
    }
}

/// Drops a token that nobody wants. What that hands over may be unwanted too, and so on: it is left to the call that
/// is first on this thread's stack, so that a long chain takes no stack.
#[allow(clippy::missing_const_for_thread_local, reason = "loom's macro takes no `const`")]
pub(crate) fn cancel(ready: Ready) {
    thread_local! {
        /// While a call is under way: the tokens left to it.
        static LEFT: RefCell<Option<Vec<Ready>>> = RefCell::new(None);
    }
    let mut next = Some(ready);
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
    while let Some(ready) = next {
        drop(ready);
        next = LEFT.try_with(|left| left.borrow_mut().as_mut().and_then(Vec::pop)).ok().flatten();
    }
    if matches!(first, Ok(true)) {
        LEFT.with(|left| *left.borrow_mut() = None);
    }
}

/// A place in the queues of some cowns, for whoever has no body to run there. Dropped, it gives the place up, and the
/// cowns if it has them.
pub(crate) struct Claim {
    mailbox: Arc<Mailbox>,
    /// The waker in the mailbox.
    waker: Option<Waker>,
}

impl Claim {
    /// Gets in line.
    ///
    /// `fill` tells of so many cowns, which are alive until this returns.
    pub(crate) fn new(cowns: usize, fill: impl FnOnce(&mut Fill)) -> Self {
        let mailbox = Arc::new(Mailbox(AtomicPtr::new(ptr::null_mut())));
        // SAFETY: the body borrows nothing.
        let () = unsafe { schedule(Deliver(mailbox.clone()), cowns, fill, Some(()), Nothing) };
        Self { mailbox, waker: None }
    }

    /// The token, which comes once.
    pub(crate) fn poll(&mut self, context: &Context<'_>) -> Poll<Ready> {
        let waker = context.waker();
        if idle::step_until(|| self.mailbox.has_arrived()) && !self.mailbox.has_arrived() {
            waker.wake_by_ref();
        }
        if !self.mailbox.has_arrived() {
            if self.waker.as_ref().is_some_and(|known| known.will_wake(waker)) {
                return Poll::Pending;
            }
            if self.mailbox.register(waker.clone()) {
                self.waker = Some(waker.clone());
                return Poll::Pending;
            }
        }
        Poll::Ready(self.mailbox.close().expect("the token that has arrived"))
    }

    /// Blocks the thread until the token is there. Whether it may block was asked before it got in line.
    pub(crate) fn wait(mut self) -> Ready {
        if self.mailbox.has_arrived() {
            return self.mailbox.close().expect("the token that has arrived");
        }
        let waker = Waker::from(std::sync::Arc::new(Unpark(thread::current())));
        loop {
            match self.poll(&Context::from_waker(&waker)) {
                Poll::Ready(ready) => return ready,
                Poll::Pending => idle::idle(),
            }
        }
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        drop(self.mailbox.close());
    }
}

/// Wakes a thread that blocks.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.unpark();
    }
}
