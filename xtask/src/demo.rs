//! `cargo xtask demo`: the census of Python code.

use std::process::ExitCode;

use crate::error::Result;
use crate::flags;
use crate::process;
use crate::python;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace::Workspace;

/// Gives the census's own exit status.
pub fn run(workspace: &Workspace, flags: &flags::Demo) -> Result<ExitCode> {
    let python = python::newest(&flags.pythons)?;
    eprintln!("The demo runs on {python}.");
    let wheel = wheel::build(workspace, &python)?;
    let venv = Venv::ready(workspace, &python, "demo", &[])?;
    venv.install(&wheel)?;

    let census = workspace.root().join("examples").join("python").join("census.py");
    let mut command = venv.python();
    command.arg(census).args(["--files", "400", "--workers", "2"]).args(&flags.args);
    let status = process::status(&mut command)?;
    // One that a signal ended has no code.
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).map_or(ExitCode::FAILURE, ExitCode::from))
}
