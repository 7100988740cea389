//! What the standard library leads to: plain threads, one queue under a lock, and a mutex (`parking_lot`'s) for
//! each cown, taken in the order of their addresses.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::thread::{self, Scope};

use parking_lot::{Condvar, Mutex};

use crate::engine::Engine;

/// Threads over mutexes.
#[derive(Debug)]
pub struct Threads;

pub(crate) type Task = Box<dyn FnOnce() + Send>;

#[derive(Default)]
struct Pool {
    state: Mutex<State>,
    wake: Condvar,
}

#[derive(Default)]
struct State {
    tasks: VecDeque<Task>,
    /// In the queue or running.
    unfinished: usize,
    sleeping: usize,
}

impl Pool {
    fn start<'scope>(self: &Arc<Self>, workers: usize, scope: &'scope Scope<'scope, '_>) {
        for _ in 0..workers {
            let pool = self.clone();
            scope.spawn(move || {
                POOL.set(pool.clone());
                pool.work();
            });
        }
    }

    fn push(&self, task: Task) {
        let mut state = self.state.lock();
        state.unfinished += 1;
        state.tasks.push_back(task);
        if state.sleeping > 0 {
            drop(state);
            self.wake.notify_one();
        }
    }

    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(task) = state.tasks.pop_front() {
                drop(state);
                task();
                state = self.state.lock();
                state.unfinished -= 1;
            } else if state.unfinished == 0 {
                self.wake.notify_all();
                return;
            } else {
                state.sleeping += 1;
                self.wake.wait(&mut state);
                state.sleeping -= 1;
            }
        }
    }
}

/// Runs `outside` on this thread beside so many workers that wait for what it pushes, and stops them.
pub(crate) fn attended<R>(workers: usize, outside: impl FnOnce(&dyn Fn(Task)) -> R) -> R {
    let pool = Arc::new(Pool::default());
    // Stands for a task that may come yet: the workers would leave an empty pool.
    pool.state.lock().unfinished += 1;
    thread::scope(|scope| {
        pool.start(workers, scope);
        let result = outside(&|task| pool.push(task));
        pool.state.lock().unfinished -= 1;
        pool.wake.notify_all();
        result
    })
}

thread_local! {
    static POOL: RefCell<Arc<Pool>> = RefCell::default();
}

fn push(task: impl FnOnce() + Send + 'static) {
    POOL.with_borrow(|pool| pool.push(Box::new(task)));
}

impl Engine for Threads {
    const NAME: &'static str = "threads";
    type Place<'a> = ();
    type Cown<T: Send + Sync + 'static> = Arc<Mutex<T>>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        let pool = Arc::new(Pool::default());
        pool.push(Box::new(|| root(())));
        thread::scope(|scope| pool.start(workers, scope));
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Arc<Mutex<T>> {
        Arc::new(Mutex::new(value))
    }

    fn spawn((): (), body: impl FnOnce(()) + Send + 'static) {
        push(|| body(()));
    }

    fn when<T: Send + Sync + 'static>((): (), cown: &Self::Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        let cown = cown.clone();
        push(move || body((), &mut cown.lock()));
    }

    fn when_both<T: Send + Sync + 'static>(
        (): (),
        first: &Self::Cown<T>,
        second: &Self::Cown<T>,
        body: impl FnOnce((), &mut T, &mut T) + Send + 'static,
    ) {
        let (first, second) = (first.clone(), second.clone());
        push(move || {
            if Arc::as_ptr(&first) < Arc::as_ptr(&second) {
                let mut first = first.lock();
                body((), &mut first, &mut second.lock());
            } else {
                let mut second = second.lock();
                body((), &mut first.lock(), &mut second);
            }
        });
    }

    fn when_all<T: Send + Sync + 'static>(
        (): (),
        cowns: &[Self::Cown<T>],
        mut each: impl FnMut(&mut T) + Send + 'static,
    ) {
        let mut cowns = cowns.to_vec();
        push(move || {
            cowns.sort_unstable_by_key(Arc::as_ptr);
            let mut values: Vec<_> = cowns.iter().map(|cown| cown.lock()).collect();
            values.iter_mut().for_each(|value| each(value));
        });
    }
}
