//! Readers that one thread runs one after the other, beside what others do to the same cown.

use loom::sync::Arc;
use loom::thread;

use std::num::NonZeroUsize;

use bocage_core::{Cown, Owed, Ready, Stage, Turn, read, when_on};

use crate::last::{Ends, Mortal};
use crate::stage::{Desk, Log, Seen, Shelf, look, mark_one, marks};

/// Schedules a read on a desk, which keeps its turn if it is one.
fn look_at_desk(desk: &Desk, cown: &Cown<Log>, seen: &Seen, leak: &Arc<()>) {
    let (seen, leak) = (seen.clone(), leak.clone());
    drop(when_on(desk.clone(), read(cown), move |log| {
        seen.lock().unwrap().push(log.marks());
        leak
    }));
}

/// On a stage at which nobody looks.
fn owes_nothing() -> Owed {
    Owed::on(Box::leak(Box::new(Stage::nowhere())))
}

/// Runs what comes in turn, or has it run if it is not of this desk, and settles.
fn run(desk: &Desk, turn: Turn) {
    let mut owed = owes_nothing();
    let mut turn = Some(turn);
    while let Some(now) = turn.take() {
        let (reader, next) = now.begin(&mut owed);
        reader.run(desk.key());
        turn = next;
    }
}

/// Ann has the turn of two reads, which she runs one after the other. Bob's write comes behind them at any moment.
///
/// Failed first with an owed reader that did not tell the writer which waited for it (the write never ran).
#[test]
fn a_turn_is_passed_on_before_a_late_writer() {
    loom::model(|| {
        let (leak, seen, desk) = (Arc::new(()), Seen::default(), Desk::default());
        let a = Log::cown(&leak);
        look_at_desk(&desk, &a, &seen, &leak);
        look_at_desk(&desk, &a, &seen, &leak);
        let bob = {
            let (a, leak) = (a.clone(), leak.clone());
            thread::spawn(move || mark_one(&a, 1, &leak))
        };
        run(&desk, desk.take());
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]; 2], "both reads came before the write");
    });
}

/// Ann has the turn of one read. Bob's read enters behind it, if it has begun, or waits for it; then his write comes.
///
/// Failed first with a reader that was marked as granted before it was counted (loom: the write did not happen after the
/// read).
#[test]
fn a_turn_beside_a_reader_that_enters() {
    loom::model(|| {
        let (leak, seen, desk) = (Arc::new(()), Seen::default(), Desk::default());
        let a = Log::cown(&leak);
        look_at_desk(&desk, &a, &seen, &leak);
        let bob = {
            let (a, leak, seen) = (a.clone(), leak.clone(), seen.clone());
            thread::spawn(move || {
                look(&a, &seen, &leak);
                mark_one(&a, 1, &leak);
            })
        };
        run(&desk, desk.take());
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]; 2], "both reads came before the write");
    });
}

/// Bob's read has the cown, Ann's read is next, and a write comes behind it. Both reads are run.
///
/// Failed first with a turn that always counted its reader by a plain store (the write never ran), with a reader that was
/// always counted out as if it were the only one (loom: the write did not happen after Bob's read), and with one that was
/// not counted out if it was not the only one (the write never ran).
#[test]
fn a_turn_beside_a_reader_that_ends() {
    loom::model(|| {
        let (leak, seen, desk, shelf) = (Arc::new(()), Seen::default(), Desk::default(), Shelf::default());
        let a = Log::cown(&leak);
        drop(when_on(shelf.clone(), read(&a), |log| assert_eq!(log.marks(), [0; 0])));
        look_at_desk(&desk, &a, &seen, &leak);
        mark_one(&a, 1, &leak);
        let bobs = shelf.take();
        let bob = thread::spawn(move || bobs.run());
        run(&desk, desk.take());
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]], "the read came before the write");
    });
}

/// Ann has the turn of two reads, the second of which empties the queue. Bob drops the last handle.
///
/// Failed first with an owed reader that forgot the reference which had been left to it (the value was never dropped).
#[test]
fn a_turn_against_the_last_handle() {
    loom::model(|| {
        let (ends, leak, desk) = (Ends::default(), Arc::new(()), Desk::default());
        let cown = Mortal::cown(&ends, &leak);
        for _ in 0..2 {
            drop(when_on(desk.clone(), read(&cown), |mortal| assert_eq!(mortal.log.marks(), [0; 0])));
        }
        let bob = thread::spawn(move || drop(cown));
        run(&desk, desk.take());
        bob.join().unwrap();
        assert_eq!(*ends.lock().unwrap(), [[0]], "dropped once, after both");
    });
}

/// Ann has begun the first read of a turn when she gives the rest away: Bob grants it, and Bob's desk runs it.
///
/// Failed first with a turn whose readers were granted without being counted (the write never ran).
#[test]
fn the_rest_of_a_turn_is_granted_elsewhere() {
    loom::model(|| {
        let (leak, seen, desk) = (Arc::new(()), Seen::default(), Desk::default());
        let a = Log::cown(&leak);
        look_at_desk(&desk, &a, &seen, &leak);
        look(&a, &seen, &leak);
        mark_one(&a, 1, &leak);
        let mut owed = owes_nothing();
        let (reader, rest) = desk.take().begin(&mut owed);
        let rest = rest.expect("the second read is linked");
        let bob = thread::spawn(move || rest.grant());
        assert!(reader.run(desk.key()));
        owed.settle();
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]; 2], "both reads came before the write");
    });
}

/// Ann has the turn of three reads, which she grants in two rows; Bob runs the one that came first while a write comes behind
/// them all. The row of two ends on Bob's thread, beside Ann's.
///
/// Failed first with a row that went on by what is linked behind its last reader (the process crashed).
#[test]
fn rows_of_a_turn_end_on_two_threads_before_a_late_writer() {
    loom::model(|| {
        let (leak, seen, desk) = (Arc::new(()), Seen::default(), Desk::default());
        let a = Log::cown(&leak);
        for _ in 0..3 {
            look_at_desk(&desk, &a, &seen, &leak);
        }
        desk.take().grant_in_rows(desk.key(), NonZeroUsize::new(2).unwrap());
        let [bobs, anns] = desk.take_rows().try_into().expect("two parts");
        assert_eq!([bobs.len(), anns.len()], [2, 1]);
        let bob = thread::spawn(move || {
            let mut owed = owes_nothing();
            for ready in bobs {
                assert!(owed.is_nothing() || owed.goes_on_with(&ready));
                assert!(ready.run_owing(&mut owed));
            }
        });
        mark_one(&a, 1, &leak);
        anns.into_iter().for_each(Ready::run);
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]; 3], "all reads came before the write");
    });
}

/// Three reads have the cown, and a write waits for them. Ann runs two, which she counts out in one step, and Bob the third.
///
/// Failed first with two readers that were counted out as one (the write never ran).
#[test]
fn readers_counted_out_in_one_step_beside_one_that_ends() {
    loom::model(|| {
        let (leak, seen, shelf) = (Arc::new(()), Seen::default(), Shelf::default());
        let a = Log::cown(&leak);
        let mut reads = [(); 3].map(|()| {
            let (seen, leak) = (seen.clone(), leak.clone());
            drop(when_on(shelf.clone(), read(&a), move |log| {
                seen.lock().unwrap().push(log.marks());
                leak
            }));
            Some(shelf.take())
        });
        mark_one(&a, 1, &leak);
        let bobs = reads[2].take().unwrap();
        let bob = thread::spawn(move || bobs.run());
        let mut owed = owes_nothing();
        for ready in reads.into_iter().flatten() {
            assert!(owed.is_nothing() || owed.goes_on_with(&ready));
            assert!(ready.run_owing(&mut owed));
        }
        owed.settle();
        bob.join().unwrap();
        assert_eq!(marks(&a), [1]);
        assert_eq!(*seen.lock().unwrap(), [[0; 0]; 3], "all reads came before the write");
    });
}

/// Ann owes two reads when the last handle goes, which Bob drops.
///
/// Failed first with readers that forgot the reference which had been left to them (the value was never dropped).
#[test]
fn readers_counted_out_in_one_step_against_the_last_handle() {
    loom::model(|| {
        let (ends, leak, shelf) = (Ends::default(), Arc::new(()), Shelf::default());
        let cown = Mortal::cown(&ends, &leak);
        let reads = [(); 2].map(|()| {
            drop(when_on(shelf.clone(), read(&cown), |mortal| assert_eq!(mortal.log.marks(), [0; 0])));
            shelf.take()
        });
        let bob = thread::spawn(move || drop(cown));
        let mut owed = owes_nothing();
        for ready in reads {
            assert!(ready.run_owing(&mut owed));
        }
        owed.settle();
        bob.join().unwrap();
        assert_eq!(*ends.lock().unwrap(), [[0]], "dropped once, after both");
    });
}
