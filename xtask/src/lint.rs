//! `cargo xtask lint`: what a reviewer need not look for.

use crate::error::{Error, Result};
use crate::flags;
use crate::process;
use crate::python;
use crate::steps::Steps;
use crate::typing;
use crate::venv::Venv;
use crate::workspace::{FEATURES, Workspace};

pub fn run(workspace: &Workspace, flags: &flags::Lint) -> Result<()> {
    let mut steps = Steps::new("lint");
    steps.run("format", || process::run(workspace.cargo().args(["fmt", "--all", "--check"])));
    match steps.run("python: interpreter", || python::newest(&flags.pythons)) {
        Some(python) => {
            steps.run("clippy", || {
                let mut clippy = workspace.cargo();
                clippy.args(["clippy", "--locked", "--workspace", "--all-targets"]);
                clippy.args(FEATURES).args(["--", "--deny", "warnings"]);
                process::run(clippy.env("PYO3_PYTHON", &python.executable))
            });
            steps.run("types", || typing::check(workspace, &Venv::ready(workspace, &python, "types", &["mypy"])?));
        }
        None => {
            steps.run("clippy, but for the extension", || {
                let members = ["clippy", "--locked", "--workspace", "--exclude", "bocage-python", "--all-targets"];
                process::run(workspace.cargo().args(members).args(FEATURES).args(["--", "--deny", "warnings"]))
            });
        }
    }
    dependencies(workspace, &mut steps, flags.strict);
    steps.finish()
}

fn dependencies(workspace: &Workspace, steps: &mut Steps, strict: bool) {
    const LICENSES: &str = "dependencies: licenses, bans, sources";
    const ADVISORIES: &str = "dependencies: advisories";
    let mut missing = |name: &str, why: &str| match strict {
        true => drop(steps.run(name, || Err::<(), _>(Error::new(why)))),
        false => steps.skip(name, why),
    };
    if !process::succeeds(workspace.cargo().args(["deny", "--version"])) {
        return missing(LICENSES, "cargo-deny is not installed; `cargo install --locked cargo-deny`");
    }
    let known = process::output(workspace.cargo().args(["deny", "fetch", "db"]));
    if let Err(failure) = &known {
        missing(ADVISORIES, &format!("the advisory database could not be fetched; {failure}"));
    }
    steps.run(LICENSES, || {
        process::run(workspace.cargo().args(["deny", "--locked", "check", "licenses", "bans", "sources"]))
    });
    if known.is_ok() {
        steps.run(ADVISORIES, || process::run(workspace.cargo().args(["deny", "--locked", "check", "advisories"])));
    }
}
