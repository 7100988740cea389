//! Who comes first: the order of scheduling is the order of running, on every cown.

use loom::sync::Arc;
use loom::thread;

use bocage_core::when_on;

use crate::stage::{Here, Log, mark_one, mark_two, marks};

/// Ann and Bob each schedule a behavior on the same two cowns, which they name in opposite orders.
///
/// Failed first with an enqueue that did not wait for its predecessor's phase 1 (`await_enqueued` left
/// out): Bob overtook Ann on the second cown, and both waited for ever. And with a release that counted one cown for a
/// successor that had got both in one step, or that forgot to tell it.
#[test]
fn two_behaviors_over_two_cowns_named_in_opposite_orders() {
    loom::model(|| {
        let leak = Arc::new(());
        let [a, b] = Log::cowns(&leak);
        let ann = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || mark_two(&a, &b, 1, &leak))
        };
        mark_two(&b, &a, 2, &leak);
        ann.join().unwrap();
        let order = marks(&a);
        assert_eq!(order.len(), 2, "both ran");
        assert_eq!(order, marks(&b), "both cowns saw them in the same order");
    });
}

/// Ann wants all three cowns; Bob wants two of them, and then another two, and names them the other way
/// round.
///
/// Failed first with the sort left out, so that each took its cowns in the order in which it named them: Ann
/// waited in front of Bob's cown and he in front of hers, for ever.
#[test]
fn three_behaviors_over_three_cowns() {
    loom::model(|| {
        let leak = Arc::new(());
        let [a, b, c] = Log::cowns(&leak);
        let ann = {
            let (a, b, c) = (a.clone(), b.clone(), c.clone());
            thread::spawn(move || {
                drop(when_on(Here, (&a, &b, &c), |(mut a, mut b, mut c)| {
                    a.mark(1);
                    b.mark(1);
                    c.mark(1);
                }));
            })
        };
        mark_two(&c, &b, 2, &leak);
        mark_two(&b, &a, 3, &leak);
        ann.join().unwrap();
        let (on_a, on_b, on_c) = (marks(&a), marks(&b), marks(&c));
        let sorted = |marks: &[u8]| {
            let mut marks = marks.to_vec();
            marks.sort_unstable();
            marks
        };
        assert_eq!((sorted(&on_a), sorted(&on_b), sorted(&on_c)), (vec![1, 3], vec![1, 2, 3], vec![1, 2]));
        let only = |without: u8| on_b.iter().copied().filter(|m| *m != without).collect::<Vec<_>>();
        assert_eq!(only(1), [2, 3], "Bob's ran in the order in which he scheduled them");
        assert_eq!((on_a, on_c), (only(2), only(3)), "all cowns saw the three in the same order");
    });
}

/// Ann's behavior releases the cown while Bob enqueues behind it and Ann already schedules the next one.
///
/// Failed first with a release that took a lost reset of the tail for "a successor will find it" without
/// the swap to *released* (Bob's behavior never ran); and again with `Relaxed` for the tail's reset (loom:
/// Bob's access did not happen after Ann's).
#[test]
fn a_release_against_a_late_enqueue() {
    loom::model(|| {
        let leak = Arc::new(());
        let a = Log::cown(&leak);
        let bob = {
            let (a, leak) = (a.clone(), leak.clone());
            thread::spawn(move || mark_one(&a, 9, &leak))
        };
        mark_one(&a, 1, &leak);
        mark_one(&a, 2, &leak);
        bob.join().unwrap();
        let mut seen = marks(&a);
        assert_eq!(seen.iter().filter(|m| **m == 9).count(), 1, "Bob's ran once");
        seen.retain(|m| *m != 9);
        assert_eq!(seen, [1, 2], "Ann's ran in the order in which she scheduled them");
    });
}

/// A behavior that holds one cown schedules another on it and on a second cown that Bob wants too.
///
/// Failed first with a pending count that started without the one for phase 1: the inner behavior was made
/// ready by the hand-over while its own enqueue was still going on, and ran twice.
#[test]
fn a_behavior_schedules_on_a_cown_that_it_holds() {
    loom::model(|| {
        let leak = Arc::new(());
        let [a, b] = Log::cowns(&leak);
        let bob = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || mark_two(&b, &a, 9, &leak))
        };
        let (inner_a, inner_b, inner_leak) = (a.clone(), b.clone(), leak.clone());
        drop(when_on(Here, &a, move |mut log| {
            log.mark(1);
            mark_two(&inner_a, &inner_b, 2, &inner_leak);
            log.mark(3);
        }));
        bob.join().unwrap();
        let mut on_a = marks(&a);
        assert_eq!(on_a.iter().filter(|m| **m == 9).count(), 1, "Bob's ran once");
        let nine_first = on_a.iter().position(|m| *m == 9) < on_a.iter().position(|m| *m == 2);
        on_a.retain(|m| *m != 9);
        assert_eq!(on_a, [1, 3, 2], "the inner behavior ran after the one that scheduled it");
        assert_eq!(marks(&b), if nine_first { [9, 2] } else { [2, 9] }, "and in the same order on both cowns");
    });
}
