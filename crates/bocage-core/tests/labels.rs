//! What a body calls itself, as long as it has not begun.
#![cfg(not(loom))]

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use bocage_core::{
    Cown, Erased, Executor, Holder, Inline, Labelled, Outside, Place, Ready, Shown, acquire, look_behind,
    schedule_erased, schedule_labelled, scope, when_on,
};

/// More than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Keeps what is ready.
#[derive(Clone, Default)]
struct Shelf(Arc<Mutex<Vec<Ready>>>);

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().push(ready);
    }
}

impl Shelf {
    fn take(&self) -> Vec<Ready> {
        std::mem::take(&mut self.0.lock().unwrap())
    }
}

/// A body that has a name on the heap, which goes with it, and sends what it finds on stages when it runs.
struct Named(String, mpsc::Sender<Vec<Option<String>>>);

impl Labelled<()> for Named {
    fn label(&self) -> String {
        self.0.clone()
    }

    fn run(self, _: Place<'_, ()>) {
        let found = Outside::look(|holders| {
            // Others of this process may be there, too.
            let here = holders.iter().map(|holder| holder.seen()).filter(|seen| seen.name().ends_with("labels::Named"));
            here.map(|seen| seen.label()).collect()
        });
        self.1.send(found).unwrap();
    }
}

/// What waits behind these calls itself, in the order of its names.
fn behind<'a>(holders: impl IntoIterator<Item = Holder<'a>>) -> Vec<Option<String>> {
    let mut labels = Vec::new();
    look_behind(holders, |seen| {
        labels.push(seen.label());
        ControlFlow::Continue(())
    });
    labels.sort();
    labels
}

fn some(label: &str) -> Option<String> {
    Some(label.to_owned())
}

#[test]
fn a_body_has_a_label_until_it_begins() {
    let (shelf, cown, other) = (Shelf::default(), Cown::new(0), Cown::new(0));
    let (tell, told) = mpsc::channel();
    let schedule = |name: &str, cowns: &mut [Erased<'_>]| {
        drop(schedule_labelled(shelf.clone(), cowns, Some(()), Named(name.to_owned(), tell.clone())));
    };
    schedule("first", &mut [Erased::new(&cown)]);
    schedule("second", &mut [Erased::new(&other), Erased::new(&cown)]);
    schedule("third", &mut [Erased::new(&other)]);
    drop(schedule_erased(shelf.clone(), &mut [Erased::new(&other)], Some(()), |_| ()));
    drop(when_on(shelf.clone(), &other, |_| ()));
    let [ready] = <[_; 1]>::try_from(shelf.take()).unwrap();
    let holder = Holder::from(&ready);
    assert_eq!(holder.seen().label(), some("first"));
    assert!(holder.seen().name().ends_with("labels::Named"), "{}", holder.seen().name());
    assert_eq!(behind([holder]), [None, None, some("second"), some("third")]);
    Outside::run(ready);
    // Found on its stage, where it has begun.
    assert_eq!(told.try_recv().unwrap(), [None]);
    let [second] = <[_; 1]>::try_from(shelf.take()).unwrap();
    assert_eq!(Holder::from(&second).seen().label(), some("second"));
    // Cancelled, and so the label is gone with the body.
    drop(second);
    let [third] = <[_; 1]>::try_from(shelf.take()).unwrap();
    third.run();
    assert_eq!(told.try_iter().count(), 1);
    for left in [1, 1, 0] {
        let ready = shelf.take();
        assert_eq!(ready.len(), left);
        ready.into_iter().for_each(Ready::run);
    }
}

#[test]
fn a_token_that_is_shown_is_found_until_it_is_taken() {
    let (shelf, cown) = (Shelf::default(), Cown::new(0));
    drop(when_on(shelf.clone(), &cown, |_| ()));
    drop(schedule_labelled(Inline, &mut [Erased::new(&cown)], Some(()), Named("behind".to_owned(), mpsc::channel().0)));
    let held = || {
        Outside::look(|holders| {
            let holds = |holder: &Holder<'_>| holder.seen().cowns().any(|(id, _)| id == cown.id());
            behind(holders.iter().copied().filter(holds))
        })
    };
    let [ready] = <[_; 1]>::try_from(shelf.take()).unwrap();
    assert!(held().is_empty());
    let shown = Shown::new(ready);
    assert_eq!(held(), [some("behind")]);
    let ready = shown.into_ready();
    assert!(held().is_empty());
    let shown = Shown::new(ready);
    assert_eq!(held(), [some("behind")]);
    // Cancelled; the one behind it finds nobody who listens.
    drop(shown);
    assert!(held().is_empty());
    assert_eq!(*acquire(&cown).wait().guards(), 0);
}

/// A label is read while the thread that holds the cown would cancel what waits, or run it, and so drop the body.
///
/// Caught: a guard that does not stop at the gate: a label that was freed was read.
#[test]
fn a_label_is_there_as_long_as_one_looks() {
    /// Runs and cancels in turn, on the thread that releases.
    #[derive(Clone)]
    struct Fickle(Arc<AtomicUsize>);
    impl Executor for Fickle {
        fn ready(&self, ready: Ready) {
            // Relaxed: any order will do.
            if self.0.fetch_add(1, Ordering::Relaxed).is_multiple_of(2) { ready.run() } else { drop(ready) }
        }
    }
    struct Long(String);
    impl Labelled<()> for Long {
        fn label(&self) -> String {
            self.0.clone()
        }

        fn run(self, _: Place<'_, ()>) {}
    }
    let (cown, done, fickle) = (Cown::new(0), AtomicBool::new(false), Fickle(Arc::default()));
    let label = "what a body calls itself".repeat(4);
    let found = thread::scope(|threads| {
        let (cown, done, label) = (&cown, &done, &label);
        threads.spawn(move || {
            // Relaxed: it ends some time after.
            while !done.load(Ordering::Relaxed) {
                let held = acquire(cown).wait();
                for _ in 0..2 {
                    let body = Long(label.clone());
                    drop(schedule_labelled(fickle.clone(), &mut [Erased::new(cown)], Some(()), body));
                }
                drop(held);
            }
        });
        let (mut found, begun) = (0, Instant::now());
        while found < 50 && begun.elapsed() < LONG {
            Outside::look(|holders| {
                look_behind(holders.iter().copied(), |seen| {
                    if seen.name().ends_with("::Long") {
                        // Time to go on, for whoever does not stop.
                        thread::yield_now();
                        assert_eq!(seen.label().as_ref(), Some(label));
                        found += 1;
                    }
                    ControlFlow::Continue(())
                });
            });
        }
        done.store(true, Ordering::Relaxed);
        found
    });
    assert!(found >= 50, "only {found} were found in all the time");
}

#[test]
fn a_body_that_borrows_has_none() {
    let (shelf, cown, text) = (Shelf::default(), Cown::new(0), String::from("borrowed"));
    scope(|scope| {
        let text = &text;
        drop(scope.when_on(shelf.clone(), &cown, move |_| assert!(!text.is_empty())));
        for ready in shelf.take() {
            assert_eq!(Holder::from(&ready).seen().label(), None);
            ready.run();
        }
    });
}
