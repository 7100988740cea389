//! Requests to read, beside requests to write.

use loom::sync::Arc;
use loom::thread;

use bocage_core::{Cown, read, when_on};

use crate::stage::{Here, Log, Seen, look, mark_one, marks};

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
        let [a, b] = Log::cowns(&leak);
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
