//! `cargo xtask valgrind`: the engine's test programs under valgrind.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::flags::{self, Tool};
use crate::process;
use crate::steps::Steps;
use crate::workspace::Workspace;

/// The crates with unsafe code, and the one that uses all of it.
const PACKAGES: [&str; 3] = ["bocage-core", "bocage-runtime", "bocage"];

/// What says nothing under valgrind, which is some fifty times slower and runs one thread at a time: tests that measure
/// time, or memory in use, and those that call the compiler.
const SKIPPED: [&str; 4] = ["idle", "memory_flat", "no_processor_time", "unsound_programs"];

/// Small programs, for the tools that look for races and, as they know nothing of atomics, see one everywhere.
const RACES: [&str; 2] = ["requests", "scope"];

pub fn run(workspace: &Workspace, flags: &flags::Valgrind) -> Result<()> {
    if !process::succeeds(Command::new("valgrind").arg("--version")) {
        return Err(Error::new(
            "valgrind is not installed; `apt install valgrind`, or your system's package of that name",
        ));
    }
    let programs = programs(workspace)?;
    let mut steps = Steps::new("valgrind");
    for program in &programs {
        let name = program.name();
        let named = |wanted: &String| name.contains(wanted.as_str());
        let is_wanted = match flags.tool {
            Tool::Memcheck => true,
            Tool::Helgrind | Tool::Drd => !flags.names.is_empty() || RACES.contains(&&*program.target),
        };
        if is_wanted && (flags.names.is_empty() || flags.names.iter().any(named)) {
            steps.run(name, || process::run(&mut command(workspace, flags.tool, program)));
        }
    }
    steps.finish()
}

/// A test program, and whose it is.
struct Program {
    package: String,
    target: String,
    path: PathBuf,
}

impl Program {
    fn name(&self) -> String {
        format!("{} {}", self.package, self.target)
    }
}

/// Builds them: with debug information, and optimised as little as is bearable.
fn programs(workspace: &Workspace) -> Result<Vec<Program>> {
    let mut cargo = workspace.cargo();
    cargo.args(["test", "--locked", "--no-run", "--tests", "--message-format=json-render-diagnostics"]);
    cargo.args(["--config", "profile.dev.opt-level=1"]);
    cargo.arg("--target-dir").arg(workspace.target().join("valgrind"));
    for package in PACKAGES {
        cargo.args(["--package", package]);
    }
    let messages = process::output(&mut cargo)?;
    let programs = messages.lines().filter_map(|line| serde_json::from_str(line).ok()).filter_map(|message: Value| {
        Some(Program {
            package: package_in(message["package_id"].as_str()?)?,
            target: message["target"]["name"].as_str()?.to_owned(),
            path: PathBuf::from(message["executable"].as_str()?),
        })
    });
    Ok(programs.collect())
}

/// The name in a package id, `path+file:///…/crates/NAME#VERSION`.
fn package_in(id: &str) -> Option<String> {
    let path = id.split('#').next()?;
    Some(Path::new(path).file_name()?.to_string_lossy().into_owned())
}

fn command(workspace: &Workspace, tool: Tool, program: &Program) -> Command {
    let mut command = Command::new("valgrind");
    command.args(["--quiet", "--fair-sched=yes", "--num-callers=30"]);
    let of_tool: &[&str] = match tool {
        Tool::Memcheck => &[
            "--error-exitcode=1",
            "--leak-check=full",
            "--show-leak-kinds=definite",
            "--errors-for-leak-kinds=definite",
        ],
        // What these report is no verdict, see the book.
        Tool::Helgrind => &["--tool=helgrind", "--history-level=approx"],
        Tool::Drd => &["--tool=drd"],
    };
    command.args(of_tool);
    command.arg(format!("--suppressions={}", workspace.root().join("xtask").join("valgrind.supp").display()));
    command.arg(&program.path).args(["--test-threads=1"]);
    for name in SKIPPED {
        command.args(["--skip", name]);
    }
    // Few and short: what is wrong with memory is so the first time.
    command.env("PROPTEST_CASES", "4").env("BOCAGE_ROUNDS", "2");
    command.current_dir(workspace.root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_id_names_its_folder() {
        assert_eq!(package_in("path+file:///a/crates/bocage-core#0.1.0").as_deref(), Some("bocage-core"));
    }
}
