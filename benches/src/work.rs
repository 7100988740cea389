//! Work of a known length.

use std::hint::black_box;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Computes for about a microsecond, however often it is interrupted: a number of steps that was measured once.
pub fn microsecond() {
    static STEPS: OnceLock<u64> = OnceLock::new();
    steps(*STEPS.get_or_init(measured));
}

// Not inlined: it is to be the same code, at the same place, for all engines, whose copies took 1.2 or 1.6 µs.
#[inline(never)]
fn steps(count: u64) {
    let mut x = 1_u64;
    for _ in 0..count {
        // A chain: each step waits for the one before.
        x = black_box(x.wrapping_mul(6_364_136_223_846_793_005));
    }
}

/// The best of some tries: the others were disturbed.
fn measured() -> u64 {
    const TRIED: u64 = 10_000;
    let best = (0..20)
        .map(|_| {
            let begun = Instant::now();
            steps(TRIED);
            begun.elapsed()
        })
        .min()
        .unwrap_or(Duration::MAX);
    (TRIED * 1000 / best.as_nanos().max(1) as u64).max(1)
}
