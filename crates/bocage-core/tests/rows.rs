//! Readers that an executor gets in rows.
#![cfg(not(loom))]

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use bocage_core::{Batch, Cown, Executor, Failure, Ready, Row, Turn, read, try_acquire, when_on};
use proptest::prelude::*;

/// Keeps what comes.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Papers>>);

#[derive(Default)]
struct Papers {
    turn: Option<Turn>,
    ready: Vec<Ready>,
    rows: Vec<Row>,
}

impl Desk {
    fn key(&self) -> NonZeroUsize {
        NonZeroUsize::new(Arc::as_ptr(&self.0).addr()).unwrap()
    }

    /// Grants the turn that it has, in so many parts.
    fn grant(&self, parts: usize) {
        let turn = self.0.lock().unwrap().turn.take().expect("it is a reader's turn");
        turn.grant_in_rows(self.key(), NonZeroUsize::new(parts).unwrap());
    }

    fn rows(&self) -> Vec<Row> {
        std::mem::take(&mut self.0.lock().unwrap().rows)
    }

    fn ready(&self) -> Vec<Ready> {
        std::mem::take(&mut self.0.lock().unwrap().ready)
    }
}

impl Executor for Desk {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().ready.push(ready);
    }

    fn ready_turn(&self, turn: Turn) {
        self.0.lock().unwrap().turn = Some(turn);
    }

    fn ready_in_row(&self, row: Row) {
        self.0.lock().unwrap().rows.push(row);
    }

    fn turn_key(&self) -> Option<NonZeroUsize> {
        Some(self.key())
    }
}

thread_local! {
    /// What the bodies of a test did, in order.
    static SEEN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) };
}

fn look(desk: &Desk, cown: &Cown<()>, mark: usize) {
    drop(when_on(desk.clone(), read(cown), move |_| SEEN.with_borrow_mut(|seen| seen.push(mark))));
}

fn write(desk: &Desk, cown: &Cown<()>) {
    drop(when_on(desk.clone(), cown, |_| ()));
}

#[test]
fn the_parts_are_about_as_long() {
    for (readers, parts, lengths) in [(9, 2, vec![5, 4]), (9, 4, vec![3, 3, 3]), (3, 8, vec![1; 3]), (7, 1, vec![7])] {
        let (desk, cown) = (Desk::default(), Cown::new(()));
        (0..readers).for_each(|mark| look(&desk, &cown, mark));
        write(&desk, &cown);
        desk.grant(parts);
        let rows = desk.rows();
        assert_eq!(rows.iter().map(Row::len).collect::<Vec<_>>(), lengths);
        assert!(desk.ready().is_empty(), "the writer waits for them");
        // Whoever takes the part that came last, as a worker does from its deque, goes on with the next reader.
        rows.into_iter().rev().flatten().for_each(Ready::run);
        assert_eq!(desk.ready().len(), 1, "the writer has the cown");
        assert_eq!(SEEN.take(), (0..readers).collect::<Vec<_>>());
    }
}

#[test]
fn readers_of_other_executors_and_of_more_cowns_go_by_themselves() {
    let (desk, other, cown, beside) = (Desk::default(), Desk::default(), Cown::new(()), Cown::new(()));
    let held = try_acquire(&beside).unwrap();
    (0..2).for_each(|mark| look(&desk, &cown, mark));
    look(&other, &cown, 2);
    look(&desk, &cown, 3);
    drop(when_on(desk.clone(), (read(&cown), &beside), |_| ()));
    (5..7).for_each(|mark| look(&desk, &cown, mark));
    let mut batch = Batch::new();
    drop(batch.when_on(desk.clone(), read(&cown), |_| ()));
    drop(batch);
    desk.grant(1);
    assert_eq!(other.ready().len(), 1);
    assert_eq!(desk.ready().len(), 1, "that of the batch; the other waits for its second cown");
    let rows = desk.rows();
    assert_eq!(rows.iter().map(Row::len).collect::<Vec<_>>(), [2, 1, 2]);
    // The last ones come first.
    rows.into_iter().flatten().for_each(Ready::run);
    assert_eq!(SEEN.take(), [5, 6, 3, 0, 1]);
    drop(held);
    assert_eq!(desk.ready().len(), 1, "it has both of its cowns");
}

#[test]
fn an_executor_that_knows_no_rows_gets_each_reader() {
    #[derive(Clone)]
    struct Plain(Desk);
    impl Executor for Plain {
        fn ready(&self, ready: Ready) {
            Executor::ready(&self.0, ready);
        }
        fn ready_turn(&self, turn: Turn) {
            self.0.ready_turn(turn);
        }
        fn turn_key(&self) -> Option<NonZeroUsize> {
            self.0.turn_key()
        }
    }
    let (plain, cown) = (Plain(Desk::default()), Cown::new(()));
    for _ in 0..5 {
        drop(when_on(plain.clone(), read(&cown), |_| ()));
    }
    plain.0.grant(2);
    assert_eq!(plain.0.ready().len(), 5);
}

#[test]
fn a_row_that_is_dropped_cancels_what_is_left_of_it() {
    let (desk, cown) = (Desk::default(), Cown::new(()));
    let handles = [(); 3].map(|()| when_on(desk.clone(), read(&cown), |_| ()));
    desk.grant(1);
    let (first, others) = desk.rows().pop().expect("one part").split_first();
    let others = others.expect("two are left");
    assert_eq!(others.len(), 2);
    drop(others);
    first.run();
    let ends = handles.map(|handle| handle.wait());
    assert!(matches!(ends, [Ok(()), Err(Failure::Cancelled), Err(Failure::Cancelled)]), "{ends:?}");
    assert!(try_acquire(&cown).is_some(), "nobody holds it");
}

proptest! {
    /// However many there are and in whatever parts, each is run once, in order within its row, also when the row was a pointer
    /// in between.
    #[test]
    fn each_reader_comes_once(readers in 1_usize..200, parts in 1_usize..70, has_writer: bool) {
        let (desk, cown) = (Desk::default(), Cown::new(()));
        (0..readers).for_each(|mark| look(&desk, &cown, mark));
        if has_writer {
            write(&desk, &cown);
        }
        desk.grant(parts);
        for row in desk.rows() {
            let (mut row, mut expected) = (Some(row), None);
            while let Some(now) = row {
                let now = {
                    let raw = now.into_raw();
                    prop_assert_eq!(raw.addr().get() % 4, 0);
                    // SAFETY: it was made just now, and is used once.
                    unsafe { Row::from_raw(raw) }
                };
                let left = now.len();
                let (first, others) = now.split_first();
                prop_assert_eq!(others.as_ref().map_or(0, Row::len), left - 1);
                first.run();
                let ran = SEEN.with_borrow(|seen| *seen.last().unwrap());
                prop_assert!(expected.is_none_or(|expected| expected == ran));
                (row, expected) = (others, Some(ran + 1));
            }
        }
        let mut seen = SEEN.take();
        seen.sort_unstable();
        prop_assert_eq!(seen, (0..readers).collect::<Vec<_>>());
        let writer = desk.ready();
        prop_assert_eq!(writer.len(), usize::from(has_writer));
        prop_assert_eq!(try_acquire(&cown).is_none(), has_writer);
    }
}
