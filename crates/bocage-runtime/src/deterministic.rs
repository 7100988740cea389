//! Deterministic programs: one thread, and a seed that says which behavior comes next.
//!
//! A concurrent program that goes wrong once in a thousand runs is hard to mend. [`explore`] runs it under one seed
//! after the other, all on the calling thread. Under each, whenever there is a choice of what comes next, the seed
//! makes it. If an assertion fails, in the program or in a behavior, the panic names the seed, and [`replay`] runs
//! the program in that very order again, as often as one likes.
//!
//! ```
//! use bocage_core::Cown;
//! use bocage_runtime::deterministic::{Program, explore, replay};
//!
//! fn here() -> Program {
//!     Program::current().expect("run by `explore` or `replay`")
//! }
//!
//! /// Adds one, but reads in one behavior and writes in another: something may come in between.
//! fn add_one(count: &Cown<u32>) {
//!     let again = count.clone();
//!     drop(here().when(count, move |count| {
//!         let seen = *count;
//!         drop(here().when(&again, move |mut count| *count = seen + 1));
//!     }));
//! }
//!
//! fn program() {
//!     let count = Cown::new(0);
//!     add_one(&count);
//!     add_one(&count);
//!     here().quiesce().unwrap();
//!     assert_eq!(here().when(&count, |count| *count).wait().unwrap(), 2, "an update was lost");
//! }
//!
//! let found = std::panic::catch_unwind(|| explore(0..1000, program)).unwrap_err();
//! let message = found.downcast_ref::<String>().unwrap();
//! assert!(message.contains("an update was lost"));
//! # let seed: u64 = message.split("seed ").nth(1).unwrap().split(':').next().unwrap().parse().unwrap();
//! // The message names the seed.
//! assert!(message.contains(&format!("replay({seed}, ")));
//! assert!(std::panic::catch_unwind(|| replay(seed, program)).is_err());
//! ```
//!
//! # What is chosen
//!
//! Behaviors become ready as they do on any executor: in the order of scheduling on each cown. From those that are
//! ready the seed picks the next one, each with the same probability. It does so
//!
//! - when the program waits for a handle or awaits it, until that one is done, and perhaps some more;
//! - when the program is over, until nothing is left;
//! - after each `when` or batch, in the program and in bodies: as on a machine of many processors, others may have run
//!   before the next line does. How eager they are (from never to mostly) the seed says too.
//!
//! So any order in which the behaviors could start and end one after another can be had. Not explored is what needs
//! two bodies to take turns more than once, nor what atomics and locks of the program's own do in between.
//!
//! # What is asked of the program
//!
//! - It schedules by `bocage::when`, or by [`Program::when`]; what it schedules on a [`Runtime`](crate::Runtime) runs
//!   there, on real threads.
//! - Its cowns are its own: what it waits for must come about on this thread, or the wait panics. What it awaits is polled again
//!   and again until it does.
//! - It holds no lock and no `RefCell` borrow across a `when` that a behavior takes as well: that one may run
//!   right there, on the same thread.
//! - It does the same each time, if the order is the same: time, random numbers and addresses must not decide.
//! - A panic in a behavior is a failure, also if the program looks at its handle. One that is meant is to be caught
//!   in the body.

use std::any::type_name;
use std::cell::{Cell, RefCell};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use bocage_core::{
    Executor, Handle, Ready, Receipt, Requests, Scope, ScopedHandle, enter_worker, help_while_waiting, schedule_on,
    step_while_polled,
};

use crate::batch::Batch;
use crate::error::Error;
use crate::pending::{Note, Pending, Register};
use crate::runtime::RuntimeRef;
use crate::steal::Dice;
use crate::worker::panic_text;

/// How deep bodies may run inside each other's `when`: deep enough for any order that a small program shows, and no
/// danger to the stack.
const DEPTH: usize = 16;

/// Eagerness is in parts of this: how probable it is that one more behavior runs before the program goes on.
const CERTAIN: usize = 16;

/// The eagernesses that seeds choose from. Never: all that the program schedules before it waits is in line before
/// any of it runs. Mostly: what can be done is nearly always done at once.
const EAGERNESS: [usize; 4] = [0, 2, 8, 13];

/// Runs `program` once for each seed, until one makes it fail.
///
/// Takes as long as that many runs; nothing runs in parallel.
///
/// # Panics
///
/// If the program or a behavior panics, with a message that names the seed; if a behavior is left that can never
/// run, since somebody holds its cown and does not give it up; in a behavior, or in another deterministic program.
#[track_caller]
pub fn explore(seeds: impl IntoIterator<Item = u64>, mut program: impl FnMut()) {
    for seed in seeds {
        replay(seed, &mut program);
    }
}

/// Runs `program`, and all its behaviors to the last, on this thread, in the order that `seed` stands for.
///
/// # Panics
///
/// As [`explore`].
#[track_caller]
pub fn replay<T>(seed: u64, program: impl FnOnce() -> T) -> T {
    assert!(
        RuntimeRef::current().is_none() && Program::current().is_none(),
        "a deterministic program can't be run in a behavior, nor in another deterministic program: it takes the whole thread"
    );
    match run(seed, program) {
        Ok(value) => value,
        Err(why) => {
            panic!("the program fails with seed {seed}: {why}\n`replay({seed}, program)` runs it in the same order")
        }
    }
}

fn run<T>(seed: u64, program: impl FnOnce() -> T) -> Result<T, String> {
    let entered = Entered::new(seed);
    let _helping = help_while_waiting(help);
    let _stepping = step_while_polled(step);
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        let value = program();
        // What can never run is told below.
        let _ = entered.0.quiesce();
        value
    }));
    let Run { failure, unfinished, register, .. } = &*entered.0.0;
    match (failure.take(), outcome) {
        // What a behavior says comes first: it may be why the program failed in turn.
        (Some(why), _) => Err(why),
        (None, Err(panic)) => Err(panic_text(&*panic).to_owned()),
        (None, Ok(_)) if unfinished.get() > 0 => Err(format!(
            "some of its behaviors can never run, since a cown that they ask for is held and not given up: {}",
            Pending::noted(unfinished.get(), register)
        )),
        (None, Ok(value)) => Ok(value),
    }
}

/// The deterministic program that runs on this thread. Clones are the same one.
#[derive(Clone)]
pub struct Program(Rc<Run>);

struct Run {
    seed: u64,
    ready: Arc<ReadySet>,
    dice: Dice,
    eagerness: usize,
    /// The number of the next behavior.
    next: Cell<u64>,
    unfinished: Cell<u64>,
    register: Arc<Register>,
    /// How many bodies run, inside each other.
    depth: Cell<usize>,
    /// What the first panic of a behavior said.
    failure: RefCell<Option<String>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Program>> = const { RefCell::new(None) };
}

/// Makes a program the current one until it is dropped.
struct Entered(Program);

impl Entered {
    fn new(seed: u64) -> Self {
        let dice = Dice::new(seed);
        let eagerness = EAGERNESS[dice.below(EAGERNESS.len())];
        let program = Program(Rc::new(Run {
            seed,
            ready: Arc::default(),
            dice,
            eagerness,
            next: Cell::new(0),
            unfinished: Cell::new(0),
            register: Arc::new(Register::new(1)),
            depth: Cell::new(0),
            failure: RefCell::new(None),
        }));
        CURRENT.set(Some(program.clone()));
        Self(program)
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        CURRENT.set(None);
        self.0.0.ready.close();
    }
}

/// What the thread does while the program waits.
fn help() -> bool {
    let Some(program) = Program::current() else { return false };
    assert!(
        program.step(),
        "a deterministic program waits for what none of its behaviors can bring about: the handle of a batch that is not \
         scheduled yet, or a cown that this thread or another one holds"
    );
    program.pause();
    true
}

/// What the thread does while the program polls a future of ours that is not ready.
fn step() -> bool {
    Program::current().is_some_and(|program| program.step())
}

impl Program {
    /// The one whose [`explore`] or [`replay`] runs on the calling thread.
    pub fn current() -> Option<Self> {
        // A thread that is ending has no locals any more, and runs no program.
        CURRENT.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// The seed that it runs with.
    pub fn seed(&self) -> u64 {
        self.0.seed
    }

    fn in_behavior(&self) -> bool {
        self.0.depth.get() > 0
    }

    /// Schedules `body` to run when all cowns of `requests` are acquired; see [`when_on`](bocage_core::when_on). Others, or this one, may
    /// run before it returns.
    pub fn when<Q, R, F>(&self, requests: Q, body: F) -> Handle<R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
    {
        self.put(requests, body)
    }

    /// [`when`](Self::when), for a behavior whose result nobody asks for; see [`spawn_on`](bocage_core::spawn_on).
    pub fn spawn<Q, F>(&self, requests: Q, body: F)
    where
        Q: Requests,
        F: for<'a> FnOnce(Q::Guards<'a>) + Send + 'static,
    {
        self.put(requests, body)
    }

    fn put<Q, R, F, H>(&self, requests: Q, body: F) -> H
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
        H: Receipt<R>,
    {
        let note = self.note::<Q, F>(&requests);
        let body = move |guards: Q::Guards<'_>| note.run(|| watched(|| body(guards)));
        let receipt = self.schedule(|executor| schedule_on(executor, requests, body));
        self.pause();
        receipt
    }

    /// [`when`](Self::when) in a scope of the core's, for a body that may borrow what outlives that.
    pub fn when_in<'scope, Q, R, F>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        requests: Q,
        body: F,
    ) -> ScopedHandle<'scope, R>
    where
        Q: Requests,
        R: Send + 'static,
        F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'scope,
    {
        let note = self.note::<Q, F>(&requests);
        let body = move |guards: Q::Guards<'_>| note.run(|| watched(|| body(guards)));
        let handle = self.schedule(|executor| scope.when_on(executor, requests, body));
        self.pause();
        handle
    }

    /// As [`Runtime::batch`](crate::Runtime::batch).
    pub fn batch<T>(&self, add: impl FnOnce(&mut Batch) -> T) -> T {
        Batch::in_program(self, add)
    }

    /// A note of the behavior that is about to be scheduled, with `F` for a body.
    pub(crate) fn note<Q: Requests, F>(&self, requests: &Q) -> Note<Arc<Register>> {
        Register::note(self.0.register.clone(), 0, type_name::<F>(), false, requests)
    }

    /// Lets `schedule` put one behavior into the core, or into a batch. It is not scheduled if that panics.
    pub(crate) fn schedule<T>(&self, schedule: impl FnOnce(Numbered) -> T) -> T {
        let number = self.0.next.get();
        self.0.next.set(number + 1);
        let scheduled = schedule(Numbered { ready: self.0.ready.clone(), number });
        self.0.unfinished.set(self.0.unfinished.get() + 1);
        scheduled
    }

    /// Runs behaviors until nothing is scheduled and unfinished.
    ///
    /// # Errors
    ///
    /// [`Error::OnWorker`] in a behavior, which would wait for itself. [`Error::Pending`] if the rest waits for a cown
    /// that is held and not given up.
    pub fn quiesce(&self) -> Result<(), Error> {
        if self.in_behavior() {
            return Err(Error::OnWorker);
        }
        while self.step() {}
        match self.pending() {
            0 => Ok(()),
            behaviors => Err(Error::Pending(Pending::noted(behaviors, &self.0.register))),
        }
    }

    /// How many behaviors are scheduled and not finished, those that run included.
    pub fn pending(&self) -> u64 {
        self.0.unfinished.get()
    }

    /// A moment at which others may run.
    pub(crate) fn pause(&self) {
        // What unwinds is about to be over, and a behavior that looks whether its thread panics is not to see it.
        if thread::panicking() {
            return;
        }
        while self.0.dice.below(CERTAIN) < self.0.eagerness && self.step() {}
    }

    /// Runs one of the ready behaviors, if there is one.
    fn step(&self) -> bool {
        let Run { ready, dice, unfinished, depth, .. } = &*self.0;
        if depth.get() >= DEPTH {
            return false;
        }
        let Some(next) = ready.take(dice) else { return false };
        depth.set(depth.get() + 1);
        let mark = enter_worker();
        next.run();
        drop(mark);
        depth.set(depth.get() - 1);
        unfinished.set(unfinished.get() - 1);
        true
    }
}

/// Calls a body, and tells the program if it panics.
pub(crate) fn watched<R>(body: impl FnOnce() -> R) -> R {
    catch_unwind(AssertUnwindSafe(body)).unwrap_or_else(|panic| {
        if let Some(program) = Program::current() {
            let text = || format!("a behavior panicked: {}", panic_text(&*panic));
            program.0.failure.borrow_mut().get_or_insert_with(text);
        }
        resume_unwind(panic)
    })
}

/// The executor of one behavior: where it goes when it is ready, and what its number is.
#[derive(Clone)]
pub(crate) struct Numbered {
    ready: Arc<ReadySet>,
    number: u64,
}

impl Executor for Numbered {
    fn ready(&self, ready: Ready) {
        self.ready.put(self.number, ready);
    }
}

/// The ready behaviors, by number. In a lock, since another thread may let go of a cown.
///
/// A release hands over in the order of the cowns' addresses, which are not the same in the next run; numbers are.
#[derive(Default)]
struct ReadySet(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    behaviors: Vec<(u64, Ready)>,
    /// The program is over: what is ready is cancelled.
    over: bool,
    /// Somebody is at it, further up some stack.
    cancelling: bool,
}

impl ReadySet {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, number: u64, ready: Ready) {
        let mut waiting = self.lock();
        let at = waiting.behaviors.partition_point(|(before, _)| *before < number);
        waiting.behaviors.insert(at, (number, ready));
        if waiting.over {
            drop(waiting);
            self.cancel_all();
        }
    }

    fn take(&self, dice: &Dice) -> Option<Ready> {
        let mut waiting = self.lock();
        let count = waiting.behaviors.len();
        (count > 0).then(|| waiting.behaviors.remove(dice.below(count)).1)
    }

    fn close(&self) {
        self.lock().over = true;
        self.cancel_all();
    }

    /// Cancels one after another, and what is thereby handed over; without recursion, however long the chain is.
    fn cancel_all(&self) {
        {
            let mut waiting = self.lock();
            if waiting.cancelling {
                return;
            }
            waiting.cancelling = true;
        }
        loop {
            let next = {
                let mut waiting = self.lock();
                let next = waiting.behaviors.pop();
                waiting.cancelling = next.is_some();
                next
            };
            match next {
                Some((_, ready)) => drop(ready),
                None => return,
            }
        }
    }
}

impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Program").field("seed", &self.0.seed).field("pending", &self.pending()).finish()
    }
}
