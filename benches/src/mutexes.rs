//! What one would write without cowns: a task for each piece of code, on rayon's work-stealing pool, that
//! locks the mutexes it needs, in one order throughout.
//!
//! It promises less: tasks that share data run in any order, and a worker that waits for a mutex is lost to
//! the others meanwhile.

use std::sync::{Arc, Mutex};

use rayon_core::{Scope, ThreadPoolBuilder};

use crate::engine::Engine;

/// rayon's tasks over mutexes.
#[derive(Debug)]
pub struct Mutexes;

const WHOLE: &str = "no body panics";

impl Engine for Mutexes {
    const NAME: &'static str = "rayon+mutex";
    type Place<'a> = &'a Scope<'static>;
    type Cown<T: Send + 'static> = Arc<Mutex<T>>;

    fn run(workers: usize, root: impl FnOnce(&Scope<'static>) + Send + 'static) {
        let pool = ThreadPoolBuilder::new().num_threads(workers).build().expect("threads can be started");
        pool.scope(root);
    }

    fn cown<T: Send + 'static>(value: T) -> Arc<Mutex<T>> {
        Arc::new(Mutex::new(value))
    }

    fn when<T: Send + 'static>(
        place: &Scope<'static>,
        cown: &Arc<Mutex<T>>,
        body: impl FnOnce(&Scope<'static>, &mut T) + Send + 'static,
    ) {
        let cown = cown.clone();
        place.spawn(move |place| body(place, &mut cown.lock().expect(WHOLE)));
    }

    fn when_both<T: Send + 'static>(
        place: &Scope<'static>,
        first: &Arc<Mutex<T>>,
        second: &Arc<Mutex<T>>,
        body: impl FnOnce(&mut T, &mut T) + Send + 'static,
    ) {
        let (first, second) = (first.clone(), second.clone());
        place.spawn(move |_| {
            if Arc::as_ptr(&first) < Arc::as_ptr(&second) {
                let mut first = first.lock().expect(WHOLE);
                body(&mut first, &mut second.lock().expect(WHOLE));
            } else {
                let mut second = second.lock().expect(WHOLE);
                body(&mut first.lock().expect(WHOLE), &mut second);
            }
        });
    }
}
