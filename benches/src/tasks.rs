//! What one would write in an async program: a tokio task for each piece of code, that awaits the mutexes it
//! needs, in the order of their addresses.
//!
//! A task that waits frees its worker, so that, unlike with threads that block, waiting costs no core; the
//! mutex queues its tasks in the order in which they asked, which is not the order in which they were spawned.

use std::sync::Arc;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::{Mutex, oneshot};

use crate::engine::Engine;

/// tokio's tasks over tokio's mutexes.
#[derive(Debug)]
pub struct Tasks;

/// Held by every task: when the last one is gone, the other end of the channel knows.
type Open = Arc<oneshot::Sender<()>>;

/// A runtime of so many workers.
pub(crate) fn runtime(workers: usize) -> Runtime {
    Builder::new_multi_thread().worker_threads(workers).build().expect("threads can be started")
}

impl Engine for Tasks {
    const NAME: &'static str = "tokio";
    type Place<'a> = &'a Open;
    type Cown<T: Send + Sync + 'static> = Arc<Mutex<T>>;

    fn run(workers: usize, root: impl FnOnce(&Open) + Send + 'static) {
        runtime(workers).block_on(async {
            let (open, closed) = oneshot::channel();
            // Spawned, since the thread that blocks is none of the workers.
            tokio::spawn(async move { root(&Arc::new(open)) });
            closed.await.expect_err("nothing is ever sent");
        });
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Arc<Mutex<T>> {
        Arc::new(Mutex::new(value))
    }

    fn spawn(place: &Open, body: impl FnOnce(&Open) + Send + 'static) {
        let place = place.clone();
        tokio::spawn(async move { body(&place) });
    }

    fn when<T: Send + Sync + 'static>(
        place: &Open,
        cown: &Arc<Mutex<T>>,
        body: impl FnOnce(&Open, &mut T) + Send + 'static,
    ) {
        let (place, cown) = (place.clone(), cown.clone());
        tokio::spawn(async move { body(&place, &mut *cown.lock().await) });
    }

    fn when_both<T: Send + Sync + 'static>(
        place: &Open,
        first: &Arc<Mutex<T>>,
        second: &Arc<Mutex<T>>,
        body: impl FnOnce(&Open, &mut T, &mut T) + Send + 'static,
    ) {
        let (place, first, second) = (place.clone(), first.clone(), second.clone());
        tokio::spawn(async move {
            if Arc::as_ptr(&first) < Arc::as_ptr(&second) {
                let mut first = first.lock().await;
                body(&place, &mut first, &mut *second.lock().await);
            } else {
                let mut second = second.lock().await;
                body(&place, &mut *first.lock().await, &mut second);
            }
        });
    }

    fn when_all<T: Send + Sync + 'static>(
        place: &Open,
        cowns: &[Arc<Mutex<T>>],
        mut each: impl FnMut(&mut T) + Send + 'static,
    ) {
        let (place, mut cowns) = (place.clone(), cowns.to_vec());
        tokio::spawn(async move {
            cowns.sort_unstable_by_key(Arc::as_ptr);
            let mut values = Vec::with_capacity(cowns.len());
            for cown in &cowns {
                values.push(cown.lock().await);
            }
            values.iter_mut().for_each(|value| each(value));
            drop(place);
        });
    }
}
