//! Programs that must not compile since they would be unsound: `programs/refused`. Each has a twin of the same name in
//! `programs/accepted` that does compile, and runs, so that it is known to be refused for what the two differ in.
//!
//! The compiler's words change from release to release. They are compared in full (with the `.stderr` beside each
//! program) on one, [`SNAPSHOTS`]; on any other, only the codes of its errors are. To take the words anew, with that
//! compiler:
//!
//! ```sh
//! TRYBUILD=overwrite cargo test -p bocage-core --test programs
//! ```
#![cfg(not(loom))]

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trybuild::TestCases;

/// The release whose words are in the `.stderr` files.
const SNAPSHOTS: &str = "1.95";

const ACCEPTED: &str = "tests/programs/accepted";
const REFUSED: &str = "tests/programs/refused";

#[test]
fn unsound_programs_are_refused_and_their_sound_twins_are_not() {
    assert_eq!(names(ACCEPTED, "rs"), names(REFUSED, "rs"), "each program has a twin");
    assert!(names(REFUSED, "stderr").is_subset(&names(REFUSED, "rs")), "no words without a program");
    let in_words = env::var_os("TRYBUILD").is_some() || is_release(SNAPSHOTS);
    // Both kinds at once, so that their crate is built once.
    let programs = TestCases::new();
    programs.pass(format!("{ACCEPTED}/*.rs"));
    if in_words {
        programs.compile_fail(format!("{REFUSED}/*.rs"));
        return;
    }
    let copies = copies_without_words();
    // SAFETY: the only test of this process, and no thread but its own reads the environment meanwhile.
    unsafe { env::set_var("TRYBUILD", "overwrite") };
    programs.compile_fail(copies.join("*.rs").to_str().expect("the target folder's name is text"));
    drop(programs);
    for name in names(REFUSED, "rs") {
        let words = |folder: &Path| fs::read_to_string(folder.join(&name).with_extension("stderr")).unwrap();
        assert_eq!(
            codes(&words(&copies)),
            codes(&words(Path::new(REFUSED))),
            "{} is refused, but for another reason",
            name.display()
        );
    }
}

/// The files of a folder with this extension, without it.
fn names(folder: &str, extension: &str) -> BTreeSet<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let wanted = files.filter(|path| path.extension().is_some_and(|e| e == extension));
    wanted.map(|path| PathBuf::from(path.file_stem().unwrap())).collect()
}

/// Whether the compiler is of this release, and neither beta nor nightly.
fn is_release(release: &str) -> bool {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let version = String::from_utf8(Command::new(rustc).arg("--version").output().unwrap().stdout).unwrap();
    let version = version.split(' ').nth(1).unwrap_or_default();
    version.strip_prefix(release).is_some_and(|patch| patch.starts_with('.') && !patch.contains('-'))
}

/// A folder with the refused programs alone.
fn copies_without_words() -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("refused");
    drop(fs::remove_dir_all(&folder));
    fs::create_dir_all(&folder).unwrap();
    for name in names(REFUSED, "rs") {
        let file = name.with_extension("rs");
        fs::copy(Path::new(REFUSED).join(&file), folder.join(&file)).unwrap();
    }
    folder
}

/// The beginnings of its errors' first lines: `error[E0277]`, or `error` if there is no code. How often each comes is the
/// compiler's affair.
fn codes(words: &str) -> BTreeSet<&str> {
    words.lines().filter(|line| line.starts_with("error")).filter_map(|line| line.split(':').next()).collect()
}
