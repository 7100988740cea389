//! Scopes on a runtime: behaviors whose bodies borrow from the stack, each of them counted. How a scope knows that all
//! of them are done stands in [`bocage_core::scope`].

use std::fmt;

use bocage_core::{Requests, ScopedHandle};

use crate::runtime::{Runtime, RuntimeRef};

impl Runtime {
    /// Opens a scope for behaviors on this runtime whose bodies borrow from the stack, and returns when all of them are
    /// done, with their cowns released: also those that they scheduled in it, and also if `f` panics.
    ///
    /// The thread blocks at the scope's end. It must not hold cowns then that the behaviors wait for.
    ///
    /// # Panics
    ///
    /// - In a behavior, of whatever runtime, before anything else: a worker that waits for others might wait for itself.
    /// - At the end, as `f` did; or else, if a body panicked and nobody [waited](ScopedHandle::wait) for its handle, and
    ///   so took the panic.
    ///
    /// ```
    /// use bocage_core::Cown;
    /// use bocage_runtime::Runtime;
    ///
    /// let runtime = Runtime::new()?;
    /// let words = vec!["some", "words"];
    /// let (letters, mut longest) = (Cown::new(0), 0);
    /// runtime.scope(|s| {
    ///     for word in &words {
    ///         s.when(&letters, move |mut letters| *letters += word.len());
    ///     }
    ///     s.when((), |()| longest = words.iter().map(|word| word.len()).max().unwrap_or(0));
    /// });
    /// assert_eq!((longest, *bocage_core::acquire(&letters).wait().guards()), (5, 9));
    /// # Ok::<(), bocage_runtime::Error>(())
    /// ```
    pub fn scope<'env, F, T>(&self, f: F) -> T
    where
        F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
    {
        self.reference().scope(f)
    }
}

impl RuntimeRef {
    /// As [`Runtime::scope`].
    ///
    /// # Panics
    ///
    /// As [`Runtime::scope`].
    pub fn scope<'env, F, T>(&self, f: F) -> T
    where
        F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
    {
        bocage_core::scope(|scope| f(Scope::new(scope, *self)))
    }
}

/// What [`Runtime::scope`] gives to its closure; bodies may have copies of it.
#[derive(Clone, Copy)]
pub struct Scope<'scope, 'env: 'scope> {
    behaviors: &'scope bocage_core::Scope<'scope, 'env>,
    runtime: RuntimeRef,
}

impl<'scope, 'env> Scope<'scope, 'env> {
    /// Schedules on `runtime` what is joined by the core's `scope`.
    pub fn new(scope: &'scope bocage_core::Scope<'scope, 'env>, runtime: RuntimeRef) -> Self {
        Self { behaviors: scope, runtime }
    }

    /// As [`Runtime::when`], for a body that may borrow what outlives the scope. Its result may not borrow: it can itself
    /// outlive the scope.
    ///
    /// # Panics
    ///
    /// As [`Runtime::when`].
    pub fn when<Q, R, F>(self, requests: Q, body: F) -> ScopedHandle<'scope, R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'scope,
    {
        let admitted = self.runtime.admit();
        let admission = admitted.unwrap_or_else(|error| panic!("`when` in a scope: {error}"));
        let note = admission.note::<Q, F>(&requests);
        #[cfg(feature = "trace")]
        let body = {
            let label = self.runtime.label::<Q, F>(&requests);
            move |guards: Q::Guards<'_>| {
                crate::trace::begin(label);
                body(guards)
            }
        };
        admission.schedule(|executor| match note {
            None => self.behaviors.when_on(executor, requests, body),
            Some(note) => {
                self.behaviors.when_on(executor, requests, move |guards: Q::Guards<'_>| note.run(|| body(guards)))
            }
        })
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scope").field("behaviors", self.behaviors).field("runtime", &self.runtime).finish()
    }
}
