//! The one way in which all suites measure, as `CASE/ENGINE/WORKERS`.
//!
//! The rounds are run first, each of all cases, and of a case all engines, in an order that changes from round to round. So the
//! rounds of one case are spread over the whole run: a machine may change for seconds at a time, and then for a few rounds
//! of each case instead of for all of one. Criterion is then told their times, for its statistics and its files. Those no
//! longer say which times are of the same round, so the rounds themselves are written too, into `rounds.json` in the folder
//! `CRITERION_HOME`, if there is that variable:
//!
//! ```json
//! {"allocator": "mimalloc",
//!  "cases": [{"case": "W1", "workers": 2, "behaviors": 100000, "nanoseconds": {"bocage": [1, 2], "boc": [2, 3]}}]}
//! ```
//!
//! A round's time is for all its behaviors. `BOCAGE_ROUNDS` says how many rounds there are.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::env;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use bocage_benches::{Measured, allocator, latencies, latency, programs};
use criterion::{BenchmarkId, Criterion, SamplingMode, Throughput};
use regex::Regex;
use serde_json::{Value, json};

/// How many rounds there are, unless told otherwise.
const ROUNDS: usize = 21;

/// The fewest samples that criterion is content with; fewer rounds are told twice.
const FEWEST_SAMPLES: usize = 10;

/// Behaviors in one round of W10.
const SAMPLES: usize = 200;

/// The times of the rounds, by engine.
type Times = BTreeMap<&'static str, Vec<Duration>>;

/// Measures all programs whose name `wanted` wants, on every engine, and W10 with `latency`.
pub fn measure(wanted: impl Fn(&str) -> bool, latency: bool) {
    let mut suite = Suite::new();
    let programs: Vec<_> = programs().into_iter().filter(|measured| wanted(measured.case)).collect();
    let rounds = suite.rounds;
    let mut spread = spread(rounds, &programs);
    for (at, measured) in programs.iter().enumerate() {
        let names: Vec<_> = measured.engines.iter().map(|(name, _)| *name).collect();
        suite.tell(measured.case, &names, measured.behaviors, |workers| {
            // Criterion may want one that seemed not to be asked for.
            spread.remove(&(at, workers)).unwrap_or_else(|| {
                let mut times = Times::new();
                (0..rounds).for_each(|number| round(number, measured, workers, &mut times));
                times
            })
        });
    }
    if latency {
        suite.latency();
    }
    suite.finish();
}

struct Suite {
    criterion: Criterion,
    rounds: usize,
    /// For `rounds.json`.
    told: Vec<Value>,
}

impl Suite {
    fn new() -> Self {
        let rounds = match env::var("BOCAGE_ROUNDS") {
            Ok(text) => text.parse().ok().filter(|rounds| *rounds > 0).expect("BOCAGE_ROUNDS is a number above 0"),
            Err(_) => ROUNDS,
        };
        let criterion = Criterion::default()
            .sample_size(rounds.max(FEWEST_SAMPLES))
            // Nothing is left to do when criterion asks.
            .warm_up_time(Duration::from_nanos(1))
            .measurement_time(Duration::from_millis(1))
            .configure_from_args();
        Self { criterion, rounds, told: Vec::new() }
    }

    fn latency(&mut self) {
        let engines = latencies();
        let names: Vec<_> = engines.iter().map(|(name, _)| *name).collect();
        let rounds = self.rounds;
        // With one worker and with two; both percentiles are of the same rounds.
        let measured = [OnceCell::new(), OnceCell::new()];
        for (percentile, at) in [("p50", SAMPLES / 2), ("p99", SAMPLES * 99 / 100)] {
            self.tell(&format!("{}-{percentile}", latency::NAME), &names, 1, |workers| {
                let measured: &BTreeMap<_, Vec<_>> = measured[workers - 1].get_or_init(|| {
                    let mut samples: BTreeMap<&'static str, Vec<Vec<Duration>>> = BTreeMap::new();
                    for _ in 0..rounds {
                        for (name, latency) in &engines {
                            samples.entry(name).or_default().push(latency(workers, SAMPLES));
                        }
                    }
                    samples
                });
                measured
                    .iter()
                    .map(|(name, rounds)| (*name, rounds.iter().map(|sorted| sorted[at]).collect()))
                    .collect()
            });
        }
    }

    /// Tells criterion what `measure` measures with one worker and with two, unless it wants none of it.
    fn tell(&mut self, case: &str, engines: &[&'static str], behaviors: u64, mut measure: impl FnMut(usize) -> Times) {
        let rounds = self.rounds;
        let mut group = self.criterion.benchmark_group(case);
        group.throughput(Throughput::Elements(behaviors)).sampling_mode(SamplingMode::Flat);
        for workers in [1, 2] {
            let times = OnceCell::new();
            for name in engines {
                let mut sample = 0;
                group.bench_function(BenchmarkId::new(*name, workers), |bencher| {
                    let times: &Times = times.get_or_init(|| measure(workers));
                    // Called once for each sample, after a few calls to warm up.
                    let time = times[name][sample % rounds];
                    sample += 1;
                    bencher.iter_custom(|iterations| time * iterations as u32);
                });
            }
            if let Some(times) = times.get() {
                let nanoseconds: BTreeMap<_, Vec<_>> = times
                    .iter()
                    .map(|(name, times)| (*name, times.iter().map(|time| time.as_nanos() as u64).collect()))
                    .collect();
                self.told.push(
                    json!({"case": case, "workers": workers, "behaviors": behaviors, "nanoseconds": nanoseconds}),
                );
            }
        }
        group.finish();
    }

    fn finish(self) {
        self.criterion.final_summary();
        if let Some(folder) = env::var_os("CRITERION_HOME") {
            let file = PathBuf::from(folder).join("rounds.json");
            let text = json!({"allocator": allocator::NAME, "cases": self.told}).to_string();
            std::fs::write(&file, text).unwrap_or_else(|cause| panic!("cannot write {}: {cause}", file.display()));
        }
    }
}

/// The rounds of all programs that the command line asks for, by their place and the number of workers.
fn spread(rounds: usize, programs: &[Measured]) -> BTreeMap<(usize, usize), Times> {
    let mut spread = BTreeMap::new();
    let args: Vec<_> = env::args().skip(1).collect();
    // Criterion does not measure otherwise.
    if !args.iter().any(|arg| arg == "--bench") {
        return spread;
    }
    let filter = args.iter().find(|arg| !arg.starts_with('-')).and_then(|arg| Regex::new(arg).ok());
    let is_asked_for = |measured: &Measured, workers| {
        let ids = measured.engines.iter().map(|(name, _)| format!("{}/{name}/{workers}", measured.case));
        filter.as_ref().is_none_or(|filter| ids.into_iter().any(|id| filter.is_match(&id)))
    };
    for number in 0..rounds {
        for (at, measured) in programs.iter().enumerate() {
            for workers in [1, 2].into_iter().filter(|workers| is_asked_for(measured, *workers)) {
                round(number, measured, workers, spread.entry((at, workers)).or_default());
            }
        }
    }
    spread
}

/// One round of each engine.
fn round(number: usize, measured: &Measured, workers: usize, times: &mut Times) {
    let Measured { case, behaviors, engines } = measured;
    // In another order each time: what an engine leaves behind, such as threads that end, is the next one's to bear, and
    // that is not to be always the same one.
    let mut order: Vec<_> = engines.iter().enumerate().collect();
    order.sort_by_key(|(at, _)| shuffled(number, *at));
    for (_, (name, round)) in order {
        // The first of two finds the caches and the memory as another engine left them: it warms up.
        let both = [(); 2].map(|()| {
            let begun = Instant::now();
            let counted = round(workers, *behaviors);
            let time = begun.elapsed();
            assert_eq!(counted, *behaviors, "{case} on {name} loses behaviors");
            time
        });
        times.entry(name).or_default().push(both[1]);
    }
}

/// A number for each engine of a round, the same in each run.
fn shuffled(round: usize, engine: usize) -> u64 {
    let mut hasher = DefaultHasher::new();
    (round, engine).hash(&mut hasher);
    hasher.finish()
}
