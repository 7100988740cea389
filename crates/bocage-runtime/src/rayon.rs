//! Behaviors on a rayon thread pool: for programs whose threads are rayon's already.
//!
//! A behavior becomes one job of the pool. What a release makes ready is spawned by the pool's own thread that
//! released it, and so goes to the front of that thread's queue, its data still in the cache. `rayon::join`
//! and `rayon::scope` work inside a behavior: while it waits for its halves the thread may run other ready
//! behaviors on top of it, which have all their cowns already and so never wait for it. To block on a cown or a handle there
//! panics, as in any behavior.
//!
//! What runs there is named to a runtime's [`wait`](crate::Runtime::wait) that finds its own behaviors waiting for it.

use std::fmt;
use std::sync::Arc;

use bocage_core::{Executor, Outside, Ready, enter_worker};
use rayon_core::ThreadPool;

/// The thread is a worker meanwhile: what would block it, and might wait for what only it can run, is refused.
fn run(ready: Ready) {
    let _mark = enter_worker();
    Outside::run(ready);
}

/// Runs behaviors on rayon's global pool, or on the pool of the calling thread if it is one's worker.
///
/// ```
/// use bocage_core::{Cown, when_on};
/// use bocage_runtime::rayon::GlobalPool;
///
/// let numbers = Cown::new(vec![3, 1, 2]);
/// drop(when_on(GlobalPool, &numbers, |mut numbers| numbers.sort_unstable()));
/// let halves = when_on(GlobalPool, &numbers, |numbers| {
///     let (left, right) = numbers.split_at(1);
///     rayon_core::join(|| left.iter().sum::<i32>(), || right.iter().sum::<i32>())
/// });
/// assert_eq!(halves.wait().unwrap(), (1, 5));
/// ```
#[derive(Clone, Copy, Debug, Default)]
pub struct GlobalPool;

impl Executor for GlobalPool {
    fn ready(&self, ready: Ready) {
        rayon_core::spawn(|| run(ready));
    }
}

/// Runs behaviors on one rayon pool. Each behavior holds a reference to it; the last one that ends may be what
/// stops the pool.
#[derive(Clone)]
pub struct OwnPool(Arc<ThreadPool>);

impl OwnPool {
    /// On this pool.
    pub fn new(pool: Arc<ThreadPool>) -> Self {
        Self(pool)
    }
}

impl Executor for OwnPool {
    fn ready(&self, ready: Ready) {
        self.0.spawn(|| run(ready));
    }
}

impl fmt::Debug for OwnPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnPool").field(&self.0).finish()
    }
}
