//! What a worker keeps back: one place that its owner fills and empties, and from which others may rescue.
//!
//! A worker has two: for the *newest* behavior that a body on it scheduled, and for the *turn* of the readers that come
//! after the one that it runs.
//!
//! # The place
//!
//! | from    | to      | who            | when                                                                     |
//! |---------|---------|----------------|--------------------------------------------------------------------------|
//! | empty   | a token | the owner      | a body scheduled it, or it is next                                       |
//! | a token | another | the owner      | a body scheduled that; the owner moves the first to its deque            |
//! | a token | empty   | the owner      | its body has ended: it goes on with this, or shares it with others       |
//!
//! Only the owner writes there, and it does so for each behavior or nearly, so that neither an exchange nor a fence
//! may be in it: either would wait until all that was written before has left the core. So a rescuer, who is rare, takes nothing
//! from the place. It claims what it has seen there.
//!
//! # The claim
//!
//! | value     | meaning                                             |
//! |-----------|-----------------------------------------------------|
//! | *free*    | nobody claims anything                              |
//! | *asked*   | somebody would like to have what it has seen        |
//! | *refused* | the owner wanted that for itself                    |
//! | a token   | whoever asked has it, and the place is really empty |
//!
//! | from      | to        | who         | when                                                                   |
//! |-----------|-----------|-------------|------------------------------------------------------------------------|
//! | *free*    | *asked*   | a rescuer   | it begins                                                              |
//! | *asked*   | a token   | the rescuer | after its barrier it saw just that in the place                        |
//! | *asked*   | *free*    | the rescuer | it saw something else                                                  |
//! | *asked*   | *refused* | the owner   | after its own barrier, which follows its write to the place            |
//! | *refused* | *free*    | the rescuer | it ends                                                                |
//! | a token   | *free*    | the owner   | it has learned that this token is not its, and it is not in the place any more |
//!
//! # Why a token is had by one
//!
//! The owner writes the place, passes its [`Barrier`], and looks at the claim. The rescuer writes the claim, passes its own,
//! and looks at the place. So either the owner sees that somebody asked, and of *refused* and the token one comes first; or
//! the rescuer sees that the place has been written. That may be by the same token again, or by one that has its
//! address: then it is there now, and its owner has still to pass the barrier before it can have it back.
//!
//! The owner never waits for a rescuer, nor a rescuer for the owner or for another rescuer: whoever finds the claim not *free*
//! gives up.

use std::fmt;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use bocage_core::{Ready, Turn};
use crossbeam_utils::CachePadded;

use crate::barrier::Barrier;
use crate::sync::{AtomicPtr, Ordering};

/// Nobody claims anything.
const FREE: *mut () = ptr::null_mut();
/// Somebody asks.
const ASKED: *mut () = ptr::without_provenance_mut(1);
/// The owner has refused.
const REFUSED: *mut () = ptr::without_provenance_mut(2);

/// What can be kept: as a pointer, aligned to four bytes at least.
pub trait Token: Send {
    /// As such.
    fn into_raw(self) -> NonNull<()>;

    /// Back again.
    ///
    /// # Safety
    ///
    /// `raw` came from [`Token::into_raw`] of the same type and is used once.
    unsafe fn from_raw(raw: NonNull<()>) -> Self;
}

impl Token for Ready {
    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on.
        unsafe { Self::from_raw(raw) }
    }
}

impl Token for Turn {
    fn into_raw(self) -> NonNull<()> {
        self.into_raw()
    }

    unsafe fn from_raw(raw: NonNull<()>) -> Self {
        // SAFETY: passed on.
        unsafe { Self::from_raw(raw) }
    }
}

/// See the module's page.
pub struct Kept<T> {
    line: CachePadded<Line>,
    of: PhantomData<fn(T) -> T>,
}

struct Line {
    place: AtomicPtr<()>,
    claim: AtomicPtr<()>,
    barrier: Barrier,
}

/// What stood there when somebody looked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Seen(NonNull<()>);

/// What the owner has put there, and may [take back](Kept::take_back).
#[derive(Debug)]
pub struct Lent(NonNull<()>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        let (place, claim) = (AtomicPtr::new(ptr::null_mut()), AtomicPtr::new(FREE));
        Self { line: CachePadded::new(Line { place, claim, barrier: Barrier::new() }), of: PhantomData }
    }
}

impl<T> fmt::Debug for Kept<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Kept")
    }
}

impl<T: Token> Kept<T> {
    /// The owner's: puts it there, and gives what was there before.
    #[inline]
    pub fn put(&self, token: T) -> Option<T> {
        let place = &self.line.place;
        let new = token.into_raw().as_ptr();
        // Relaxed: nobody else writes there.
        let before = place.load(Ordering::Relaxed);
        // Release: pairs with the Acquire in `rescue`.
        place.store(new, Ordering::Release);
        if before.is_null() {
            return None;
        }
        match self.claimed() {
            None => Self::token(before),
            Some(taken) if taken.as_ptr() == before => {
                self.free_claim();
                None
            }
            Some(taken) => {
                // It was looked for by an address that has been used again.
                debug_assert_eq!(taken.as_ptr(), new);
                // Relaxed: nothing is read on the strength of it.
                place.store(ptr::null_mut(), Ordering::Relaxed);
                self.free_claim();
                Self::token(before)
            }
        }
    }

    /// The owner's: puts it there, where nothing is.
    #[inline]
    pub fn fill(&self, token: T) -> Lent {
        debug_assert!(!self.is_filled(), "what is there would be lost");
        let token = token.into_raw();
        // Release: as in `put`.
        self.line.place.store(token.as_ptr(), Ordering::Release);
        Lent(token)
    }

    /// The owner's: takes back what it has put there, unless somebody has rescued it. This is [`take`](Self::take) for whoever
    /// knows what is there: what comes next does not depend on what is loaded from the place.
    ///
    /// # Safety
    ///
    /// `lent` came from [`fill`](Self::fill) of this place, where the owner has neither put nor taken anything since.
    #[inline]
    pub unsafe fn take_back(&self, lent: Lent) -> Option<T> {
        // Relaxed: only the owner writes there.
        debug_assert_eq!(self.line.place.load(Ordering::Relaxed), lent.0.as_ptr());
        self.empty(lent.0)
    }

    /// The owner's: whether it has put something there that it has not taken since. Somebody may have rescued it.
    #[inline]
    pub fn is_filled(&self) -> bool {
        // Relaxed: only the owner writes there.
        !self.line.place.load(Ordering::Relaxed).is_null()
    }

    /// The owner's: takes what is there.
    #[inline]
    pub fn take(&self) -> Option<T> {
        // Relaxed: only the owner writes there, and nothing is read on the strength of an empty place.
        self.empty(NonNull::new(self.line.place.load(Ordering::Relaxed))?)
    }

    /// The owner's: takes `there`, which is what it has put there.
    #[inline]
    fn empty(&self, there: NonNull<()>) -> Option<T> {
        // Relaxed: as above.
        self.line.place.store(ptr::null_mut(), Ordering::Relaxed);
        if self.claimed().is_none() {
            return Self::token(there.as_ptr());
        }
        self.free_claim();
        None
    }

    /// The owner's, when it has written over a token: what somebody else has of that and what is there now. Nobody gets either
    /// afterwards who has asked before. If there is something, the claim is still to be [freed](Self::free_claim).
    #[inline]
    fn claimed(&self) -> Option<NonNull<()>> {
        self.line.barrier.light();
        // Relaxed: nothing is read on the strength of it. That it is not older than the barrier allows is what that is for.
        let claim = self.line.claim.load(Ordering::Relaxed);
        if claim == FREE || claim == REFUSED { None } else { self.refuse() }
    }

    #[cold]
    fn refuse(&self) -> Option<NonNull<()>> {
        let claim = &self.line.claim;
        // Relaxed, all: of a token that another has, the owner uses nothing.
        match claim.compare_exchange(ASKED, REFUSED, Ordering::Relaxed, Ordering::Relaxed) {
            Err(taken) if taken != FREE && taken != REFUSED => NonNull::new(taken),
            _ => None,
        }
    }

    /// The owner's, when the place is as it stays: whoever claims something next must not find there what another has.
    #[cold]
    fn free_claim(&self) {
        // Release: pairs with the Acquire of who asks next, and comes to see the place as it is.
        self.line.claim.store(FREE, Ordering::Release);
    }

    /// A look.
    #[inline]
    pub fn seen(&self) -> Option<Seen> {
        // Relaxed, both: nothing is read on the strength of it.
        let there = NonNull::new(self.line.place.load(Ordering::Relaxed))?;
        (self.line.claim.load(Ordering::Relaxed) != there.as_ptr()).then_some(Seen(there))
    }

    /// Another worker's: takes it, if it is the one that was seen. May take some microseconds, of all that work.
    pub fn rescue(&self, seen: Seen) -> Option<T> {
        let Line { place, claim, barrier } = &*self.line;
        // Acquire: pairs with the Release in `free_claim`. Relaxed on failure: nothing is read then.
        claim.compare_exchange(FREE, ASKED, Ordering::Acquire, Ordering::Relaxed).ok()?;
        let is_passed = barrier.heavy();
        // Acquire: pairs with the Release in `put`.
        let there = place.load(Ordering::Acquire);
        let verdict = if is_passed && there == seen.0.as_ptr() { there } else { FREE };
        // Relaxed, all: who looks at it reads nothing on the strength of it.
        if claim.compare_exchange(ASKED, verdict, Ordering::Relaxed, Ordering::Relaxed).is_err() {
            claim.store(FREE, Ordering::Relaxed);
            return None;
        }
        Self::token(verdict)
    }

    #[inline]
    fn token(raw: *mut ()) -> Option<T> {
        // SAFETY: put there by `put`, and had by one, as the module's page says, which is the caller.
        NonNull::new(raw).map(|raw| unsafe { T::from_raw(raw) })
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::sync::atomic::{AtomicBool, AtomicU8};
    use std::thread;

    use super::*;

    /// One of many, by its address.
    struct Card<'a>(&'a AtomicU8);

    impl Card<'_> {
        fn play(self) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    impl Token for Card<'_> {
        fn into_raw(self) -> NonNull<()> {
            // Only an address; each is a multiple of four.
            NonNull::from(self.0).cast()
        }

        unsafe fn from_raw(raw: NonNull<()>) -> Self {
            // SAFETY: from `into_raw`, of cards that outlive the test.
            Self(unsafe { raw.cast().as_ref() })
        }
    }

    /// Set when its scope ends, also by a panic.
    struct SetAtEnd<'a>(&'a AtomicBool);

    impl Drop for SetAtEnd<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    /// The owner keeps cards, one over the other or one after the other, as fast as it can, while two threads rescue. What the
    /// system's barrier does a model can't show.
    ///
    /// Caught: a barrier that asks the system for nothing (in most runs a card was had twice).
    #[test]
    fn each_card_is_had_once() {
        const CARDS: usize = 400_000;
        #[repr(align(4))]
        struct Place(AtomicU8);
        let cards: Vec<_> = (0..CARDS).map(|_| Place(AtomicU8::new(0))).collect();
        let (kept, done) = (Kept::default(), AtomicBool::new(false));
        thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        kept.seen().and_then(|seen| kept.rescue(seen)).into_iter().for_each(Card::play);
                    }
                });
            }
            let _done = SetAtEnd(&done);
            for (i, card) in cards.iter().enumerate() {
                kept.put(Card(&card.0)).into_iter().for_each(Card::play);
                if i % 3 > 0 {
                    kept.take().into_iter().for_each(Card::play);
                }
            }
            kept.take().into_iter().for_each(Card::play);
        });
        let wrong = cards.iter().enumerate().find(|(_, card)| card.0.load(Ordering::Relaxed) != 1);
        assert!(wrong.is_none(), "card {} was had {:?} times", wrong.unwrap().0, wrong.unwrap().1.0);
    }
}
