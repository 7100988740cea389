//! Random acquisitions that are given up at random points, against a model: who holds what is known at each step, and
//! in the end every cown is free.
#![cfg(not(loom))]

mod block_on;

use std::sync::Arc;
use std::task::Poll;

use block_on::{Bell, poll};
use bocage_core::{Acquire, Acquired, Cown, Inline, Read, acquire, read, try_acquire, when_on};
use proptest::prelude::*;
use proptest::sample::Index;

const COWNS: usize = 4;

#[derive(Clone, Debug)]
enum Step {
    /// Asks to write and to read these, and polls once.
    Start {
        writes: Vec<usize>,
        reads: Vec<usize>,
    },
    Poll(Index),
    Drop(Index),
}

/// The model of one acquisition.
struct Entry {
    writes: Vec<usize>,
    reads: Vec<usize>,
    /// Given up before it was its turn.
    ghost: bool,
}

/// Those in line, in order.
#[derive(Default)]
struct Line(Vec<(usize, Entry)>);

impl Line {
    fn holds(&self, id: usize) -> bool {
        let at = self.0.iter().position(|(i, _)| *i == id).expect("in line");
        let (before, entry) = (&self.0[..at], &self.0[at].1);
        let clash = |(_, other): &(usize, Entry)| {
            entry.writes.iter().any(|c| other.writes.contains(c) || other.reads.contains(c))
                || entry.reads.iter().any(|c| other.writes.contains(c))
        };
        !before.iter().any(clash)
    }

    /// Those given up whose turn it is leave, which lets others have their turn.
    fn settle(&mut self) {
        while let Some(at) = self.0.iter().position(|(id, entry)| entry.ghost && self.holds(*id)) {
            self.0.remove(at);
        }
    }

    fn give_up(&mut self, id: usize) {
        if let Some((_, entry)) = self.0.iter_mut().find(|(i, _)| *i == id) {
            entry.ghost = true;
        }
        self.settle();
    }
}

/// One acquisition in the real world.
enum Real<F, H> {
    Waits(F),
    Holds(H),
}

trait Boxed {
    fn poll(&mut self, bell: &Arc<Bell>) -> bool;
}

impl<Q: bocage_core::Requests> Boxed for Real<Acquire<Q>, Acquired<Q::Lasting>> {
    fn poll(&mut self, bell: &Arc<Bell>) -> bool {
        if let Self::Waits(future) = self
            && let Poll::Ready(held) = poll(future, bell)
        {
            *self = Self::Holds(held);
        }
        matches!(self, Self::Holds(_))
    }
}

fn start<'a>(cowns: &'a [Cown<u32>], writes: &[usize], reads: &[usize]) -> Box<dyn Boxed + 'a> {
    fn real<'a, Q: bocage_core::Requests + 'a>(requests: Q) -> Box<dyn Boxed + 'a> {
        Box::new(Real::Waits(acquire(requests)))
    }
    let w = |i: usize| &cowns[writes[i]];
    let r = |i: usize| -> Read<&'a Cown<u32>> { read(&cowns[reads[i]]) };
    match (writes.len(), reads.len()) {
        (0, 0) => real(()),
        (1, 0) => real(w(0)),
        (0, 1) => real(r(0)),
        (1, 1) => real((w(0), r(0))),
        (2, 0) => real((w(0), w(1))),
        (0, 2) => real((r(0), r(1))),
        (2, 1) => real((w(0), r(0), w(1))),
        (1, 2) => real((r(0), w(0), r(1))),
        _ => real((r(0), r(1), w(0), w(1))),
    }
}

fn step() -> impl Strategy<Value = Step> {
    let cowns = proptest::sample::subsequence((0..COWNS).collect::<Vec<_>>(), 0..=COWNS).prop_shuffle();
    let starts = (cowns, 0_usize..=2, 0_usize..=2).prop_map(|(cowns, writes, reads)| {
        let writes = writes.min(cowns.len());
        let reads = reads.min(cowns.len() - writes);
        Step::Start { writes: cowns[..writes].to_vec(), reads: cowns[writes..][..reads].to_vec() }
    });
    prop_oneof![3 => starts, 2 => any::<Index>().prop_map(Step::Poll), 2 => any::<Index>().prop_map(Step::Drop)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, ..ProptestConfig::default() })]

    #[test]
    fn whoever_gives_up_wherever_the_others_hold_what_the_order_says(
        steps in proptest::collection::vec(step(), 1..40)
    ) {
        let cowns: Vec<Cown<u32>> = (0..COWNS).map(|_| Cown::new(0)).collect();
        let (mut line, mut real, bell) = (Line::default(), Vec::new(), Arc::new(Bell::default()));
        for (id, step) in steps.into_iter().enumerate() {
            match step {
                Step::Start { writes, reads } => {
                    let mut one = start(&cowns, &writes, &reads);
                    line.0.push((id, Entry { writes, reads, ghost: false }));
                    prop_assert_eq!(one.poll(&bell), line.holds(id));
                    real.push((id, one));
                }
                Step::Poll(_) | Step::Drop(_) if real.is_empty() => {}
                Step::Poll(which) => {
                    let (id, one) = which.get_mut(&mut real);
                    prop_assert_eq!(one.poll(&bell), line.holds(*id));
                }
                Step::Drop(which) => {
                    let (id, one) = real.swap_remove(which.index(real.len()));
                    drop(one);
                    line.give_up(id);
                }
            }
            for (i, cown) in cowns.iter().enumerate() {
                let in_line = line.0.iter().any(|(_, e)| e.writes.contains(&i) || e.reads.contains(&i));
                prop_assert_eq!(try_acquire(cown).is_none(), in_line, "cown {}", i);
            }
        }
        let last = when_on(Inline, &cowns, |mut all| all.iter_mut().for_each(|n| *n += 1));
        drop(real);
        // It ran on this thread by now, or it never will.
        prop_assert!(matches!(poll(&mut last.into_future(), &bell), Poll::Ready(Ok(()))));
        for cown in &cowns {
            prop_assert!(try_acquire(cown).is_some());
            prop_assert_eq!(cown.references(), 1, "nothing keeps it");
        }
        prop_assert_eq!(Arc::strong_count(&bell), 1, "nor any waker");
    }
}
