//! Stealing: a worker that has nothing takes half of what another one has.

use std::cell::Cell;

use crossbeam_deque::{Steal, Worker};

use crate::entry::Entry;
use crate::shared::Remote;

/// Picks victims, and whoever comes next in a deterministic program: xorshift64 ("Xorshift RNGs", Marsaglia 2003),
/// which is plenty for spreading thieves.
pub(crate) struct Dice(Cell<u64>);

impl Dice {
    /// Different for each `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        // The odd constant spreads neighbouring seeds over all bits. Zero, from which xorshift never gets away,
        // comes of one seed only.
        Self(Cell::new(seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15).max(1)))
    }

    /// A number below `n`, which is not zero.
    pub(crate) fn below(&self, n: usize) -> usize {
        let mut x = self.0.get();
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        self.0.set(x);
        // The high half, scaled: no division.
        (((x >> 32) * n as u64) >> 32) as usize
    }
}

/// Goes once round all other workers, from a random one on, and takes half of the first queue that is not
/// empty (at most a batch of some tens): one behavior to run, the rest into `deque`. `Retry` if there was
/// one that others were busy with.
pub(crate) fn steal(remotes: &[Remote], thief: usize, deque: &Worker<Entry>, dice: &Dice) -> Steal<Entry> {
    let first = dice.below(remotes.len());
    let mut retry = false;
    for at in (first..remotes.len()).chain(0..first) {
        if at == thief {
            continue;
        }
        match remotes[at].stealer.steal_batch_and_pop(deque) {
            Steal::Success(entry) => return Steal::Success(entry),
            Steal::Empty => {}
            Steal::Retry => retry = true,
        }
    }
    if retry { Steal::Retry } else { Steal::Empty }
}
