//! `cargo xtask stress`: all features at once, for some minutes.

use crate::error::Result;
use crate::flags;
use crate::process;
use crate::workspace::Workspace;

pub fn run(workspace: &Workspace, flags: &flags::Stress) -> Result<()> {
    let mut command = workspace.cargo();
    command.args(["test", "--locked", "--release", "--package", "bocage", "--test", "stress"]);
    command.args(["--", "--ignored", "--nocapture"]);
    command.env("BOCAGE_STRESS_MINUTES", flags.minutes.to_string());
    match flags.seed {
        Some(seed) => command.env("BOCAGE_SEED", seed.to_string()),
        None => command.env_remove("BOCAGE_SEED"),
    };
    process::run(&mut command)
}
