//! Finding interpreters.
//!
//! A candidate is started once and asked about itself, so that a shim, a symbolic link and an activated virtual
//! environment all lead to the interpreter behind them. Candidates that do not start, or are no CPython, are passed
//! over in silence when they were only met on the way, and are an error when `--python` or `BOCAGE_PYTHON` names
//! them.

use std::collections::HashSet;
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::error::{Error, Result};
use crate::process;
use crate::workspace::files_in;

/// Below it, an interpreter's workers would share one lock.
const OLDEST: (u32, u32) = (3, 12);
/// What pyo3-ffi knows the layouts of.
const NEWEST: (u32, u32) = (3, 15);

/// A CPython that can build and run Bocage.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Python {
    /// The interpreter itself, never a shim or a virtual environment.
    pub executable: PathBuf,
    /// As in `3.12.1` or `3.15.0b2`.
    pub version: String,
    minor: (u32, u32),
    prerelease: bool,
}

impl Python {
    /// The folder name for what belongs to this interpreter: `cp312`.
    pub fn tag(&self) -> String {
        format!("cp{}{}", self.minor.0, self.minor.1)
    }
}

impl fmt::Display for Python {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CPython {} ({})", self.version, self.executable.display())
    }
}

/// Every interpreter to use, oldest first: those named by `--python`; without any, one for each minor version.
/// Those passed over are mentioned on the terminal with the reason. Fails if none is left.
pub fn find(named: &[PathBuf]) -> Result<Vec<Python>> {
    let mut search = Search::default();
    for path in named {
        search.named(path, "--python")?;
    }
    if named.is_empty() {
        for path in std::env::var_os("BOCAGE_PYTHON").iter().flat_map(std::env::split_paths) {
            if !path.as_os_str().is_empty() {
                search.named(&path, "BOCAGE_PYTHON")?;
            }
        }
        for path in on_path().into_iter().chain(known_to_the_launcher()).chain(known_to_pyenv()) {
            search.met(&path);
        }
        search.keep_one_for_each_minor();
    }
    for reason in &search.passed_over {
        eprintln!("xtask: passed over {reason}");
    }
    search.found.sort_by_key(|python| python.minor);
    match search.found.is_empty() {
        true => Err(Error::new(search.nothing_found())),
        false => Ok(search.found),
    }
}

/// The newest one that is a release; a pre-release only if there is nothing else.
pub fn newest(named: &[PathBuf]) -> Result<Python> {
    Ok(newest_of(&find(named)?).clone())
}

/// The same, among those that `find` gave.
pub fn newest_of(found: &[Python]) -> &Python {
    let newest = found.iter().max_by_key(|python| (!python.prerelease, python.minor));
    newest.expect("`find` fails rather than finding none")
}

/// What an interpreter says about itself.
struct Answer {
    implementation: String,
    minor: (u32, u32),
    version: String,
    prerelease: bool,
    executable: PathBuf,
    without_gil: bool,
    has_venv: bool,
}

/// Printed one a line, in the order of `Answer`. `_base_executable` leads out of a virtual environment.
const QUESTION: &str = "
import sys, sysconfig, importlib.util as u
v = sys.version_info
print(sys.implementation.name, v[0], v[1], sys.version.split()[0].rstrip('+'), v[3],
      getattr(sys, '_base_executable', None) or sys.executable,
      sysconfig.get_config_var('Py_GIL_DISABLED') or 0,
      int(all(u.find_spec(m) for m in ('venv', 'ensurepip'))), sep='\\n')
";

fn ask(path: &Path) -> Result<Answer> {
    let printed = process::output(Command::new(path).args(["-X", "utf8", "-I", "-c", QUESTION]))?;
    understood(&printed).ok_or_else(|| Error::new(format!("{} does not answer like a Python", path.display())))
}

fn understood(printed: &str) -> Option<Answer> {
    let mut lines = printed.lines().map(str::trim_end);
    Some(Answer {
        implementation: lines.next()?.to_owned(),
        minor: (lines.next()?.parse().ok()?, lines.next()?.parse().ok()?),
        version: lines.next()?.to_owned(),
        prerelease: lines.next()? != "final",
        executable: PathBuf::from(lines.next()?),
        without_gil: lines.next()? != "0",
        has_venv: lines.next()? != "0",
    })
}

#[derive(Default)]
struct Search {
    found: Vec<Python>,
    seen: HashSet<(String, PathBuf)>,
    passed_over: Vec<String>,
    /// Too old to be worth a line, unless nothing else turns up.
    too_old: Vec<String>,
}

impl Search {
    /// An interpreter that somebody asked for: whatever is wrong with it is an error.
    fn named(&mut self, path: &Path, by: &str) -> Result<()> {
        let answer = ask(path).map_err(|cause| Error::new(format!("{by} {}: {cause}", path.display())))?;
        match self.judge(answer) {
            Ok(()) => Ok(()),
            Err(Unfit::TooOld(why) | Unfit::Other(why)) => Err(Error::new(format!("{by}: {why}"))),
        }
    }

    /// An interpreter met on the way.
    fn met(&mut self, path: &Path) {
        let Ok(answer) = ask(path) else { return };
        match self.judge(answer) {
            Ok(()) => {}
            Err(Unfit::TooOld(why)) => self.too_old.push(why),
            Err(Unfit::Other(why)) => self.passed_over.push(why),
        }
    }

    fn judge(&mut self, answer: Answer) -> std::result::Result<(), Unfit> {
        let Answer { minor, version, executable, prerelease, .. } = answer;
        // The same interpreter under another name: a symbolic link, a second folder on PATH.
        let real = executable.canonicalize().unwrap_or_else(|_| executable.clone());
        if !self.seen.insert((version.clone(), real)) {
            return Ok(());
        }
        let at = format!("{version} ({})", executable.display());
        let (major, number) = minor;
        if answer.implementation != "cpython" {
            return Err(Unfit::Other(format!("{} {at}: Bocage needs CPython", answer.implementation)));
        }
        if minor < OLDEST {
            return Err(Unfit::TooOld(format!("CPython {at}: older than {}.{}", OLDEST.0, OLDEST.1)));
        }
        if minor > NEWEST {
            return Err(Unfit::Other(format!(
                "CPython {at}: newer than {}.{}, the newest that Bocage knows",
                NEWEST.0, NEWEST.1
            )));
        }
        if answer.without_gil {
            return Err(Unfit::Other(format!(
                "CPython {at}: a free-threaded build, which Bocage does not support yet"
            )));
        }
        if !answer.has_venv {
            return Err(Unfit::Other(format!(
                "CPython {at}: it cannot make virtual environments; on Debian, `apt install python{major}.{number}-venv`"
            )));
        }
        self.found.push(Python { executable, version, minor, prerelease });
        Ok(())
    }

    /// The first one met stays: what `BOCAGE_PYTHON` names wins over `PATH`, and `PATH` over pyenv.
    fn keep_one_for_each_minor(&mut self) {
        let mut minors = HashSet::new();
        self.found.retain(|python| minors.insert(python.minor));
    }

    fn nothing_found(&self) -> String {
        let mut text = format!("no CPython {}.{} or newer was found", OLDEST.0, OLDEST.1);
        if let Some(newest) = self.too_old.iter().max() {
            text += &format!(" (the best is {newest})");
        }
        text + ".\n\
            Install one:\n  \
              Debian 13, Ubuntu 24.04 or newer:  apt install python3 python3-venv\n  \
              macOS:                             brew install python@3.13, or the installer of python.org\n  \
              Windows:                           winget install Python.Python.3.13\n  \
              anywhere, with pyenv:              pyenv install 3.13\n\
            or name one that is not on PATH with `--python PATH` or BOCAGE_PYTHON."
    }
}

enum Unfit {
    TooOld(String),
    Other(String),
}

fn on_path() -> Vec<PathBuf> {
    let mut names = vec!["python3".to_owned()];
    names.extend((OLDEST.1..=NEWEST.1).map(|minor| format!("python3.{minor}")));
    if cfg!(windows) {
        names.push("python".to_owned());
    }
    let folders: Vec<_> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
    let paths = names.iter().flat_map(|name| {
        let file = format!("{name}{}", std::env::consts::EXE_SUFFIX);
        folders.iter().map(move |folder| folder.join(&file))
    });
    paths.filter(|path| path.is_file()).collect()
}

/// On Windows the installer puts interpreters beside PATH and tells the `py` launcher.
fn known_to_the_launcher() -> Vec<PathBuf> {
    if !cfg!(windows) {
        return Vec::new();
    }
    match process::output(Command::new("py").arg("--list-paths")) {
        Ok(printed) => launcher_paths(&printed),
        Err(_) => Vec::new(),
    }
}

/// Lines such as ` -V:3.13 *        C:\Python313\python.exe`; the path is what starts at the drive letter.
fn launcher_paths(printed: &str) -> Vec<PathBuf> {
    let paths = printed.lines().filter_map(|line| {
        let colon = line.find(":\\")?;
        line.get(colon.checked_sub(1)?..)
    });
    paths.map(|path| PathBuf::from(path.trim())).collect()
}

/// Every version that pyenv installed, newest first.
fn known_to_pyenv() -> Vec<PathBuf> {
    let home = std::env::home_dir().unwrap_or_default();
    let roots = match std::env::var_os("PYENV_ROOT") {
        Some(root) => vec![PathBuf::from(root)],
        None => vec![home.join(".pyenv"), home.join(".pyenv").join("pyenv-win")],
    };
    let mut versions: Vec<PathBuf> =
        roots.iter().flat_map(|root| files_in(&root.join("versions")).unwrap_or_default()).collect();
    versions.sort_by_key(|folder| std::cmp::Reverse(numbers(folder)));
    let program = if cfg!(windows) { "python.exe" } else { "bin/python3" };
    let programs = versions.into_iter().map(|folder| folder.join(program));
    programs.filter(|program| program.is_file()).collect()
}

/// The numbers in a version's folder name, so that 3.12.10 sorts after 3.12.9.
fn numbers(folder: &Path) -> Vec<u32> {
    let name = folder.file_name().unwrap_or_default().to_string_lossy();
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|digits| digits.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(minor: u32, path: &str) -> Answer {
        Answer {
            implementation: "cpython".into(),
            minor: (3, minor),
            version: format!("3.{minor}.0"),
            prerelease: false,
            executable: path.into(),
            without_gil: false,
            has_venv: true,
        }
    }

    fn judged(answer: Answer) -> Option<String> {
        match Search::default().judge(answer) {
            Ok(()) => None,
            Err(Unfit::TooOld(why) | Unfit::Other(why)) => Some(why),
        }
    }

    #[test]
    fn only_a_fit_interpreter_is_taken() {
        assert_eq!(judged(answer(12, "/a")), None);
        assert!(judged(answer(11, "/a")).unwrap().contains("older than 3.12"));
        assert!(judged(answer(16, "/a")).unwrap().contains("newer than 3.15"));
        assert!(judged(Answer { without_gil: true, ..answer(14, "/a") }).unwrap().contains("free-threaded"));
        assert!(judged(Answer { has_venv: false, ..answer(12, "/a") }).unwrap().contains("python3.12-venv"));
        let other = Answer { implementation: "pypy".into(), ..answer(12, "/a") };
        assert!(judged(other).unwrap().contains("needs CPython"));
    }

    #[test]
    fn the_first_of_a_minor_version_stays_and_no_interpreter_counts_twice() {
        let mut search = Search::default();
        for (minor, path) in [(13, "/b"), (12, "/a"), (12, "/c"), (13, "/b")] {
            assert!(search.judge(answer(minor, path)).is_ok());
        }
        assert_eq!(search.found.len(), 3);
        search.keep_one_for_each_minor();
        let kept: Vec<_> = search.found.iter().map(|python| python.executable.as_path()).collect();
        assert_eq!(kept, [Path::new("/b"), Path::new("/a")]);
    }

    #[test]
    fn an_answer_is_read_in_the_order_of_the_question() {
        let read = understood("cpython\r\n3\r\n15\r\n3.15.0b2\r\nbeta\r\nC:\\My Python\\python.exe\r\n1\r\n0\r\n");
        let read = read.unwrap();
        assert_eq!((read.minor, read.version.as_str()), ((3, 15), "3.15.0b2"));
        assert!(read.prerelease && read.without_gil && !read.has_venv);
        assert_eq!(read.executable, Path::new("C:\\My Python\\python.exe"));
        assert!(understood("Python was not found; run without arguments to install").is_none());
    }

    #[test]
    fn a_named_interpreter_that_does_not_start_is_an_error_that_names_it() {
        let failure = find(&["/nowhere/python3".into()]).unwrap_err().to_string();
        assert!(failure.contains("--python /nowhere/python3"), "{failure}");
    }

    #[test]
    fn versions_sort_by_number() {
        assert!(numbers(Path::new("v/3.12.10")) > numbers(Path::new("v/3.12.9")));
        assert!(numbers(Path::new("v/3.13.0")) > numbers(Path::new("v/3.12.10")));
    }

    #[test]
    fn the_launchers_list_is_read_from_the_drive_letter_on() {
        let printed =
            " -V:3.13 *        C:\\Program Files\\Python313\\python.exe\n -V:3.12          D:\\p\\python.exe\n";
        let paths = launcher_paths(printed);
        assert_eq!(paths, [Path::new("C:\\Program Files\\Python313\\python.exe"), Path::new("D:\\p\\python.exe")]);
    }
}
