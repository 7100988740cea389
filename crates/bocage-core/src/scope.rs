//! Scopes: behaviors whose bodies borrow from the stack.
//!
//! A scope counts its behaviors and does not end before the last is done. What is counted is a ticket, which the
//! behavior holds from its schedule until its body is gone, its cowns are released, and its successors are with their
//! executors (see [`Body`]): the block may live on, for a handle or a successor that is about to link, but it holds
//! nothing then that was borrowed. That is why results must own what they are made of.
//!
//! | count of `running`   | who                                | when                                      |
//! |----------------------|------------------------------------|-------------------------------------------|
//! | + 1                  | whoever schedules                  | before the behavior is in line            |
//! | - 1                  | who ran or cancelled the behavior  | after the release                         |
//! | waits for 0          | the thread that opened the scope   | after its closure returned, or panicked   |
//!
//! A body that schedules in its own scope still has its own ticket, so the count can't reach zero in between. It is
//! shared by an `Arc`, since whoever takes it to zero still has to wake the thread, which may have left by then.

use core::fmt;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use crate::acquire::schedule;
use crate::block::Place;
use crate::body::{Body, Ticket};
use crate::cown::Cown;
use crate::executor::Executor;
use crate::handle::{Failure, Handle, Outcome, fill, with_guards};
use crate::idle;
use crate::request::Requests;
use crate::sync::{Arc, AtomicUsize, Ordering, thread};
use crate::worker;

/// Opens a scope for behaviors whose bodies borrow what outlives it, and returns when all of them are done: also those
/// that they scheduled in it, and also if `f` panics.
///
/// Done means that the cowns are released, too. What was cancelled by its executor counts as done.
///
/// The thread blocks at the scope's end. It must not hold cowns then that the behaviors wait for.
///
/// # Panics
///
/// - On a thread that runs behaviors for an executor and said so by [`enter_worker`](crate::enter_worker), before
///   anything else: to wait for others there might be to wait for itself.
/// - At the end, as `f` did, or as what the thread was told to do [meanwhile](crate::help_while_waiting); or else, if a
///   body panicked and nobody [waited](ScopedHandle::wait) for its handle, and so took the panic.
///
/// ```
/// use bocage_core::{Cown, Inline, scope};
///
/// let words = vec![String::from("a"), String::from("bc")];
/// let (total, mut longest) = (Cown::new(0), 0);
/// scope(|s| {
///     for word in &words {
///         s.when_on(Inline, &total, move |mut total| *total += word.len());
///     }
///     s.when_on(Inline, (), |()| longest = words.iter().map(String::len).max().unwrap_or(0));
/// });
/// assert_eq!((longest, *bocage_core::acquire(&total).wait().guards()), (2, 3));
/// ```
///
/// A body can't borrow what ends before the scope does:
///
/// ```compile_fail,E0597
/// use bocage_core::{Inline, scope};
///
/// scope(|s| {
///     let inside = String::from("gone before the scope is");
///     let inside = &inside;
///     s.when_on(Inline, (), move |()| drop(inside.len()));
/// });
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    worker::assert_may_block();
    let shared = Shared { running: AtomicUsize::new(0), panics: AtomicUsize::new(0), thread: thread::current() };
    let scope = Scope { shared: Arc::new(shared), scope: PhantomData, env: PhantomData };
    let outcome = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    let shared = &scope.shared;
    let mut helped = Ok(());
    // Acquire: pairs with the Release of each ticket's drop; what the bodies did comes before our return.
    while shared.running.load(Ordering::Acquire) != 0 {
        // A help that panics must not get us out of here, while bodies borrow from the stack.
        match helped {
            Ok(()) => helped = catch_unwind(idle::idle),
            Err(_) => thread::park(),
        }
    }
    match outcome.and_then(|value| helped.map(|()| value)) {
        Err(payload) => resume_unwind(payload),
        // Relaxed: ordered by the above.
        Ok(_) if shared.panics.load(Ordering::Relaxed) != 0 => panic!("a scoped behavior panicked"),
        Ok(value) => value,
    }
}

/// What [`scope`] gives to its closure: a way to schedule behaviors whose bodies borrow for `'scope`.
///
/// As with [`std::thread::Scope`], `'scope` is the time in which they may run, and `'env` whatever is around it.
pub struct Scope<'scope, 'env: 'scope> {
    shared: Arc<Shared>,
    /// Invariant: the time must not shrink to one that ends earlier.
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

struct Shared {
    running: AtomicUsize,
    /// Bodies that panicked, but for those whose panic was taken by a handle.
    panics: AtomicUsize,
    thread: thread::Thread,
}

/// Keeps the scope open.
struct Running(Arc<Shared>);

impl Running {
    fn new(shared: &Arc<Shared>) -> Self {
        // Relaxed: whoever schedules is the scope's thread, or has a ticket itself, so that zero is not near.
        shared.running.fetch_add(1, Ordering::Relaxed);
        Self(shared.clone())
    }
}

impl Ticket for Running {
    fn panicked(&self) {
        // Relaxed: comes before the own drop.
        self.0.panics.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Release: pairs with the Acquire at the scope's end.
        if self.0.running.fetch_sub(1, Ordering::Release) == 1 {
            self.0.thread.unpark();
        }
    }
}

/// A body, and its ticket, which is dropped after it if it never gets that far.
struct Scoped<B> {
    body: B,
    running: Option<Running>,
}

impl<R, B: Body<R>> Body<R> for Scoped<B> {
    const REQUESTS: Option<usize> = B::REQUESTS;
    const READS: bool = B::READS;

    type Ticket = Running;

    fn ticket(&mut self) -> Running {
        self.running.take().expect("asked for once")
    }

    fn run(self, place: Place<'_, R>) {
        self.body.run(place);
    }

    fn name() -> &'static str {
        B::name()
    }
}

impl<'scope> Scope<'scope, '_> {
    /// As [`when_on`](crate::when_on), for a body that may borrow. The result may not: it can outlive the scope, as the
    /// [cown](ScopedHandle::cown) that it is.
    ///
    /// # Panics
    ///
    /// As [`when_on`](crate::when_on).
    pub fn when_on<E, Q, R, F>(&'scope self, executor: E, requests: Q, body: F) -> ScopedHandle<'scope, R>
    where
        E: Executor,
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'scope,
    {
        let running = Some(Running::new(&self.shared));
        let body = Scoped { body: with_guards(&requests, body), running };
        // SAFETY: `scope` does not return before the ticket is dropped, and `'scope` does not end before.
        // `requests` keeps the cowns.
        let result = unsafe { schedule(executor, requests.count(), |slots| fill(&requests, slots), None, body) };
        ScopedHandle { handle: Handle { result }, scope: &self.shared }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Relaxed: a number to look at.
        f.debug_struct("Scope").field("running", &self.shared.running.load(Ordering::Relaxed)).finish()
    }
}

/// A scoped behavior's future result. As a [`Handle`], but for what becomes of a panic: if nobody waits for it here,
/// the scope's end panics.
pub struct ScopedHandle<'scope, R> {
    handle: Handle<R>,
    scope: &'scope Arc<Shared>,
}

impl<'scope, R: Send + 'static> ScopedHandle<'scope, R> {
    /// As [`Handle::wait`]. If the body panicked, this takes the panic, and the scope's end does not repeat it.
    ///
    /// # Errors
    ///
    /// A [`Failure`] says why there is no result.
    ///
    /// # Panics
    ///
    /// As [`Handle::wait`].
    pub fn wait(self) -> Result<R, Failure> {
        let outcome = self.handle.wait();
        self.scope.was_seen(&outcome);
        outcome
    }

    /// As [`Handle::cown`].
    pub fn cown(&self) -> Cown<R> {
        self.handle.cown()
    }

    /// As [`Handle::into_cown`].
    pub fn into_cown(self) -> Cown<R> {
        self.handle.into_cown()
    }
}

impl Shared {
    /// A handle gave this away.
    fn was_seen<R>(&self, outcome: &Result<R, Failure>) {
        if matches!(outcome, Err(Failure::Panicked(_))) {
            // Relaxed: the panic was counted before the result was released to the handle.
            self.panics.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl<'scope, R: Send + 'static> IntoFuture for ScopedHandle<'scope, R> {
    type Output = Result<R, Failure>;
    type IntoFuture = ScopedOutcome<'scope, R>;

    fn into_future(self) -> ScopedOutcome<'scope, R> {
        ScopedOutcome { outcome: self.handle.into_future(), scope: self.scope }
    }
}

impl<R> fmt::Debug for ScopedHandle<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.handle, f)
    }
}

/// Waits for a scoped behavior's result, as [`Outcome`] does for others'.
#[must_use = "a future does nothing unless it is awaited"]
pub struct ScopedOutcome<'scope, R> {
    outcome: Outcome<R>,
    scope: &'scope Arc<Shared>,
}

impl<R: Send + 'static> Future for ScopedOutcome<'_, R> {
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut self.outcome).poll(context);
        if let Poll::Ready(outcome) = &polled {
            self.scope.was_seen(outcome);
        }
        polled
    }
}

impl<R> fmt::Debug for ScopedOutcome<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.outcome, f)
    }
}
