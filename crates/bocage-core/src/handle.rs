//! Handles: what becomes of a behavior.

use core::any::{Any, type_name};
use core::fmt;
use core::mem::ManuallyDrop;
use core::pin::Pin;
use core::task::{Context, Poll};

use crate::acquire::{Erased, Now, schedule, schedule_now};
use crate::block::{Fill, Place};
use crate::body::Body;
use crate::cown::{Cown, CownBox, EMPTY, MISSING, PANICKED};
use crate::executor::{Executor, Ready};
use crate::mailbox::Claim;
use crate::request::{Held, Requests};
use crate::worker;

/// Schedules `body` to run on `executor` once all cowns of `requests` are acquired.
///
/// Two behaviors that share a cown run in the order in which they were scheduled (by one thread, or by
/// causality); nothing else is ordered, and no choice of cowns can deadlock. The body may schedule further
/// behaviors, also on cowns that it holds: they run after it.
///
/// One block of memory, and O(n log n) steps for n cowns. It waits for no behavior; behind a thread that is in the middle of
/// scheduling on one of the cowns it waits until that one has got in line.
///
/// A cown that `requests` names more than once is acquired once, to write if one of the names asks for that; one of
/// its guards has the value then, and the others are [aliases](crate::Guard#aliases).
///
/// ```
/// use bocage_core::{Cown, Inline, when_on};
///
/// let (src, dst) = (Cown::new(100), Cown::new(0));
/// let moved = when_on(Inline, (&src, &dst), |(mut src, mut dst)| {
///     *src -= 40;
///     *dst += 40;
///     40
/// });
/// assert_eq!(moved.wait().unwrap(), 40);
/// ```
pub fn when_on<E, Q, R, F>(executor: E, requests: Q, body: F) -> Handle<R>
where
    E: Executor,
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
{
    schedule_on(executor, requests, body)
}

/// [`when_on`], for a behavior whose result nobody asks for. There is no handle, and so none is to be dropped: that is a
/// read-modify-write of the behavior's block, which another thread may be about to run.
///
/// A panic in the body shows only in what the panic hook prints, and in its cowns, which are
/// [poisoned](crate::Guard::is_poisoned).
///
/// ```
/// use bocage_core::{Cown, Inline, spawn_on, when_on};
///
/// let total = Cown::new(0);
/// for n in 1..=4 {
///     spawn_on(Inline, &total, move |mut total| *total += n);
/// }
/// assert_eq!(when_on(Inline, &total, |total| *total).wait().unwrap(), 10);
/// ```
pub fn spawn_on<E, Q, F>(executor: E, requests: Q, body: F)
where
    E: Executor,
    Q: Requests,
    F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
{
    schedule_on(executor, requests, body)
}

/// [`when_on`] or [`spawn_on`], as the caller wants the one's [`Receipt`] or the other's.
pub fn schedule_on<E, Q, R, F, H>(executor: E, requests: Q, body: F) -> H
where
    E: Executor,
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    H: Receipt<R>,
{
    let run = with_guards(&requests, body);
    // SAFETY: the body borrows nothing that could end, and `requests` keeps the cowns.
    unsafe { schedule(executor, requests.count(), |slots| fill(&requests, slots), None, run) }
}

/// [`schedule_on`], but that `now` gets the behavior, instead of its executor, if it waits for nothing: for an executor that
/// knows its way from where it schedules. It is called before this returns, or never.
///
/// All of it is inlined into the caller, so that the body is written to where it stays.
///
/// ```
/// use bocage_core::{Cown, Handle, Inline, Now, schedule_on_with};
///
/// let cown = Cown::new(1);
/// let mut kept = None;
/// let doubled: Handle<i32> = schedule_on_with(Inline, &cown, |mut c| { *c *= 2; *c }, |now| kept = Some(now));
/// assert!(kept.is_some());
/// match kept {
///     Some(Now::Ready(ready)) => ready.run(),
///     _ => unreachable!("nobody has the cown, and it is not only read"),
/// }
/// assert_eq!(doubled.wait().unwrap(), 2);
/// ```
#[inline(always)]
pub fn schedule_on_with<E, Q, R, F, H>(executor: E, requests: Q, body: F, now: impl FnOnce(Now)) -> H
where
    E: Executor,
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    H: Receipt<R>,
{
    let run = with_guards(&requests, body);
    let fill = |slots: &mut Fill| fill(&requests, slots);
    // SAFETY: as for `schedule_on`.
    unsafe { schedule_now(executor, requests.count(), fill, None, run, |_, it| now(it)) }
}

/// What one gets who schedules a behavior with a result of type `R`: its [`Handle`]; or the result's [`Cown`]; or nothing, if
/// the result is nothing. Nobody else can implement it.
pub trait Receipt<R>: sealed::Receipt {
    /// Whether it is one of the result's references.
    #[doc(hidden)]
    const COUNTED: bool;

    /// Of this result, which is asked for only if it is counted: otherwise it may be gone.
    #[doc(hidden)]
    fn of(result: impl FnOnce() -> Cown<R>) -> Self;
}

mod sealed {
    pub trait Receipt {}
    impl Receipt for () {}
    impl<R> Receipt for super::Handle<R> {}
    impl<R> Receipt for super::Cown<R> {}
}

impl Receipt<()> for () {
    const COUNTED: bool = false;

    #[inline]
    fn of(_: impl FnOnce() -> Cown<()>) {}
}

impl<R> Receipt<R> for Handle<R> {
    const COUNTED: bool = true;

    #[inline]
    fn of(result: impl FnOnce() -> Cown<R>) -> Self {
        Self { result: result() }
    }
}

impl<R> Receipt<R> for Cown<R> {
    const COUNTED: bool = true;

    #[inline]
    fn of(result: impl FnOnce() -> Cown<R>) -> Self {
        result()
    }
}

/// Tells a new block what `requests` wants.
#[inline]
pub(crate) fn fill<Q: Requests>(requests: &Q, slots: &mut Fill) {
    requests.visit(&mut |cown| slots.want(cown.want));
}

/// The body in the form that the core runs: it makes the guards, and puts the result in its place.
#[inline]
pub(crate) fn with_guards<Q: Requests, F>(requests: &Q, body: F) -> Guarded<Q, F> {
    Guarded { shape: requests.shape(), body }
}

/// See [`with_guards`].
pub(crate) struct Guarded<Q: Requests, F> {
    shape: Q::Shape,
    body: F,
}

impl<Q, R, F> Body<R> for Guarded<Q, F>
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send,
{
    const REQUESTS: Option<usize> = Q::COUNT;
    const READS: bool = Q::READS;

    type Ticket = ();

    #[inline]
    fn ticket(&mut self) {}

    #[inline]
    fn run(self, mut place: Place<'_, R>) {
        // SAFETY: the behavior holds all its cowns while it runs, and they hold values, or the body would not have
        // been called. The guards end with the call, since `R` can't borrow from them.
        let value = (self.body)(unsafe { Q::guards(&self.shape, &mut Held::new(place.slots())) });
        place.set(value);
    }

    fn name() -> &'static str {
        type_name::<F>()
    }
}

/// Why a behavior has no result.
pub enum Failure {
    /// The body panicked, with this payload.
    Panicked(Panic),
    /// The behavior was cancelled before it ran, as its executor went away.
    Cancelled,
    /// A cown that it asked for was another behavior's result, and that one has none: it panicked, was
    /// cancelled, or its result was taken by [`Handle::wait`].
    Missing,
}

/// What a body panicked with.
///
/// Unlike the payload itself it may be shared between threads, and so be in an error that has to be.
///
/// ```
/// use bocage_core::{Cown, Failure, Inline, when_on};
///
/// fn doubled(cown: &Cown<i32>) -> Result<i32, Box<dyn std::error::Error + Send + Sync>> {
///     Ok(when_on(Inline, cown, |n| n.checked_mul(2).expect("a small number")).wait()?)
/// }
/// assert!(doubled(&Cown::new(i32::MAX)).unwrap_err().to_string().contains("a small number"));
///
/// let failed = when_on(Inline, (), |()| panic!("on purpose")).wait();
/// if let Err(Failure::Panicked(panic)) = failed {
///     assert_eq!(panic.message(), Some("on purpose"));
///     // To go on with it: `std::panic::resume_unwind(panic.into_inner())`.
///     assert_eq!(*panic.into_inner().downcast::<&str>().unwrap(), "on purpose");
/// }
/// ```
pub struct Panic(Box<dyn Any + Send>);

// SAFETY: shared, it gives its payload only as a type that may be shared.
unsafe impl Sync for Panic {}

impl Panic {
    pub(crate) fn new(payload: Box<dyn Any + Send>) -> Self {
        Self(payload)
    }

    /// The payload, as [`catch_unwind`](std::panic::catch_unwind) gives it.
    pub fn into_inner(self) -> Box<dyn Any + Send> {
        self.0
    }

    /// The payload, if it is of this type.
    pub fn downcast_ref<T: Any + Sync>(&self) -> Option<&T> {
        self.0.downcast_ref()
    }

    /// What the panic said, if that is text.
    pub fn message(&self) -> Option<&str> {
        self.downcast_ref::<&str>().copied().or_else(|| self.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Debug for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Panic").field(&self.message().unwrap_or(NO_TEXT)).finish()
    }
}

/// For a message.
const NO_TEXT: &str = "(a payload that is no text)";

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Panicked(panic) => write!(f, "the behavior panicked: {}", panic.message().unwrap_or(NO_TEXT)),
            Self::Cancelled => f.write_str("the behavior was cancelled before it ran"),
            Self::Missing => f.write_str("a cown that the behavior asked for holds no value"),
        }
    }
}

impl std::error::Error for Failure {}

/// A scheduled behavior's future result.
///
/// Dropping it changes nothing: the behavior runs all the same. A panic in its body then shows only in what the panic hook
/// prints, and in its cowns, which are [poisoned](crate::Guard::is_poisoned). Who wants no handle has less to do without
/// one: see [`spawn_on`].
pub struct Handle<R> {
    pub(crate) result: Cown<R>,
}

impl<R: Send + 'static> Handle<R> {
    /// Blocks the thread until the behavior is done, and takes its result.
    ///
    /// # Errors
    ///
    /// A [`Failure`] says why there is none.
    ///
    /// # Panics
    ///
    /// On a thread that runs behaviors for an executor and said so by
    /// [`enter_worker`](crate::enter_worker): it might wait for itself. Ask for the result's
    /// [`cown`](Handle::cown) in a further behavior instead.
    pub fn wait(self) -> Result<R, Failure> {
        worker::assert_may_block();
        let held = Claim::new(1, |slots| slots.want(Erased::new(&self.result).want)).wait();
        // SAFETY: the token holds the result's cown.
        unsafe { take(&self.result, &held) }
    }

    /// The result as a cown, which the behavior holds until it is done. Behaviors that ask for it run
    /// after, and not at all ([`Failure::Missing`]) if there is no value.
    pub fn cown(&self) -> Cown<R> {
        self.result.clone()
    }

    /// The result's cown, without a clone.
    pub fn into_cown(self) -> Cown<R> {
        self.result
    }
}

/// Takes the result.
///
/// # Safety
///
/// `_held` holds the cown, to write.
unsafe fn take<R>(result: &Cown<R>, _held: &Ready) -> Result<R, Failure> {
    let this = result.as_box();
    // SAFETY: held, so the flags and the storage are ours.
    unsafe {
        let CownBox { header, storage } = this.as_ref();
        let flags = header.flags();
        if flags & EMPTY == 0 {
            header.set_flags(flags | EMPTY);
            return Ok(ManuallyDrop::take(&mut (*storage.get()).value));
        }
        if flags & PANICKED != 0
            && let Some(payload) = CownBox::payload(this).as_mut().take()
        {
            return Err(Failure::Panicked(Panic::new(*payload)));
        }
        Err(if flags & MISSING != 0 { Failure::Missing } else { Failure::Cancelled })
    }
}

/// The future of a behavior's result, in any async runtime.
///
/// ```
/// use bocage_core::{Cown, Failure, Inline, when_on};
///
/// async fn double(cown: &Cown<u32>) -> Result<u32, Failure> {
///     when_on(Inline, cown, |n| *n * 2).await
/// }
/// ```
impl<R: Send + 'static> IntoFuture for Handle<R> {
    type Output = Result<R, Failure>;
    type IntoFuture = Outcome<R>;

    fn into_future(self) -> Outcome<R> {
        Outcome { result: self.result, claim: None, done: false }
    }
}

/// Waits for a behavior's result, which it takes; see [`Handle`]. Dropped before, it changes nothing for the
/// behavior, whose result is then lost.
///
/// # Panics
///
/// Polled again after it was done.
#[must_use = "a future does nothing unless it is awaited"]
pub struct Outcome<R> {
    result: Cown<R>,
    claim: Option<Claim>,
    done: bool,
}

impl<R: Send + 'static> Future for Outcome<R> {
    type Output = Result<R, Failure>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        assert!(!self.done, "a behavior's result was asked for again after it was taken");
        let Self { result, claim, done } = &mut *self;
        let claim = claim.get_or_insert_with(|| Claim::new(1, |slots| slots.want(Erased::new(result).want)));
        claim.poll(context).map(|held| {
            *done = true;
            // SAFETY: the token holds the result's cown.
            unsafe { take(result, &held) }
        })
    }
}

impl<R> fmt::Debug for Outcome<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Outcome({:?})", self.result.id())
    }
}

impl<R> fmt::Debug for Handle<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Handle({:?})", self.result.id())
    }
}
