//! The Python types: strict over what ships and what is shown, and true to what the package really has.

use crate::error::Result;
use crate::process;
use crate::python::Python;
use crate::venv::Venv;
use crate::workspace::Workspace;

/// Runs `mypy --strict` over the package's Python side, the examples, the benchmarks and the README's program.
/// Needs no wheel.
pub fn check_sources(workspace: &Workspace, python: &Python) -> Result<()> {
    let venv = Venv::ready(workspace, python, "types", &["mypy"])?;
    let package = workspace.root().join("crates").join("bocage-python").join("python");
    let mut mypy = venv.python();
    mypy.args(["-m", "mypy", "--strict", "--pretty", "--cache-dir"]).arg(venv.scratch("mypy"));
    mypy.env("MYPYPATH", &package).arg(package.join("bocage"));
    mypy.args(workspace.python_files("examples/python")?);
    mypy.args(workspace.python_files("benches/python")?);
    process::run(mypy.current_dir(workspace.root()))
}

/// Holds the stubs against the package as built: names, parameters and defaults must agree.
pub fn check_stubs(workspace: &Workspace, python: &Python, wheel: &std::path::Path) -> Result<()> {
    let venv = Venv::ready(workspace, python, "types", &["mypy"])?;
    venv.install(wheel)?;
    process::run(venv.python().args(["-m", "mypy.stubtest", "bocage"]))
}
