//! What a worker keeps back is had by one.

use std::ptr::NonNull;

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;

use bocage_runtime::kept::{Kept, Token};

/// Something to keep, with a value that whoever has it writes.
struct Card(Arc<UnsafeCell<u32>>);

// SAFETY: the very thing that the models check; loom's cell panics if two have it at once.
unsafe impl Send for Card {}

impl Card {
    fn new(number: u32) -> Self {
        Self(Arc::new(UnsafeCell::new(number)))
    }

    /// Writes to it, and says what was there.
    fn play(self) -> u32 {
        // SAFETY: who has the card has its value, or loom says otherwise.
        self.0.with_mut(|number| unsafe { std::mem::take(&mut *number) })
    }
}

impl Token for Card {
    fn into_raw(self) -> NonNull<()> {
        NonNull::new(Arc::into_raw(self.0).cast_mut()).unwrap().cast()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on.
        Self(unsafe { Arc::from_raw(raw.as_ptr().cast()) })
    }
}

/// The owner keeps a card, puts another in its place, and takes what is there, while somebody rescues what it has seen.
///
/// Caught: an owner that replaces, and one that takes, by a load and a store (a card was had twice, and the process aborted); a rescue that does not
/// see what was put there (loom: its access did not happen after the owner's).
#[test]
fn the_owner_against_a_rescue() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let other = thread::spawn({
            let kept = kept.clone();
            move || {
                let rescued: Option<Card> = kept.seen().and_then(|seen| kept.rescue(seen));
                rescued.map_or(0, Card::play)
            }
        });
        let mut played = kept.put(Card::new(1), true).map_or(0, Card::play);
        played += kept.put(Card::new(2), true).map_or(0, Card::play);
        played += kept.take(true).map_or(0, Card::play);
        assert!(kept.seen().is_none());
        assert_eq!(played + other.join().unwrap(), 3, "each card was had once");
    });
}
