//! How often a behavior allocates: `counts CASE...`; a line for each case, `CASE BLOCKS BYTES`, for one behavior.
//!
//! Counted are two rounds with one worker, one of them with more behaviors: what their difference is divided by has
//! neither the start nor the end of the runtime in it.

use std::env;
use std::process::ExitCode;

use bocage_benches::allocator::{Allocated, so_far};
use bocage_benches::{Round, programs};

const FEW: u64 = 20_000;
const MANY: u64 = 120_000;

fn main() -> ExitCode {
    let programs = programs();
    for case in env::args().skip(1) {
        let Some(measured) = programs.iter().find(|measured| measured.case == case) else {
            eprintln!("there is no case {case}");
            return ExitCode::FAILURE;
        };
        // Ours comes first.
        let round = measured.engines[0].1;
        let (few, many) = (of_round(round, FEW), of_round(round, MANY));
        let each = |few: u64, many: u64| (many as f64 - few as f64) / (MANY - FEW) as f64;
        println!("{case} {} {}", each(few.blocks, many.blocks), each(few.bytes, many.bytes));
    }
    ExitCode::SUCCESS
}

fn of_round(round: Round, behaviors: u64) -> Allocated {
    let before = so_far();
    assert_eq!(round(1, behaviors), behaviors);
    let after = so_far();
    Allocated { blocks: after.blocks - before.blocks, bytes: after.bytes - before.bytes }
}
