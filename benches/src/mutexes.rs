//! What one would write without cowns: a task for each piece of code, on rayon's work-stealing pool, that
//! locks the mutexes it needs, in one order throughout.
//!
//! It promises less: tasks that share data run in any order, and a worker that waits for a mutex is lost to
//! the others meanwhile.

use std::sync::{Arc, Mutex};

use rayon_core::{Scope, ThreadPool, ThreadPoolBuilder};

use crate::engine::Engine;

/// rayon's tasks over mutexes.
#[derive(Debug)]
pub struct Mutexes;

const WHOLE: &str = "no body panics";

/// A pool of so many threads.
pub(crate) fn pool(workers: usize) -> ThreadPool {
    ThreadPoolBuilder::new().num_threads(workers).build().expect("threads can be started")
}

impl Engine for Mutexes {
    const NAME: &'static str = "rayon";
    type Place<'a> = &'a Scope<'static>;
    type Cown<T: Send + Sync + 'static> = Arc<Mutex<T>>;

    fn run(workers: usize, root: impl FnOnce(&Scope<'static>) + Send + 'static) {
        pool(workers).scope(root);
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Arc<Mutex<T>> {
        Arc::new(Mutex::new(value))
    }

    fn spawn(place: &Scope<'static>, body: impl FnOnce(&Scope<'static>) + Send + 'static) {
        place.spawn(body);
    }

    fn when<T: Send + Sync + 'static>(
        place: &Scope<'static>,
        cown: &Arc<Mutex<T>>,
        body: impl FnOnce(&Scope<'static>, &mut T) + Send + 'static,
    ) {
        let cown = cown.clone();
        place.spawn(move |place| body(place, &mut cown.lock().expect(WHOLE)));
    }

    fn when_both<T: Send + Sync + 'static>(
        place: &Scope<'static>,
        first: &Arc<Mutex<T>>,
        second: &Arc<Mutex<T>>,
        body: impl FnOnce(&Scope<'static>, &mut T, &mut T) + Send + 'static,
    ) {
        let (first, second) = (first.clone(), second.clone());
        place.spawn(move |place| {
            if Arc::as_ptr(&first) < Arc::as_ptr(&second) {
                let mut first = first.lock().expect(WHOLE);
                body(place, &mut first, &mut second.lock().expect(WHOLE));
            } else {
                let mut second = second.lock().expect(WHOLE);
                body(place, &mut first.lock().expect(WHOLE), &mut second);
            }
        });
    }

    fn when_all<T: Send + Sync + 'static>(
        place: &Scope<'static>,
        cowns: &[Arc<Mutex<T>>],
        mut each: impl FnMut(&mut T) + Send + 'static,
    ) {
        let mut cowns = cowns.to_vec();
        place.spawn(move |_| {
            cowns.sort_unstable_by_key(Arc::as_ptr);
            let mut values: Vec<_> = cowns.iter().map(|cown| cown.lock().expect(WHOLE)).collect();
            values.iter_mut().for_each(|value| each(value));
        });
    }
}
