//! Pinned behaviors, with the facade's `when` in them.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use bocage::{Builder, Cown, Error, RuntimeRef, batch, default_runtime, quiesce, read, when};

/// More than anything here takes, so that a hang is a failure.
const LONG: Duration = Duration::from_secs(60);

#[test]
fn in_a_pinned_body_when_schedules_on_the_runtime_of_the_body() {
    let runtime = Builder::new().workers(1).build().unwrap();
    let (home, here) = (runtime.reference(), runtime.pinned().unwrap());
    let inner = here.when((), |()| (when((), |()| RuntimeRef::current()), quiesce(Some(LONG))));
    let (inner, quiet) = inner.wait().unwrap();
    assert_eq!(inner.wait().unwrap(), Some(home));
    assert!(matches!(quiet, Err(Error::OnWorker)));
    runtime.wait(Some(LONG)).unwrap();
}

#[test]
fn quiesce_pumps_for_the_default_runtime() {
    let here = default_runtime().pinned().unwrap();
    let (shown, model) = (Rc::new(Cell::new(0)), Cown::new(1));
    let view = here.cown(shown.clone()).unwrap();
    for _ in 0..10 {
        when(&model, |mut n| *n += 1);
        let _ = here.when((&view, &model), |(view, n)| view.set(*n));
    }
    quiesce(Some(LONG)).unwrap();
    assert_eq!(shown.get(), 11);
}

#[test]
fn a_batch_on_the_default_runtime_has_pinned_behaviors_too() {
    let here = default_runtime().pinned().unwrap();
    let (view, model) = (here.cown(Rc::new(Cell::new(0))).unwrap(), Cown::new(0));
    for i in 1..=100 {
        let shown = batch(|batch| {
            let _ = batch.when(&model, move |mut n| *n = i);
            batch.when_pinned(&here, (&view, read(&model)), |(view, n)| {
                view.set(*n);
                view.get()
            })
        });
        when(&model, |mut n| *n = -1);
        assert_eq!(shown.wait().unwrap(), i);
    }
    quiesce(Some(LONG)).unwrap();
}
