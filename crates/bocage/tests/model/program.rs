//! Random programs of behaviors, and how they shrink.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::{Range, RangeInclusive};

use proptest::prelude::*;
use proptest::sample::Index;

/// A behavior's number: its place in [`Program::behaviors`].
pub type Id = usize;

/// A program: what each of some threads schedules, in this order.
#[derive(Clone)]
pub struct Program {
    /// The cowns that are there from the beginning.
    pub cowns: usize,
    pub threads: Vec<Vec<Step>>,
    /// Every behavior, in the order in which it is written down: whoever schedules before what it schedules.
    pub behaviors: Vec<Behavior>,
}

/// What is scheduled at once.
#[derive(Clone)]
pub enum Step {
    One(Id),
    Batch(Vec<Id>),
}

#[derive(Clone)]
pub struct Behavior {
    pub writes: Vec<Place>,
    pub reads: Vec<Place>,
    /// Those of these that it names once more, to read.
    pub again: Vec<Place>,
    /// After it has changed what it writes.
    pub panics: bool,
    /// What its body schedules.
    pub steps: Vec<Step>,
    /// The behavior whose body schedules it; none if a thread does.
    pub author: Option<Id>,
}

/// A cown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    Base(usize),
    Result(Id),
}

impl Step {
    pub fn members(&self) -> &[Id] {
        match self {
            Step::One(id) => std::slice::from_ref(id),
            Step::Batch(ids) => ids,
        }
    }
}

impl Behavior {
    /// Each cown that it asks for, and whether only to read.
    pub fn asks(&self) -> impl Iterator<Item = (Place, bool)> {
        let writes = self.writes.iter().map(|place| (*place, false));
        writes.chain(self.reads.iter().map(|place| (*place, true)))
    }
}

impl Program {
    /// All that is scheduled by anybody.
    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.threads.iter().flatten().chain(self.behaviors.iter().flat_map(|behavior| &behavior.steps))
    }

    /// Which behaviors run: whose author does, and none of whose cowns lacks its value.
    pub fn runs(&self) -> Vec<bool> {
        let mut runs: Vec<bool> = Vec::new();
        for behavior in &self.behaviors {
            let there = |(place, _)| match place {
                Place::Base(_) => true,
                Place::Result(of) => runs[of] && !self.behaviors[of].panics,
            };
            runs.push(behavior.author.is_none_or(|author| runs[author]) && behavior.asks().all(there));
        }
        runs
    }

    /// The same, but that nothing panics.
    pub fn without_panics(mut self) -> Self {
        self.behaviors.iter_mut().for_each(|behavior| behavior.panics = false);
        self
    }
}

/// A behavior before it is known which cowns there are for it to ask for.
#[derive(Clone, Debug)]
struct Draft {
    asks: Vec<DraftAsk>,
    panics: bool,
    steps: Vec<DraftStep>,
}

#[derive(Clone, Debug)]
struct DraftAsk {
    /// Among all cowns that the author knows then, or only those that are there from the beginning.
    index: Index,
    of_all: bool,
    reads: bool,
}

#[derive(Clone, Debug)]
struct DraftStep {
    batch: bool,
    behaviors: Vec<Draft>,
}

/// What kind of programs.
#[derive(Clone)]
pub struct Shape {
    /// The cowns that are there from the beginning.
    pub cowns: Range<usize>,
    pub threads: RangeInclusive<usize>,
    /// How much each thread schedules.
    pub steps: Range<usize>,
    /// How many cowns a behavior names; the same one may be among them twice, and is then asked for once.
    pub asks: Range<usize>,
    /// Behaviors schedule behaviors, so many levels deep.
    pub depth: u32,
}

impl Shape {
    fn draft(&self, depth: u32) -> BoxedStrategy<Draft> {
        let ask = (any::<Index>(), prop::bool::weighted(0.2), prop::bool::weighted(0.4));
        let ask = ask.prop_map(|(index, of_all, reads)| DraftAsk { index, of_all, reads });
        let asks = prop::collection::vec(ask, self.asks.clone());
        let inner = match depth {
            0 => Just(Vec::new()).boxed(),
            _ => {
                let steps = prop::collection::vec(self.step(depth - 1), 1..4);
                prop_oneof![3 => Just(Vec::new()), 1 => steps].boxed()
            }
        };
        (asks, prop::bool::weighted(0.05), inner)
            .prop_map(|(asks, panics, steps)| Draft { asks, panics, steps })
            .boxed()
    }

    fn step(&self, depth: u32) -> BoxedStrategy<DraftStep> {
        let one = self.draft(depth).prop_map(|one| DraftStep { batch: false, behaviors: vec![one] });
        let batch = prop::collection::vec(self.draft(depth), 0..5);
        let batch = batch.prop_map(|many| DraftStep { batch: true, behaviors: many });
        prop_oneof![3 => one, 1 => batch].boxed()
    }

    pub fn programs(&self) -> impl Strategy<Value = Program> + use<> {
        let thread = prop::collection::vec(self.step(self.depth), self.steps.clone());
        let threads = prop::collection::vec(thread, self.threads.clone());
        (self.cowns.clone(), threads).prop_map(|(cowns, threads)| resolve(cowns, &threads))
    }
}

fn resolve(cowns: usize, threads: &[Vec<DraftStep>]) -> Program {
    let mut program = Program { cowns, threads: Vec::new(), behaviors: Vec::new() };
    let base: Vec<Place> = (0..cowns).map(Place::Base).collect();
    for steps in threads {
        let steps = resolve_steps(cowns, &mut program.behaviors, None, steps, base.clone());
        program.threads.push(steps);
    }
    program
}

/// `known` are the cowns that the author knows, first those that are there from the beginning.
fn resolve_steps(
    cowns: usize,
    behaviors: &mut Vec<Behavior>,
    author: Option<Id>,
    steps: &[DraftStep],
    mut known: Vec<Place>,
) -> Vec<Step> {
    let mut resolved = Vec::new();
    for step in steps {
        let mut ids = Vec::new();
        for draft in &step.behaviors {
            let id = behaviors.len();
            let mut written: BTreeSet<Place> = BTreeSet::new();
            let mut read: BTreeSet<Place> = BTreeSet::new();
            let mut again = Vec::new();
            for DraftAsk { index, of_all, reads } in &draft.asks {
                let place = *index.get(if *of_all { &known[..] } else { &known[..cowns] });
                // The first to be named decides what it is for.
                if written.contains(&place) || read.contains(&place) {
                    again.push(place);
                } else {
                    if *reads && read.len() < MOST_READS {
                        read.insert(place)
                    } else {
                        written.insert(place)
                    };
                }
            }
            let (writes, reads) = (written.into_iter().collect(), read.into_iter().collect());
            behaviors.push(Behavior { writes, reads, again, panics: draft.panics, steps: Vec::new(), author });
            let inner = resolve_steps(cowns, behaviors, Some(id), &draft.steps, known.clone());
            behaviors[id].steps = inner;
            known.push(Place::Result(id));
            ids.push(id);
        }
        resolved.push(if step.batch { Step::Batch(ids) } else { Step::One(ids[0]) });
    }
    resolved
}

/// As many as there is a request for, see `machine.rs`.
pub const MOST_READS: usize = 3;

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Base(at) => write!(f, "c{at}"),
            Place::Result(of) => write!(f, "r{of}"),
        }
    }
}

/// A program as one would write it down.
impl fmt::Debug for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} cowns", self.cowns)?;
        for (thread, steps) in self.threads.iter().enumerate() {
            writeln!(f, "thread {thread}:")?;
            self.write_steps(f, steps, 1)?;
        }
        Ok(())
    }
}

impl Program {
    fn write_steps(&self, f: &mut fmt::Formatter<'_>, steps: &[Step], depth: usize) -> fmt::Result {
        for step in steps {
            let inside = match step {
                Step::One(_) => depth,
                Step::Batch(_) => {
                    writeln!(f, "{:w$}batch:", "", w = 2 * depth)?;
                    depth + 1
                }
            };
            for id in step.members() {
                let Behavior { writes, reads, again, panics, steps, .. } = &self.behaviors[*id];
                let panics = if *panics { ", panics" } else { "" };
                writeln!(
                    f,
                    "{:w$}#{id} writes {writes:?}, reads {reads:?}, names again {again:?}{panics}",
                    "",
                    w = 2 * inside
                )?;
                self.write_steps(f, steps, inside + 1)?;
            }
        }
        Ok(())
    }
}
