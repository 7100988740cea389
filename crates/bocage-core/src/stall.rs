//! Waiting for a thread that is in the middle of its phase 1, and may have been stopped there.
//!
//! | for so long | who waits | since |
//! |---|---|---|
//! | [`SPINS`] looks | spins | a phase 1 takes some tens of nanoseconds for each cown |
//! | [`YIELDS`] more | yields before each | one that was preempted goes on where it gets a processor, perhaps this one |
//! | then | parks | others may want the processor, and the stall is long by now |
//!
//! Nobody can be helped through phase 1: a swap that two threads do for one slot would put it in line twice.
//!
//! # Who wakes
//!
//! Who parks says at which slot's word it waits, by a bit of a word of the process that the address chooses. Who ends phase 1
//! of a slot looks there after it has written its own word, and wakes those that wait for just that one. As a rule nobody
//! waits at all: then this is a look at a line that nobody writes.
//!
//! Between that write and that look there is no fence, which each enqueue would have to pay for. So if somebody parks at
//! that very moment it may not be seen. Hence who parks looks again by itself after [`FIRST_NAP`]; then twice as late each
//! time, up to [`LONGEST_NAP`], since by now the bit has been there for longer than any write takes.

#[cfg(not(loom))]
use core::time::Duration;

use crate::sync::{AtomicUsize, spin_loop, thread};

/// This is in the order of a microsecond.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };
const YIELDS: u32 = 16;
#[cfg(not(loom))]
const FIRST_NAP: Duration = Duration::from_micros(500);
#[cfg(not(loom))]
const LONGEST_NAP: Duration = Duration::from_millis(64);

/// Waits until `is_over`, as it is when the word of a slot is no longer *enqueuing*; returns how often it had to yield or to
/// park.
#[cold]
pub(crate) fn wait(word: &AtomicUsize, is_over: impl Fn() -> bool) -> u32 {
    for _ in 0..SPINS {
        spin_loop();
        if is_over() {
            return 0;
        }
    }
    let mut times = 0;
    // A model has no clock and no end of yields.
    while cfg!(loom) || times < YIELDS {
        if is_over() {
            return times;
        }
        thread::yield_now();
        times += 1;
    }
    times + lot::park(word, is_over)
}

/// Wakes those who wait at this word, which has been written. Its slot may be gone.
#[inline(always)]
pub(crate) fn over(word: *const AtomicUsize) {
    lot::wake(word);
}

#[cfg(loom)]
mod lot {
    use crate::sync::AtomicUsize;

    pub(super) fn park(_: *const AtomicUsize, _: impl Fn() -> bool) -> u32 {
        unreachable!("a model yields")
    }

    pub(super) fn wake(_: *const AtomicUsize) {}
}

#[cfg(not(loom))]
mod lot {
    use std::sync::{Mutex, MutexGuard, PoisonError};
    use std::thread::{self, Thread};

    use super::{FIRST_NAP, LONGEST_NAP};
    use crate::sync::{AtomicUsize, Ordering};

    /// Alone on its line, and on the one that is fetched with it: all who schedule look at it.
    #[repr(align(128))]
    struct Awaited(AtomicUsize);

    /// The bits of all words at which somebody waits.
    static AWAITED: Awaited = Awaited(AtomicUsize::new(0));
    /// Who waits, and at which address.
    static WAITERS: Mutex<Vec<(usize, Thread)>> = Mutex::new(Vec::new());

    fn bit(address: usize) -> usize {
        // A slot takes 16 bytes.
        1 << ((address >> 4) % usize::BITS as usize)
    }

    /// Changes who waits.
    fn change(change: impl FnOnce(&mut Vec<(usize, Thread)>)) {
        let mut waiters = waiters();
        change(&mut waiters);
        let awaited = waiters.iter().fold(0, |awaited, (address, _)| awaited | bit(*address));
        // SeqCst: comes before the look that follows in `park`, as far as it can be told from here: who ends phase 1
        // has no fence.
        AWAITED.0.store(awaited, Ordering::SeqCst);
    }

    fn waiters() -> MutexGuard<'static, Vec<(usize, Thread)>> {
        WAITERS.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how often it parked.
    pub(super) fn park(word: *const AtomicUsize, is_over: impl Fn() -> bool) -> u32 {
        let address = word.addr();
        let me = thread::current();
        let id = me.id();
        change(|waiters| waiters.push((address, me)));
        let (mut times, mut nap) = (0, FIRST_NAP);
        while !is_over() {
            thread::park_timeout(nap);
            nap = (nap * 2).min(LONGEST_NAP);
            times += 1;
        }
        change(|waiters| waiters.retain(|(_, waiter)| waiter.id() != id));
        times
    }

    /// Returns how many it woke.
    #[inline(always)]
    pub(super) fn wake(word: *const AtomicUsize) -> usize {
        // Relaxed: see the module's page for what is done if this comes too early.
        let awaited = AWAITED.0.load(Ordering::Relaxed);
        if awaited != 0 && awaited & bit(word.addr()) != 0 { wake_those_at(word.addr()) } else { 0 }
    }

    #[cold]
    fn wake_those_at(address: usize) -> usize {
        let mut woken = 0;
        change(|waiters| {
            waiters.extract_if(.., |(at, _)| *at == address).for_each(|(_, waiter)| {
                waiter.unpark();
                woken += 1;
            });
        });
        woken
    }

    #[cfg(test)]
    pub(super) fn waiters_at(word: *const AtomicUsize) -> usize {
        waiters().iter().filter(|(at, _)| *at == word.addr()).count()
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use core::ptr;
    use std::time::Instant;

    use super::*;
    use crate::slot::{Slot, Want};
    use crate::sync::Ordering;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// Waits until so many threads have said that they wait at the word.
    fn await_waiters(word: &AtomicUsize, count: usize) {
        let begun = Instant::now();
        while lot::waiters_at(word) != count {
            assert!(begun.elapsed() < PATIENCE, "{} of {count} came to wait", lot::waiters_at(word));
            thread::yield_now();
        }
    }

    fn wait_at(word: &AtomicUsize) -> u32 {
        wait(word, || word.load(Ordering::Acquire) != 0)
    }

    /// Who waits for a thread that is stopped for long burns no processor meanwhile.
    #[test]
    fn a_long_stall_is_slept_through() {
        let word = AtomicUsize::new(0);
        let begun = Instant::now();
        let gave_way = thread::scope(|scope| {
            let waiter = scope.spawn(|| wait_at(&word));
            // The stall itself.
            thread::sleep(Duration::from_millis(100));
            word.store(1, Ordering::Release);
            over(&word);
            waiter.join().unwrap()
        });
        // Were it to yield all the time it would do so some hundred thousand times.
        let naps = (begun.elapsed().as_micros() / FIRST_NAP.as_micros()).ilog2() + 2;
        let longest = (begun.elapsed().as_micros() / LONGEST_NAP.as_micros()) as u32;
        assert!(gave_way <= YIELDS + naps + longest, "gave way {gave_way} times");
    }

    /// The end of a stall wakes all who wait for that one, and nobody who waits for another.
    #[test]
    fn the_end_of_a_stall_wakes_who_waits_for_it() {
        // So that both have the same bit.
        let words: Vec<_> = (0..=128).map(|_| AtomicUsize::new(0)).collect();
        let (one, other) = (&words[0], &words[128]);
        let end = |word: &AtomicUsize| {
            word.store(1, Ordering::Release);
            lot::wake(word)
        };
        thread::scope(|scope| {
            let waiters = [one, other, other].map(|word| scope.spawn(|| wait_at(word)));
            await_waiters(one, 1);
            await_waiters(other, 2);
            assert_eq!(end(&words[64]), 0);
            assert_eq!(end(other), 2);
            await_waiters(other, 0);
            assert_eq!(lot::waiters_at(one), 1);
            assert_eq!(end(one), 1);
            waiters.into_iter().for_each(|waiter| assert!(waiter.join().unwrap() >= YIELDS));
        });
        assert_eq!(lot::waiters_at(one), 0);
    }

    /// Caught: a phase 2 that wakes nobody.
    #[test]
    fn phase_2_wakes_who_waits_for_it() {
        let word = Slot::enqueuing(Want::write(ptr::null())).word;
        thread::scope(|scope| {
            let waiter = scope.spawn(|| word.await_enqueued());
            await_waiters(word.atomic(), 1);
            word.finish_enqueue(false);
            // Not by itself, which takes it longer than this look.
            assert_eq!(lot::waiters_at(word.atomic()), 0);
            assert!(waiter.join().unwrap() >= YIELDS);
        });
    }
}
