//! Every verb, its flags and its help.

use std::ffi::OsString;
use std::num::NonZero;
use std::path::PathBuf;

use lexopt::Parser;
use lexopt::prelude::{Long, Short, Value, ValueExt};

/// What was asked for.
#[derive(Debug)]
pub enum Verb {
    /// Print this text.
    Help(&'static str),
    Demo(Demo),
    Test(Test),
    Lint(Lint),
    Loom(Loom),
    Stress(Stress),
    Valgrind(Valgrind),
    Wheel(Wheel),
    Bench(Bench),
    Docs(Docs),
}

const LIST: &str = "\
The tasks of this repository.

Usage: cargo xtask VERB [FLAGS]

  demo    build Bocage for Python and run the census of Python code
  test    run every test: the Rust crates, the loom models, each Python found
  lint    check format, lints, licenses and types
  loom    explore the loom models of the lock-free protocols
  stress  run all features at once for some minutes
  valgrind
          run the engine's test programs under valgrind
  wheel   build a wheel for each Python found
  bench   run a benchmark and print its table
  docs    build the API documentation and the book

`cargo xtask VERB --help` says more. What a verb makes goes under target/, but for the
book's tables of a whole `bench engine`.
";

const PYTHONS: &str = "\
Which Python: those named by --python, and then no others. Without it, those in BOCAGE_PYTHON (paths, separated as
in PATH), then `python3` and `python3.12` to `python3.15` on PATH, then pyenv's versions folder. Of several that
share a minor version, the first one found is taken.
";

/// The flags of `demo`.
#[derive(Debug, Default)]
pub struct Demo {
    pub pythons: Vec<PathBuf>,
    pub args: Vec<OsString>,
}

const DEMO: &str = "\
Builds Bocage's wheel, installs it into a virtual environment under target/ and runs the census of Python code
(examples/python/census.py) over the 400 largest files of the standard library, on 2 workers. Takes the newest
released Python that it finds. The exit status is the census's: 1 if its result differs from the sequential one.

Usage: cargo xtask demo [--python PATH] [-- ARGS...]

  --python PATH   the interpreter to use
  ARGS            go to census.py; `-- --help` lists what it takes

";

/// The flags of `test`.
#[derive(Debug, Default)]
pub struct Test {
    pub pythons: Vec<PathBuf>,
    /// Empty: all of them.
    pub only: Vec<Part>,
}

/// A part of `test` that can be run alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Rust,
    Loom,
    Python,
}

impl std::str::FromStr for Part {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "rust" => Ok(Part::Rust),
            "loom" => Ok(Part::Loom),
            "python" => Ok(Part::Python),
            _ => Err(format!("`{name}` is none of rust, loom, python")),
        }
    }
}

const TEST: &str = "\
Runs every test: unit, integration and documentation tests of the Rust crates, the Rust examples, and the Rust
programs that the README and the book show; the loom models, for at most 20 seconds each; and for each Python
found the wheel, pytest, the Python examples (the census on 40 files), and the Python programs shown; types with the
newest. Goes on after a failure; the last
lines say what failed.

Usage: cargo xtask test [--only PART]... [--python PATH]...

  --only PART     rust, loom or python; may be repeated
  --python PATH   an interpreter to test with; may be repeated

";

/// The flags of `lint`.
#[derive(Debug, Default)]
pub struct Lint {
    pub pythons: Vec<PathBuf>,
    pub strict: bool,
}

const LINT: &str = "\
Checks the format (cargo fmt), the lints (cargo clippy, warnings are errors), the dependencies' licenses, sources
and advisories (cargo deny) and the Python types (mypy --strict over the package and the examples).

Usage: cargo xtask lint [--strict] [--python PATH]

  --strict        a tool that is not installed, or advisories that cannot be fetched, are errors
  --python PATH   the interpreter to build the extension against; default: the newest release found

";

/// The flags of `loom`.
#[derive(Debug, Default)]
pub struct Loom {
    pub full: bool,
    pub args: Vec<OsString>,
}

const LOOM: &str = "\
Runs the crates' tests/loom models under the loom model checker, in target/loom.

Usage: cargo xtask loom [--full] [NAME] [-- ARGS...]

  --full   every interleaving. Without it at most LOOM_MAX_PREEMPTIONS (default 2) preemptions a run, which takes
           minutes and finds most mistakes; with it a model may take hours
  NAME     only the models whose name has this in it; ARGS go to the test programs too
";

/// The flags of `stress`.
#[derive(Debug)]
pub struct Stress {
    pub minutes: f64,
    pub seed: Option<u64>,
}

const STRESS: &str = "\
Runs all features at once over the same cowns, in the release profile: reads and writes, batches, results, scopes,
acquisitions that are given up, panics, deterministic programs, runtimes that start and stop. Exclusive access and the
order of scheduling are checked all the time, that nothing is lost or leaked after each round, and in the end that
memory has not grown. Each round's seed is printed.

Usage: cargo xtask stress [--minutes N] [--seed SEED]

  --minutes N    for so long (default 1), which is some ten million behaviors on two processors
  --seed SEED    runs the round of this seed again and again; what its threads do is the same each time, how they
                 interleave is not
";

/// The flags of `valgrind`.
#[derive(Debug, Default)]
pub struct Valgrind {
    pub tool: Tool,
    /// Empty: all of them.
    pub names: Vec<String>,
}

/// One of valgrind's tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tool {
    #[default]
    Memcheck,
    Helgrind,
    Drd,
}

impl std::str::FromStr for Tool {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        match name {
            "memcheck" => Ok(Tool::Memcheck),
            "helgrind" => Ok(Tool::Helgrind),
            "drd" => Ok(Tool::Drd),
            _ => Err(format!("`{name}` is none of memcheck, helgrind, drd")),
        }
    }
}

const VALGRIND: &str = "\
Runs the test programs of bocage-core, bocage-runtime and bocage under valgrind, with few and short random programs.

Usage: cargo xtask valgrind [--tool TOOL] [NAME]...

  --tool TOOL   memcheck (the default): memory that is used after it was freed, or never set, or lost. That is a
                failure, but for what xtask/valgrind.supp explains.
                helgrind, drd: races. They know nothing of atomics: what they report is printed and fails nothing, and
                the book's page on testing says what to make of it. Without NAME, two small programs
  NAME          only the programs with one of these in `PACKAGE TEST`
";

/// The flags of `wheel`.
#[derive(Debug, Default)]
pub struct Wheel {
    pub pythons: Vec<PathBuf>,
}

const WHEEL: &str = "\
Builds a wheel in the release profile for each Python found, with maturin, into target/wheels.

Usage: cargo xtask wheel [--python PATH]...

  --python PATH   an interpreter to build for; may be repeated

";

/// The flags of `bench`.
#[derive(Debug, Default)]
pub struct Bench {
    /// None: list what there is.
    pub name: Option<String>,
    pub json: Option<PathBuf>,
    /// Of the crate `bocage-benches`.
    pub features: Vec<String>,
    /// None: as many as the suite finds right.
    pub rounds: Option<NonZero<usize>>,
    pub pythons: Vec<PathBuf>,
    pub args: Vec<OsString>,
}

const BENCH: &str = "\
Runs one benchmark and prints a table. Without NAME, lists what there is:

  the criterion suites in benches/, beside every peer that can be built here: rayon, tokio, threads and, if there are
          cmake and a C++ compiler, boc. A whole run of `engine` is also written into the book,
          docs/src/engine-table.md or, with mimalloc, engine-table-mimalloc.md
  counts  how many instructions, locked instructions and allocations a behavior takes, by valgrind and objdump
  micro   the Python package beside bocpy

Usage: cargo xtask bench [NAME] [--json FILE] [--features LIST] [--rounds N] [--python PATH] [-- ARGS...]

  --json FILE       also write the rows, each {suite, case, peer, workers, ours, theirs, unit, ratio, spread}; a ratio
                    above 1 means that Bocage is better; without a peer, theirs, ratio and spread are null
  --features LIST   features of the crate bocage-benches, separated by commas, beside those of the peers; `mimalloc`
                    makes all allocate with that; may be repeated
  --rounds N        how many interleaved rounds a suite measures; default: 21
  --python PATH     the interpreter for `micro`; default: the newest release found
  ARGS              go to the benchmark; a criterion suite takes a filter, such as '^W4/'

";

/// The flags of `docs`.
#[derive(Debug, Default)]
pub struct Docs {
    pub strict: bool,
}

const DOCS: &str = "\
Builds the Rust crates' API documentation into target/doc, where a warning is an error, and the book of docs/ into
target/book, if mdbook is installed.

Usage: cargo xtask docs [--strict]

  --strict   it is an error if mdbook is not installed
";

/// Reads a command line. A verb's loop stands alone, so that what it takes can be seen at a glance.
pub fn parse(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let name = match parser.next()? {
        None | Some(Short('h') | Long("help")) => return Ok(Verb::Help(LIST)),
        Some(Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected()),
    };
    match name.as_str() {
        "help" => Ok(Verb::Help(LIST)),
        "demo" => demo(parser),
        "test" => test(parser),
        "lint" => lint(parser),
        "loom" => loom(parser),
        "stress" => stress(parser),
        "valgrind" => valgrind(parser),
        "wheel" => wheel(parser),
        "bench" => bench(parser),
        "docs" => docs(parser),
        _ => Err(format!("there is no verb `{name}`").into()),
    }
}

/// A help text with the rules on interpreters at its end; made at most once in a run.
fn with_pythons(text: &str) -> Verb {
    Verb::Help(Box::leak(format!("{text}{PYTHONS}").into_boxed_str()))
}

fn demo(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Demo::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(with_pythons(DEMO)),
            Long("python") => flags.pythons.push(parser.value()?.into()),
            Value(arg) => flags.args.push(arg),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Demo(flags))
}

fn test(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Test::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(with_pythons(TEST)),
            Long("python") => flags.pythons.push(parser.value()?.into()),
            Long("only") => flags.only.push(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Test(flags))
}

fn lint(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Lint::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(with_pythons(LINT)),
            Long("python") => flags.pythons.push(parser.value()?.into()),
            Long("strict") => flags.strict = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Lint(flags))
}

fn loom(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Loom::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Verb::Help(LOOM)),
            Long("full") => flags.full = true,
            Value(arg) => flags.args.push(arg),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Loom(flags))
}

fn stress(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Stress { minutes: 1.0, seed: None };
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Verb::Help(STRESS)),
            Long("minutes") => flags.minutes = parser.value()?.parse_with(minutes)?,
            Long("seed") => flags.seed = Some(parser.value()?.parse()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Stress(flags))
}

fn minutes(text: &str) -> Result<f64, String> {
    let minutes: f64 = text.parse().map_err(|_| format!("`{text}` is no number of minutes"))?;
    if minutes > 0.0 && minutes.is_finite() { Ok(minutes) } else { Err(format!("`{text}` minutes are none")) }
}

fn valgrind(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Valgrind::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Verb::Help(VALGRIND)),
            Long("tool") => flags.tool = parser.value()?.parse()?,
            Value(name) => flags.names.push(name.string()?),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Valgrind(flags))
}

fn wheel(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Wheel::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(with_pythons(WHEEL)),
            Long("python") => flags.pythons.push(parser.value()?.into()),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Wheel(flags))
}

fn bench(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Bench::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(with_pythons(BENCH)),
            Long("json") => flags.json = Some(parser.value()?.into()),
            Long("features") => {
                let list = parser.value()?.string()?;
                flags.features.extend(list.split([',', ' ']).filter(|name| !name.is_empty()).map(str::to_owned));
            }
            Long("rounds") => flags.rounds = Some(parser.value()?.parse()?),
            Long("python") => flags.pythons.push(parser.value()?.into()),
            Value(name) if flags.name.is_none() => flags.name = Some(name.string()?),
            Value(arg) => flags.args.push(arg),
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Bench(flags))
}

fn docs(mut parser: Parser) -> Result<Verb, lexopt::Error> {
    let mut flags = Docs::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Short('h') | Long("help") => return Ok(Verb::Help(DOCS)),
            Long("strict") => flags.strict = true,
            other => return Err(other.unexpected()),
        }
    }
    Ok(Verb::Docs(flags))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(args: &[&str]) -> Result<Verb, String> {
        parse(Parser::from_args(args)).map_err(|mistake| mistake.to_string())
    }

    #[test]
    fn no_verb_lists_every_verb() {
        let Ok(Verb::Help(text)) = parsed(&[]) else { panic!("expected the list") };
        for verb in ["demo", "test", "lint", "loom", "stress", "valgrind", "wheel", "bench", "docs"] {
            assert!(text.lines().any(|line| line.split_whitespace().next() == Some(verb)), "{verb} is not listed");
            let Ok(Verb::Help(own)) = parsed(&[verb, "--help"]) else { panic!("{verb} has no help") };
            assert!(own.contains(&format!("cargo xtask {verb}")), "{own}");
        }
    }

    #[test]
    fn what_follows_two_dashes_is_passed_on_even_if_it_looks_like_a_flag() {
        let Ok(Verb::Demo(flags)) = parsed(&["demo", "--python", "p", "--", "--python", "-h", "x"]) else {
            panic!("expected demo")
        };
        assert_eq!(flags.pythons, [PathBuf::from("p")]);
        assert_eq!(flags.args, ["--python", "-h", "x"]);
    }

    #[test]
    fn features_are_lists_that_add_up() {
        let Ok(Verb::Bench(flags)) = parsed(&["bench", "engine", "--features", "a,b", "--features", "c"]) else {
            panic!("expected bench")
        };
        assert_eq!(flags.features, ["a", "b", "c"]);
        assert_eq!(flags.name.as_deref(), Some("engine"));
    }

    #[test]
    fn mistakes_are_named() {
        assert!(parsed(&["frobnicate"]).unwrap_err().contains("frobnicate"));
        assert!(parsed(&["test", "--only", "go"]).unwrap_err().contains("rust, loom, python"));
        assert!(parsed(&["test", "--full"]).unwrap_err().contains("--full"));
        assert!(parsed(&["bench", "--rounds", "0"]).unwrap_err().contains('0'));
        assert!(parsed(&["bench", "--json"]).unwrap_err().contains("--json"));
        assert!(parsed(&["stress", "--minutes", "-1"]).unwrap_err().contains("-1"));
        assert!(parsed(&["valgrind", "--tool", "tsan"]).unwrap_err().contains("memcheck, helgrind, drd"));
    }
}
