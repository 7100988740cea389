//! Where things are.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::process;

/// What is off by default and to be tested, linted and documented all the same.
pub const FEATURES: [&str; 2] = ["--features", "bocage-runtime/rayon,bocage/trace"];

/// The repository, as cargo sees it.
pub struct Workspace {
    root: PathBuf,
    target: PathBuf,
    packages: Vec<Package>,
}

struct Package {
    name: String,
    targets: Vec<Target>,
}

struct Target {
    name: String,
    kind: String,
}

impl Workspace {
    /// Asks cargo.
    pub fn find() -> Result<Self> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is in a folder of the root");
        let text = process::output(cargo_in(root).args(["metadata", "--no-deps", "--format-version=1"]))?;
        let metadata: Value = serde_json::from_str(&text)
            .map_err(|cause| Error::new(format!("cannot read what `cargo metadata` printed: {cause}")))?;
        Ok(Workspace {
            root: root.to_owned(),
            target: PathBuf::from(text_of(&metadata["target_directory"])),
            packages: list_of(&metadata["packages"])
                .map(|package| Package {
                    name: text_of(&package["name"]),
                    targets: list_of(&package["targets"])
                        .map(|target| Target { name: text_of(&target["name"]), kind: text_of(&target["kind"][0]) })
                        .collect(),
                })
                .collect(),
        })
    }

    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Cargo, started in the root: the current folder stays the caller's, since flags may hold relative paths.
    pub fn cargo(&self) -> Command {
        cargo_in(&self.root)
    }

    /// Cargo's target folder: the one place that may be written to.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// The folder for whatever xtask makes itself.
    pub fn own(&self) -> PathBuf {
        self.target.join("xtask")
    }

    /// The names of a package's targets of one kind: `example`, `bench`, `test`.
    pub fn targets(&self, package: &str, kind: &str) -> Vec<&str> {
        let package = self.packages.iter().filter(|candidate| candidate.name == package);
        let targets = package.flat_map(|package| &package.targets);
        targets.filter(|target| target.kind == kind).map(|target| &*target.name).collect()
    }

    /// The packages that have a test target of this name.
    pub fn packages_with_test(&self, name: &str) -> Vec<&str> {
        let has =
            |package: &&Package| package.targets.iter().any(|target| target.kind == "test" && target.name == name);
        self.packages.iter().filter(has).map(|package| &*package.name).collect()
    }

    /// The Python files of a folder below the root, in order of name; none if there is no such folder.
    pub fn python_files(&self, folder: &str) -> Result<Vec<PathBuf>> {
        let folder = self.root.join(folder);
        if !folder.is_dir() {
            return Ok(Vec::new());
        }
        let mut files = files_in(&folder)?;
        files.retain(|file| file.extension().is_some_and(|end| end == "py"));
        Ok(files)
    }
}

/// The paths in a folder, in order of name.
pub fn files_in(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).map_err(|cause| Error::io("list", folder, &cause))?;
    let paths: std::io::Result<Vec<_>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths.map_err(|cause| Error::io("list", folder, &cause))?;
    paths.sort();
    Ok(paths)
}

/// The cargo that started this program, with the toolchain that it came from.
fn cargo_in(folder: &Path) -> Command {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(folder);
    cargo
}

fn text_of(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}

fn list_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}
