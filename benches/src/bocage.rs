//! Bocage, by its facade, as a program would use it.

use bocage::{Builder, Cown, Requests, read, spawn, when};

use crate::engine::{Engine, Results};

/// Bocage's own runtime. The parameter: whether each behavior gives a handle, which is dropped at once.
#[derive(Debug)]
pub struct Ours<const HANDLES: bool>;

/// Scheduled by `spawn`, as nobody asks for a result, and as the peers, but for `tokio`, give nothing that stands for it.
pub type Bocage = Ours<false>;

/// Scheduled by `when`.
pub type Handles = Ours<true>;

#[inline(always)]
fn schedule<const HANDLES: bool, Q: Requests>(requests: Q, body: impl for<'a> FnOnce(Q::Guards<'a>) + Send + 'static) {
    if HANDLES {
        when(requests, body);
    } else {
        spawn(requests, body);
    }
}

impl<const HANDLES: bool> Engine for Ours<HANDLES> {
    const NAME: &'static str = if HANDLES { "handles" } else { "bocage" };
    type Place<'a> = ();
    type Cown<T: Send + Sync + 'static> = Cown<T>;

    #[inline]
    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        let runtime = Builder::new().workers(workers).build().expect("threads can be started");
        runtime.spawn((), root);
        runtime.wait(None).expect("the benchmark's own thread waits as long as it takes");
    }

    #[inline]
    fn cown<T: Send + Sync + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    #[inline]
    fn spawn((): (), body: impl FnOnce(()) + Send + 'static) {
        schedule::<HANDLES, _>((), body);
    }

    #[inline]
    fn when<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        schedule::<HANDLES, _>(cown, |mut value| body((), &mut value));
    }

    #[inline]
    fn read<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce(&T) + Send + 'static) {
        schedule::<HANDLES, _>(read(cown), |value| body(&value));
    }

    #[inline]
    fn when_both<T: Send + Sync + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce((), &mut T, &mut T) + Send + 'static,
    ) {
        schedule::<HANDLES, _>((first, second), |(mut first, mut second)| body((), &mut first, &mut second));
    }

    #[inline]
    fn when_all<T: Send + Sync + 'static>((): (), cowns: &[Cown<T>], mut each: impl FnMut(&mut T) + Send + 'static) {
        schedule::<HANDLES, _>(cowns, move |mut values| values.iter_mut().for_each(&mut each));
    }
}

impl<const HANDLES: bool> Results for Ours<HANDLES> {
    #[inline]
    fn combined(first: &Cown<u64>, second: &Cown<u64>, body: fn(u64, u64) -> u64) -> Cown<u64> {
        when((first, second), move |(first, second)| body(*first, *second)).into_cown()
    }
}
