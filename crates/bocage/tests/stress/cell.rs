//! A cown's value that notices who should not be at it.

use std::hint;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;

/// What a round finds out: what went wrong, and what is alive still.
#[derive(Default)]
pub struct Findings {
    faults: Mutex<Vec<String>>,
    live: AtomicI64,
}

impl Findings {
    /// A body can't fail by a panic, which its runtime would catch.
    pub fn fault(&self, what: impl Into<String>) {
        self.faults.lock().unwrap().push(what.into());
    }

    pub fn expect(&self, holds: bool, what: &str) {
        if !holds {
            self.fault(what);
        }
    }

    pub fn first_fault(&self) -> Option<String> {
        self.faults.lock().unwrap().first().cloned()
    }

    pub fn live(&self) -> i64 {
        self.live.load(Ordering::Relaxed)
    }
}

/// Counted as alive until it is dropped: in every cown, closure, result and panic.
pub struct Token(pub Arc<Findings>);

impl Token {
    pub fn new(findings: &Arc<Findings>) -> Self {
        findings.live.fetch_add(1, Ordering::Relaxed);
        Self(findings.clone())
    }
}

impl Drop for Token {
    fn drop(&mut self) {
        self.0.live.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Who schedules, as far as its order is checked.
pub type Author = usize;

/// A cown's value.
pub struct Cell {
    /// Who is at it: `WRITER`, or the readers.
    inside: AtomicU64,
    /// How often each author has written it.
    written: Vec<u64>,
    token: Token,
}

const WRITER: u64 = 1 << 32;

/// The turn that a behavior has on a cown: it is after so many of its author's writes. None if its author's order is not
/// checked.
pub type Turn = Option<(Author, u64)>;

impl Cell {
    pub fn new(authors: usize, findings: &Arc<Findings>) -> Self {
        Self { inside: AtomicU64::new(0), written: vec![0; authors], token: Token::new(findings) }
    }

    pub fn write(&mut self, turn: Turn) {
        let findings = &self.token.0;
        findings.expect(self.inside.fetch_add(WRITER, Ordering::Relaxed) == 0, "a writer is not alone with its cown");
        if let Some((author, turn)) = turn {
            findings.expect(self.written[author] == turn, "a writer is not where its author scheduled it");
            self.written[author] += 1;
        }
        linger(turn);
        self.inside.fetch_sub(WRITER, Ordering::Relaxed);
    }

    pub fn read(&self, turn: Turn) {
        let findings = &self.token.0;
        findings.expect(self.inside.fetch_add(1, Ordering::Relaxed) < WRITER, "a reader is there with a writer");
        linger(turn);
        if let Some((author, turn)) = turn {
            findings.expect(self.written[author] == turn, "a reader is not where its author scheduled it");
        }
        self.inside.fetch_sub(1, Ordering::Relaxed);
    }

    pub fn written(&self) -> &[u64] {
        &self.written
    }
}

/// Gives others a chance to come in where they should not.
fn linger(turn: Turn) {
    match turn.map_or(0, |(_, turn)| turn % 256) {
        0 => thread::yield_now(),
        n if n % 8 == 1 => (0..100).for_each(|_| hint::spin_loop()),
        _ => {}
    }
}
