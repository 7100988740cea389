//! What can be told of the behaviors of a runtime that does not note them: which run, which are ready, and which wait behind
//! those.
//!
//! How one looks at what others run, and what is found behind it, stands in [`bocage_core::Stages`]. What is ready lies in
//! queues that can't be looked through. So it is taken out of them, as a thief would take it, and given back when it has been
//! looked at: it has its cowns already, and no order was promised among those that are ready.

use std::iter;
use std::ops::ControlFlow;
use std::sync::{Mutex, PoisonError};

use bocage_core::{CownId, Holder, Outside, Ready, Seen, Stages, Turn, look_behind};
use crossbeam_deque::Steal;

use crate::barrier::Barrier;
use crate::entry::Entry;
use crate::owner::Mailed;
use crate::pending::{PendingBehavior, PendingCown, shortened};
use crate::shared::{Remote, Shared};

/// So many are taken from the queues at most; readers that were let in at once may count as one.
const MOST_TAKEN: usize = 64;

/// One survey at a time: each takes the gates of several runtimes, one after the other.
static SURVEY: Mutex<()> = Mutex::new(());

/// What was found.
pub(crate) struct Found {
    /// Behaviors of the runtime in question.
    pub(crate) behaviors: Vec<PendingBehavior>,
    /// What is held, but for what these ask for: by others, and what will be the results of all that run.
    pub(crate) held: Vec<Held>,
}

/// Which cown is held, whether to read, and by whom.
pub(crate) type Held = (CownId, bool, String);

/// So many behaviors are looked at in the end, of whatever runtime, and so much is said of what others hold: everybody waits
/// meanwhile.
const MOST_SEEN: usize = 4096;

/// Tells of at most so many behaviors: first of those that run, then of those that are ready if these are to be `taken` from
/// the queues, then of those that wait for one of them, or for what is held outside.
pub(crate) fn survey(shared: &'static Shared, most: usize, taken: bool) -> Found {
    // Goes back after the lock: if it can't, it is cancelled, which may run anything.
    let taken = taken.then(|| Taken::from(shared));
    let _one = SURVEY.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = || taken.iter().flat_map(Taken::each).map(Holder::from);
    let mut found = Found { behaviors: Vec::new(), held: Vec::new() };
    let mut left = MOST_SEEN;
    look_at_all(&Shared::all_stages(), &[], &mut |running| {
        let holders = || running.iter().map(|running| (*running, true)).chain(ready().map(|ready| (ready, false)));
        let mut tell = |seen: Seen<'_>, runs| {
            // Others may stand in the same queues.
            let is_own = seen.home().is_some_and(|home| home.key == shared.turn_key());
            if is_own {
                found.behaviors.push(told(seen, runs));
            }
            if runs {
                tell_held(seen, !is_own, &mut found.held);
            }
            left -= 1;
            if found.behaviors.len() < most && left > 0 { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        };
        if holders().try_for_each(|(holder, runs)| tell(holder.seen(), runs)).is_continue() {
            look_behind(holders().map(|(holder, _)| holder), |seen| tell(seen, false));
        }
    });
    found
}

/// What is held just now by anybody.
pub(crate) fn held() -> Vec<Held> {
    let _one = SURVEY.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held = Vec::new();
    look_at_all(&Shared::all_stages(), &[], &mut |running| {
        running.iter().take(MOST_SEEN).for_each(|holder| tell_held(holder.seen(), true, &mut held));
    });
    held
}

/// What one holds that runs: its result, and what it asked for, if that is to be told.
fn tell_held(seen: Seen<'_>, tells_cowns: bool, held: &mut Vec<Held>) {
    if held.len() > MOST_SEEN {
        return;
    }
    let name = shortened(seen.name());
    if tells_cowns {
        held.extend(seen.cowns().map(|(id, reads)| (id, reads, name.clone())));
    }
    held.push((seen.result(), false, name));
}

fn told(seen: Seen<'_>, runs: bool) -> PendingBehavior {
    let cown = |(id, reads)| PendingCown { id, reads, held_by: None };
    let pinned = seen.home().is_some_and(|home| home.pinned);
    let name = seen.label().unwrap_or_else(|| shortened(seen.name()));
    PendingBehavior { name, cowns: seen.cowns().map(cown).collect(), runs, pinned, since: None }
}

/// Calls `look` with what runs on all these stages, beside what was found already, and with what holds cowns and is on no
/// worker's.
fn look_at_all(stages: &[&'static Stages], found: &[Holder<'_>], look: &mut dyn FnMut(&[Holder<'_>])) {
    match stages {
        [] => Outside::look(|more| look(&[found, more].concat())),
        [first, rest @ ..] => {
            // SAFETY: that is what it says if it was one, or if the threads fence for themselves.
            unsafe { first.look(|| Barrier::new().heavy(), |more| look_at_all(rest, &[found, more].concat(), look)) };
        }
    }
}

/// Ready behaviors that were taken from the queues of a runtime, and go back there.
struct Taken {
    shared: &'static Shared,
    ready: Vec<Ready>,
    pinned: Vec<Mailed>,
}

impl Taken {
    fn from(shared: &'static Shared) -> Self {
        for Remote { newest, turn, .. } in &shared.remotes {
            newest.seen().and_then(|seen| newest.rescue(seen)).into_iter().for_each(|ready| shared.inject(ready));
            // From here they go to the injector one by one.
            turn.seen().and_then(|seen| turn.rescue(seen)).into_iter().for_each(Turn::grant);
        }
        let injected = iter::from_fn(|| retried(|| shared.injector.steal()));
        let queued = shared.remotes.iter().flat_map(|remote| iter::from_fn(|| retried(|| remote.stealer.steal())));
        let ready = injected.chain(queued).take(MOST_TAKEN).flat_map(Entry::into_each).collect();
        Self { shared, ready, pinned: shared.take_mail() }
    }

    fn each(&self) -> impl Iterator<Item = &Ready> {
        self.ready.iter().chain(self.pinned.iter().filter_map(Mailed::ready))
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        self.ready.drain(..).for_each(|ready| self.shared.inject(ready));
        self.pinned.drain(..).for_each(Mailed::give_back);
    }
}

fn retried(steal: impl Fn() -> Steal<Entry>) -> Option<Entry> {
    iter::repeat_with(steal).find(|steal| !steal.is_retry()).and_then(Steal::success)
}
