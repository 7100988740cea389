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

/// On threads that wait at a channel, which is as direct as it gets.
pub fn channel(workers: usize, samples: usize) -> Vec<Duration> {
    type Task = Box<dyn FnOnce() + Send>;
    let (send, receive) = mpsc::channel::<Task>();
    let receive = std::sync::Mutex::new(receive);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let task = receive.lock().expect("no task panics").recv();
                    match task {
                        Ok(task) => task(),
                        Err(_) => return,
                    }
                }
            });
        }
        // The channel ends with this call, and the threads with the channel.
        let send = send;
        measure(samples, |started| send.send(Box::new(started)).expect("somebody receives"))
    })
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
