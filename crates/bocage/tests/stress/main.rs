//! All features at once, for as long as one likes.
//!
//! In each round some threads schedule at random, on two runtimes and the default one, over the same cowns: to write and
//! to read, in tuples, slices and vectors, in batches, on the results of others, from bodies, in scopes, some of which
//! panic; they acquire cowns without a behavior, blocking, as a task, or giving up; they run deterministic programs; and
//! meanwhile runtimes start and stop (`author.rs`, `round.rs`). All the time the cowns look who is at them, and whether
//! each author's behaviors come in the order in which they were scheduled (`cell.rs`). When a round is over nothing may be
//! lost, and nothing left; and memory does not grow from round to round.
//!
//! Each round's seed is printed. `BOCAGE_SEED` runs the round of that seed again and again: what the threads do is then
//! the same, though not how they interleave.
//!
//! `cargo xtask stress` runs the long one. Seen to catch within half a minute: an enqueuer that does not wait for its
//! predecessor, or marks its slots one by one; a reader that is counted after it was marked; a writer that does not look for
//! readers; a block in twenty that is not freed. Not seen to catch: a scope that ends before its last release, and a waker
//! in a thousand behaviors that is lost, which is less than the bound on memory in that time. The first has a model, which
//! failed on it; the second is for valgrind.

mod author;
mod cell;
mod random;
mod round;

use std::env;
use std::fs;
use std::panic;
use std::process;
use std::str::FromStr;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, Once};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use random::Random;
use round::Tally;

/// A round takes some tens of milliseconds.
const ROUND_AT_MOST: Duration = Duration::from_secs(90);

/// How much more memory there may be in use at the end than when everything was warm, since what an allocator keeps varies
/// with how many threads were at it at once. One block in three hundred that leaks would be as much in a minute.
const GROWTH: u64 = 4 << 20;

fn from_env<T: FromStr>(name: &str) -> Option<T> {
    env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text}")))
}

/// Bytes of memory in use; none where that can't be read.
fn resident() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? << 10)
}

/// Ends the process, with the seed, if a round does not end.
struct Watchdog(mpsc::Sender<u64>);

impl Watchdog {
    fn new() -> Self {
        let (sender, rounds) = mpsc::channel();
        thread::spawn(move || {
            let mut seed = None;
            loop {
                match rounds.recv_timeout(ROUND_AT_MOST) {
                    Ok(next) => seed = Some(next),
                    Err(RecvTimeoutError::Disconnected) => return,
                    Err(RecvTimeoutError::Timeout) => {
                        eprintln!("a round does not end: BOCAGE_SEED={seed:?}");
                        process::abort();
                    }
                }
            }
        });
        Self(sender)
    }
}

/// Two tests of this program at once would see each other's memory, and wait for each other's behaviors.
static ALONE: Mutex<()> = Mutex::new(());

/// Bodies that panic do so by `resume_unwind`, of which nothing is printed; what a scope says of them is meant too.
fn silence_scopes() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref() != Some(&"a scoped behavior panicked") {
                print(info);
            }
        }));
    });
}

/// Runs rounds until `enough`; is told how much was done.
fn rounds(things: usize, mut enough: impl FnMut(&Tally) -> bool) {
    let _alone = ALONE.lock();
    silence_scopes();
    let given = from_env("BOCAGE_SEED");
    let mut seeds = Random::new(SystemTime::UNIX_EPOCH.elapsed().map_or(0, |now| now.as_nanos() as u64));
    let watchdog = Watchdog::new();
    let tally = Arc::new(Tally::default());
    while !enough(&tally) {
        let seed = given.unwrap_or_else(|| seeds.next());
        println!("BOCAGE_SEED={seed} after {} behaviors", tally.behaviors());
        watchdog.0.send(seed).expect("the watchdog watches");
        if let Err(why) = round::run(seed, things, &tally) {
            panic!("BOCAGE_SEED={seed}: {why}");
        }
    }
    println!("{} behaviors: {}", tally.behaviors(), tally.text());
}

#[test]
fn nothing_is_lost_in_some_short_rounds() {
    rounds(300, |tally| tally.behaviors() > 10_000);
}

#[test]
#[ignore = "takes minutes: `cargo xtask stress`"]
fn nothing_is_lost_and_memory_is_flat_for_minutes() {
    let minutes: f64 = from_env("BOCAGE_STRESS_MINUTES").unwrap_or(1.0);
    let (begun, lasts) = (Instant::now(), Duration::from_secs_f64(minutes * 60.0));
    let mut warm = None;
    rounds(8000, |_| {
        if warm.is_none() && begun.elapsed() >= lasts / 4 {
            warm = Some(resident());
        }
        begun.elapsed() >= lasts
    });
    if let (Some(Some(warm)), Some(now)) = (warm, resident()) {
        println!("memory: {} KiB when warm, {} KiB at the end", warm >> 10, now >> 10);
        assert!(now < warm + GROWTH, "memory grew from {warm} to {now} bytes");
    }
}
