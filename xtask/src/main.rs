//! The tasks of this repository: `cargo xtask VERB`.
//!
//! Each verb is one file. In reading order:
//!
//! - [`flags`]: every verb with its flags and its help text, and nothing else;
//! - [`workspace`]: where things are: the root, the target folder, what cargo knows of the members;
//! - [`process`]: starting a program and saying what went wrong; [`steps`]: several in a row, with a summary;
//! - [`python`]: finding interpreters; [`venv`]: virtual environments and the pinned packages in them;
//! - [`wheel`], [`demo`], [`mod@test`], [`lint`], [`loom`], [`stress`], [`valgrind`], [`mod@bench`], [`docs`]: the verbs;
//! - [`shown`] and [`typing`]: two checks that verbs share;
//! - [`rounds`], [`machine`] and [`table`]: what `bench` reads, says and prints; [`counts`] and [`callgrind`]: what it
//!   counts instead of timing it.
//!
//! Invariants: whatever a verb makes goes under the target folder, but for the engine's table, which is a page of
//! the book; no verb needs a shell; a verb that lacks a
//! tool says how to install it.

mod bench;
mod callgrind;
mod counts;
mod demo;
mod docs;
mod error;
mod flags;
mod lint;
mod loom;
mod machine;
mod process;
mod python;
mod rounds;
mod shown;
mod steps;
mod stress;
mod table;
mod test;
mod typing;
mod valgrind;
mod venv;
mod wheel;
mod workspace;

use std::process::ExitCode;

use error::Result;
use flags::Verb;
use workspace::Workspace;

fn main() -> ExitCode {
    let verb = match flags::parse(lexopt::Parser::from_env()) {
        Ok(verb) => verb,
        Err(mistake) => {
            eprintln!("xtask: {mistake}\nTry `cargo xtask --help`.");
            return ExitCode::from(2);
        }
    };
    match run(verb) {
        Ok(status) => status,
        Err(failure) => {
            eprintln!("xtask: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Result<ExitCode> {
    if let Verb::Help(text) = verb {
        print!("{text}");
        return Ok(ExitCode::SUCCESS);
    }
    let workspace = Workspace::find()?;
    match verb {
        Verb::Help(_) => unreachable!("answered above"),
        Verb::Demo(flags) => return demo::run(&workspace, &flags),
        Verb::Test(flags) => test::run(&workspace, &flags)?,
        Verb::Lint(flags) => lint::run(&workspace, &flags)?,
        Verb::Loom(flags) => loom::run(&workspace, &flags)?,
        Verb::Stress(flags) => stress::run(&workspace, &flags)?,
        Verb::Valgrind(flags) => valgrind::run(&workspace, &flags)?,
        Verb::Wheel(flags) => wheel::run(&workspace, &flags)?,
        Verb::Bench(flags) => bench::run(&workspace, &flags)?,
        Verb::Docs(flags) => docs::run(&workspace, &flags)?,
    }
    Ok(ExitCode::SUCCESS)
}
