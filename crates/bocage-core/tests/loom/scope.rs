//! Scopes, whose behaviors borrow from the stack.

use loom::sync::Arc;
use loom::thread;

use bocage_core::{scope, try_acquire};

use crate::stage::{Log, Shelf, mark_one, marks};

/// Ann opens a scope, whose behavior another thread runs: it writes to Ann's stack. Bob comes behind it on one of its
/// cowns.
///
/// Failed first with a count that was taken back before the release (Ann's cown was not free when her scope had ended),
/// and with one that told nobody when it reached zero. (That it is taken back as `Release` is not shown here: in loom a
/// thread's `unpark`, which comes right after, already orders the two.)
#[test]
fn a_scope_ends_against_its_last_release() {
    loom::model(|| {
        let leak = Arc::new(());
        let [a, b] = Log::cowns(&leak);
        let stack = Log::new(&leak);
        let (worker, bob) = scope(|s| {
            let (shelf, stack) = (Shelf::default(), &stack);
            s.when_on(shelf.clone(), (&a, &b), move |(mut a, mut b)| {
                a.mark(1);
                b.mark(1);
                // Nobody else looks before the scope's end, or loom says otherwise.
                stack.mark_shared(1);
            });
            let ready = shelf.take();
            let worker = thread::spawn(move || ready.run());
            let (b, leak) = (b.clone(), leak.clone());
            (worker, thread::spawn(move || mark_one(&b, 2, &leak)))
        });
        assert_eq!(stack.marks(), [1]);
        drop(stack);
        assert!(try_acquire(&a).is_some(), "it is released when the scope ends");
        worker.join().unwrap();
        bob.join().unwrap();
        assert_eq!((marks(&a), marks(&b)), (vec![1], vec![1, 2]));
    });
}
