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

/// What somebody else may do meanwhile: it rescues what it has seen.
fn rescuer(kept: &Arc<Kept<Card>>) -> thread::JoinHandle<u32> {
    let kept = kept.clone();
    thread::spawn(move || kept.seen().and_then(|seen| kept.rescue(seen)).map_or(0, Card::play))
}

/// The owner keeps a card, puts another in its place, and takes what is there, while somebody rescues what it has seen.
///
/// Caught: an owner that replaces, and one that takes, and does not look at the claim (a card was had twice, and the process
/// aborted); no barrier of the owner, or of the rescuer (the same); a refusal, or the rescuer's answer to it, by a load
/// and a store (the same); a rescue that does not see what was put there (loom: its access did not happen after the owner's);
/// a claim that the owner does not end (the last assertion).
#[test]
fn the_owner_against_a_rescue() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let other = rescuer(&kept);
        let mut played = kept.put(Card::new(1)).map_or(0, Card::play);
        played += kept.put(Card::new(2)).map_or(0, Card::play);
        played += kept.take().map_or(0, Card::play);
        assert!(kept.seen().is_none());
        assert_eq!(played + other.join().unwrap(), 3, "each card was had once");
        // Whatever came of the claim, the next one is heard.
        played = kept.put(Card::new(4)).map_or(0, Card::play);
        let rescued = kept.seen().and_then(|seen| kept.rescue(seen));
        assert_eq!(played + rescued.map_or(0, Card::play), 4);
    });
}

/// The owner takes its card back and keeps another one, and then puts the first in its place again.
///
/// Caught: an owner that takes each claim for one of what it has replaced (a card was had twice, and the other by nobody).
#[test]
fn a_card_comes_again() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let mut played = kept.put(Card::new(1)).map_or(0, Card::play);
        let other = rescuer(&kept);
        let first = kept.take();
        played += kept.put(Card::new(2)).map_or(0, Card::play);
        if let Some(first) = first {
            played += kept.put(first).map_or(0, Card::play);
        }
        played += kept.take().map_or(0, Card::play);
        assert!(kept.seen().is_none());
        assert_eq!(played + other.join().unwrap(), 3, "each card was had once");
    });
}

/// The owner keeps cards one after the other, and takes each back by what it knows of it, while somebody rescues what it has
/// seen. Whatever was rescued is in the way until the owner looks for it.
///
/// Caught: an owner that takes back and does not look at the claim, or does so before it has emptied the place (a card was had
/// twice, and the process aborted).
#[test]
fn what_is_lent_against_a_rescue() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let other = rescuer(&kept);
        let mut played = 0;
        for number in [1, 2] {
            let lent = kept.fill(Card::new(number));
            assert!(kept.is_filled());
            // SAFETY: just put there.
            played += unsafe { kept.take_back(lent) }.map_or(0, Card::play);
            assert!(!kept.is_filled());
        }
        assert_eq!(played + other.join().unwrap(), 3, "each card was had once");
    });
}

/// Two rescue the same card.
///
/// Caught: a rescuer that asks though another one does.
#[test]
fn two_rescue() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let mut played = kept.put(Card::new(1)).map_or(0, Card::play);
        let others = [rescuer(&kept), rescuer(&kept)];
        played += kept.take().map_or(0, Card::play);
        assert_eq!(played + others.into_iter().map(|other| other.join().unwrap()).sum::<u32>(), 1, "it was had once");
    });
}

/// Ann puts one card over another, and two rescue meanwhile: what one of them has is not there for the other.
///
/// Failed first with a claim that was freed before the place was emptied: both had the second card.
#[test]
fn two_rescue_what_is_put_over_another() {
    loom::model(|| {
        let kept = Arc::new(Kept::default());
        let mut played = kept.put(Card::new(1)).map_or(0, Card::play);
        let others = [rescuer(&kept), rescuer(&kept)];
        played += kept.put(Card::new(2)).map_or(0, Card::play);
        played += kept.take().map_or(0, Card::play);
        assert_eq!(played + others.into_iter().map(|other| other.join().unwrap()).sum::<u32>(), 3, "each was had once");
    });
}
