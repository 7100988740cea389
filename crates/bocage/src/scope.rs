//! Scopes on the default runtime.

use bocage_core::{Requests, ScopedHandle};

use crate::default::Place;

/// Opens a scope for behaviors whose bodies borrow from the stack, and returns when all of them are done, with their
/// cowns released: also those that they scheduled in it, and also if `f` panics.
///
/// # Panics
///
/// - In a behavior, before anything else: a worker that waits for others might wait for itself.
/// - At the end, as `f` did; or else, if a body panicked and nobody [waited](ScopedHandle::wait) for its handle, and so
///   took the panic.
///
/// ```
/// use bocage::{Cown, scope};
///
/// let words = vec!["some", "words"];
/// let (letters, mut longest) = (Cown::new(0), 0);
/// scope(|s| {
///     for word in &words {
///         s.when(&letters, move |mut letters| *letters += word.len());
///     }
///     s.when((), |()| longest = words.iter().map(|word| word.len()).max().unwrap_or(0));
/// });
/// assert_eq!((longest, *bocage::acquire(&letters).wait().guards()), (5, 9));
/// ```
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(Scope<'scope, 'env>) -> T,
{
    bocage_core::scope(|scope| f(Scope(scope)))
}

/// What [`scope`] gives to its closure; bodies may have copies of it.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'scope, 'env: 'scope>(&'scope bocage_core::Scope<'scope, 'env>);

impl<'scope> Scope<'scope, '_> {
    /// As [`when`](crate::when), for a body that may borrow what outlives the scope. Its result may not borrow: it can
    /// itself outlive the scope.
    ///
    /// # Panics
    ///
    /// As [`when`](crate::when).
    pub fn when<Q, R, F>(self, requests: Q, body: F) -> ScopedHandle<'scope, R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'scope,
    {
        match Place::current() {
            Place::Runtime(runtime) => bocage_runtime::Scope::new(self.0, runtime).when(requests, body),
            Place::Program(program) => program.when_in(self.0, requests, body),
        }
    }
}
