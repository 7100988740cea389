//! What a number was measured on.

use std::process::Command;

use crate::error::Result;
use crate::process;
use crate::workspace::Workspace;

/// The processor, how many of its threads this process may use, the system and the compiler, in one line.
pub fn described(workspace: &Workspace) -> Result<String> {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let (system, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    let rustc = process::output(Command::new("rustc").arg("--version").current_dir(workspace.root()))?;
    // `rustc 1.88.0 (6b00bc388 2025-06-23)`: the version says it all.
    let rustc = rustc.split_whitespace().take(2).collect::<Vec<_>>().join(" ");
    let processor = processor().unwrap_or_else(|| "processor unknown".to_owned());
    let threads = if cores == 1 { "1 hardware thread".to_owned() } else { format!("{cores} hardware threads") };
    Ok(format!("{processor}, {threads}, {system} {architecture}, {rustc}"))
}

/// Linux and macOS tell; elsewhere, the environment may.
fn processor() -> Option<String> {
    let from_linux = || {
        let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
        text.lines().find_map(model)
    };
    let from_macos = || process::output(Command::new("sysctl").args(["-n", "machdep.cpu.brand_string"])).ok();
    let from_windows = || std::env::var("PROCESSOR_IDENTIFIER").ok();
    let found = from_linux().or_else(from_macos).or_else(from_windows)?;
    Some(found.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// The value of a line of `/proc/cpuinfo` that holds the model's name.
fn model(line: &str) -> Option<String> {
    let (key, value) = line.split_once(':')?;
    (key.trim() == "model name").then(|| value.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_model_is_found_by_its_whole_key() {
        assert_eq!(model("model name\t: AMD EPYC 7B13"), Some("AMD EPYC 7B13".to_owned()));
        assert_eq!(model("model\t\t: 1"), None);
        assert_eq!(model(""), None);
    }
}
