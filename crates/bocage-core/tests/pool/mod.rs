//! A small executor for the tests: some threads around one queue.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::process;
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use bocage_core::{Executor, Ready, enter_worker};

/// Threads that run behaviors until the pool is dropped, and then what is left.
pub struct Pool {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

/// Where a successor goes that is handed over to one of the pool's threads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Successors {
    /// It runs next on that thread.
    Next,
    /// To the back of the queue, for any thread.
    Queue,
}

struct Queue {
    state: Mutex<State>,
    changed: Condvar,
    successors: Successors,
}

#[derive(Default)]
struct State {
    ready: VecDeque<Ready>,
    ends: bool,
}

/// Puts behaviors into a pool.
#[derive(Clone)]
pub struct Way(Arc<Queue>);

/// No test leaves a pool without work for that long.
const LIMIT: Duration = Duration::from_secs(60);

thread_local! {
    static NEXT: RefCell<Option<Ready>> = const { RefCell::new(None) };
    static IN_POOL: Cell<bool> = const { Cell::new(false) };
}

impl Pool {
    pub fn new(threads: usize, successors: Successors) -> Self {
        let queue = Arc::new(Queue { state: Mutex::default(), changed: Condvar::new(), successors });
        let threads = (0..threads).map(|_| {
            let queue = queue.clone();
            thread::spawn(move || queue.work())
        });
        Self { threads: threads.collect(), queue }
    }

    pub fn way(&self) -> Way {
        Way(self.queue.clone())
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.queue.state.lock().unwrap().ends = true;
        self.queue.changed.notify_all();
        for thread in self.threads.drain(..) {
            let ended = thread.join();
            assert!(ended.is_ok() || thread::panicking(), "a run never unwinds into its executor");
        }
    }
}

impl Queue {
    fn work(&self) {
        let _mark = enter_worker();
        IN_POOL.set(true);
        while let Some(ready) = NEXT.take().or_else(|| self.take()) {
            ready.run();
        }
    }

    fn take(&self) -> Option<Ready> {
        let mut state = self.state.lock().unwrap();
        loop {
            match state.ready.pop_front() {
                None if !state.ends => {
                    let (again, waited) = self.changed.wait_timeout(state, LIMIT).unwrap();
                    if waited.timed_out() {
                        // The test waits for a result that does not come, and can't be told in another way.
                        eprintln!("nothing became ready for {LIMIT:?}: a behavior is lost or in a deadlock");
                        process::abort();
                    }
                    state = again;
                }
                last => return last,
            }
        }
    }
}

impl Executor for Way {
    fn ready(&self, ready: Ready) {
        self.0.state.lock().unwrap().ready.push_back(ready);
        self.0.changed.notify_one();
    }

    fn handed_over(&self, ready: Ready) {
        let next_is_free = IN_POOL.get() && NEXT.with_borrow(Option::is_none);
        if self.0.successors == Successors::Next && next_is_free {
            NEXT.set(Some(ready));
        } else {
            self.ready(ready);
        }
    }
}
