//! What can be told of the behaviors of a runtime that does not note them: which run, which are ready, and which wait behind
//! those.
//!
//! How one looks at what others run, and what is found behind it, stands in [`bocage_core::Stages`]. What is ready lies in
//! queues that can't be looked through. So it is taken out of them, as a thief would take it, and given back when it has been
//! looked at: it has its cowns already, and no order was promised among those that are ready.

use std::iter;
use std::ops::ControlFlow;

use bocage_core::{Holder, Ready, Seen, Turn, look_behind};
use crossbeam_deque::Steal;

use crate::barrier::Barrier;
use crate::entry::Entry;
use crate::owner::Mailed;
use crate::pending::{PendingBehavior, PendingCown, shortened};
use crate::shared::{Remote, Shared};

/// So many are taken from the queues at most.
const MOST_TAKEN: usize = 64;

/// Tells of at most so many behaviors: first of those that run, then of those that are ready if these are to be `taken` from
/// the queues, then of those that wait for one of them.
pub(crate) fn survey(shared: &'static Shared, most: usize, taken: bool) -> Vec<PendingBehavior> {
    let taken = taken.then(|| Taken::from(shared));
    let ready = || taken.iter().flat_map(Taken::each).map(Holder::from);
    shared.stages.look(
        || Barrier::new().heavy(),
        |running| {
            let mut found = Vec::new();
            let mut tell = |seen: Seen<'_>, runs| {
                // Others may stand in the same queues.
                if let Some(home) = seen.home().filter(|home| home.key == shared.turn_key()) {
                    let cown = |(id, reads)| PendingCown { id, reads, held_by: None };
                    let (name, cowns) = (shortened(seen.name()), seen.cowns().map(cown).collect());
                    found.push(PendingBehavior { name, cowns, runs, pinned: home.pinned, since: None });
                }
                if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            let holders = || running.iter().map(|running| (*running, true)).chain(ready().map(|ready| (ready, false)));
            if holders().try_for_each(|(holder, runs)| tell(holder.seen(), runs)).is_continue() {
                look_behind(holders().map(|(holder, _)| holder), |seen| tell(seen, false));
            }
            found
        },
    )
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
