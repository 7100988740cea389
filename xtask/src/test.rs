//! `cargo xtask test`: everything that must hold.

use crate::error::Result;
use crate::flags::{self, Part};
use crate::loom;
use crate::process;
use crate::python::{self, Python};
use crate::shown;
use crate::steps::Steps;
use crate::typing;
use crate::venv::Venv;
use crate::wheel;
use crate::workspace::{FEATURES, Workspace};

pub fn run(workspace: &Workspace, flags: &flags::Test) -> Result<()> {
    let mut steps = Steps::new("test");
    let wanted = |part| flags.only.is_empty() || flags.only.contains(&part);
    if wanted(Part::Rust) {
        rust(workspace, &mut steps);
    }
    if wanted(Part::Loom) {
        steps.run("loom: models, briefly", || loom::run_briefly(workspace));
    }
    if wanted(Part::Python) {
        pythons(workspace, flags, &mut steps);
    }
    steps.finish()
}

fn rust(workspace: &Workspace, steps: &mut Steps) {
    steps.run("rust: crates", || {
        // The extension module links only inside an interpreter; its tests are the Python ones.
        process::run(
            workspace.cargo().args(["test", "--locked", "--workspace", "--exclude", "bocage-python"]).args(FEATURES),
        )
    });
    for example in workspace.targets("bocage", "example") {
        steps.run(format!("rust: example {example}"), || {
            process::run(workspace.cargo().args(["run", "--locked", "--package", "bocage", "--example", example]))
        });
    }
    steps.run("rust: programs of README and book", || shown::run_rust(workspace));
}

fn pythons(workspace: &Workspace, flags: &flags::Test, steps: &mut Steps) {
    let Some(pythons) = steps.run("python: interpreters", || {
        let pythons = python::find(&flags.pythons)?;
        pythons.iter().for_each(|python| eprintln!("{python}"));
        Ok(pythons)
    }) else {
        return;
    };
    // Types are the same whatever the interpreter: once is enough.
    let typed_with = python::newest_of(&pythons);
    for python in &pythons {
        one_python(workspace, python, python == typed_with, steps);
    }
}

fn one_python(workspace: &Workspace, python: &Python, types_too: bool, steps: &mut Steps) {
    let version = &python.version;
    let Some(wheel) = steps.run(format!("{version}: wheel"), || wheel::build(workspace, python)) else {
        return;
    };
    let mut packages = vec!["pytest", "pytest-timeout", "hypothesis"];
    if types_too {
        packages.push("mypy");
    }
    let Some(venv) = steps.run(format!("{version}: environment"), || {
        let venv = Venv::ready(workspace, python, "test", &packages)?;
        venv.install(&wheel)?;
        Ok(venv)
    }) else {
        return;
    };
    steps.run(format!("{version}: pytest"), || {
        let package = workspace.root().join("crates").join("bocage-python");
        let mut pytest = venv.python();
        pytest.args(["-m", "pytest", "-o"]).arg(format!("cache_dir={}", venv.scratch("pytest").display()));
        pytest.env("HYPOTHESIS_STORAGE_DIRECTORY", venv.scratch("hypothesis"));
        process::run(pytest.arg(package.join("tests")).current_dir(workspace.root()))
    });
    if types_too {
        steps.run(format!("{version}: types"), || typing::check(workspace, &venv));
    }
    let examples = workspace.python_files("examples/python").unwrap_or_default();
    for example in examples {
        let name = example.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        steps.run(format!("{version}: example {name}"), || {
            let mut command = venv.python();
            command.arg(&example);
            if name == "census" {
                command.args(["--files", "40"]);
            }
            process::run(&mut command)
        });
    }
    steps.run(format!("{version}: programs of README and book"), || shown::run_python(workspace, &venv));
}
