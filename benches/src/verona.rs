//! Microsoft's Verona runtime, where behavior-oriented concurrency comes from: C++, by the crate `boc`.

use boc::{Cown, when0, when1, when2, when3, when9, with_n_threads};

use crate::engine::{Engine, Results};

/// The Verona runtime.
#[derive(Debug)]
pub struct Verona;

impl Engine for Verona {
    const NAME: &'static str = "boc";
    /// The binding's limit, not the runtime's.
    const WIDEST: usize = 9;
    type Place<'a> = ();
    type Cown<T: Send + Sync + 'static> = Cown<T>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        with_n_threads(workers, || when0(|| root(())));
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    fn spawn((): (), body: impl FnOnce(()) + Send + 'static) {
        when0(|| body(()));
    }

    fn when<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        when1(cown, |mut value| body((), &mut value));
    }

    fn when_both<T: Send + Sync + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce((), &mut T, &mut T) + Send + 'static,
    ) {
        when2(first, second, |mut first, mut second| body((), &mut first, &mut second));
    }

    fn when_all<T: Send + Sync + 'static>((): (), cowns: &[Cown<T>], mut each: impl FnMut(&mut T) + Send + 'static) {
        let [a, b, c, d, e, f, g, h, i] = cowns else { panic!("the binding takes 9 cowns here, no more, no less") };
        when9(a, b, c, d, e, f, g, h, i, move |a, b, c, d, e, f, g, h, i| {
            for mut value in [a, b, c, d, e, f, g, h, i] {
                each(&mut value);
            }
        });
    }
}

impl Results for Verona {
    fn combined(first: &Cown<u64>, second: &Cown<u64>, body: fn(u64, u64) -> u64) -> Cown<u64> {
        // It has no results: a cown that is made beforehand takes its place.
        let result = Cown::new(0);
        when3(first, second, &result, move |first, second, mut result| *result = body(*first, *second));
        result
    }
}
