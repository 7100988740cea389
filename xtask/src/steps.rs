//! Several checks in a row: one that fails does not keep the others from running.

use std::time::{Duration, Instant};

use crate::error::{Error, Result};

/// What has been run so far.
pub struct Steps {
    verb: &'static str,
    begun: Instant,
    done: Vec<Step>,
}

struct Step {
    name: String,
    took: Duration,
    outcome: Outcome,
}

enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

impl Steps {
    pub fn new(verb: &'static str) -> Self {
        Steps { verb, begun: Instant::now(), done: Vec::new() }
    }

    /// Runs one check under a heading. `None` means that what depends on it cannot run.
    pub fn run<T>(&mut self, name: impl Into<String>, check: impl FnOnce() -> Result<T>) -> Option<T> {
        let name = name.into();
        eprintln!("\n== {name}");
        let begun = Instant::now();
        let (outcome, value) = match check() {
            Ok(value) => (Outcome::Passed, Some(value)),
            Err(failure) => {
                eprintln!("xtask: {failure}");
                (Outcome::Failed(failure.to_string()), None)
            }
        };
        self.done.push(Step { name, took: begun.elapsed(), outcome });
        value
    }

    /// Notes a check that cannot run here, and why.
    pub fn skip(&mut self, name: impl Into<String>, why: impl Into<String>) {
        let (name, why) = (name.into(), why.into());
        eprintln!("\n== {name}\nskipped: {why}");
        self.done.push(Step { name, took: Duration::ZERO, outcome: Outcome::Skipped(why) });
    }

    /// Prints the summary; fails if any check failed.
    pub fn finish(self) -> Result<()> {
        let width = self.done.iter().map(|step| step.name.len()).max().unwrap_or(0);
        eprintln!();
        let (mut passed, mut failed, mut skipped) = (0, 0, 0);
        for step in &self.done {
            let (name, took) = (&step.name, step.took.as_secs_f64());
            match &step.outcome {
                Outcome::Passed => {
                    passed += 1;
                    eprintln!("  passed   {name:<width$} {took:7.1} s");
                }
                Outcome::Failed(why) => {
                    failed += 1;
                    eprintln!("  FAILED   {name:<width$} {took:7.1} s   {}", first_line(why));
                }
                Outcome::Skipped(why) => {
                    skipped += 1;
                    eprintln!("  skipped  {name:<width$}             {}", first_line(why));
                }
            }
        }
        let took = self.begun.elapsed().as_secs();
        let verb = self.verb;
        println!(
            "{verb}: {passed} steps passed, {failed} failed, {skipped} skipped in {} min {:02} s",
            took / 60,
            took % 60
        );
        if failed > 0 {
            return Err(Error::new(format!("{failed} of {} steps failed", self.done.len())));
        }
        Ok(())
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_lets_the_rest_run_and_fails_the_whole() {
        let mut steps = Steps::new("test");
        assert_eq!(steps.run("bad", || Err::<(), _>(Error::new("no"))), None);
        assert_eq!(steps.run("good", || Ok(7)), Some(7));
        let verdict = steps.finish().unwrap_err().to_string();
        assert_eq!(verdict, "1 of 2 steps failed");
    }

    #[test]
    fn a_skipped_check_is_no_failure() {
        let mut steps = Steps::new("test");
        steps.skip("absent", "not installed");
        assert!(steps.finish().is_ok());
    }
}
