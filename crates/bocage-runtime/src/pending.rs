//! What is left to do: which behaviors are pending, and on which cowns, for a wait that runs out of time.
//!
//! As a rule that is [looked for](crate::survey) then: which run, which are ready, and which wait behind those, or behind a guard
//! of [`acquire`](bocage_core::acquire), or what another runtime runs, or a rayon pool. What waits for a cown that is held on an
//! executor that does not [say so](bocage_core::Outside::run) is counted only, and so may be what waits for a guard of a thread
//! that has more than 16 of them. Nobody knows since when anything waits.
//!
//! A runtime whose [`Builder`](crate::Builder) was told to [note](crate::Builder::name_pending) them notes each behavior
//! in a [`Register`] when it is scheduled. The note lives in the behavior's body: it says so when the body begins, and
//! is struck out when the body is gone, whether it ran, panicked or was cancelled. So what is noted is pending; what is
//! pending and not noted has no body yet or no more, or came in by [`admit`](crate::Runtime::admit).
//!
//! Nothing waits for a behavior here, so that a lock is good enough, one for each thread that schedules. A runtime that
//! does not name behaviors looks at a flag for each, and nothing else: bodies have no note in them then.

use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::fmt;
use std::ops::Deref;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bocage_core::{CownId, Requests};
use crossbeam_utils::CachePadded;

use crate::survey::{Found, Held, held};

/// So many behaviors are named at most; the others are counted.
pub(crate) const MOST_NAMED: usize = 256;
/// So many of these are shown, and so many cowns of each.
const MOST_SHOWN: usize = 8;

/// What is left to do.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Pending {
    /// Behaviors that are scheduled and not finished, those that run included.
    pub behaviors: u64,
    /// Those of which more is known, at most 256: first what runs, then what waits, the longest first. If the runtime does not
    /// [note](crate::Builder::name_pending) them, then those that run, some 64 that are ready (none if the wait was
    /// shorter than a millisecond), and what waits for one of these, for a guard, or for what another runtime runs, or a rayon
    /// pool.
    pub named: Vec<PendingBehavior>,
    /// How many are in the register, if there is one.
    noted: Option<usize>,
}

/// A behavior that is scheduled and not finished.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingBehavior {
    /// What its body [calls itself](bocage_core::Labelled), if it does and has not begun; or else where it was written: the path of
    /// the function around the closure, or of the function that is the body.
    pub name: String,
    /// The cowns that it asked for.
    pub cowns: Vec<PendingCown>,
    /// Whether its body runs. It holds its cowns then; otherwise it waits for one of them, or for its turn.
    pub runs: bool,
    /// Whether only one thread can run it, to which it is pinned.
    pub pinned: bool,
    /// Since when, if that was noted: since its body began if it runs, since it was scheduled if not.
    pub since: Option<Duration>,
}

/// A cown that a pending behavior asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PendingCown {
    /// Which one.
    pub id: CownId,
    /// Whether only to read it.
    pub reads: bool,
    /// The name of a running behavior that keeps it from the one that waits here; or `acquire`, if a guard of
    /// [that](bocage_core::acquire) does.
    pub held_by: Option<String>,
}

/// The notes of one runtime.
pub(crate) struct Register {
    shards: Box<[CachePadded<Mutex<Shard>>]>,
}

#[derive(Default)]
struct Shard {
    next: u64,
    notes: BTreeMap<u64, Behavior>,
}

/// What is noted of a behavior.
struct Behavior {
    name: &'static str,
    cowns: Box<[(CownId, bool)]>,
    pinned: bool,
    runs: bool,
    since: Instant,
}

/// The note of one behavior, kept by its body, and struck out with it.
pub(crate) struct Note<R: Deref<Target = Register>> {
    register: R,
    shard: usize,
    key: u64,
}

impl Register {
    /// One lock for each of `shards` threads that schedule.
    pub(crate) fn new(shards: usize) -> Self {
        Self { shards: (0..shards).map(|_| CachePadded::default()).collect() }
    }

    fn lock(&self, shard: usize) -> MutexGuard<'_, Shard> {
        self.shards[shard].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that the calling thread, whose number is `shard`, is about to schedule a behavior of this name.
    #[cold]
    pub(crate) fn note<R, Q>(this: R, shard: usize, name: &'static str, pinned: bool, requests: &Q) -> Note<R>
    where
        R: Deref<Target = Self>,
        Q: Requests,
    {
        let shard = shard % this.shards.len();
        let mut cowns = Vec::new();
        requests.visit(&mut |cown| cowns.push((cown.id(), cown.reads())));
        let behavior = Behavior { name, cowns: cowns.into(), pinned, runs: false, since: Instant::now() };
        let key = {
            let mut shard = this.lock(shard);
            let key = shard.next;
            shard.next += 1;
            shard.notes.insert(key, behavior);
            key
        };
        Note { register: this, shard, key }
    }
}

impl<R: Deref<Target = Register>> Note<R> {
    /// Calls the body, and says for that time that it runs.
    pub(crate) fn run<T>(self, body: impl FnOnce() -> T) -> T {
        if let Some(behavior) = self.register.lock(self.shard).notes.get_mut(&self.key) {
            behavior.runs = true;
            behavior.since = Instant::now();
        }
        body()
    }
}

impl<R: Deref<Target = Register>> Drop for Note<R> {
    fn drop(&mut self) {
        self.register.lock(self.shard).notes.remove(&self.key);
    }
}

/// The order of a report: first what runs, then what waits, the oldest first.
type Rank = (bool, Instant, usize, u64);

impl Pending {
    /// So many, of which these were found.
    pub(crate) fn surveyed(behaviors: u64, found: Found) -> Self {
        let Found { behaviors: mut named, held } = found;
        tell_holders(&mut named, &held);
        // Others may have come since they were counted.
        Self { behaviors: behaviors.max(named.len() as u64), named, noted: None }
    }

    /// So many, of which the register knows more.
    pub(crate) fn noted(behaviors: u64, register: &Register) -> Self {
        // The first in rank, however many there are: what is on the heap is in rank before all that is not.
        let mut first: BinaryHeap<(Rank, ByRank)> = BinaryHeap::with_capacity(MOST_NAMED + 1);
        let now = Instant::now();
        let mut known = 0;
        for shard in 0..register.shards.len() {
            let notes = register.lock(shard);
            known += notes.notes.len();
            for (key, behavior) in &notes.notes {
                let rank = (!behavior.runs, behavior.since, shard, *key);
                if first.len() == MOST_NAMED && first.peek().is_some_and(|(last, _)| *last < rank) {
                    continue;
                }
                first.push((rank, ByRank(behavior.tell(now))));
                if first.len() > MOST_NAMED {
                    first.pop();
                }
            }
        }
        let mut named: Vec<_> = first.into_sorted_vec().into_iter().map(|(_, ByRank(behavior))| behavior).collect();
        tell_holders(&mut named, &held());
        // A behavior may have ended in between; none is told of that is not counted.
        Self { behaviors: behaviors.max(known as u64), named, noted: Some(known) }
    }

    /// Whether all of them wait, and for nothing that the runtime could bring about.
    fn all_wait(&self) -> bool {
        // Had any been found that runs, or that is pinned, it would come first, and be among the named.
        let is_all = self.noted.is_none_or(|noted| noted as u64 == self.behaviors);
        is_all && self.named.iter().all(|behavior| !behavior.runs && !behavior.pinned)
    }
}

/// Says of what waits which running behavior keeps it waiting, or who else.
fn tell_holders(named: &mut [PendingBehavior], held: &[Held]) {
    let waiting = named.partition_point(|behavior| behavior.runs);
    let (running, waiting) = named.split_at_mut(waiting);
    let mut holders: HashMap<_, _> = held.iter().map(|(id, reads, name)| (*id, (*reads, name))).collect();
    for holder in &*running {
        for cown in &holder.cowns {
            holders.insert(cown.id, (cown.reads, &holder.name));
        }
    }
    for cown in waiting.iter_mut().flat_map(|behavior| &mut behavior.cowns) {
        let holder = holders.get(&cown.id).filter(|(reads, _)| !(*reads && cown.reads));
        cown.held_by = holder.map(|(_, name)| (*name).clone());
    }
}

/// Takes no part in the order: the rank before it is unique.
struct ByRank(PendingBehavior);

impl PartialEq for ByRank {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for ByRank {}

impl PartialOrd for ByRank {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByRank {
    fn cmp(&self, _: &Self) -> std::cmp::Ordering {
        std::cmp::Ordering::Equal
    }
}

impl Behavior {
    fn tell(&self, now: Instant) -> PendingBehavior {
        let cown = |(id, reads): &(CownId, bool)| PendingCown { id: *id, reads: *reads, held_by: None };
        PendingBehavior {
            name: shortened(self.name),
            cowns: self.cowns.iter().map(cown).collect(),
            runs: self.runs,
            pinned: self.pinned,
            since: Some(now.saturating_duration_since(self.since)),
        }
    }
}

/// The name of the body that a closure of this crate calls: a function that makes such a closure has the body's type as the
/// last of its parameters.
fn unwrapped(name: &str) -> &str {
    let Some(wrapper) = name.strip_prefix("bocage_runtime::").and_then(|_| trimmed(name).strip_suffix('>')) else {
        return name;
    };
    let mut depth = 0_usize;
    let starts = wrapper.char_indices().rev().find(|(at, c)| {
        match c {
            '>' if !wrapper[..*at].ends_with('-') => depth += 1,
            ')' | ']' => depth += 1,
            '<' | '(' | '[' if depth == 0 => return true,
            '<' | '(' | '[' => depth -= 1,
            ',' if depth == 0 => return true,
            _ => {}
        }
        false
    });
    starts.map_or(name, |(at, _)| unwrapped(wrapper[at + 1..].trim_start()))
}

/// Without the closures at its end, which have no names.
fn trimmed(name: &str) -> &str {
    name.trim_end_matches("::{{closure}}")
}

/// A type's name as one would say it: without the closures at its end, which have no names, and with the paths left out
/// of its parameters.
pub(crate) fn shortened(name: &str) -> String {
    let name = trimmed(unwrapped(name));
    let mut short = String::with_capacity(name.len());
    let mut depth = 0_usize;
    // Where the path begins that may turn out to be one, in `short`.
    let mut path = 0;
    let mut before = ' ';
    for c in name.chars() {
        match c {
            '<' => depth += 1,
            '>' if before != '-' => depth = depth.saturating_sub(1),
            _ => {}
        }
        short.push(c);
        if c == ':' && before == ':' && depth > 0 {
            short.truncate(path);
        } else if !(c.is_alphanumeric() || c == '_' || c == ':') {
            path = short.len();
        }
        before = c;
    }
    short
}

impl fmt::Display for Pending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.behaviors {
            1 => f.write_str("1 behavior is pending")?,
            more => write!(f, "{more} behaviors are pending")?,
        }
        for (i, behavior) in self.named.iter().take(MOST_SHOWN).enumerate() {
            write!(f, "{} {behavior}", if i == 0 { ":" } else { ";" })?;
        }
        let shown = self.named.len().min(MOST_SHOWN) as u64;
        if shown > 0 && self.behaviors > shown {
            write!(f, "; and {} more", self.behaviors - shown)?;
        }
        if self.behaviors > 0 && self.all_wait() {
            f.write_str(
                "; none of them runs: a cown is held outside, by a guard of `acquire` or on another executor, or they have only \
                 just become ready",
            )?;
        }
        if self.noted.is_none() && self.behaviors > self.named.len() as u64 {
            f.write_str(" (`Builder::name_pending(true)` would tell of all, and since when)")?;
        }
        Ok(())
    }
}

impl fmt::Display for PendingBehavior {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{}`", self.name)?;
        for (i, cown) in self.cowns.iter().take(MOST_SHOWN).enumerate() {
            write!(f, "{} {cown}", if i == 0 { " on" } else { "," })?;
        }
        if self.cowns.len() > MOST_SHOWN {
            write!(f, " and {} more", self.cowns.len() - MOST_SHOWN)?;
        }
        f.write_str(if self.runs { " (runs" } else { " (waits" })?;
        if let Some(since) = self.since {
            write!(f, " since {since:.1?}")?;
        }
        f.write_str(if self.pinned { ", pinned to a thread)" } else { ")" })
    }
}

impl fmt::Display for PendingCown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}cown {:#x}", if self.reads { "read " } else { "" }, self.id.get())?;
        self.held_by.as_ref().map_or(Ok(()), |holder| write!(f, " held by `{holder}`"))
    }
}

#[cfg(test)]
mod tests {
    use super::shortened;

    #[test]
    fn names_are_what_one_would_say() {
        for (long, short) in [
            ("bank::transfer::{{closure}}", "bank::transfer"),
            ("bank::main::{{closure}}::{{closure}}", "bank::main"),
            ("bank::swap<alloc::vec::Vec<alloc::string::String>, u8>::{{closure}}", "bank::swap<Vec<String>, u8>"),
            ("<bank::Teller as bank::Clerk>::serve::{{closure}}", "<Teller as Clerk>::serve"),
            (
                "bank::call<fn(bank::Guard) -> core::option::Option<bank::Coin>>",
                "bank::call<fn(Guard) -> Option<Coin>>",
            ),
            ("plain", "plain"),
            (
                "bocage_runtime::trace::labelled<(&bank::Cown<i32>, fn(u8) -> u8), (), bank::main::{{closure}}>::{{closure}}",
                "bank::main",
            ),
            (
                "bocage_runtime::a::b<u8, bocage_runtime::c<fn(u8, u8) -> u8, bank::swap<u8, i8>>>::{{closure}}",
                "bank::swap<u8, i8>",
            ),
            ("bocage_runtime::plain::{{closure}}", "bocage_runtime::plain"),
            ("", ""),
        ] {
            assert_eq!(shortened(long), short);
        }
    }
}
