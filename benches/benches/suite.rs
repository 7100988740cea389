//! The one way in which all suites measure, as `CASE/ENGINE/WORKERS`.
//!
//! The rounds of a case are run first, one of each engine in turn; criterion is then told their times, for its
//! statistics, its table and its files.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use bocage_benches::{Measured, latencies, latency, programs};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

const ROUNDS: usize = 15;

/// Behaviors in one round of W10.
const SAMPLES: usize = 200;

/// The times of the rounds, by engine.
type Times = BTreeMap<&'static str, Vec<Duration>>;

/// Measures all programs whose name `wanted` wants, on every engine, and W10 with `latency`.
pub fn measure(wanted: impl Fn(&str) -> bool, latency: bool) {
    let mut criterion = Criterion::default()
        .sample_size(ROUNDS)
        // Nothing is left to do when criterion asks.
        .warm_up_time(Duration::from_nanos(1))
        .measurement_time(Duration::from_millis(1))
        .configure_from_args();
    for measured in programs().into_iter().filter(|measured| wanted(measured.case)) {
        let Measured { case, behaviors, engines } = &measured;
        let names: Vec<_> = engines.iter().map(|(name, _)| *name).collect();
        tell(&mut criterion, case, &names, *behaviors, |workers| rounds(&measured, workers));
    }
    if latency {
        latency_of_all(&mut criterion);
    }
    criterion.final_summary();
}

fn latency_of_all(criterion: &mut Criterion) {
    let engines = latencies();
    let names: Vec<_> = engines.iter().map(|(name, _)| *name).collect();
    for (percentile, at) in [("p50", SAMPLES / 2), ("p99", SAMPLES * 99 / 100)] {
        tell(criterion, &format!("{}-{percentile}", latency::NAME), &names, 1, |workers| {
            let mut times = Times::new();
            for _ in 0..ROUNDS {
                for (name, latency) in &engines {
                    times.entry(name).or_default().push(latency(workers, SAMPLES)[at]);
                }
            }
            times
        });
    }
}

fn rounds(measured: &Measured, workers: usize) -> Times {
    let Measured { case, behaviors, engines } = measured;
    let mut times = Times::new();
    // The first round warms up.
    for number in 0..=ROUNDS {
        for (name, round) in engines {
            let begun = Instant::now();
            let counted = round(workers, *behaviors);
            let time = begun.elapsed();
            assert_eq!(counted, *behaviors, "{case} on {name} loses behaviors");
            if number > 0 {
                times.entry(name).or_default().push(time);
            }
        }
    }
    times
}

/// Tells criterion what `measure` measures with one worker and with two, unless it wants none of it.
fn tell(
    criterion: &mut Criterion,
    case: &str,
    engines: &[&'static str],
    elements: u64,
    measure: impl Fn(usize) -> Times,
) {
    let mut group = criterion.benchmark_group(case);
    group.throughput(Throughput::Elements(elements)).sampling_mode(SamplingMode::Flat);
    for workers in [1, 2] {
        let times = OnceCell::new();
        for name in engines {
            let mut sample = 0;
            group.bench_function(BenchmarkId::new(*name, workers), |bencher| {
                let times: &Times = times.get_or_init(|| measure(workers));
                // Called once for each sample, after a few calls to warm up.
                let time = times[name][sample % ROUNDS];
                sample += 1;
                bencher.iter_custom(|iterations| time * iterations as u32);
            });
        }
    }
    group.finish();
}
