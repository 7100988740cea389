//! An idle runtime uses no processor time. Alone in its file, as it measures its own process's threads.
#![cfg(all(not(loom), target_os = "linux"))]

use std::fs;
use std::thread;
use std::time::Duration;

use bocage_runtime::Builder;

/// Nanoseconds that the workers' threads have run so far.
fn worker_time(prefix: &str) -> u64 {
    let mut total = 0;
    for task in fs::read_dir("/proc/self/task").unwrap() {
        let task = task.unwrap().path();
        let read = |name| fs::read_to_string(task.join(name)).unwrap_or_default();
        if read("comm").starts_with(prefix) {
            // Time on a processor, time in a queue for one, slices.
            total += read("schedstat").split(' ').next().unwrap().trim().parse::<u64>().unwrap_or(0);
        }
    }
    total
}

#[test]
fn an_idle_runtime_uses_no_processor_time() {
    let runtime = Builder::new().workers(8).name_prefix("lazy").build().unwrap();
    for _ in 0..3 {
        for i in 0..1000 {
            drop(runtime.when((), move |()| std::hint::black_box(i)));
        }
        runtime.quiesce(None).unwrap();
        // The last worker that wakes for nothing may still have to lie down: wait until the clock stands.
        let mut before = worker_time("lazy");
        assert!(before > 0, "the workers' clocks can't be read");
        let settled = (0..100).any(|_| {
            thread::sleep(Duration::from_millis(20));
            let now = worker_time("lazy");
            std::mem::replace(&mut before, now) == now
        });
        assert!(settled, "the workers never come to rest");
        thread::sleep(Duration::from_millis(300));
        assert_eq!(worker_time("lazy") - before, 0, "nanoseconds used by eight idle workers in 300 ms");
    }
}
