//! Last handle against last release: who frees a cown, and when.

use std::sync::{Arc as Plain, Mutex};

use loom::sync::Arc;
use loom::thread;

use bocage_core::{Cown, Ready, read, when_on};

use crate::stage::{Here, Log, Shelf, mark_two};

/// What became of the values: the marks that each had when it was dropped.
pub type Ends = Plain<Mutex<Vec<Vec<u8>>>>;

/// A value that says what it had when it was dropped.
pub struct Mortal {
    pub log: Log,
    ends: Ends,
}

impl Mortal {
    pub fn cown(ends: &Ends, leak: &Arc<()>) -> Cown<Self> {
        Cown::new(Self { log: Log::new(leak), ends: ends.clone() })
    }
}

impl Drop for Mortal {
    fn drop(&mut self) {
        // A last mark, so that loom says if somebody else is still at it.
        self.log.mark(0);
        self.ends.lock().unwrap().push(self.log.marks());
    }
}

/// A behavior that marks `cown`, and one that reads it, both of which have yet to be granted it.
fn write_and_read(cown: &Cown<Mortal>, leak: &Arc<()>) {
    let (in_write, in_read) = (leak.clone(), leak.clone());
    drop(when_on(Here, cown, move |mut mortal| {
        mortal.log.mark(2);
        in_write
    }));
    drop(when_on(Here, read(cown), move |mortal| {
        assert_eq!(mortal.log.marks(), [1, 2]);
        in_read
    }));
}

/// Schedules what `body` does to the cown, to write or to read, and gives its token.
fn hold(cown: &Cown<Mortal>, reads: bool, leak: &Arc<()>) -> Ready {
    let (shelf, leak) = (Shelf::default(), leak.clone());
    if reads {
        drop(when_on(shelf.clone(), read(cown), move |mortal| {
            assert!(!mortal.log.marks().contains(&2), "the writer comes behind");
            leak
        }));
    } else {
        drop(when_on(shelf.clone(), cown, move |mut mortal| {
            mortal.log.mark(1);
            leak
        }));
    }
    shelf.take()
}

/// Ann's behavior has the cown, and a write and a read wait for it. She runs it, and thereby those, while Bob drops the
/// last handle.
///
/// Failed first with a drop that freed the cown without a look at its queue, or with one that was `Relaxed`; with a mark
/// on the tail that was not made, or stored over a tail that had changed; and with a reader's release that took an
/// orphan's tail for any other.
#[test]
fn last_handle_against_last_release() {
    loom::model(|| {
        let (ends, leak) = (Ends::default(), Arc::new(()));
        let cown = Mortal::cown(&ends, &leak);
        let token = hold(&cown, false, &leak);
        write_and_read(&cown, &leak);
        let ann = thread::spawn(move || token.run());
        drop(cown);
        ann.join().unwrap();
        assert_eq!(*ends.lock().unwrap(), [[1, 2, 0]], "dropped once, after all three");
    });
}

/// Ann and Bob each have the cown to read, and a write waits for them. Each runs the own behavior, while Carol drops the
/// last handle: any of the three may have the last reference, and must leave it to the queue.
///
/// Failed first with a drop that freed the cown without a look at its queue, and with a writer's release that took an
/// orphan's tail for any other.
#[test]
fn last_handle_against_the_releases_of_two_readers() {
    loom::model(|| {
        let (ends, leak, shelf) = (Ends::default(), Arc::new(()), Shelf::default());
        let cown = Mortal::cown(&ends, &leak);
        let (ann, bob) = (hold(&cown, true, &leak), hold(&cown, true, &leak));
        drop(when_on(shelf.clone(), &cown, |mut mortal| mortal.log.mark(2)));
        let ann = thread::spawn(move || ann.run());
        let bob = thread::spawn(move || bob.run());
        drop(cown);
        ann.join().unwrap();
        bob.join().unwrap();
        assert!(ends.lock().unwrap().is_empty(), "the write is still to have it");
        shelf.take().run();
        assert_eq!(*ends.lock().unwrap(), [[2, 0]], "dropped once, after all");
    });
}

/// Ann's behavior has the cown, and two reads wait. When she has run it, the second read ends at once, which empties the
/// queue, and the first has the cown still. Bob drops the last handle meanwhile.
///
/// Failed first with a drop that did not look for readers when it had found the queue empty, and with a last reader that
/// forgot the reference which had been left to it.
#[test]
fn last_handle_against_a_reader_that_is_granted_meanwhile() {
    loom::model(|| {
        let (ends, leak, shelf) = (Ends::default(), Arc::new(()), Shelf::default());
        let cown = Mortal::cown(&ends, &leak);
        let token = hold(&cown, false, &leak);
        drop(when_on(shelf.clone(), read(&cown), |mortal| assert_eq!(mortal.log.marks(), [1])));
        drop(when_on(Here, read(&cown), |mortal| assert_eq!(mortal.log.marks(), [1])));
        let ann = thread::spawn(move || token.run());
        drop(cown);
        ann.join().unwrap();
        assert!(ends.lock().unwrap().is_empty(), "the first read has it");
        shelf.take().run();
        assert_eq!(*ends.lock().unwrap(), [[1, 0]], "dropped once, after all");
    });
}

/// A result that schedules again when it is dropped.
struct Parting {
    cowns: [Cown<Log>; 2],
    leak: Arc<()>,
}

impl Drop for Parting {
    fn drop(&mut self) {
        mark_two(&self.cowns[0], &self.cowns[1], 3, &self.leak);
    }
}

/// Ann's behavior ends while Bob gets in line behind it, for its cown and another one. Nobody wants its result; if it is
/// Bob who frees that, the result schedules on the same cowns.
///
/// Failed first with an enqueuer that freed its predecessor's block in the middle of its own phase 1: it waited for
/// itself, for ever.
#[test]
fn a_result_that_schedules_when_it_is_dropped() {
    loom::model(|| {
        let leak = Arc::new(());
        let cowns = Log::cowns(&leak);
        let shelf = Shelf::default();
        let parting = Parting { cowns: cowns.clone(), leak: leak.clone() };
        drop(when_on(shelf.clone(), &cowns[0], move |mut log| {
            log.mark(1);
            parting
        }));
        let token = shelf.take();
        let ann = thread::spawn(move || token.run());
        mark_two(&cowns[1], &cowns[0], 2, &leak);
        ann.join().unwrap();
        for cown in &cowns {
            let mut marks = crate::stage::marks(cown);
            marks.sort_unstable();
            assert!(marks.ends_with(&[2, 3]), "both ran: {marks:?}");
        }
    });
}
