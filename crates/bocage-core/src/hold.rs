//! Acquisition without a behavior: a future, or a thread, that waits for cowns and then holds them.

use core::fmt;
use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::thread;

use crate::acquire::claim_now;
use crate::behavior::Header;
use crate::cown::Cown;
use crate::executor::Ready;
use crate::handle::{Failure, fill};
use crate::mailbox::Claim;
use crate::outside::Shown;
use crate::request::{Held, Requests};
use crate::worker;

/// Asks for all cowns of `requests` at once: `.await` it in any async runtime, or [`wait`](Acquire::wait) for it on a
/// plain thread. It then holds them, in the order in which behaviors do, until the [`Acquired`] is dropped.
///
/// It gets in line when it is first polled, or waited for. It may be dropped at any moment. If it is in line then, its
/// place stays there until its turn comes on all its cowns, and is given up at once: for those behind it, it is a
/// behavior that does nothing.
///
/// No choice of cowns in one call can deadlock. Two calls can, like two locks: who holds cowns and waits for others
/// may wait for somebody who waits for him. So ask for all that is needed in one call.
///
/// One allocation for its places in the queues and one to be told, whatever the number of cowns. Having to wait takes
/// one more, or two if it is a thread that waits.
///
/// ```
/// use bocage_core::{Cown, acquire, read};
///
/// let (account, rate) = (Cown::new(200), Cown::new(3));
/// # fn block_on<F: Future>(future: F) -> F::Output {
/// #     let mut future = std::pin::pin!(future);
/// #     let mut context = std::task::Context::from_waker(std::task::Waker::noop());
/// #     loop {
/// #         if let std::task::Poll::Ready(out) = future.as_mut().poll(&mut context) {
/// #             return out;
/// #         }
/// #     }
/// # }
/// # block_on(async {
/// let mut held = acquire((&account, read(&rate))).await;
/// let (mut account, rate) = held.guards();
/// *account += *account * *rate / 100;
/// assert_eq!(*account, 206);
/// # });
/// ```
pub fn acquire<Q: Requests>(requests: Q) -> Acquire<Q> {
    Acquire(State::Asks(requests))
}

/// Takes one cown to write if nobody holds it or waits for it. Nothing is waited for, not even for a thread that is about to
/// do the same and may yet fail.
///
/// One allocation, if the cown seems to be free.
///
/// ```
/// use bocage_core::{Cown, Inline, try_acquire, when_on};
///
/// let cown = Cown::new(1);
/// let mut held = try_acquire(&cown).expect("nobody has it");
/// assert!(try_acquire(&cown).is_none());
/// let later = when_on(Inline, &cown, |cown| *cown);
/// *held.guards() += 1;
/// drop(held);
/// assert_eq!(later.wait().unwrap(), 2);
/// ```
pub fn try_acquire<T: Send + 'static>(cown: &Cown<T>) -> Option<Acquired<&'static Cown<T>>> {
    claim_now(cown).map(|token| Acquired::new((), token))
}

/// The future that [`acquire`] gives.
///
/// # Panics
///
/// Polled again after it was done.
#[must_use = "nothing is acquired before this is awaited, or waited for"]
pub struct Acquire<Q: Requests>(State<Q>);

enum State<Q: Requests> {
    Asks(Q),
    Waits(Claim, Q::Shape),
    Done,
}

impl<Q: Requests> State<Q> {
    /// In line, if it was not so before.
    fn enqueued(self) -> (Claim, Q::Shape) {
        match self {
            Self::Asks(requests) => (Claim::new(requests.count(), |slots| fill(&requests, slots)), requests.shape()),
            Self::Waits(claim, shape) => (claim, shape),
            Self::Done => panic!("an acquisition was polled again after it was done"),
        }
    }
}

impl<Q: Requests> Acquire<Q> {
    /// Blocks the thread until the cowns are acquired.
    ///
    /// # Panics
    ///
    /// As the future does, and on a thread that runs behaviors for an executor and said so by
    /// [`enter_worker`](crate::enter_worker): it might wait for itself. Schedule a behavior there instead.
    ///
    /// ```
    /// use bocage_core::{Cown, acquire};
    ///
    /// let cown = Cown::new(String::from("a"));
    /// acquire(&cown).wait().guards().push('b');
    /// assert_eq!(*acquire(&cown).wait().guards(), "ab");
    /// ```
    pub fn wait(self) -> Acquired<Q::Lasting> {
        worker::assert_may_block();
        let (claim, shape) = self.0.enqueued();
        Acquired::new(shape, claim.wait())
    }
}

// Nothing in it is pinned.
impl<Q: Requests> Unpin for Acquire<Q> {}

impl<Q: Requests> Future for Acquire<Q> {
    type Output = Acquired<Q::Lasting>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Acquired<Q::Lasting>> {
        let (mut claim, shape) = mem::replace(&mut self.0, State::Done).enqueued();
        match claim.poll(context) {
            Poll::Ready(token) => Poll::Ready(Acquired::new(shape, token)),
            Poll::Pending => {
                self.0 = State::Waits(claim, shape);
                Poll::Pending
            }
        }
    }
}

impl<Q: Requests> fmt::Debug for Acquire<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = match self.0 {
            State::Asks(_) => "not in line yet",
            State::Waits(..) => "in line",
            State::Done => "done",
        };
        f.debug_tuple("Acquire").field(&format_args!("{state}")).finish()
    }
}

/// Cowns that are held, until this is dropped. It may go to another thread, and across an `.await`, and be there longer than
/// the handles that were asked with: hence its type is that of [requests that borrow from nobody](Requests::Lasting).
///
/// ```
/// use bocage_core::{Acquired, Cown, acquire};
///
/// fn locked(value: i32) -> Acquired<&'static Cown<i32>> {
///     acquire(&Cown::new(value)).wait()
/// }
/// let mut held = locked(1);
/// std::thread::spawn(move || assert_eq!(*held.guards(), 1)).join().unwrap();
/// ```
///
/// Dropped by a panic, it poisons the cowns that it held to write, as a behavior's panic does.
///
/// Its guards borrow from it, so that none of them outlives the acquisition:
///
/// ```compile_fail,E0505
/// use bocage_core::{Cown, acquire};
///
/// let cown = Cown::new(1);
/// let mut held = acquire(&cown).wait();
/// let guard = held.guards();
/// drop(held);
/// assert_eq!(*guard, 1);
/// ```
#[must_use = "dropped, it releases the cowns"]
pub struct Acquired<Q: Requests> {
    shape: Q::Shape,
    /// Holds the cowns.
    token: Shown,
    /// A panic was under way already when they were acquired.
    panicking: bool,
}

// SAFETY: shared, it only shows that it is there.
unsafe impl<Q: Requests> Sync for Acquired<Q> {}

impl<Q: Requests> Acquired<Q> {
    fn new(shape: Q::Shape, token: Ready) -> Self {
        Self { shape, token: Shown::new(token), panicking: thread::panicking() }
    }

    /// The guards, in the shape of the requests. One may ask for them again when they are gone.
    ///
    /// # Panics
    ///
    /// If one of the cowns holds no value, which only the result of a behavior can lack: see
    /// [`try_guards`](Acquired::try_guards).
    pub fn guards(&mut self) -> Q::Guards<'_> {
        self.try_guards().unwrap_or_else(|_| {
            panic!(
                "a cown that was acquired holds no value: the behavior whose result it is panicked or was cancelled, or the result was taken. Use `try_guards` to find out"
            )
        })
    }

    /// The guards, if all cowns hold values.
    ///
    /// # Errors
    ///
    /// [`Failure::Missing`] if one of them is the result of a behavior that panicked or was cancelled, or was taken.
    pub fn try_guards(&mut self) -> Result<Q::Guards<'_>, Failure> {
        let header = self.token.ready().header();
        // SAFETY: the token keeps the block, and holds the cowns.
        if unsafe { Header::misses_values(header) } {
            return Err(Failure::Missing);
        }
        // SAFETY: the token holds the cowns as long as `self` is borrowed, and they have values. Other guards would
        // keep `self` borrowed.
        Ok(unsafe { Q::guards(&self.shape, &mut Held::new(Header::slots(header))) })
    }
}

impl<Q: Requests> Drop for Acquired<Q> {
    fn drop(&mut self) {
        if thread::panicking() && !self.panicking {
            // SAFETY: the token keeps the block, and holds the cowns.
            unsafe { Header::poison(self.token.ready().header()) };
        }
    }
}

impl<Q: Requests> fmt::Debug for Acquired<Q> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquired").finish_non_exhaustive()
    }
}
