//! Batches on a runtime: several behaviors scheduled in one step, each of them counted.
//!
//! A behavior is counted as scheduled when it is added, and so the runtime does not come to rest between that
//! and the end of the batch. Each brings its own executor, that of the runtime's workers or of the thread to which it is
//! pinned. How a batch gets in line stands in [`bocage_core::Batch`].

use std::fmt;

use bocage_core::{Handle, Receipt, Requests};

use crate::deterministic::{Program, watched};
use crate::error::Error;
use crate::pinned::Pinned;
use crate::pinned_requests::PinnedRequests;
use crate::runtime::RuntimeRef;

/// Behaviors to be scheduled in one step: what the closure of [`Runtime::batch`](crate::Runtime::batch) adds to.
#[must_use = "it is there to be added to"]
pub struct Batch {
    behaviors: bocage_core::Batch,
    on: On,
}

enum On {
    Runtime(RuntimeRef),
    Program(Program),
}

impl Batch {
    fn new(on: On) -> Self {
        Self { behaviors: bocage_core::Batch::new(), on }
    }

    /// Lets `add` add to a batch on `runtime`, and schedules it.
    pub(crate) fn on_runtime<T>(runtime: RuntimeRef, add: impl FnOnce(&mut Self) -> T) -> T {
        add(&mut Self::new(On::Runtime(runtime)))
    }

    /// The same, in a deterministic program.
    pub(crate) fn in_program<T>(program: &Program, add: impl FnOnce(&mut Self) -> T) -> T {
        let added = add(&mut Self::new(On::Program(program.clone())));
        program.pause();
        added
    }

    /// How many behaviors were added.
    pub fn len(&self) -> usize {
        self.behaviors.len()
    }

    /// Whether none was added.
    pub fn is_empty(&self) -> bool {
        self.behaviors.is_empty()
    }

    /// Adds a behavior: `body`, to run when all cowns of `requests` are acquired.
    ///
    /// # Panics
    ///
    /// As [`Runtime::when`](crate::Runtime::when). The behavior is not added then; those before it stay.
    pub fn when<Q, R, F>(&mut self, requests: Q, body: F) -> Handle<R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.try_when(requests, body).unwrap_or_else(|error| panic!("`when` in a batch: {error}"))
    }

    /// [`when`](Self::when), for a behavior whose result nobody asks for; see [`spawn_on`](bocage_core::spawn_on).
    ///
    /// # Panics
    ///
    /// As [`when`](Self::when).
    pub fn spawn<Q, F>(&mut self, requests: Q, body: F)
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.try_spawn(requests, body).unwrap_or_else(|error| panic!("`spawn` in a batch: {error}"));
    }

    /// [`when`](Self::when), for a runtime that may have stopped. With one behavior in the batch it can't stop any
    /// more, so that only the first can be refused.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_when<Q, R, F>(&mut self, requests: Q, body: F) -> Result<Handle<R>, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.add(requests, body)
    }

    /// [`spawn`](Self::spawn), for a runtime that may have stopped, as [`try_when`](Self::try_when) says.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`].
    pub fn try_spawn<Q, F>(&mut self, requests: Q, body: F) -> Result<(), Error>
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.add(requests, body)
    }

    fn add<Q, R, F, H>(&mut self, requests: Q, body: F) -> Result<H, Error>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        let Self { behaviors, on } = self;
        match on {
            On::Runtime(runtime) => {
                let admission = runtime.admit()?;
                let note = admission.note::<Q, F>(&requests);
                #[cfg(feature = "trace")]
                let body = crate::trace::labelled(&runtime.shared().tracer, &requests, body);
                Ok(admission.schedule(|executor| match note {
                    None => behaviors.schedule_on(executor, requests, body),
                    Some(note) => behaviors
                        .schedule_on(executor, requests, move |guards: Q::Guards<'_>| note.run(|| body(guards))),
                }))
            }
            On::Program(program) => {
                let note = program.note::<Q, F>(&requests);
                let body = move |guards: Q::Guards<'_>| note.run(|| watched(|| body(guards)));
                Ok(program.schedule(|executor| behaviors.schedule_on(executor, requests, body)))
            }
        }
    }

    /// Adds a behavior that is pinned `to` a thread, as [`Pinned::when`] schedules one. It runs there, for the runtime
    /// that `to` is of, whether the batch is on that one, on another, or in a [deterministic](crate::deterministic)
    /// program, which can't wait for it.
    ///
    /// # Panics
    ///
    /// As [`Pinned::when`]. The behavior is not added then; those before it stay.
    ///
    /// ```
    /// use bocage_core::Cown;
    /// use bocage_runtime::Runtime;
    /// use std::cell::Cell;
    /// use std::rc::Rc;
    ///
    /// let runtime = Runtime::new()?;
    /// let here = runtime.pinned()?;
    /// let (gauge, model) = (here.cown(Rc::new(Cell::new(0)))?, Cown::new(0));
    /// let shown = runtime.batch(|batch| {
    ///     batch.spawn(&model, |mut model| *model += 1);
    ///     // What is shown is what the batch made of it, whoever else has scheduled on `model`.
    ///     drop(batch.when_pinned(&here, (&gauge, &model), |(gauge, model)| gauge.set(*model)));
    ///     batch.when_pinned(&here, &gauge, |gauge| gauge.get())
    /// });
    /// assert_eq!(shown.wait().unwrap(), 1);
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn when_pinned<Q, R, F>(&mut self, to: &Pinned, requests: Q, body: F) -> Handle<R>
    where
        Q: PinnedRequests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.try_when_pinned(to, requests, body).unwrap_or_else(|error| panic!("a pinned `when` in a batch: {error}"))
    }

    /// [`when_pinned`](Self::when_pinned), for a runtime that may have stopped. As long as one of its behaviors is in
    /// the batch it can't stop.
    ///
    /// # Errors
    ///
    /// [`Error::Stopped`]; [`Error::WrongThread`] if a pinned cown belongs to another thread.
    pub fn try_when_pinned<Q, R, F>(&mut self, to: &Pinned, requests: Q, body: F) -> Result<Handle<R>, Error>
    where
        Q: PinnedRequests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        let prepared = to.prepare(&requests, body)?;
        Ok(prepared.schedule(|executor, requests, body| self.behaviors.when_on(executor, requests, body)))
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch").field("behaviors", &self.len()).finish()
    }
}
