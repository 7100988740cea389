//! Microsoft's Verona runtime, where behavior-oriented concurrency comes from: C++, by the crate `boc`.

use boc::{Cown, when0, when1, when2, with_n_threads};

use crate::engine::Engine;

/// The Verona runtime.
#[derive(Debug)]
pub struct Verona;

impl Engine for Verona {
    const NAME: &'static str = "verona";
    type Place<'a> = ();
    type Cown<T: Send + 'static> = Cown<T>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        with_n_threads(workers, || when0(|| root(())));
    }

    fn cown<T: Send + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    fn when<T: Send + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        when1(cown, |mut value| body((), &mut value));
    }

    fn when_both<T: Send + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce(&mut T, &mut T) + Send + 'static,
    ) {
        when2(first, second, |mut first, mut second| body(&mut first, &mut second));
    }
}
