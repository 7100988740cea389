//! Acquisition without a behavior, by a task or a thread that blocks.

use std::pin::Pin;
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::Arc;
use loom::thread;

use bocage_core::{Acquire, Acquired, Cown, Handle, Requests, acquire, read, try_acquire, when_on};

use crate::stage::{Log, Seen, Shelf, look, mark_one, marks};

/// A task's waker, which leaks what loom counts if it is lost.
struct Bell(#[expect(dead_code, reason = "only kept")] Arc<()>);

impl Wake for Bell {
    fn wake(self: std::sync::Arc<Self>) {}
}

/// One poll of a task that `leak` tells from others.
fn poll<Q: Requests>(future: &mut Acquire<Q>, leak: &Arc<()>) -> Option<Acquired<Q::Lasting>> {
    let waker = Waker::from(std::sync::Arc::new(Bell(leak.clone())));
    match Pin::new(future).poll(&mut Context::from_waker(&waker)) {
        Poll::Ready(held) => Some(held),
        Poll::Pending => None,
    }
}

/// Ann's behavior, which has `cown`, and is run and so releases it when the thread that is returned gets to it.
fn ann_holds(cown: &Cown<Log>, leak: &Arc<()>) -> (Handle<Arc<()>>, thread::JoinHandle<()>) {
    let (shelf, leak) = (Shelf::default(), leak.clone());
    let result = when_on(shelf.clone(), cown, move |mut log| {
        log.mark(1);
        leak
    });
    let ready = shelf.take();
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
        let [a, b] = Log::cowns(&leak);
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

/// Bob's acquisition, to read, is given up while Ann's behavior releases the cown to it. Carol's behavior, which writes,
/// comes behind it.
///
/// Failed first with a reader that was told of its grant before it was marked (it was gone by then), with a token that a
/// *gone* claimant was left with, and with a last reader that told no writer.
#[test]
fn a_reader_is_cancelled_against_its_grant_with_a_writer_behind() {
    loom::model(|| {
        let leak = Arc::new(());
        let a = Log::cown(&leak);
        let (result, ann) = ann_holds(&a, &leak);
        drop(result);
        let mut bob = acquire(read(&a));
        let held = poll(&mut bob, &leak);
        let carol = {
            let (a, leak) = (a.clone(), leak.clone());
            thread::spawn(move || mark_one(&a, 2, &leak))
        };
        if let Some(mut held) = held {
            assert_eq!(held.guards().marks(), [1], "between the two");
        }
        drop(bob);
        ann.join().unwrap();
        carol.join().unwrap();
        assert_eq!(marks(&a), [1, 2]);
    });
}

/// Bob takes the cown if it is free just then. Ann's behaviors, one that reads and one that writes, come and go.
///
/// Failed first with a try that looked at the tail only, and not at the readers that are left.
#[test]
fn a_try_against_readers_and_a_release() {
    loom::model(|| {
        let (leak, seen) = (Arc::new(()), Seen::default());
        let a = Log::cown(&leak);
        let ann = {
            let (a, leak, seen) = (a.clone(), leak.clone(), seen.clone());
            thread::spawn(move || {
                look(&a, &seen, &leak);
                mark_one(&a, 1, &leak);
            })
        };
        let taken = try_acquire(&a).map(|mut held| held.guards().mark(2));
        ann.join().unwrap();
        let order = marks(&a);
        assert_eq!(order.iter().filter(|mark| **mark == 1).count(), 1, "Ann's ran");
        assert_eq!(order.len(), 1 + usize::from(taken.is_some()), "and Bob's mark is there if he had the cown");
        assert!(order.starts_with(&seen.lock().unwrap()[0]), "her reader saw what was there");
    });
}
