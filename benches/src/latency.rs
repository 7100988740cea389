//! W10: how long it takes from scheduling a behavior on an idle runtime to its first instruction.

use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use bocage::Builder;

/// As in the benchmarks' names.
pub const NAME: &str = "W10";

/// The times of `samples` behaviors, each scheduled when all workers had time to fall asleep; sorted.
pub type Latency = fn(workers: usize, samples: usize) -> Vec<Duration>;

/// On Bocage.
pub fn bocage(workers: usize, samples: usize) -> Vec<Duration> {
    let runtime = Builder::new().workers(workers).build().expect("threads can be started");
    measure(samples, |started| {
        runtime.when((), move |()| started());
    })
}

/// On a rayon pool.
#[cfg(feature = "rayon")]
pub fn rayon(workers: usize, samples: usize) -> Vec<Duration> {
    let pool = crate::mutexes::pool(workers);
    measure(samples, |started| pool.spawn(started))
}

/// On a tokio runtime.
#[cfg(feature = "tokio")]
pub fn tokio(workers: usize, samples: usize) -> Vec<Duration> {
    let runtime = crate::tasks::runtime(workers);
    measure(samples, |started| {
        runtime.spawn(async move { started() });
    })
}

/// On threads that wait at one queue.
#[cfg(feature = "threads")]
pub fn threads(workers: usize, samples: usize) -> Vec<Duration> {
    crate::threads::attended(workers, |push| measure(samples, push))
}

fn measure(samples: usize, schedule: impl Fn(Box<dyn FnOnce() + Send>)) -> Vec<Duration> {
    /// Longer than anybody searches before it sleeps.
    const REST: Duration = Duration::from_micros(200);
    let (told, hear) = mpsc::channel();
    let mut times: Vec<Duration> = (0..samples)
        .map(|_| {
            thread::sleep(REST);
            let told = told.clone();
            let begun = Instant::now();
            schedule(Box::new(move || {
                // Whoever hears of it may be gone if it panicked, and nobody else.
                let _ = told.send(begun.elapsed());
            }));
            hear.recv().expect("the task runs")
        })
        .collect();
    times.sort_unstable();
    times
}
