//! Bocage, by its facade, as a program would use it.

use bocage::{Builder, Cown, when};

use crate::engine::Engine;

/// Bocage's own runtime.
#[derive(Debug)]
pub struct Bocage;

impl Engine for Bocage {
    const NAME: &'static str = "bocage";
    type Place<'a> = ();
    type Cown<T: Send + 'static> = Cown<T>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        let runtime = Builder::new().workers(workers).build().expect("threads can be started");
        runtime.when((), root);
        runtime.wait(None).expect("the benchmark's own thread waits as long as it takes");
    }

    fn cown<T: Send + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    fn when<T: Send + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        when(cown, |mut value| body((), &mut value));
    }

    fn when_both<T: Send + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce(&mut T, &mut T) + Send + 'static,
    ) {
        when((first, second), |(mut first, mut second)| body(&mut first, &mut second));
    }
}
