//! `cargo xtask wheel`: a wheel for each Python.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::flags;
use crate::process;
use crate::python::{self, Python};
use crate::venv::Venv;
use crate::workspace::{Workspace, files_in};

pub fn run(workspace: &Workspace, flags: &flags::Wheel) -> Result<()> {
    let mut wheels = Vec::new();
    for python in python::find(&flags.pythons)? {
        eprintln!("\n== {python}");
        wheels.push(build(workspace, &python)?);
    }
    for wheel in wheels {
        println!("{}", wheel.display());
    }
    Ok(())
}

/// Builds in the release profile and gives the wheel's path in `target/wheels`.
pub fn build(workspace: &Workspace, python: &Python) -> Result<PathBuf> {
    let tools = Venv::ready(workspace, python, "build", &["maturin"])?;
    // A folder of its own, so that the wheel in it is this one, whatever maturin calls it.
    let fresh = tools.scratch("wheel");
    if fresh.exists() {
        std::fs::remove_dir_all(&fresh).map_err(|cause| Error::io("remove", &fresh, &cause))?;
    }
    let manifest = workspace.root().join("crates").join("bocage-python").join("Cargo.toml");
    let mut maturin = tools.python();
    maturin.args(["-m", "maturin", "build", "--release", "--locked", "--manifest-path"]).arg(manifest);
    maturin.arg("--interpreter").arg(&python.executable).arg("--out").arg(&fresh);
    maturin.env("CARGO_TARGET_DIR", workspace.target());
    process::run(maturin.current_dir(workspace.root()))?;

    let built = only_wheel_in(&fresh)?;
    let wheels = workspace.target().join("wheels");
    std::fs::create_dir_all(&wheels).map_err(|cause| Error::io("make", &wheels, &cause))?;
    let kept = wheels.join(built.file_name().expect("a wheel has a name"));
    std::fs::copy(&built, &kept).map_err(|cause| Error::io("copy", &built, &cause))?;
    Ok(kept)
}

fn only_wheel_in(folder: &Path) -> Result<PathBuf> {
    let mut wheels = files_in(folder)?;
    wheels.retain(|file| file.extension().is_some_and(|end| end == "whl"));
    match <[PathBuf; 1]>::try_from(wheels) {
        Ok([wheel]) => Ok(wheel),
        Err(wheels) => {
            Err(Error::new(format!("maturin left {} wheels in {}, not one", wheels.len(), folder.display())))
        }
    }
}
