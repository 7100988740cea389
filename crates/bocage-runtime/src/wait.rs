//! Waiting until a runtime has nothing left to do, and what is told if the time is over before. How it is known is in
//! [`crate::quiesce`].

use std::mem;
use std::ops::ControlFlow;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use crate::error::Error;
use crate::owner;
use crate::pending::Pending;
use crate::quiesce::{Goal, Tick, Unquiet};
use crate::runtime::{Runtime, is_in_behavior_of, stop};

/// A wait that was no longer than this tells of what is ready by its number only.
const WORTH_A_SEARCH: Duration = Duration::from_millis(1);

impl Runtime {
    /// Blocks until nothing is scheduled and unfinished, at most for `timeout`. What the behaviors did is
    /// then visible to the caller. The runtime goes on.
    ///
    /// Any number of threads may wait at once; all return when it is quiet.
    ///
    /// # Errors
    ///
    /// [`Error::Pending`] if the time is over; nothing is lost. [`Error::OnWorker`] on a worker of this
    /// runtime.
    pub fn quiesce(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.wait_for(Goal::Quiet, timeout, None)
    }

    /// [`quiesce`](Self::quiesce), calling `on_tick` on the waiting thread about once in each `tick`, until
    /// it breaks.
    ///
    /// # Errors
    ///
    /// As for [`quiesce`](Self::quiesce), and [`Error::Interrupted`] if `on_tick` breaks.
    pub fn quiesce_with(
        &self,
        timeout: Option<Duration>,
        tick: Duration,
        mut on_tick: impl FnMut() -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.wait_for(Goal::Quiet, timeout, Some((tick, &mut on_tick)))
    }

    /// Blocks until nothing is scheduled and unfinished, at most for `timeout`, and then stops: nothing more
    /// is accepted, and the workers have ended when this returns. (Their stop hooks take the time they take;
    /// `timeout` does not bound that.) If the time is over the runtime goes on as before. Once it has stopped,
    /// this returns at once.
    ///
    /// # Errors
    ///
    /// As for [`quiesce`](Self::quiesce).
    pub fn wait(&self, timeout: Option<Duration>) -> Result<(), Error> {
        self.wait_for(Goal::Closed, timeout, None)
    }

    /// [`wait`](Self::wait), calling `on_tick` on the waiting thread about once in each `tick`, until it
    /// breaks.
    ///
    /// # Errors
    ///
    /// As for [`quiesce_with`](Self::quiesce_with).
    pub fn wait_with(
        &self,
        timeout: Option<Duration>,
        tick: Duration,
        mut on_tick: impl FnMut() -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.wait_for(Goal::Closed, timeout, Some((tick, &mut on_tick)))
    }

    /// Whether it comes to rest within so long: [`quiesce`](Self::quiesce), for whoever has something to do now and then, and asks
    /// again. If it does not, nothing is found out of what is left; that is for [`look`](Self::look).
    ///
    /// # Errors
    ///
    /// [`Error::OnWorker`].
    ///
    /// ```
    /// use bocage_core::{Cown, acquire};
    /// use bocage_runtime::Runtime;
    /// use std::time::Duration;
    ///
    /// let (runtime, cown) = (Runtime::new()?, Cown::new(1));
    /// let held = acquire(&cown).wait();
    /// runtime.spawn(&cown, |mut cown| *cown += 1);
    /// assert!(!runtime.rests_within(Duration::from_millis(1))?);
    /// assert_eq!(runtime.look().behaviors, 1);
    /// drop(held);
    /// while !runtime.stops_within(Duration::from_secs(1))? {}
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn rests_within(&self, timeout: Duration) -> Result<bool, Error> {
        Ok(self.reach(Goal::Quiet, Some(timeout), None)?.is_ok())
    }

    /// Whether it comes to rest within so long, and then stops: [`wait`](Self::wait), as [`rests_within`](Self::rests_within) is to
    /// `quiesce`.
    ///
    /// # Errors
    ///
    /// [`Error::OnWorker`].
    pub fn stops_within(&self, timeout: Duration) -> Result<bool, Error> {
        Ok(self.reach(Goal::Closed, Some(timeout), None)?.is_ok())
    }

    /// What is left to do now, as a wait that expires tells it. Threads that run behaviors may have to stand still meanwhile, and
    /// what is ready changes places, so this is not to be asked for all the time.
    pub fn look(&self) -> Pending {
        self.reference.shared().pending(true)
    }

    fn wait_for(&self, goal: Goal, timeout: Option<Duration>, tick: Option<Tick<'_>>) -> Result<(), Error> {
        self.reach(goal, timeout, tick)?.map_err(|why| {
            // Who asks again and again, and hardly waits, is not to mix up the queues each time.
            let pending = self.reference.shared().pending(timeout.is_none_or(|timeout| timeout >= WORTH_A_SEARCH));
            match why {
                Unquiet::Expired => Error::Pending(pending),
                Unquiet::Interrupted => Error::Interrupted(pending),
            }
        })
    }

    /// Waits for the goal, and does what is to be done when it is reached.
    fn reach(
        &self,
        goal: Goal,
        timeout: Option<Duration>,
        tick: Option<Tick<'_>>,
    ) -> Result<Result<(), Unquiet>, Error> {
        let shared = self.reference.shared();
        if is_in_behavior_of(shared) {
            return Err(Error::OnWorker);
        }
        // A time that is too far away to be told is as good as none.
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let reached = owner::wait(&shared.ledger, goal, deadline, tick);
        if reached.is_ok() && goal == Goal::Closed {
            // Whoever comes second waits here until the first has joined them all.
            let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
            stop(shared, mem::take(&mut threads));
        }
        Ok(reached)
    }
}
