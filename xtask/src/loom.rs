//! `cargo xtask loom`: the models of the lock-free protocols.

use std::process::Command;

use crate::error::{Error, Result};
use crate::flags;
use crate::process;
use crate::workspace::Workspace;

/// Enough to find almost every mistake.
const PREEMPTIONS: &str = "2";

/// What a model may take when it is only one of many tests.
const SECONDS: &str = "20";

pub fn run(workspace: &Workspace, flags: &flags::Loom) -> Result<()> {
    let mut command = models(workspace)?;
    command.args(&flags.args);
    if flags.full {
        command.env_remove("LOOM_MAX_PREEMPTIONS");
    }
    process::run(&mut command)
}

/// Every model for a short while, for `test`.
pub fn run_briefly(workspace: &Workspace) -> Result<()> {
    let mut command = models(workspace)?;
    if std::env::var_os("LOOM_MAX_DURATION").is_none() {
        command.env("LOOM_MAX_DURATION", SECONDS);
    }
    process::run(&mut command)
}

/// The command that runs every model with a bound on preemptions.
fn models(workspace: &Workspace) -> Result<Command> {
    let packages = workspace.packages_with_test("loom");
    if packages.is_empty() {
        return Err(Error::new("no crate has a test target named loom"));
    }
    let mut command = workspace.cargo();
    // Optimised, since the time goes into running every interleaving; and in a folder of its own, since every
    // crate is built differently.
    command.args(["test", "--release", "--locked", "--test", "loom"]);
    command.arg("--target-dir").arg(workspace.target().join("loom"));
    for package in packages {
        command.args(["--package", package]);
    }
    let flags = std::env::var("RUSTFLAGS").unwrap_or_default();
    command.env("RUSTFLAGS", format!("{flags} --cfg loom").trim_start());
    if std::env::var_os("LOOM_MAX_PREEMPTIONS").is_none() {
        command.env("LOOM_MAX_PREEMPTIONS", PREEMPTIONS);
    }
    command.arg("--");
    Ok(command)
}
