//! The programs that the README and the book show, run just as they are shown.
//!
//! Every fenced block that opens with exactly `python` or `rust` is a whole program. A fragment opens with something
//! more, as in `rust,ignore`.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::process;
use crate::venv::Venv;
use crate::workspace::{Workspace, files_in};

/// One program and the page that shows it.
#[derive(Debug, PartialEq)]
struct Program {
    /// As in `readme_0`: the page, and a number on it.
    name: String,
    text: String,
}

/// Runs every Rust program, in a package that depends on `bocage` alone, as its reader's would.
pub fn run_rust(workspace: &Workspace) -> Result<()> {
    let programs = programs(workspace, "rust")?;
    let package = emptied(workspace.own().join("shown").join("rust"))?;
    let facade = workspace.root().join("crates").join("bocage");
    let manifest = format!(
        "[package]\nname = \"shown\"\nedition = \"2024\"\n\n[dependencies]\nbocage.path = {facade:?}\n\n\
         # Not a member of the workspace that it may lie in.\n[workspace]\n"
    );
    write(&package.join("Cargo.toml"), &manifest)?;
    // The workspace's own versions, and nothing new to fetch.
    let lock = workspace.root().join("Cargo.lock");
    std::fs::copy(&lock, package.join("Cargo.lock")).map_err(|cause| Error::io("copy", &lock, &cause))?;
    for Program { name, text } in &programs {
        write(&package.join("src").join("bin").join(format!("{name}.rs")), text)?;
    }
    for Program { name, .. } in &programs {
        let mut command = workspace.cargo();
        command.args(["run", "--quiet", "--bin", name, "--manifest-path"]).arg(package.join("Cargo.toml"));
        process::run(command.env("CARGO_TARGET_DIR", workspace.target()))?;
    }
    Ok(())
}

/// Runs every Python program in an environment that has Bocage.
pub fn run_python(workspace: &Workspace, venv: &Venv) -> Result<()> {
    let folder = emptied(workspace.own().join("shown").join("python"))?;
    for Program { name, text } in programs(workspace, "python")? {
        let file = folder.join(name).with_extension("py");
        write(&file, &text)?;
        process::run(venv.python().arg(&file))?;
    }
    Ok(())
}

fn programs(workspace: &Workspace, language: &str) -> Result<Vec<Program>> {
    let readme = workspace.root().join("README.md");
    let mut programs = on_page(&readme, language)?;
    if programs.is_empty() {
        return Err(Error::new(format!("{} shows no {language} program", readme.display())));
    }
    for page in files_in(&workspace.root().join("docs").join("src"))? {
        if page.extension().is_some_and(|end| end == "md") {
            programs.append(&mut on_page(&page, language)?);
        }
    }
    Ok(programs)
}

fn on_page(page: &Path, language: &str) -> Result<Vec<Program>> {
    let text = std::fs::read_to_string(page).map_err(|cause| Error::io("read", page, &cause))?;
    let page = page.file_stem().unwrap_or_default().to_string_lossy().to_lowercase().replace('-', "_");
    let named = |(index, text)| Program { name: format!("{page}_{index}"), text };
    Ok(fenced(&text, language).into_iter().enumerate().map(named).collect())
}

/// The contents of the blocks that open with exactly this language.
fn fenced(markdown: &str, language: &str) -> Vec<String> {
    let mut programs = Vec::new();
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        if let Some(opened) = line.strip_prefix("```") {
            let block = lines.by_ref().take_while(|line| *line != "```");
            let text: String = block.map(|line| format!("{line}\n")).collect();
            if opened == language {
                programs.push(text);
            }
        }
    }
    programs
}

/// A folder without the programs of an earlier run.
fn emptied(folder: PathBuf) -> Result<PathBuf> {
    if folder.exists() {
        std::fs::remove_dir_all(&folder).map_err(|cause| Error::io("remove", &folder, &cause))?;
    }
    Ok(folder)
}

fn write(path: &Path, text: &str) -> Result<()> {
    let folder = path.parent().expect("a file is in a folder");
    std::fs::create_dir_all(folder).map_err(|cause| Error::io("make", folder, &cause))?;
    std::fs::write(path, text).map_err(|cause| Error::io("write", path, &cause))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_blocks_of_exactly_the_language_are_programs_and_they_end_where_they_end() {
        let text = "a\n```python\nx = 1\n\n```\nb\n```sh\n```\n```rust,ignore\nx\n```\n\
                    ```rust\nfn main() {}\n```\n```python\ny\n```";
        assert_eq!(fenced(text, "python"), ["x = 1\n\n", "y\n"]);
        assert_eq!(fenced(text, "rust"), ["fn main() {}\n"]);
        assert!(fenced(text, "java").is_empty());
    }

    #[test]
    fn a_program_is_named_after_its_page() {
        let page = std::env::temp_dir().join(format!("Shown-{}.md", std::process::id()));
        std::fs::write(&page, "```rust\na\n```\n```rust\nb\n```\n").unwrap();
        let found = on_page(&page, "rust").unwrap();
        std::fs::remove_file(&page).unwrap();
        let names: Vec<_> = found.iter().map(|program| program.name.as_str()).collect();
        let page = format!("shown_{}", std::process::id());
        assert_eq!(names, [format!("{page}_0"), format!("{page}_1")]);
    }
}
