//! `cargo xtask docs`: the API documentation and the book.

use std::process::Command;

use crate::error::{Error, Result};
use crate::flags;
use crate::process;
use crate::steps::Steps;
use crate::workspace::{FEATURES, Workspace};

pub fn run(workspace: &Workspace, flags: &flags::Docs) -> Result<()> {
    let mut steps = Steps::new("docs");
    steps.run("API", || {
        let mut doc = workspace.cargo();
        // The extension's own page is its Python documentation.
        doc.args(["doc", "--locked", "--no-deps", "--workspace", "--exclude", "bocage-python"]);
        doc.args(["--exclude", "xtask", "--exclude", "bocage-benches"]).args(FEATURES);
        process::run(doc.env("RUSTDOCFLAGS", "--deny warnings"))?;
        println!("{}", workspace.target().join("doc").join("bocage").join("index.html").display());
        Ok(())
    });
    let missing = "mdbook is not installed; `cargo install --locked mdbook`";
    match process::succeeds(Command::new("mdbook").arg("--version")) {
        true => {
            steps.run("book", || book(workspace));
        }
        false if flags.strict => {
            steps.run("book", || Err::<(), _>(Error::new(missing)));
        }
        false => steps.skip("book", missing),
    }
    steps.finish()
}

fn book(workspace: &Workspace) -> Result<()> {
    let made = workspace.target().join("book");
    let mut mdbook = Command::new("mdbook");
    mdbook.arg("build").arg(workspace.root().join("docs")).arg("--dest-dir").arg(&made);
    process::run(&mut mdbook)?;
    println!("{}", made.join("index.html").display());
    Ok(())
}
