//! `cargo xtask bench NAME`: one benchmark and its table.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::counts;
use crate::error::{Error, Result};
use crate::flags;
use crate::machine;
use crate::process;
use crate::python;
use crate::rounds::{self, Measured};
use crate::table;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace::Workspace;

const MICRO: &str = "micro";
const COUNTS: &str = "counts";
/// The suite whose table is a page of the book.
const ENGINE: &str = "engine";

/// One line of a benchmark's table.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub suite: String,
    pub case: String,
    /// What Bocage is measured beside.
    pub peer: Option<String>,
    pub workers: Option<u64>,
    pub ours: f64,
    pub theirs: Option<f64>,
    /// The lowest and the highest ratio of a round, where rounds were interleaved.
    pub spread: Option<(f64, f64)>,
    pub unit: &'static str,
}

impl Row {
    /// Above 1, Bocage is better: the values are times or counts.
    pub fn ratio(&self) -> Option<f64> {
        self.theirs.map(|theirs| theirs / self.ours)
    }

    fn json(&self) -> Value {
        serde_json::json!({
            "suite": self.suite,
            "case": self.case,
            "peer": self.peer,
            "workers": self.workers,
            "ours": self.ours,
            "theirs": self.theirs,
            "unit": self.unit,
            "ratio": self.ratio(),
            "spread": self.spread,
        })
    }
}

pub fn run(workspace: &Workspace, flags: &flags::Bench) -> Result<()> {
    let suites = workspace.targets("bocage-benches", "bench");
    let Some(name) = flags.name.as_deref() else {
        for name in [MICRO, COUNTS].into_iter().chain(suites) {
            println!("{name}");
        }
        return Ok(());
    };
    match name {
        MICRO => return micro(workspace, flags),
        COUNTS => return counts::run(workspace, flags),
        _ => {}
    }
    if !suites.contains(&name) {
        return Err(Error::new(format!(
            "there is no benchmark `{name}`; there are {MICRO}, {COUNTS}, {}",
            suites.join(", ")
        )));
    }
    suite(workspace, name, flags)
}

/// The Python benchmark makes its own table and rows.
fn micro(workspace: &Workspace, flags: &flags::Bench) -> Result<()> {
    let python = python::newest(&flags.pythons)?;
    eprintln!("The benchmark runs on {python}.");
    let wheel = wheel::build(workspace, &python)?;
    let venv = Venv::ready(workspace, &python, "bench", &["bocpy"])?;
    venv.install(&wheel)?;
    let mut command = venv.python();
    command.arg(workspace.root().join("benches").join("python").join("micro.py")).args(["bocage", "bocpy"]);
    if let Some(file) = &flags.json {
        command.arg("--json").arg(file);
    }
    process::run(command.args(&flags.args))
}

fn suite(workspace: &Workspace, name: &str, flags: &flags::Bench) -> Result<()> {
    let results = workspace.target().join("criterion").join(name);
    std::fs::create_dir_all(&results).map_err(|cause| Error::io("create", &results, &cause))?;
    let mut bench = workspace.cargo();
    bench.args(["bench", "--locked", "--package", "bocage-benches", "--bench", name, "--features"]);
    bench.arg(features(&flags.features)).arg("--").args(&flags.args).env("CRITERION_HOME", &results);
    match flags.rounds {
        Some(rounds) => bench.env("BOCAGE_ROUNDS", rounds.to_string()),
        None => bench.env_remove("BOCAGE_ROUNDS"),
    };
    process::run(&mut bench)?;

    let measured = rounds::read(name, &results.join("rounds.json"))?;
    if measured.rows.is_empty() {
        return Err(Error::new(format!("`{name}` measured nothing")));
    }
    let page = page(&measured, &machine::described(workspace)?);
    print!("\n{page}");
    if let Some(file) = &flags.json {
        write(file, &measured.rows)?;
    }
    if name == ENGINE {
        if flags.args.is_empty() && flags.rounds.is_none() {
            return into_the_book(workspace, &measured.allocator, &page);
        }
        eprintln!("The book keeps its table: this one is of a part of the rounds.");
    }
    Ok(())
}

/// The peers that can be built here, and what was asked for beside them.
fn features(asked: &[String]) -> String {
    const VERONA: &str = "verona";
    let mut features = vec!["peers"];
    features.extend(asked.iter().map(String::as_str).filter(|name| *name != VERONA));
    let missing = lacks_for_verona();
    if missing.is_empty() || asked.iter().any(|name| name == VERONA) {
        features.push(VERONA);
    } else {
        eprintln!("The peer `boc` is left out: it is built with {}, not found here.", missing.join(" and "));
    }
    features.join(",")
}

/// What the Verona runtime is built with and this machine does not have.
fn lacks_for_verona() -> Vec<&'static str> {
    // What the crates `cmake` and CMake itself look for.
    let starts = |variable: &str, names: &[&str]| {
        let named = std::env::var_os(variable).into_iter();
        let mut programs = named.chain(names.iter().map(Into::into));
        programs.any(|program| process::succeeds(Command::new(program).arg("--version")))
    };
    let mut missing = Vec::new();
    if !starts("CMAKE", &["cmake"]) {
        missing.push("cmake");
    }
    if !starts("CXX", &["c++", "g++", "clang++"]) {
        missing.push("a C++ compiler");
    }
    missing
}

/// The table, with what is needed to read it.
fn page(measured: &Measured, machine: &str) -> String {
    let Measured { allocator, rounds, rows } = measured;
    format!(
        "Allocator: {allocator}. {machine}.\n\
         Times are for one behavior, medians of {rounds} interleaved rounds. A ratio above 1 means that Bocage is that\n\
         many times faster; in brackets the lowest and the highest ratio of a round.\n\
         \n{}",
        table::of(rows)
    )
}

/// One file for each allocator: the book shows both.
fn into_the_book(workspace: &Workspace, allocator: &str, page: &str) -> Result<()> {
    let name = if allocator == "mimalloc" { "engine-table-mimalloc.md" } else { "engine-table.md" };
    let file = workspace.root().join("docs").join("src").join(name);
    let text = format!("<!-- `cargo xtask bench engine` writes this file. -->\n\n{page}");
    std::fs::write(&file, text).map_err(|cause| Error::io("write", &file, &cause))?;
    eprintln!("The book has it too: {}", file.display());
    Ok(())
}

pub fn write(file: &Path, rows: &[Row]) -> Result<()> {
    let rows: Vec<Value> = rows.iter().map(Row::json).collect();
    let text = serde_json::to_string_pretty(&rows).expect("rows are plain JSON") + "\n";
    std::fs::write(file, text).map_err(|cause| Error::io("write", file, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_has_every_field_and_a_ratio_above_one_when_the_peer_is_slower() {
        let mut row = Row {
            suite: "engine".into(),
            case: "W1".into(),
            peer: Some("boc".into()),
            workers: Some(2),
            ours: 50.0,
            theirs: Some(100.0),
            spread: Some((1.5, 2.5)),
            unit: "ns/behavior",
        };
        let json = row.json();
        let mut names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["case", "ours", "peer", "ratio", "spread", "suite", "theirs", "unit", "workers"]);
        assert_eq!(json["ratio"], 2.0);
        assert_eq!(json["spread"], serde_json::json!([1.5, 2.5]));
        (row.peer, row.theirs, row.spread) = (None, None, None);
        assert!(row.json()["ratio"].is_null() && row.json()["spread"].is_null());
    }
}
