//! Bocage, by its facade, as a program would use it.

use bocage::{Builder, Cown, read, when};

use crate::engine::{Engine, Results};

/// Bocage's own runtime.
#[derive(Debug)]
pub struct Bocage;

impl Engine for Bocage {
    const NAME: &'static str = "bocage";
    type Place<'a> = ();
    type Cown<T: Send + Sync + 'static> = Cown<T>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        let runtime = Builder::new().workers(workers).build().expect("threads can be started");
        runtime.when((), root);
        runtime.wait(None).expect("the benchmark's own thread waits as long as it takes");
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    fn spawn((): (), body: impl FnOnce(()) + Send + 'static) {
        when((), body);
    }

    fn when<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        when(cown, |mut value| body((), &mut value));
    }

    fn read<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce(&T) + Send + 'static) {
        when(read(cown), |value| body(&value));
    }

    fn when_both<T: Send + Sync + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce((), &mut T, &mut T) + Send + 'static,
    ) {
        when((first, second), |(mut first, mut second)| body((), &mut first, &mut second));
    }

    fn when_all<T: Send + Sync + 'static>((): (), cowns: &[Cown<T>], mut each: impl FnMut(&mut T) + Send + 'static) {
        when(cowns, move |mut values| values.iter_mut().for_each(&mut each));
    }
}

impl Results for Bocage {
    fn combined(first: &Cown<u64>, second: &Cown<u64>, body: fn(u64, u64) -> u64) -> Cown<u64> {
        when((first, second), move |(first, second)| body(*first, *second)).into_cown()
    }
}
