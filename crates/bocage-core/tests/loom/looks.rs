//! Looking at what another thread runs, and at what waits behind it.

use std::ops::ControlFlow;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering, fence};
use loom::thread;

use bocage_core::{
    Cown, CownId, Erased, Holder, Labelled, Owed, Place, Stages, look_behind, schedule_labelled, try_acquire, when_on,
};

use crate::stage::{Here, Log, Shelf, mark_one, mark_two, marks};

/// Schedules a behavior that marks `cown` when it is run, and keeps it on the shelf.
fn shelve(shelf: &Shelf, cown: &Cown<Log>, mark: u8, leak: &Arc<()>) {
    let leak = leak.clone();
    drop(when_on(shelf.clone(), cown, move |mut log| {
        log.mark(mark);
        leak
    }));
}

/// Those that wait, by their cowns.
fn waiting<'a>(holders: impl IntoIterator<Item = Holder<'a>>) -> Vec<Vec<(CownId, bool)>> {
    let mut found = Vec::new();
    look_behind(holders, |seen| {
        found.push(seen.cowns().collect());
        ControlFlow::Continue(())
    });
    found
}

/// Ann runs a behavior on a stage, and then the one behind it, while Bob looks: what he finds there has its cown for as long
/// as he looks.
///
/// Failed first with a thread that did not stop at the gate, with one that did not fence before it looked there, and with
/// Bob's barrier left out: Ann released the cown under his eyes.
#[test]
fn what_is_found_to_run_has_its_cown_until_the_look_is_over() {
    loom::model(|| {
        let leak = Arc::new(());
        let (shelf, x) = (Shelf::default(), Log::cown(&leak));
        shelve(&shelf, &x, 1, &leak);
        mark_one(&x, 2, &leak);
        // Threads use it for ever, as far as it can tell.
        let stages: &'static Stages = Box::leak(Box::new(Stages::new(1, true)));
        let ready = shelf.take();
        let ann = thread::spawn(move || _ = ready.run_owing(&mut Owed::on(stages.of(0))));
        let before = AtomicUsize::new(0);
        let barrier = || {
            // Lets Ann's fence come between what Bob has written and his own.
            before.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            true
        };
        // SAFETY: it is a fence, and they fence for themselves.
        let look = |look: &dyn Fn(&[Holder<'_>])| unsafe { stages.look(barrier, look) };
        look(&|running| {
            for holder in running {
                assert_eq!(holder.seen().cowns().collect::<Vec<_>>(), [(x.id(), false)]);
                assert_eq!(waiting([*holder]), [vec![(x.id(), false)]]);
                assert!(try_acquire(&x).is_none(), "it was released");
            }
        });
        ann.join().unwrap();
        assert_eq!(marks(&x), [1, 2]);
    });
}

/// Ann has a behavior that is ready, and looks behind it while Bob schedules another on its cown and a second one, and again when
/// he has done so.
///
/// Failed first with a look that took those that wait for holders, of whom it does not tell.
#[test]
fn a_look_against_a_late_enqueue() {
    loom::model(|| {
        let leak = Arc::new(());
        let shelf = Shelf::default();
        let [x, y] = Log::cowns(&leak);
        shelve(&shelf, &x, 1, &leak);
        let bob = {
            let (x, y, leak) = (x.clone(), y.clone(), leak.clone());
            thread::spawn(move || mark_two(&x, &y, 2, &leak))
        };
        let ready = shelf.take();
        let both = vec![(x.id(), false), (y.id(), false)];
        let early = waiting([Holder::from(&ready)]);
        assert!(early.is_empty() || early == [both.clone()]);
        bob.join().unwrap();
        assert_eq!(waiting([Holder::from(&ready)]), [both]);
        ready.run();
        assert_eq!((marks(&x), marks(&y)), (vec![1, 2], vec![2]));
    });
}

/// Says what it is, and is not that any more when it has begun.
struct Told(UnsafeCell<&'static str>);

// SAFETY: the very thing that the model checks; loom's cell panics on an access that is not exclusive.
unsafe impl Sync for Told {}

impl Labelled<()> for Told {
    fn label(&self) -> String {
        // SAFETY: whoever looks has it for reading, or loom says otherwise.
        self.0.with(|label| unsafe { (*label).to_owned() })
    }

    fn run(self, _: Place<'_, ()>) {
        // SAFETY: the run has it for itself, or loom says otherwise.
        self.0.with_mut(|label| unsafe { *label = "has begun" });
    }
}

/// Ann runs a behavior on a stage, and then the one behind it, which Bob schedules; he looks meanwhile, and asks what he finds
/// what it is.
///
/// Failed first with a thread that did not stop at the gate: the body was run under his eyes.
#[test]
fn what_is_found_to_wait_does_not_begin_until_the_look_is_over() {
    loom::model(|| {
        let leak = Arc::new(());
        let (shelf, x) = (Shelf::default(), Log::cown(&leak));
        shelve(&shelf, &x, 1, &leak);
        let stages: &'static Stages = Box::leak(Box::new(Stages::new(1, true)));
        let ready = shelf.take();
        let ann = thread::spawn(move || _ = ready.run_owing(&mut Owed::on(stages.of(0))));
        let body = Told(UnsafeCell::new("waits"));
        drop(schedule_labelled(Here, &mut [Erased::new(&x)], Some(()), body));
        let before = AtomicUsize::new(0);
        let barrier = || {
            // As above.
            before.fetch_add(1, Ordering::Relaxed);
            fence(Ordering::SeqCst);
            true
        };
        // SAFETY: it is a fence, and they fence for themselves.
        let look = |look: &dyn Fn(&[Holder<'_>])| unsafe { stages.look(barrier, look) };
        look(&|running| {
            look_behind(running.iter().copied(), |seen| {
                assert_eq!(seen.label().as_deref(), Some("waits"));
                ControlFlow::Continue(())
            });
        });
        ann.join().unwrap();
        assert_eq!(marks(&x), [1]);
    });
}
