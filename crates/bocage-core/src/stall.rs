//! Waiting for a thread that is in the middle of its phase 1, and may have been stopped there.
//!
//! | for so long | who waits | since |
//! |---|---|---|
//! | [`SPINS`] looks | spins | a phase 1 takes some tens of nanoseconds for each cown |
//! | [`YIELDS`] more | yields before each | one that was preempted goes on where it gets a processor, perhaps this one |
//! | then | sleeps before each, up to [`LONGEST_SLEEP`] | others may want the processor, and the stall is long by now |
//!
//! The other thread is not asked to wake anybody: for that it would have to look for waiters at the end of each phase 1, with
//! a fence before. Nor can it be helped: a swap that two threads do for one slot would put it in line twice.

#[cfg(not(loom))]
use core::time::Duration;

use crate::sync::{spin_loop, thread};

/// This is in the order of a microsecond.
const SPINS: u32 = if cfg!(loom) { 0 } else { 100 };
const YIELDS: u32 = 16;
/// Then twice as long each time.
#[cfg(not(loom))]
const FIRST_SLEEP: Duration = Duration::from_micros(20);
/// Less than a system lets a thread run at once.
#[cfg(not(loom))]
const LONGEST_SLEEP: Duration = Duration::from_millis(1);

/// Waits until `is_over`; returns how often it had to yield or to sleep.
#[cold]
pub(crate) fn wait(is_over: impl Fn() -> bool) -> u32 {
    for _ in 0..SPINS {
        spin_loop();
        if is_over() {
            return 0;
        }
    }
    let mut times = 0;
    while !is_over() {
        give_way(times);
        times += 1;
    }
    times
}

/// As one does who has given way so often before.
fn give_way(before: u32) {
    match before.checked_sub(YIELDS) {
        #[cfg(not(loom))]
        Some(sleeps) => thread::sleep(FIRST_SLEEP.saturating_mul(1 << sleeps.min(16)).min(LONGEST_SLEEP)),
        _ => thread::yield_now(),
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Instant;

    /// Who waits for a thread that is stopped for long burns no processor meanwhile.
    #[test]
    fn a_long_stall_is_slept_through() {
        let over = AtomicBool::new(false);
        let begun = Instant::now();
        let gave_way = std::thread::scope(|scope| {
            let waiter = scope.spawn(|| wait(|| over.load(Ordering::Acquire)));
            // The stall itself.
            std::thread::sleep(Duration::from_millis(100));
            over.store(true, Ordering::Release);
            waiter.join().unwrap()
        });
        // Were it to yield all the time it would do so some hundred thousand times.
        let most = YIELDS + 16 + (begun.elapsed().as_micros() / LONGEST_SLEEP.as_micros()) as u32;
        assert!(gave_way <= most, "gave way {gave_way} times, and was to do so {most} times at most");
    }
}
