//! Runs one program on one engine, for a profiler: `once CASE [ENGINE [WORKERS [ROUNDS [BEHAVIORS]]]]`.
//!
//! ```sh
//! cargo build --profile bench -p bocage-benches --example once
//! valgrind --tool=callgrind target/release/examples/once W1 bocage 1 1
//! ```

use std::env;
use std::process::ExitCode;
use std::time::Instant;

use bocage_benches::programs;

const USAGE: &str = "usage: once CASE [ENGINE [WORKERS [ROUNDS [BEHAVIORS]]]]";

fn main() -> ExitCode {
    let args: Vec<_> = env::args().skip(1).collect();
    let arg = |at: usize, default: &'static str| args.get(at).map_or(default, String::as_str).to_owned();
    let (case, engine) = (arg(0, "W1"), arg(1, "bocage"));
    let (Ok(workers), Ok(rounds)) = (arg(2, "1").parse::<usize>(), arg(3, "20").parse::<u32>()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let Some(measured) = programs().into_iter().find(|measured| measured.case == case) else {
        eprintln!("there is no case {case}");
        return ExitCode::FAILURE;
    };
    let Some((_, round)) = measured.engines.iter().find(|(name, _)| *name == engine) else {
        eprintln!("{case} is not run on {engine} in this build");
        return ExitCode::FAILURE;
    };
    let Ok(behaviors) = args.get(4).map_or(Ok(measured.behaviors), |behaviors| behaviors.parse()) else {
        eprintln!("{USAGE}");
        return ExitCode::FAILURE;
    };
    let mut times: Vec<_> = (0..rounds.max(1))
        .map(|_| {
            let begun = Instant::now();
            assert_eq!(round(workers, behaviors), behaviors);
            begun.elapsed().as_nanos() as f64 / behaviors as f64
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!("{case} {engine} {workers}: best {:.1}, median {:.1} ns a behavior", times[0], times[times.len() / 2]);
    ExitCode::SUCCESS
}
