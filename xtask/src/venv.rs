//! Virtual environments below the target folder, with pinned packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;
use crate::python::Python;
use crate::workspace::Workspace;

/// The one place that says which version of a package is used.
const PINS: &str = include_str!("../requirements.txt");

/// A virtual environment of one interpreter, for one purpose.
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// Makes `target/xtask/cp312/PURPOSE` with these packages, unless it is there already and was made from the
    /// same interpreter and pins.
    pub fn ready(workspace: &Workspace, python: &Python, purpose: &str, packages: &[&str]) -> Result<Self> {
        let folder = workspace.own().join(python.tag()).join(purpose);
        let venv = Venv { folder };
        let marker = venv.folder.join("made-from.txt");
        // `python` and `python3` are one interpreter.
        let real = python.executable.canonicalize().unwrap_or_else(|_| python.executable.clone());
        let recipe = format!("{}\n{}\n{}\n{PINS}", python.version, real.display(), packages.join(" "));
        if std::fs::read_to_string(&marker).is_ok_and(|made_from| made_from == recipe) {
            return Ok(venv);
        }
        if venv.folder.exists() {
            std::fs::remove_dir_all(&venv.folder).map_err(|cause| Error::io("remove", &venv.folder, &cause))?;
        }
        process::run(Command::new(&python.executable).args(["-I", "-m", "venv"]).arg(&venv.folder))?;
        if !packages.is_empty() {
            let pins = workspace.root().join("xtask").join("requirements.txt");
            process::run(venv.pip_install().arg("--constraint").arg(pins).args(packages))?;
        }
        std::fs::write(&marker, recipe).map_err(|cause| Error::io("write", &marker, &cause))?;
        Ok(venv)
    }

    /// Installs a wheel that was just built, in place of an earlier build of the same version.
    pub fn install(&self, wheel: &Path) -> Result<()> {
        process::run(self.pip_install().args(["--no-index", "--no-deps", "--force-reinstall"]).arg(wheel))
    }

    pub fn executable(&self) -> PathBuf {
        let program = if cfg!(windows) { "Scripts/python.exe" } else { "bin/python" };
        self.folder.join(program)
    }

    /// The environment's interpreter, with nothing of the caller's own Python set-up, and writing its bytecode
    /// below the target folder.
    pub fn python(&self) -> Command {
        let mut command = Command::new(self.executable());
        for name in ["PYTHONHOME", "PYTHONPATH", "PYTHONSTARTUP", "PYTHONSAFEPATH", "VIRTUAL_ENV"] {
            command.env_remove(name);
        }
        command.env("PYTHONPYCACHEPREFIX", self.scratch("bytecode"));
        command
    }

    /// A path in the environment's folder for what a tool wants to keep.
    pub fn scratch(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn pip_install(&self) -> Command {
        let mut pip = self.python();
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
        pip
    }
}
