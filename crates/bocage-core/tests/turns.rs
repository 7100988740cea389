//! Readers that an executor runs one after the other, by their turn.
#![cfg(not(loom))]

use std::cell::RefCell;
use std::num::NonZeroUsize;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex};

use bocage_core::{
    Batch, Cown, Executor, Failure, Inline, Owed, Ready, Stage, Turn, read, scope, try_acquire, when_on,
};

/// Nobody looks there.
static STAGE: Stage = Stage::nowhere();

/// Keeps what comes until it is told to work.
#[derive(Clone, Default)]
struct Desk(Arc<Mutex<Papers>>);

#[derive(Default)]
struct Papers {
    turns: Vec<Turn>,
    ready: Vec<Ready>,
}

impl Desk {
    fn turn(&self) -> Turn {
        self.0.lock().unwrap().turns.pop().expect("it is a reader's turn")
    }

    fn ready(&self) -> Vec<Ready> {
        std::mem::take(&mut self.0.lock().unwrap().ready)
    }

    fn key(&self) -> NonZeroUsize {
        NonZeroUsize::new(Arc::as_ptr(&self.0).addr()).unwrap()
    }

    fn is_empty(&self) -> bool {
        let papers = self.0.lock().unwrap();
        papers.turns.is_empty() && papers.ready.is_empty()
    }

    /// Runs all readers of the turn; says how many were its own.
    fn run(&self, turn: Turn, owed: &mut Owed) -> usize {
        let mut own = 0;
        let mut turn = Some(turn);
        while let Some(now) = turn.take() {
            let (reader, next) = now.begin(owed);
            own += usize::from(reader.run(self.key()));
            turn = next;
        }
        own
    }
}

impl Executor for Desk {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().ready.push(ready);
    }

    fn ready_turn(&self, turn: Turn) {
        self.0.lock().unwrap().turns.push(turn);
    }

    fn handed_over_turn(&self, turn: Turn) {
        self.ready_turn(turn);
    }

    fn turn_key(&self) -> Option<NonZeroUsize> {
        Some(self.key())
    }
}

thread_local! {
    /// What the bodies of a test did, in order.
    static SEEN: RefCell<Vec<i32>> = const { RefCell::new(Vec::new()) };
}

fn note(mark: i32) {
    SEEN.with_borrow_mut(|seen| seen.push(mark));
}

fn seen() -> Vec<i32> {
    SEEN.take()
}

/// A read that says when it runs, and of which nobody can learn that it has ended.
fn look(desk: &Desk, cown: &Cown<i32>, mark: i32) {
    drop(when_on(desk.clone(), read(cown), move |value| note(mark + *value)));
}

#[test]
fn readers_run_in_their_order_and_the_writer_when_they_are_settled() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    (1..=3).for_each(|mark| look(&desk, &cown, mark));
    drop(when_on(desk.clone(), &cown, |mut value| {
        *value = 10;
        note(0);
    }));
    (4..=5).for_each(|mark| look(&desk, &cown, mark));

    let mut owed = Owed::on(&STAGE);
    assert_eq!(desk.run(desk.turn(), &mut owed), 3);
    assert_eq!(seen(), [1, 2, 3]);
    assert!(desk.is_empty(), "the last reader holds the cown still");
    owed.settle();
    desk.ready().pop().expect("the writer has it").run();
    assert_eq!(seen(), [0]);
    assert_eq!(desk.run(desk.turn(), &mut owed), 2);
    assert_eq!(seen(), [14, 15]);
    assert!(try_acquire(&cown).is_none());
    drop(owed);
    assert!(try_acquire(&cown).is_some(), "dropping settles");
}

#[test]
fn readers_that_come_while_one_runs_enter_beside_it() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    look(&desk, &cown, 1);
    let mut owed = Owed::on(&STAGE);
    let (reader, next) = desk.turn().begin(&mut owed);
    assert!(next.is_none(), "nobody was behind it");
    look(&desk, &cown, 2);
    let second = desk.turn();
    drop(when_on(desk.clone(), &cown, |mut value| *value = 10));
    assert!(reader.run(desk.key()));
    owed.settle();
    assert!(desk.is_empty(), "the writer waits for the second reader too");
    desk.run(second, &mut owed);
    owed.settle();
    assert_eq!(seen(), [1, 2]);
    desk.ready().pop().expect("now it has the cown").run();
    assert_eq!(when_on(Inline, &cown, |value| *value).wait().unwrap(), 10);
}

#[test]
fn a_turn_that_is_granted_makes_them_all_ready() {
    for how in [Turn::grant, Turn::hand_over, drop] {
        let (desk, cown) = (Desk::default(), Cown::new(0));
        // More than are counted in one step.
        (0..100).for_each(|mark| look(&desk, &cown, mark));
        drop(when_on(desk.clone(), &cown, |mut value| *value = 10));
        how(desk.turn());
        let ready = desk.ready();
        assert_eq!(ready.len(), 100);
        ready.into_iter().rev().for_each(Ready::run);
        assert_eq!(seen(), (0..100).rev().collect::<Vec<_>>());
        assert_eq!(desk.ready().len(), 1, "the writer has the cown when the last of them has run");
    }
}

#[test]
fn the_rest_of_a_turn_can_be_granted_while_its_first_runs() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    (1..=3).for_each(|mark| look(&desk, &cown, mark));
    drop(when_on(desk.clone(), &cown, |mut value| *value = 10));
    let mut owed = Owed::on(&STAGE);
    let (first, rest) = desk.turn().begin(&mut owed);
    rest.expect("two are left").grant();
    let others = desk.ready();
    assert_eq!(others.len(), 2);
    others.into_iter().for_each(Ready::run);
    assert!(first.run(desk.key()));
    assert!(desk.is_empty());
    owed.settle();
    assert_eq!(seen(), [2, 3, 1]);
    assert_eq!(desk.ready().len(), 1, "the writer has the cown");
}

#[test]
fn who_waited_for_a_reader_finds_that_it_holds_the_cown_no_more() {
    let (desk, cown) = (Desk::default(), Cown::new(5));
    let handle = when_on(desk.clone(), read(&cown), |value| *value);
    let mut owed = Owed::on(&STAGE);
    assert_eq!(desk.run(desk.turn(), &mut owed), 1);
    assert_eq!(handle.wait().unwrap(), 5);
    assert!(try_acquire(&cown).is_some(), "nothing is owed");

    // The same of a scope, whose end says that all its behaviors are done.
    let mut local = 0;
    scope(|scope| {
        drop(scope.when_on(desk.clone(), read(&cown), |value| local = *value));
        desk.run(desk.turn(), &mut owed);
    });
    assert_eq!(local, 5);
    assert!(try_acquire(&cown).is_some(), "nothing is owed");
}

#[test]
fn what_is_owed_of_one_cown_is_settled_before_a_reader_of_another_begins() {
    let (desk, one, other) = (Desk::default(), Cown::new(0), Cown::new(0));
    look(&desk, &one, 1);
    let first = desk.turn();
    look(&desk, &other, 2);
    let mut owed = Owed::on(&STAGE);
    desk.run(first, &mut owed);
    assert!(try_acquire(&one).is_none());
    desk.run(desk.turn(), &mut owed);
    assert!(try_acquire(&one).is_some());
    assert!(try_acquire(&other).is_none());
}

#[test]
fn a_reader_of_another_executor_goes_there() {
    let (desk, other, cown) = (Desk::default(), Desk::default(), Cown::new(0));
    look(&desk, &cown, 1);
    look(&other, &cown, 2);
    look(&desk, &cown, 3);
    let mut owed = Owed::on(&STAGE);
    assert_eq!(desk.run(desk.turn(), &mut owed), 2);
    assert_eq!(seen(), [1, 3]);
    owed.settle();
    assert!(try_acquire(&cown).is_none(), "the other's reader has it");
    other.ready().pop().expect("it is ready there").run();
    assert_eq!(seen(), [2]);
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn who_wants_more_than_the_one_cown_is_granted_and_ends_the_turn() {
    let (desk, cown, beside) = (Desk::default(), Cown::new(0), Cown::new(0));
    let held = try_acquire(&beside).unwrap();
    look(&desk, &cown, 1);
    drop(when_on(desk.clone(), (read(&cown), &beside), |(value, _)| note(20 + *value)));
    look(&desk, &cown, 3);
    let mut batch = Batch::new();
    drop(batch.when_on(desk.clone(), read(&cown), |value| note(40 + *value)));
    drop(batch);
    let mut owed = Owed::on(&STAGE);
    assert_eq!(desk.run(desk.turn(), &mut owed), 1);
    let granted = desk.ready();
    assert_eq!(granted.len(), 2, "the last two; the second waits for the other cown");
    granted.into_iter().for_each(Ready::run);
    assert_eq!(seen(), [1, 3, 40]);
    drop(held);
    desk.ready().pop().expect("it has both").run();
    assert_eq!(seen(), [20]);
    assert!(try_acquire(&cown).is_none());
    owed.settle();
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn a_panic_goes_to_the_handle_and_the_next_reader_runs() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    let failed = when_on(desk.clone(), read(&cown), |_| -> i32 { panic!("not today") });
    look(&desk, &cown, 1);
    let mut owed = Owed::on(&STAGE);
    let ran = catch_unwind(AssertUnwindSafe(|| desk.run(desk.turn(), &mut owed)));
    assert_eq!(ran.expect("a run does not unwind"), 2);
    assert_eq!(seen(), [1]);
    assert!(matches!(failed.wait(), Err(Failure::Panicked(_))));
    owed.settle();
    assert!(!when_on(Inline, &cown, |value| value.is_poisoned()).wait().unwrap(), "it was only read");
}

#[test]
fn a_reader_that_is_dropped_is_cancelled() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    let handle = when_on(desk.clone(), read(&cown), |_| unreachable!("cancelled"));
    look(&desk, &cown, 1);
    let mut owed = Owed::on(&STAGE);
    let (reader, next) = desk.turn().begin(&mut owed);
    drop(reader);
    assert!(matches!(handle.wait(), Err(Failure::Cancelled)));
    desk.run(next.expect("one is left"), &mut owed);
    assert_eq!(seen(), [1]);
    owed.settle();
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn a_cown_lives_as_long_as_something_of_it_is_owed() {
    let (desk, value) = (Desk::default(), Arc::new(()));
    let cown = Cown::new(value.clone());
    for _ in 0..2 {
        drop(when_on(desk.clone(), read(&cown), |value| assert_eq!(Arc::strong_count(&value), 2)));
    }
    drop(cown);
    let mut owed = Owed::on(&STAGE);
    assert_eq!(desk.run(desk.turn(), &mut owed), 2);
    assert_eq!(Arc::strong_count(&value), 2);
    owed.settle();
    assert_eq!(Arc::strong_count(&value), 1);
}

#[test]
fn granted_readers_are_counted_out_in_one_step() {
    let (desk, cown) = (Desk::default(), Cown::new(0));
    (1..=3).for_each(|mark| look(&desk, &cown, mark));
    desk.turn().grant();
    drop(when_on(Inline, &cown, |mut value| {
        *value = 10;
        note(0);
    }));
    let mut owed = Owed::on(&STAGE);
    for ready in desk.ready() {
        assert!(owed.is_nothing() || owed.goes_on_with(&ready));
        assert!(ready.run_owing(&mut owed));
    }
    assert_eq!(seen(), [1, 2, 3], "they hold the cown still");
    owed.settle();
    assert!(owed.is_nothing());
    assert_eq!(seen(), [0]);
}

#[test]
fn only_a_reader_of_the_same_cown_goes_on() {
    let (desk, cown, other) = (Desk::default(), Cown::new(1), Cown::new(2));
    let mut owed = Owed::on(&STAGE);
    look(&desk, &cown, 0);
    desk.turn().grant();
    assert!(desk.ready().pop().unwrap().run_owing(&mut owed));
    look(&desk, &cown, 1);
    look(&desk, &other, 2);
    desk.turn().grant();
    desk.turn().grant();
    drop(when_on(desk.clone(), (), |()| note(3)));
    drop(when_on(desk.clone(), (read(&cown), read(&other)), |_| note(4)));
    let go_on: Vec<_> = desk.ready().iter().map(|ready| owed.goes_on_with(ready)).collect();
    // The turn that was taken last was granted first: that of the other cown.
    assert_eq!(go_on, [false, true, false, false]);
}

#[test]
fn readers_whose_end_can_be_seen_and_others_are_not_owed() {
    let (desk, cown) = (Desk::default(), Cown::new(1));
    let mut owed = Owed::on(&STAGE);
    let handle = when_on(desk.clone(), read(&cown), |value| *value);
    desk.turn().grant();
    drop(when_on(desk.clone(), (), |()| ()));
    for ready in desk.ready() {
        assert!(!ready.run_owing(&mut owed));
    }
    assert!(owed.is_nothing());
    assert_eq!(handle.wait().unwrap(), 1);
    drop(when_on(desk.clone(), &cown, |mut value| *value += 1));
    assert!(!desk.ready().pop().unwrap().run_owing(&mut owed), "a writer");
    assert!(try_acquire(&cown).is_some());
}

#[test]
fn owed_readers_of_one_cown_are_settled_when_another_comes() {
    let (desk, cown, other) = (Desk::default(), Cown::new(1), Cown::new(2));
    let mut owed = Owed::on(&STAGE);
    look(&desk, &cown, 0);
    look(&desk, &other, 1);
    desk.turn().grant();
    desk.turn().grant();
    for ready in desk.ready() {
        assert!(ready.run_owing(&mut owed));
    }
    // The one of the other cown came first, and is settled.
    assert!(try_acquire(&other).is_some() && try_acquire(&cown).is_none());
    drop(owed);
    assert!(try_acquire(&cown).is_some());
    seen();
}
