//! What the stories are played with: executors, and cowns that remember who had them.

use loom::cell::UnsafeCell;
use loom::sync::Arc;

use std::num::NonZeroUsize;

use bocage_core::{Cown, Executor, Ready, Row, Turn, read, when_on};

/// Runs each behavior at once, on the thread that made it ready. The models are too short for the stack
/// to matter.
#[derive(Clone)]
pub struct Here;

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

/// What a cown of the models owns: the marks of the behaviors that had it, in order.
pub struct Log {
    marks: UnsafeCell<Vec<u8>>,
    _leak: Arc<()>,
}

// SAFETY: the very thing that the models check; loom's cell panics on an access that is not exclusive.
unsafe impl Send for Log {}
// SAFETY: as above, for several readers at once.
unsafe impl Sync for Log {}

impl Log {
    pub fn new(leak: &Arc<()>) -> Log {
        Log { marks: UnsafeCell::new(Vec::new()), _leak: leak.clone() }
    }

    pub fn cown(leak: &Arc<()>) -> Cown<Log> {
        Cown::new(Self::new(leak))
    }

    /// Some, in the order in which they are acquired: that of their addresses, which the allocator chooses anew in each
    /// run of a model, while the model checker needs all runs to be alike.
    pub fn cowns<const N: usize>(leak: &Arc<()>) -> [Cown<Log>; N] {
        let mut cowns = [(); N].map(|()| Self::cown(leak));
        cowns.sort_unstable();
        cowns
    }

    pub fn mark(&mut self, mark: u8) {
        self.mark_shared(mark);
    }

    /// Marks it without the compiler's knowledge that nobody else does.
    pub fn mark_shared(&self, mark: u8) {
        // SAFETY: a behavior that holds the cown has the log for itself, or loom says otherwise.
        self.marks.with_mut(|marks| unsafe { (*marks).push(mark) });
    }

    pub fn marks(&self) -> Vec<u8> {
        // SAFETY: as above.
        self.marks.with(|marks| unsafe { (*marks).clone() })
    }
}

/// The marks on `cown`, read by a last behavior. Nobody else may be scheduling on it.
pub fn marks(cown: &Cown<Log>) -> Vec<u8> {
    let out = std::sync::Arc::new(std::sync::Mutex::new(None));
    let result = out.clone();
    drop(when_on(Here, cown, move |log| *result.lock().unwrap() = Some(log.marks())));
    out.lock().unwrap().take().expect("the last behavior on a cown runs at once: no release was lost")
}

/// Schedules a behavior that marks both cowns, and whose result would leak if its block did.
pub fn mark_two(x: &Cown<Log>, y: &Cown<Log>, mark: u8, leak: &Arc<()>) {
    let leak = leak.clone();
    drop(when_on(Here, (x, y), move |(mut x, mut y)| {
        x.mark(mark);
        y.mark(mark);
        leak
    }));
}

pub fn mark_one(x: &Cown<Log>, mark: u8, leak: &Arc<()>) {
    let leak = leak.clone();
    drop(when_on(Here, x, move |mut x| {
        x.mark(mark);
        leak
    }));
}

/// What readers saw. Not loom's: it is only looked at in the end.
pub type Seen = std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>;

/// Reads `cown`, and says so.
pub fn look(cown: &Cown<Log>, seen: &Seen, leak: &Arc<()>) {
    let (seen, leak) = (seen.clone(), leak.clone());
    drop(when_on(Here, read(cown), move |log| {
        seen.lock().unwrap().push(log.marks());
        leak
    }));
}

/// Keeps a behavior that is ready until a thread comes to run it.
#[derive(Clone, Default)]
pub struct Shelf(std::sync::Arc<std::sync::Mutex<Option<Ready>>>);

impl Shelf {
    pub fn take(&self) -> Ready {
        self.0.lock().unwrap().take().expect("the behavior's cowns are free, so that it was ready at once")
    }
}

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        *self.0.lock().unwrap() = Some(ready);
    }
}

/// Keeps the turn of readers until its owner comes, and rows, and runs all else at once.
#[derive(Clone, Default)]
pub struct Desk(std::sync::Arc<std::sync::Mutex<(Option<Turn>, Vec<Row>)>>);

impl Desk {
    pub fn take(&self) -> Turn {
        self.0.lock().unwrap().0.take().expect("nobody had the cown, so that it was the first reader's turn")
    }

    pub fn take_rows(&self) -> Vec<Row> {
        std::mem::take(&mut self.0.lock().unwrap().1)
    }

    pub fn key(&self) -> NonZeroUsize {
        NonZeroUsize::new(std::sync::Arc::as_ptr(&self.0).addr()).unwrap()
    }
}

impl Executor for Desk {
    fn ready(&self, ready: Ready) {
        ready.run();
    }

    fn ready_turn(&self, turn: Turn) {
        self.0.lock().unwrap().0 = Some(turn);
    }

    fn ready_in_row(&self, row: Row) {
        self.0.lock().unwrap().1.push(row);
    }

    fn turn_key(&self) -> Option<NonZeroUsize> {
        Some(self.key())
    }
}
