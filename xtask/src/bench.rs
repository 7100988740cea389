//! `cargo xtask bench NAME`: one benchmark and its table.

use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;

use crate::criterion;
use crate::error::{Error, Result};
use crate::flags;
use crate::process;
use crate::python;
use crate::table;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace::Workspace;

const MICRO: &str = "micro";

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
    pub unit: &'static str,
}

impl Row {
    /// Above 1, Bocage is better: the values are times.
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
        })
    }
}

pub fn run(workspace: &Workspace, flags: &flags::Bench) -> Result<()> {
    let suites = workspace.targets("bocage-benches", "bench");
    let Some(name) = flags.name.as_deref() else {
        for name in std::iter::once(MICRO).chain(suites) {
            println!("{name}");
        }
        return Ok(());
    };
    if name == MICRO {
        return micro(workspace, flags);
    }
    if !suites.contains(&name) {
        return Err(Error::new(format!("there is no benchmark `{name}`; there are {MICRO}, {}", suites.join(", "))));
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
    let begun = SystemTime::now();
    let mut bench = workspace.cargo();
    bench.args(["bench", "--locked", "--package", "bocage-benches", "--bench", name, "--"]).args(&flags.args);
    process::run(bench.env("CRITERION_HOME", &results))?;

    let rows = criterion::rows(name, &results, begun)?;
    if rows.is_empty() {
        return Err(Error::new(format!("`{name}` measured nothing")));
    }
    print!("\n{}", table::of(&rows));
    match &flags.json {
        Some(file) => write(file, &rows),
        None => Ok(()),
    }
}

fn write(file: &Path, rows: &[Row]) -> Result<()> {
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
            case: "spawn".into(),
            peer: Some("verona".into()),
            workers: Some(2),
            ours: 50.0,
            theirs: Some(100.0),
            unit: "ns",
        };
        let json = row.json();
        let mut names: Vec<_> = json.as_object().unwrap().keys().map(String::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["case", "ours", "peer", "ratio", "suite", "theirs", "unit", "workers"]);
        assert_eq!(json["ratio"], 2.0);
        (row.peer, row.theirs) = (None, None);
        assert!(row.json()["ratio"].is_null());
    }
}
