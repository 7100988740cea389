//! The Python types: strict over what ships and what is shown.
//!
//! That the stubs agree with the package as built is checked by the package's own tests, where mypy is installed.

use crate::error::Result;
use crate::process;
use crate::venv::Venv;
use crate::workspace::Workspace;

/// Runs `mypy --strict` over the package's Python side and the examples, in an environment that has mypy.
/// Needs no wheel.
pub fn check(workspace: &Workspace, venv: &Venv) -> Result<()> {
    let package = workspace.root().join("crates").join("bocage-python").join("python");
    let mut mypy = venv.python();
    mypy.args(["-m", "mypy", "--strict", "--pretty", "--cache-dir"]).arg(venv.scratch("mypy"));
    mypy.env("MYPYPATH", &package).arg(package.join("bocage"));
    mypy.args(workspace.python_files("examples/python")?);
    process::run(mypy.current_dir(workspace.root()))
}
