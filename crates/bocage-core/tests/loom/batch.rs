//! Batches: several behaviors in one step.

use loom::sync::Arc;
use loom::thread;

use bocage_core::{Batch, Cown, read};

use crate::stage::{Here, Log, Seen, mark_two, marks};

/// Ann schedules two behaviors in one step, one on her own cown and one on both cowns. So does Bob.
///
/// Failed first with batches whose behaviors went through phase 1 one after the other: Bob came between them.
#[test]
fn a_batch_against_a_batch() {
    fn pair(x: &Cown<Log>, y: &Cown<Log>, marks: [u8; 2], leak: &Arc<()>) {
        let mut batch = Batch::new();
        let (first, second) = (leak.clone(), leak.clone());
        drop(batch.when_on(Here, x, move |mut x| {
            x.mark(marks[0]);
            first
        }));
        drop(batch.when_on(Here, (y, x), move |(mut y, mut x)| {
            y.mark(marks[1]);
            x.mark(marks[1]);
            second
        }));
    }
    loom::model(|| {
        let leak = Arc::new(());
        let [a, b] = Log::cowns(&leak);
        let ann = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || pair(&a, &b, [1, 2], &leak))
        };
        pair(&b, &a, [3, 4], &leak);
        ann.join().unwrap();
        let (on_a, on_b) = (marks(&a), marks(&b));
        assert!(on_a == [1, 2, 4] || on_a == [4, 1, 2], "Ann's two are neighbours on a: {on_a:?}");
        assert!(on_b == [3, 4, 2] || on_b == [2, 3, 4], "Bob's two are neighbours on b: {on_b:?}");
        assert_eq!(on_a[0] == 1, on_b[0] == 2, "one batch came first, on both: {on_a:?} {on_b:?}");
    });
}

/// Ann's batch reads `a` and writes `b`, then writes `a`, then reads it. Bob's behavior wants both.
///
/// Failed first with a last slot that passed for enqueued as soon as it was swapped in (Bob and the batch waited for each
/// other), with the first slot swapped into the tail instead of the last, and with a chain that did not say that its next
/// one reads.
#[test]
fn a_batch_with_readers_against_one_behavior() {
    loom::model(|| {
        let (leak, seen) = (Arc::new(()), Seen::default());
        let [a, b] = Log::cowns(&leak);
        let bob = {
            let (a, b, leak) = (a.clone(), b.clone(), leak.clone());
            thread::spawn(move || mark_two(&b, &a, 9, &leak))
        };
        let mut batch = Batch::new();
        let (first, second, third) = (leak.clone(), leak.clone(), (leak.clone(), seen.clone()));
        drop(batch.when_on(Here, (read(&a), &b), move |(a, mut b)| {
            let _ = a.marks();
            b.mark(1);
            first
        }));
        drop(batch.when_on(Here, &a, move |mut a| {
            a.mark(2);
            second
        }));
        drop(batch.when_on(Here, read(&a), move |a| {
            third.1.lock().unwrap().push(a.marks());
            third.0
        }));
        drop(batch);
        bob.join().unwrap();
        let seen = std::mem::take(&mut *seen.lock().unwrap());
        assert_eq!(seen.len(), 1, "the batch's reader ran");
        let bob_first = seen[0].len() == 2;
        let (on_a, on_b) = if bob_first { ([9, 2], [9, 1]) } else { ([2, 9], [1, 9]) };
        assert_eq!((marks(&a), marks(&b)), (on_a.to_vec(), on_b.to_vec()), "one came first, on both");
        assert!(on_a.starts_with(&seen[0]) && seen[0].ends_with(&[2]), "Bob did not come in between: {seen:?}");
    });
}
