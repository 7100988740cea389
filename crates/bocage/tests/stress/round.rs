//! One round: some runtimes, some cowns, some threads that schedule, and then a look at what became of it.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use bocage::{Builder, Cown, OnDrop, Runtime, RuntimeRef, acquire, quiesce, spawn};

use crate::author::Author;
use crate::cell::{Cell, Findings, Token};
use crate::random::Random;

/// What is counted.
#[derive(Clone, Copy)]
pub enum Kind {
    Plain,
    Panicking,
    /// Scheduled by bodies.
    Inner,
    OnResults,
    Scoped,
    Deterministic,
    /// On runtimes that start and stop in the midst of it all.
    Passing,
    Batches,
    Acquisitions,
    GivenUp,
    Runtimes,
}

const KINDS: [(Kind, &str); 11] = [
    (Kind::Plain, "behaviors of threads"),
    (Kind::Panicking, "that panic"),
    (Kind::Inner, "of bodies"),
    (Kind::OnResults, "on results"),
    (Kind::Scoped, "in scopes"),
    (Kind::Deterministic, "deterministic"),
    (Kind::Passing, "on passing runtimes"),
    (Kind::Batches, "batches"),
    (Kind::Acquisitions, "acquisitions"),
    (Kind::GivenUp, "given up"),
    (Kind::Runtimes, "runtimes"),
];

/// So many of the kinds are behaviors.
const BEHAVIORS: usize = 7;

/// How much was done in all rounds.
#[derive(Default)]
pub struct Tally([AtomicU64; KINDS.len()]);

impl Tally {
    pub fn add(&self, kind: Kind, count: u64) {
        self.0[kind as usize].fetch_add(count, Ordering::Relaxed);
    }

    pub fn behaviors(&self) -> u64 {
        self.0[..BEHAVIORS].iter().map(|count| count.load(Ordering::Relaxed)).sum()
    }

    pub fn text(&self) -> String {
        let count = |(kind, name): &(Kind, &str)| format!("{} {name}", self.0[*kind as usize].load(Ordering::Relaxed));
        KINDS.iter().map(count).collect::<Vec<_>>().join(", ")
    }
}

/// What the threads of a round share.
pub struct Round {
    pub cowns: Vec<Cown<Cell>>,
    pub runtimes: Vec<RuntimeRef>,
    pub findings: Arc<Findings>,
    pub tally: Arc<Tally>,
}

/// Longer than anything here takes.
const LONG: Duration = Duration::from_secs(60);

/// Runs one round, in which each thread does so many things.
pub fn run(seed: u64, things: usize, tally: &Arc<Tally>) -> Result<(), String> {
    let mut random = Random::new(seed);
    let authors = 1 + random.below(3);
    let findings = Arc::new(Findings::default());
    let runtimes: Vec<Runtime> = (0..1 + random.below(2)).map(|_| runtime(&mut random)).collect();
    tally.add(Kind::Runtimes, runtimes.len() as u64);
    let round = Round {
        cowns: (0..12 + random.below(30)).map(|_| Cown::new(Cell::new(authors, &findings))).collect(),
        runtimes: runtimes.iter().map(Runtime::reference).collect(),
        findings,
        tally: tally.clone(),
    };
    let over = AtomicBool::new(false);
    let written: Vec<Vec<u64>> = thread::scope(|scope| {
        let (round, over) = (&round, &over);
        let passing = Random::new(random.next());
        scope.spawn(move || passing_runtimes(round, passing, over));
        let seeds: Vec<u64> = (0..authors).map(|_| random.next()).collect();
        let threads = seeds.into_iter().enumerate().map(|(me, seed)| {
            let author = Author::new(round, me, seed);
            scope.spawn(move || author.work(things))
        });
        let threads: Vec<_> = threads.collect();
        if random.once_in(2) {
            // While they schedule: any answer will do but a hang.
            _ = quiesce(Some(Duration::from_millis(1)));
            _ = runtimes[0].quiesce(Some(Duration::from_millis(1)));
        }
        let written = threads.into_iter().map(|thread| thread.join().unwrap_or_else(|panic| resume_unwind(panic)));
        let written = written.collect();
        over.store(true, Ordering::Relaxed);
        written
    });
    // A behavior of one may have scheduled on another, once; so the second time finds all of them at rest.
    for _ in 0..2 {
        quiesce(Some(LONG)).map_err(|error| format!("the default runtime hangs: {error}"))?;
        for runtime in &runtimes {
            runtime.quiesce(Some(LONG)).map_err(|error| format!("a runtime hangs: {error}"))?;
        }
    }
    for runtime in runtimes {
        if random.once_in(2) {
            runtime.wait(Some(LONG)).map_err(|error| format!("a runtime does not stop: {error}"))?;
        }
    }
    let Round { cowns, findings, .. } = round;
    for (at, cown) in cowns.iter().enumerate() {
        let mut held = acquire(cown).wait();
        let all = written.iter().map(|by_author| by_author[at]);
        findings.expect(held.guards().written().iter().copied().eq(all), "a write was lost");
    }
    drop(cowns);
    findings.first_fault().map_or(Ok(()), Err)?;
    match findings.live() {
        0 => Ok(()),
        live => Err(format!("{live} cowns, closures and results were not dropped")),
    }
}

fn runtime(random: &mut Random) -> Runtime {
    let on_drop = if random.once_in(2) { OnDrop::Finish } else { OnDrop::Cancel };
    let builder = Builder::new().workers(1 + random.below(4)).on_drop(on_drop);
    builder.build().unwrap_or_else(|error| panic!("a runtime could not be started: {error}"))
}

/// Starts runtimes and stops them, with work on the cowns of all, and more or less of it done.
fn passing_runtimes(round: &Round, mut random: Random, over: &AtomicBool) {
    while !over.load(Ordering::Relaxed) {
        let runtime = runtime(&mut random);
        round.tally.add(Kind::Runtimes, 1);
        let count = random.below(300);
        round.tally.add(Kind::Passing, count as u64);
        for i in 0..count {
            let cown = &round.cowns[random.below(round.cowns.len())];
            let token = Token::new(&round.findings);
            let handle = runtime.when(cown, move |mut cell| {
                cell.write(None);
                if i % 64 == 63 {
                    // On the runtime that runs this one, which may be about to cancel.
                    spawn((), move |()| drop(token));
                    resume_unwind(Box::new(()));
                }
                token
            });
            if random.once_in(100) {
                // Cancelled or not, it is done some time.
                drop(handle.wait());
            }
        }
        match random.below(3) {
            0 => round.findings.expect(runtime.wait(Some(LONG)).is_ok(), "a passing runtime hangs"),
            1 => _ = runtime.wait(Some(Duration::from_micros(50))),
            _ => {}
        }
        drop(runtime);
    }
}
