//! Starting programs.

use std::ffi::OsStr;
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use crate::error::{Error, Result};

/// Shows the command line, runs it with this terminal, and fails if it fails.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if status.success() {
        return Ok(());
    }
    Err(Error::new(format!("`{}` failed: {status}", shown(command))))
}

/// Shows the command line and runs it with this terminal.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    eprintln!("$ {}", shown(command));
    command.status().map_err(|cause| cannot_start(command, &cause))
}

/// Runs a program quietly and gives what it printed; fails, with its own words, if it fails.
pub fn output(command: &mut Command) -> Result<String> {
    let output = command.stdin(Stdio::null()).output().map_err(|cause| cannot_start(command, &cause))?;
    if !output.status.success() {
        return Err(Error::new(format!(
            "`{}` failed: {}\n{}{}",
            shown(command),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr).trim_end()
        )));
    }
    String::from_utf8(output.stdout)
        .map_err(|_| Error::new(format!("`{}` printed something that is not UTF-8", shown(command))))
}

/// True if the program starts and succeeds; nothing is shown.
pub fn succeeds(command: &mut Command) -> bool {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn cannot_start(command: &Command, cause: &std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy();
    match cause.kind() {
        ErrorKind::NotFound => Error::new(format!("cannot start `{program}`: there is no such program")),
        _ => Error::new(format!("cannot start `{program}`: {cause}")),
    }
}

/// The command line as one would type it, with paths below the current folder shortened.
fn shown(command: &Command) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let mut line = String::new();
    for (name, value) in command.get_envs() {
        let name = name.to_string_lossy();
        let is_shown = name == "RUSTFLAGS" || name.starts_with("LOOM_") || name.starts_with("BOCAGE_");
        if let Some(value) = value.filter(|_| is_shown) {
            line += &format!("{name}={} ", quoted(value, &here));
        }
    }
    // Cargo names itself by a toolchain's long path; the one on PATH does the same.
    let program = Path::new(command.get_program());
    let cargo = program.file_stem().filter(|stem| *stem == "cargo");
    line += &quoted(cargo.unwrap_or(program.as_os_str()), &here);
    for arg in command.get_args() {
        line.push(' ');
        line += &quoted(arg, &here);
    }
    line
}

fn quoted(word: &OsStr, here: &Path) -> String {
    let word = Path::new(word).strip_prefix(here).unwrap_or(Path::new(word)).to_string_lossy();
    if word.is_empty() || word.contains(|c: char| c.is_whitespace() || "\"'$`".contains(c)) {
        format!("{word:?}")
    } else {
        word.into_owned()
    }
}
