//! Scopes and acquisitions beside behaviors, on the default runtime.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bocage::{Cown, Failure, acquire, read, scope, when};

#[test]
fn bodies_share_out_a_slice_and_schedule_more() {
    let count = Cown::new(0_u64);
    let mut numbers: Vec<u64> = (0..1000).collect();
    let mut last = scope(|s| {
        for part in numbers.chunks_mut(10) {
            let count = &count;
            s.when((), move |()| {
                part.iter_mut().for_each(|n| *n *= 2);
                let sum: u64 = part.iter().sum();
                s.when(count, move |mut count| *count += sum);
            });
        }
        acquire(&count)
    })
    .wait();
    assert_eq!(numbers, (0..1000).map(|n| n * 2).collect::<Vec<_>>());
    assert_eq!(*last.guards(), 999 * 1000);
}

#[test]
fn in_a_behavior_blocking_is_refused() {
    let cown = Cown::new(1);
    let (for_scope, for_wait) = (cown.clone(), cown.clone());
    let scoped = when((), move |()| scope(|s| drop(s.when(&for_scope, |_| ()))));
    let waited = when((), move |()| drop(acquire(&for_wait).wait()));
    for outcome in [scoped.wait(), waited.wait()] {
        let Err(Failure::Panicked(text)) = outcome else { panic!("it would wait for itself") };
        assert!(text.downcast_ref::<&str>().unwrap().contains("runs behaviors"));
    }
    assert_eq!(*acquire(read(&cown)).wait().guards(), 1);
}

#[test]
fn a_panic_of_a_body_reaches_the_end_of_its_scope_and_leaves_the_runtime_in_order() {
    let cown = Cown::new(1);
    let ended = catch_unwind(AssertUnwindSafe(|| {
        scope(|s| {
            s.when(&cown, |_| std::panic::resume_unwind(Box::new("on purpose")));
        });
    }));
    assert!(ended.is_err());
    assert!(when(&cown, |guard| guard.is_poisoned()).wait().unwrap());
    bocage::quiesce(Some(std::time::Duration::from_secs(60))).unwrap();
}
