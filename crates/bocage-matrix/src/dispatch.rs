//! Picks the widest vector instructions that the processor has, once per call of a kernel.
//!
//! A kernel is plain Rust that the compiler can vectorise. It is compiled twice: for the target's
//! baseline, and with AVX2 and FMA enabled. Both do the same additions and multiplications in
//! the same order (Rust never contracts `a * b + c`), so that the choice is not seen in results.

/// A loop over elements. `run` has to be `#[inline(always)]`, as everything hot that it calls:
/// only what is inlined into the caller is compiled with the caller's instructions.
pub(crate) trait Kernel {
    type Output;
    fn run(self) -> Self::Output;
}

/// Runs `kernel` with the best instructions there are.
#[inline]
pub(crate) fn dispatch<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if std::is_x86_feature_detected!("avx2") && std::is_x86_feature_detected!("fma") {
        // SAFETY: the processor has both features.
        return unsafe { run_avx2(kernel) };
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
fn run_avx2<K: Kernel>(kernel: K) -> K::Output {
    kernel.run()
}
