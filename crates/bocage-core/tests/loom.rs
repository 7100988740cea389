//! Models of the queue protocol, for the loom model checker.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p bocage-core --release --test loom`
//!
//! Each model checks exclusion (the values are loom cells, which notice two accesses at once, or one that
//! does not happen after the other), that nothing is lost (every body ran, every block and value was
//! dropped: loom reports an `Arc` that leaks) and that the order of scheduling is the order of running.
#![cfg(loom)]

use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use bocage_core::{Acquire, Batch, Cown, Executor, Handle, Ready, acquire, read, scope, try_acquire, when_on};
use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

/// Runs each behavior at once, on the thread that made it ready. The models are too short for the stack
/// to matter.
#[derive(Clone)]
struct Here;

impl Executor for Here {
    fn ready(&self, ready: Ready) {
        ready.run();
    }
}

/// What a cown of the models owns: the marks of the behaviors that had it, in order.
struct Log {
    marks: UnsafeCell<Vec<u8>>,
    _leak: Arc<()>,
}

// SAFETY: the very thing that the models check; loom's cell panics on an access that is not exclusive.
unsafe impl Send for Log {}
// SAFETY: as above, for several readers at once.
unsafe impl Sync for Log {}

impl Log {
    fn cown(leak: &Arc<()>) -> Cown<Log> {
        Cown::new(Log { marks: UnsafeCell::new(Vec::new()), _leak: leak.clone() })
    }

    fn mark(&mut self, mark: u8) {
        // SAFETY: a behavior that holds the cown has the log for itself, or loom says otherwise.
        self.marks.with_mut(|marks| unsafe { (*marks).push(mark) });
    }

    fn marks(&self) -> Vec<u8> {
        // SAFETY: as above.
        self.marks.with(|marks| unsafe { (*marks).clone() })
    }
}

/// The marks on `cown`, read by a last behavior. Nobody else may be scheduling on it.
fn marks(cown: &Cown<Log>) -> Vec<u8> {
    let out = std::sync::Arc::new(std::sync::Mutex::new(None));
    let result = out.clone();
    drop(when_on(Here, cown, move |log| *result.lock().unwrap() = Some(log.marks())));
    out.lock().unwrap().take().expect("the last behavior on a cown runs at once: no release was lost")
}

/// Schedules a behavior that marks both cowns, and whose result would leak if its block did.
fn mark_two(x: &Cown<Log>, y: &Cown<Log>, mark: u8, leak: &Arc<()>) {
    let leak = leak.clone();
    drop(when_on(Here, (x, y), move |(mut x, mut y)| {
        x.mark(mark);
        y.mark(mark);
        leak
    }));
}

fn mark_one(x: &Cown<Log>, mark: u8, leak: &Arc<()>) {
    let leak = leak.clone();
    drop(when_on(Here, x, move |mut x| {
        x.mark(mark);
        leak
    }));
}

/// Ann and Bob each schedule a behavior on the same two cowns, which they name in opposite orders.
///
/// Failed first with an enqueue that did not wait for its predecessor's phase 1 (`await_enqueued` left
/// out): Bob overtook Ann on the second cown, and both waited for ever.
#[test]
fn two_behaviors_over_two_cowns_named_in_opposite_orders() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        let ann = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || mark_two(&a, &b, 1, &leak))
        };
        mark_two(&b, &a, 2, &leak);
        ann.join().unwrap();
        let order = marks(&a);
        assert_eq!(order.len(), 2, "both ran");
        assert_eq!(order, marks(&b), "both cowns saw them in the same order");
    });
}

/// Ann wants all three cowns; Bob wants two of them, and then another two, and names them the other way
/// round.
///
/// Failed first with the sort left out, so that each took its cowns in the order in which it named them: Ann
/// waited in front of Bob's cown and he in front of hers, for ever.
#[test]
fn three_behaviors_over_three_cowns() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b, c) = (Log::cown(&leak), Log::cown(&leak), Log::cown(&leak));
        let ann = {
            let (a, b, c) = (a.clone(), b.clone(), c.clone());
            thread::spawn(move || {
                drop(when_on(Here, (&a, &b, &c), |(mut a, mut b, mut c)| {
                    a.mark(1);
                    b.mark(1);
                    c.mark(1);
                }));
            })
        };
        mark_two(&c, &b, 2, &leak);
        mark_two(&b, &a, 3, &leak);
        ann.join().unwrap();
        let (on_a, on_b, on_c) = (marks(&a), marks(&b), marks(&c));
        let sorted = |marks: &[u8]| {
            let mut marks = marks.to_vec();
            marks.sort_unstable();
            marks
        };
        assert_eq!((sorted(&on_a), sorted(&on_b), sorted(&on_c)), (vec![1, 3], vec![1, 2, 3], vec![1, 2]));
        let only = |without: u8| on_b.iter().copied().filter(|m| *m != without).collect::<Vec<_>>();
        assert_eq!(only(1), [2, 3], "Bob's ran in the order in which he scheduled them");
        assert_eq!((on_a, on_c), (only(2), only(3)), "all cowns saw the three in the same order");
    });
}

/// Ann's behavior releases the cown while Bob enqueues behind it and Ann already schedules the next one.
///
/// Failed first with a release that took a lost reset of the tail for "a successor will find it" without
/// the swap to *released* (Bob's behavior never ran); and again with `Relaxed` for the tail's reset (loom:
/// Bob's access did not happen after Ann's).
#[test]
fn a_hand_over_races_with_a_release() {
    loom::model(|| {
        let leak = Arc::new(());
        let a = Log::cown(&leak);
        let bob = {
            let (a, leak) = (a.clone(), leak.clone());
            thread::spawn(move || mark_one(&a, 9, &leak))
        };
        mark_one(&a, 1, &leak);
        mark_one(&a, 2, &leak);
        bob.join().unwrap();
        let mut seen = marks(&a);
        assert_eq!(seen.iter().filter(|m| **m == 9).count(), 1, "Bob's ran once");
        seen.retain(|m| *m != 9);
        assert_eq!(seen, [1, 2], "Ann's ran in the order in which she scheduled them");
    });
}

/// A behavior that holds one cown schedules another on it and on a second cown that Bob wants too.
///
/// Failed first with a pending count that started without the one for phase 1: the inner behavior was made
/// ready by the hand-over while its own enqueue was still going on, and ran twice.
#[test]
fn a_behavior_schedules_on_a_cown_that_it_holds() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        let bob = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || mark_two(&b, &a, 9, &leak))
        };
        let (inner_a, inner_b, inner_leak) = (a.clone(), b.clone(), leak.clone());
        drop(when_on(Here, &a, move |mut log| {
            log.mark(1);
            mark_two(&inner_a, &inner_b, 2, &inner_leak);
            log.mark(3);
        }));
        bob.join().unwrap();
        let mut on_a = marks(&a);
        assert_eq!(on_a.iter().filter(|m| **m == 9).count(), 1, "Bob's ran once");
        let nine_first = on_a.iter().position(|m| *m == 9) < on_a.iter().position(|m| *m == 2);
        on_a.retain(|m| *m != 9);
        assert_eq!(on_a, [1, 3, 2], "the inner behavior ran after the one that scheduled it");
        assert_eq!(marks(&b), if nine_first { [9, 2] } else { [2, 9] }, "and in the same order on both cowns");
    });
}

/// Reads `cown`, and says so.
fn look(cown: &Cown<Log>, seen: &Seen, leak: &Arc<()>) {
    let (seen, leak) = (seen.clone(), leak.clone());
    drop(when_on(Here, read(cown), move |log| {
        seen.lock().unwrap().push(log.marks());
        leak
    }));
}

/// What readers saw. Not loom's: it is only looked at in the end.
type Seen = std::sync::Arc<std::sync::Mutex<Vec<Vec<u8>>>>;

/// Two readers between two writers. Ann writes and reads; Bob reads and writes.
///
/// Failed first with a writer that entered behind a reader without a look at the count (loom: its access did not
/// happen after the reader's).
#[test]
fn readers_share_and_writers_wait_for_them() {
    loom::model(|| {
        let (leak, seen) = (Arc::new(()), Seen::default());
        let a = Log::cown(&leak);
        let bob = {
            let (a, leak, seen) = (a.clone(), leak.clone(), seen.clone());
            thread::spawn(move || {
                look(&a, &seen, &leak);
                mark_one(&a, 2, &leak);
            })
        };
        mark_one(&a, 1, &leak);
        look(&a, &seen, &leak);
        bob.join().unwrap();
        let order = marks(&a);
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!((order.len(), seen.len()), (2, 2), "all four ran");
        assert!(seen.iter().any(|s| s.contains(&1)), "Ann's reader came after her writer: {seen:?}");
        assert!(seen.iter().any(|s| !s.contains(&2)), "Bob's reader came before his writer: {seen:?}");
        assert!(seen.iter().all(|s| order.starts_with(s)), "each saw the cown between two writers");
    });
}

/// Two readers of one cown release at the same time, while a writer comes in behind them; one of the readers is
/// the last to hold the cown in any way.
///
/// Failed first with a last reader that did not grant to the writer that waits (it never ran), and with the two
/// looks, the writer's at the count and the reader's at the writer, made in the wrong order (both missed it).
#[test]
fn the_last_reader_lets_the_writer_in() {
    loom::model(|| {
        let (leak, seen) = (Arc::new(()), Seen::default());
        let a = Log::cown(&leak);
        let bob = {
            let (a, leak, seen) = (a.clone(), leak.clone(), seen.clone());
            thread::spawn(move || look(&a, &seen, &leak))
        };
        look(&a, &seen, &leak);
        mark_one(&a, 1, &leak);
        drop(a);
        bob.join().unwrap();
        assert_eq!(seen.lock().unwrap().len(), 2, "both readers ran");
    });
}

/// Ann's behavior reads one cown and writes another; Bob's does it the other way round, twice.
///
/// Failed first with readers that passed for enqueued as soon as they were granted.
#[test]
fn reads_and_writes_over_two_cowns_stand_in_one_order() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        fn copy(from: &Cown<Log>, to: &Cown<Log>, mark: u8, leak: &Arc<()>) {
            let leak = leak.clone();
            drop(when_on(Here, (read(from), to), move |(from, mut to)| {
                let _ = from.marks();
                to.mark(mark);
                leak
            }));
        }
        let ann = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || copy(&a, &b, 1, &leak))
        };
        copy(&b, &a, 2, &leak);
        ann.join().unwrap();
        assert_eq!((marks(&a), marks(&b)), (vec![2], vec![1]), "both ran");
    });
}

/// Ann schedules two behaviors in one step, one on her own cown and one on both cowns. So does Bob.
///
/// Failed first with batches whose behaviors went through phase 1 one after the other: Bob came between them.
#[test]
fn nobody_comes_between_the_behaviors_of_a_batch() {
    fn pair(x: &Cown<Log>, y: &Cown<Log>, marks: [u8; 2], leak: &Arc<()>) {
        let mut batch = Batch::new();
        let (first, second) = (leak.clone(), leak.clone());
        drop(batch.when_on(Here, x, move |mut x| {
            x.mark(marks[0]);
            first
        }));
        drop(batch.when_on(Here, (y, x), move |(mut y, mut x)| {
            y.mark(marks[1]);
            x.mark(marks[1]);
            second
        }));
    }
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        let ann = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || pair(&a, &b, [1, 2], &leak))
        };
        pair(&b, &a, [3, 4], &leak);
        ann.join().unwrap();
        let (on_a, on_b) = (marks(&a), marks(&b));
        assert!(on_a == [1, 2, 4] || on_a == [4, 1, 2], "Ann's two are neighbours on a: {on_a:?}");
        assert!(on_b == [3, 4, 2] || on_b == [2, 3, 4], "Bob's two are neighbours on b: {on_b:?}");
        assert_eq!(on_a[0] == 1, on_b[0] == 2, "one batch came first, on both: {on_a:?} {on_b:?}");
    });
}

/// A task's waker, which leaks what loom counts if it is lost.
struct Bell(#[expect(dead_code, reason = "only kept")] Arc<()>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {}
}

/// One poll of a task that `leak` tells from others.
fn poll<'a>(future: &mut Acquire<&'a Cown<Log>>, leak: &Arc<()>) -> Option<<Acquire<&'a Cown<Log>> as Future>::Output> {
    let waker = Waker::from(std::sync::Arc::new(Bell(leak.clone())));
    match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(held) => Some(held),
        Poll::Pending => None,
    }
}

/// Keeps a behavior that is ready until a thread comes to run it.
#[derive(Clone, Default)]
struct Shelf(std::sync::Arc<std::sync::Mutex<Option<Ready>>>);

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        *self.0.lock().unwrap() = Some(ready);
    }
}

/// Ann's behavior, which has `cown`, and is run and so releases it when the thread that is returned gets to it.
fn ann_holds(cown: &Cown<Log>, leak: &Arc<()>) -> (Handle<Arc<()>>, thread::JoinHandle<()>) {
    let (shelf, leak) = (Shelf::default(), leak.clone());
    let result = when_on(shelf.clone(), cown, move |mut log| {
        log.mark(1);
        leak
    });
    let ready = shelf.0.lock().unwrap().take().expect("the cown is free");
    (result, thread::spawn(move || ready.run()))
}

/// Bob's acquisition is polled by one task and then by another, and dropped, while Ann's behavior releases the cown
/// to it.
///
/// Failed first with a claimant that looked at the word and then wrote *gone* (both sides took the waker, and the token
/// was lost); with a granter that left a token to a claimant that was *gone*; and with a waker written over whatever
/// was there.
#[test]
fn an_acquisition_is_cancelled_against_its_grant() {
    loom::model(|| {
        let leak = Arc::new(());
        let a = Log::cown(&leak);
        let (result, ann) = ann_holds(&a, &leak);
        drop(result);
        let mut bob = acquire(&a);
        let held = poll(&mut bob, &leak).or_else(|| poll(&mut bob, &leak));
        let granted = held.map(|mut held| held.guards().mark(2)).is_some();
        drop(bob);
        ann.join().unwrap();
        assert_eq!(marks(&a), if granted { vec![1, 2] } else { vec![1] });
    });
}

/// Bob blocks until he has two cowns, while Ann's behavior has one of them, and then for her result.
///
/// Failed first with a waker written over whatever was there (Bob slept on, with the token overwritten), and with a
/// token put there as `Relaxed` (loom: his access did not happen after Ann's).
#[test]
fn a_thread_that_blocks_is_woken() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        let (result, ann) = ann_holds(&a, &leak);
        let mut held = acquire((&a, &b)).wait();
        let (mut on_a, mut on_b) = held.guards();
        on_a.mark(2);
        on_b.mark(2);
        drop(held);
        drop(result.wait().unwrap());
        ann.join().unwrap();
        assert_eq!((marks(&a), marks(&b)), (vec![1, 2], vec![2]));
    });
}

/// Ann opens a scope, whose behavior another thread runs: it writes to Ann's stack. Bob comes behind it on one of its
/// cowns.
///
/// Failed first with a count that was taken back before the release (Ann's cown was not free when her scope had ended),
/// and with one that told nobody when it reached zero. (That it is taken back as `Release` is not shown here: in loom a
/// thread's `unpark`, which comes right after, already orders the two.)
#[test]
fn a_scope_ends_against_its_last_release() {
    loom::model(|| {
        let leak = Arc::new(());
        let (a, b) = (Log::cown(&leak), Log::cown(&leak));
        let stack = Log { marks: UnsafeCell::new(Vec::new()), _leak: leak.clone() };
        let (worker, bob) = scope(|s| {
            let (shelf, stack) = (Shelf::default(), &stack);
            s.when_on(shelf.clone(), (&a, &b), move |(mut a, mut b)| {
                a.mark(1);
                b.mark(1);
                // SAFETY: nobody else looks before the scope's end, or loom says otherwise.
                stack.marks.with_mut(|marks| unsafe { (*marks).push(1) });
            });
            let ready = shelf.0.lock().unwrap().take().expect("the cowns are free");
            let worker = thread::spawn(move || ready.run());
            let (b, leak) = (b.clone(), leak.clone());
            (worker, thread::spawn(move || mark_one(&b, 2, &leak)))
        });
        assert_eq!(stack.marks(), [1]);
        drop(stack);
        assert!(try_acquire(&a).is_some(), "it is released when the scope ends");
        worker.join().unwrap();
        bob.join().unwrap();
        assert_eq!((marks(&a), marks(&b)), (vec![1], vec![1, 2]));
    });
}
