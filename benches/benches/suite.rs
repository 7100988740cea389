//! The one way in which all suites measure.

use std::time::{Duration, Instant};

use bocage_benches::{Case, on_every_engine};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};

/// In one round: enough that to start and to stop the workers costs a few hundredths of it.
const BEHAVIORS: u64 = 50_000;

/// Measures the case on every engine, with one worker and with two, as `CASE/ENGINE/WORKERS`.
pub fn measure<C: Case>() {
    let mut criterion = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1))
        .configure_from_args();
    let mut group = criterion.benchmark_group(C::NAME);
    group.throughput(Throughput::Elements(BEHAVIORS)).sampling_mode(SamplingMode::Flat);
    let engines = on_every_engine::<C>();
    for workers in [1, 2] {
        for (name, round) in &engines {
            group.bench_function(BenchmarkId::new(*name, workers), |bencher| {
                bencher.iter_custom(|rounds| {
                    let mut time = Duration::ZERO;
                    for _ in 0..rounds {
                        let begun = Instant::now();
                        let counted = round(workers, BEHAVIORS);
                        time += begun.elapsed();
                        assert_eq!(counted, BEHAVIORS, "{} on {name} loses behaviors", C::NAME);
                        for (_, other) in engines.iter().filter(|(other, _)| other != name) {
                            other(workers, BEHAVIORS);
                        }
                    }
                    time
                });
            });
        }
    }
    group.finish();
    criterion.final_summary();
}
