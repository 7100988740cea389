//! The README's programs, run just as they are shown.

use std::path::PathBuf;

use crate::error::{Error, Result};
use crate::process;
use crate::venv::Venv;
use crate::workspace::Workspace;

/// Runs every Rust program of the README in a package that depends on `bocage` alone.
pub fn run_rust(workspace: &Workspace) -> Result<()> {
    for (index, program) in programs(workspace, "rust")?.iter().enumerate() {
        let package = workspace.own().join("readme").join(format!("rust-{index}"));
        write(package.join("src").join("main.rs"), program)?;
        let facade = workspace.root().join("crates").join("bocage");
        let manifest = format!(
            "[package]\nname = \"readme-{index}\"\nedition = \"2024\"\n\n[dependencies]\nbocage.path = {facade:?}\n\n\
             # Not a member of the workspace that it lies in.\n[workspace]\n"
        );
        write(package.join("Cargo.toml"), &manifest)?;
        // The workspace's own versions, and nothing new to fetch.
        let lock = workspace.root().join("Cargo.lock");
        std::fs::copy(&lock, package.join("Cargo.lock")).map_err(|cause| Error::io("copy", &lock, &cause))?;
        let mut command = workspace.cargo();
        command.args(["run", "--quiet", "--manifest-path"]).arg(package.join("Cargo.toml"));
        process::run(command.env("CARGO_TARGET_DIR", workspace.target()))?;
    }
    Ok(())
}

/// Runs every Python program of the README in an environment that has Bocage.
pub fn run_python(workspace: &Workspace, venv: &Venv) -> Result<()> {
    for file in python_files(workspace)? {
        process::run(venv.python().arg(file))?;
    }
    Ok(())
}

/// Writes the README's Python programs below the target folder and gives their paths.
pub fn python_files(workspace: &Workspace) -> Result<Vec<PathBuf>> {
    let folder = workspace.own().join("readme");
    let mut files = Vec::new();
    for (index, program) in programs(workspace, "python")?.iter().enumerate() {
        files.push(folder.join(format!("readme_{index}.py")));
        write(files[index].clone(), program)?;
    }
    Ok(files)
}

fn programs(workspace: &Workspace, language: &str) -> Result<Vec<String>> {
    let readme = workspace.root().join("README.md");
    let text = std::fs::read_to_string(&readme).map_err(|cause| Error::io("read", &readme, &cause))?;
    match fenced(&text, language) {
        programs if programs.is_empty() => Err(Error::new(format!("README.md shows no {language} program"))),
        programs => Ok(programs),
    }
}

/// The contents of the blocks that open with exactly this language.
fn fenced(markdown: &str, language: &str) -> Vec<String> {
    let mut programs = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(opened) = line.strip_prefix("```") {
            let body: String =
                lines.by_ref().take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect();
            if opened == language {
                programs.push(body);
            }
        }
    }
    programs
}

fn write(path: PathBuf, text: &str) -> Result<()> {
    let folder = path.parent().expect("a file is in a folder");
    std::fs::create_dir_all(folder).map_err(|cause| Error::io("make", folder, &cause))?;
    std::fs::write(&path, text).map_err(|cause| Error::io("write", &path, &cause))
}

#[cfg(test)]
mod tests {
    use super::fenced;

    #[test]
    fn only_blocks_of_the_language_are_programs_and_they_end_where_they_end() {
        let text = "a\n```python\nx = 1\n\n```\nb\n```sh\n```\n```rust\nfn main() {}\n```\n```python\ny\n```";
        assert_eq!(fenced(text, "python"), ["x = 1\n\n", "y\n"]);
        assert_eq!(fenced(text, "rust"), ["fn main() {}\n"]);
        assert!(fenced(text, "java").is_empty());
    }
}
