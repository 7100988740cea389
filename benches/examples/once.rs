//! Runs one program on one engine, for a profiler, or on two in turns: `once CASE [ENGINE[,OTHER] [WORKERS [ROUNDS
//! [BEHAVIORS]]]]`. Of two it also prints how many times faster the first is: the median, over all rounds, of the ratio of
//! two that came one right after the other, which a machine whose speed changes by the second leaves alone.
//!
//! ```sh
//! cargo build --profile bench -p bocage-benches --example once
//! valgrind --tool=callgrind target/release/examples/once W1 bocage 1 1
//! target/release/examples/once W7 bocage,writes 2 500
//! ```

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use bocage_benches::{Round, programs};

const USAGE: &str = "usage: once CASE [ENGINE[,OTHER] [WORKERS [ROUNDS [BEHAVIORS]]]]";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), String> {
    let args: Vec<_> = env::args().skip(1).collect();
    let arg = |at: usize, default: &'static str| args.get(at).map_or(default, String::as_str).to_owned();
    let number = |at, default| arg(at, default).parse::<usize>().map_err(|_| USAGE.to_owned());
    let (case, engines, workers, rounds) = (arg(0, "W1"), arg(1, "bocage"), number(2, "1")?, number(3, "20")?.max(1));
    let measured = programs().into_iter().find(|measured| measured.case == case);
    let measured = measured.ok_or_else(|| format!("there is no case {case}"))?;
    let behaviors = match args.get(4) {
        None => measured.behaviors,
        Some(behaviors) => behaviors.parse().map_err(|_| USAGE.to_owned())?,
    };
    let find = |engine: &str| -> Result<Round, String> {
        let found = measured.engines.iter().find(|(name, _)| *name == engine);
        Ok(found.ok_or_else(|| format!("{case} is not run on {engine} in this build"))?.1)
    };
    let names: Vec<_> = engines.split(',').collect();
    let rounds_of = names.iter().map(|name| find(name)).collect::<Result<Vec<_>, _>>()?;
    if rounds_of.len() > 2 {
        return Err(USAGE.into());
    }
    let mut times: Vec<Vec<f64>> = (0..rounds)
        .map(|_| {
            let time = |round: &Round| {
                let begun = Instant::now();
                assert_eq!(round(workers, behaviors), behaviors);
                begun.elapsed().as_nanos() as f64 / behaviors as f64
            };
            rounds_of.iter().map(time).collect()
        })
        .collect();
    for (at, name) in names.iter().enumerate() {
        times.sort_by(|a, b| a[at].total_cmp(&b[at]));
        let (best, median) = (times[0][at], times[rounds / 2][at]);
        println!("{case} {name} {workers}: best {best:.1}, median {median:.1} ns a behavior");
    }
    if let [first, other] = names[..] {
        let ratio = |times: &[f64]| times[1] / times[0];
        times.sort_by(|a, b| ratio(a).total_cmp(&ratio(b)));
        let [low, median, high] = [rounds / 4, rounds / 2, rounds * 3 / 4].map(|at| ratio(&times[at]));
        println!("{case} {first} beside {other}, {workers}: {median:.2} (half of the rounds: {low:.2} to {high:.2})");
    }
    Ok(())
}
