//! `cargo xtask bench counts`: what a behavior takes, counted and not timed.
//!
//! Each case is run twice with one worker, the second time with more behaviors. What the difference of the two is
//! divided by the difference of their behaviors leaves out what the process and the runtime take to start and to end.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::{Row, write};
use crate::callgrind::{Profile, Sum};
use crate::error::{Error, Result};
use crate::flags;
use crate::machine;
use crate::process;
use crate::table;
use crate::workspace::Workspace;

const CASES: [&str; 4] = ["W1", "W1p", "W2", "W4"];

/// Enough for whatever is amortized, few enough that valgrind takes seconds.
const FEW: u64 = 20_000;
const MANY: u64 = 60_000;

/// Of one behavior.
struct Counts {
    case: String,
    instructions: Each,
    /// Where `objdump` can tell.
    locked: Option<Each>,
    allocations: f64,
    bytes: f64,
}

/// Instructions of one behavior, and how many of them are of shared libraries.
struct Each {
    all: f64,
    libraries: f64,
}

impl Each {
    fn of(few: Sum, many: Sum) -> Self {
        let each = |few: u64, many: u64| (many as f64 - few as f64) / (MANY - FEW) as f64;
        Each { all: each(few.all(), many.all()), libraries: each(few.libraries, many.libraries) }
    }
}

pub fn run(workspace: &Workspace, flags: &flags::Bench) -> Result<()> {
    if !process::succeeds(Command::new("valgrind").arg("--version")) {
        return Err(Error::new("valgrind is not installed; Debian's and Fedora's packages are called that"));
    }
    let allocations = allocations(workspace, &flags.features)?;
    let program = built(workspace, &flags.features)?;
    let folder = workspace.own().join("counts");
    std::fs::create_dir_all(&folder).map_err(|cause| Error::io("create", &folder, &cause))?;
    let mut counted = Vec::new();
    for (case, allocations, bytes) in allocations {
        let few = profile(&program, &folder, &case, FEW)?;
        let many = profile(&program, &folder, &case, MANY)?;
        let locked = if std::env::consts::ARCH == "x86_64" && process::succeeds(Command::new("objdump").arg("-v")) {
            Some(Each::of(few.locked()?, many.locked()?))
        } else {
            eprintln!("Locked instructions are not counted: that needs an x86-64 and objdump.");
            None
        };
        let instructions = Each::of(few.executed(), many.executed());
        counted.push(Counts { case, instructions, locked, allocations, bytes });
    }
    print!("\n{}. For one behavior, with one worker:\n\n{}", machine::described(workspace)?, shown(&counted));
    println!("\nThe profiles, for callgrind_annotate and KCachegrind: {}", folder.display());
    match &flags.json {
        Some(file) => write(file, &rows(&counted)),
        None => Ok(()),
    }
}

/// For each case the blocks and the bytes that a behavior allocates.
fn allocations(workspace: &Workspace, features: &[String]) -> Result<Vec<(String, f64, f64)>> {
    let mut counts = workspace.cargo();
    counts.args(["run", "--locked", "--quiet", "--profile", "bench", "--package", "bocage-benches"]);
    counts.args(["--no-default-features", "--features", &[&["counts".to_owned()], features].concat().join(",")]);
    let text = process::output(counts.args(["--example", "counts", "--"]).args(CASES))?;
    let line = |line: &str| {
        let mut words = line.split(' ');
        Some((words.next()?.to_owned(), words.next()?.parse().ok()?, words.next()?.parse().ok()?))
    };
    let counted: Option<Vec<_>> = text.lines().map(line).collect();
    counted.ok_or_else(|| Error::new(format!("the example `counts` printed something else:\n{text}")))
}

/// The program to profile: one that does not count its allocations, since that takes locked instructions.
fn built(workspace: &Workspace, features: &[String]) -> Result<PathBuf> {
    let mut build = workspace.cargo();
    build.args(["build", "--locked", "--profile", "bench", "--package", "bocage-benches", "--example", "once"]);
    process::run(build.args(["--no-default-features", "--features", &features.join(",")]))?;
    // The profile `bench` shares its folder with `release`.
    Ok(workspace.target().join("release").join("examples").join("once"))
}

fn profile(program: &Path, folder: &Path, case: &str, behaviors: u64) -> Result<Profile> {
    let file = folder.join(format!("{case}-{behaviors}.callgrind"));
    let mut valgrind = Command::new("valgrind");
    valgrind.args(["--tool=callgrind", "--dump-instr=yes"]).arg(format!("--callgrind-out-file={}", file.display()));
    valgrind.arg(program).args([case, "bocage", "1", "1"]).arg(behaviors.to_string());
    process::output(&mut valgrind)?;
    Profile::read(&file)
}

fn shown(counted: &[Counts]) -> String {
    let head = ["case", "instructions", "of libraries", "locked", "of libraries", "allocations", "bytes"];
    let head = head.map(str::to_owned).to_vec();
    let line = |counts: &Counts| {
        vec![
            counts.case.clone(),
            format!("{:.0}", counts.instructions.all),
            format!("{:.0}", counts.instructions.libraries),
            counts.locked.as_ref().map_or_else(String::new, |locked| format!("{:.2}", locked.all)),
            counts.locked.as_ref().map_or_else(String::new, |locked| format!("{:.2}", locked.libraries)),
            format!("{:.2}", counts.allocations),
            format!("{:.0}", counts.bytes),
        ]
    };
    let lines: Vec<_> = std::iter::once(head).chain(counted.iter().map(line)).collect();
    table::aligned(&lines)
}

fn rows(counted: &[Counts]) -> Vec<Row> {
    let of_case = |counts: &Counts| {
        let counted = [
            ("instructions/behavior", Some(counts.instructions.all)),
            ("locked instructions/behavior", counts.locked.as_ref().map(|locked| locked.all)),
            ("allocations/behavior", Some(counts.allocations)),
            ("bytes/behavior", Some(counts.bytes)),
        ];
        let case = counts.case.clone();
        counted.into_iter().filter_map(move |(unit, ours)| {
            Some(Row {
                suite: "counts".to_owned(),
                case: case.clone(),
                peer: None,
                workers: Some(1),
                ours: ours?,
                theirs: None,
                spread: None,
                unit,
            })
        })
    };
    counted.iter().flat_map(of_case).collect()
}
