//! Runs a program on the real thing, and writes down what happened.

use std::collections::BTreeMap;
use std::panic::resume_unwind;
use std::pin::pin;
use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, OnceLock};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use bocage::deterministic::replay;
use bocage::{Batch, Builder, Cown, Guard, Handle, ReadGuard, ReadGuards, RuntimeRef, acquire, quiesce, read, when};

use crate::program::{Behavior, Id, MOST_READS, Place, Program, Step};
use crate::reference::{self, Seen, State};

/// No program of these takes as long as that, or else it hangs. In milliseconds.
pub static PATIENCE: AtomicU64 = AtomicU64::new(20_000);

/// A set of behaviors.
#[derive(Clone, Debug)]
pub struct Set(Vec<u64>);

impl Set {
    /// An empty one, of behaviors below `count`.
    fn empty(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn insert(&mut self, id: Id) {
        self.0[id / 64] |= 1 << (id % 64);
    }

    fn insert_all(&mut self, others: &Self) {
        self.0.iter_mut().zip(&others.0).for_each(|(to, from)| *to |= from);
    }

    pub fn contains(&self, id: Id) -> bool {
        self.0[id / 64] >> (id % 64) & 1 != 0
    }
}

/// What a behavior wrote down.
#[derive(Debug)]
pub struct Record {
    /// Behaviors that share a cown not only to read are in the order of these.
    pub tick: u64,
    /// In the order of [`Behavior::asks`](crate::program::Behavior::asks).
    pub seen: Vec<Seen>,
    /// Whoever was scheduled before it was: by its author, or by anybody of whom its author could know.
    pub past: Set,
}

pub struct Run {
    /// None: it did not run.
    pub records: Vec<Option<Record>>,
    /// Of the cowns that were kept to the end.
    pub states: BTreeMap<Place, Option<State>>,
}

/// A cown's value.
struct Cell {
    state: State,
    /// Who is at it: `WRITER`, or the readers.
    inside: AtomicUsize,
    /// Who was scheduled before its last writer was over.
    known: Set,
    /// The same, of the readers since.
    known_by_readers: Mutex<Set>,
    _live: Live,
}

const WRITER: usize = 1 << 32;

/// Counts the cells that there are.
struct Live(Arc<AtomicI64>);

impl Live {
    fn new(count: &Arc<AtomicI64>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where behaviors are scheduled.
#[derive(Clone, Copy)]
enum On {
    Runtime(RuntimeRef),
    Program,
}

/// What all behaviors of a run share.
struct Scene {
    program: Program,
    on: On,
    clock: AtomicU64,
    records: Vec<OnceLock<Record>>,
    /// The results that are looked at in the end: every other one, so that blocks go early too.
    results: Vec<OnceLock<Cown<Cell>>>,
    faults: Mutex<Vec<String>>,
    live: Arc<AtomicI64>,
}

/// What whoever schedules has and knows.
#[derive(Clone)]
struct Author {
    cowns: BTreeMap<Place, Cown<Cell>>,
    known: Set,
}

impl Scene {
    fn new(program: &Program, on: On, live: &Arc<AtomicI64>) -> (Arc<Self>, Author) {
        let count = program.behaviors.len();
        let scene = Self {
            program: program.clone(),
            on,
            clock: AtomicU64::new(0),
            records: (0..count).map(|_| OnceLock::new()).collect(),
            results: (0..count).map(|_| OnceLock::new()).collect(),
            faults: Mutex::default(),
            live: live.clone(),
        };
        let cell = |at: usize| Cown::new(scene.cell(at as u64, Set::empty(count)));
        let cowns = (0..program.cowns).map(|at| (Place::Base(at), cell(at))).collect();
        let author = Author { cowns, known: Set::empty(count) };
        (Arc::new(scene), author)
    }

    fn cell(&self, value: u64, known: Set) -> Cell {
        let known_by_readers = Mutex::new(Set::empty(self.program.behaviors.len()));
        Cell {
            state: State::new(value),
            inside: AtomicUsize::new(0),
            known,
            known_by_readers,
            _live: Live::new(&self.live),
        }
    }

    fn fault(&self, what: impl Into<String>) {
        self.faults.lock().unwrap().push(what.into());
    }

    fn schedule_all(self: &Arc<Self>, author: &mut Author, steps: &[Step]) {
        for step in steps {
            match (step, self.on) {
                (Step::One(id), _) => self.schedule(author, *id, &mut None),
                (Step::Batch(ids), On::Runtime(runtime)) => {
                    runtime.batch(|batch| ids.iter().for_each(|id| self.schedule(author, *id, &mut Some(batch))));
                }
                (Step::Batch(ids), On::Program) => {
                    bocage::batch(|batch| ids.iter().for_each(|id| self.schedule(author, *id, &mut Some(batch))));
                }
            }
        }
    }

    fn schedule(self: &Arc<Self>, author: &mut Author, id: Id, batch: &mut Option<&mut Batch>) {
        let behavior = &self.program.behaviors[id];
        let of = |places: &[Place]| -> Vec<Cown<Cell>> { places.iter().map(|p| author.cowns[p].clone()).collect() };
        let (writes, reads, again) = (of(&behavior.writes), of(&behavior.reads), of(&behavior.again));
        // Without its author's cowns if it needs none: the references that a body holds are not to be all that keeps
        // a cown.
        let cowns = if behavior.steps.is_empty() { BTreeMap::new() } else { author.cowns.clone() };
        let (scene, past) = (self.clone(), Author { cowns, known: author.known.clone() });
        macro_rules! schedule {
            ($requests:expr, $guards:pat => $body:expr) => {
                match (batch, self.on) {
                    (Some(batch), _) => batch.when($requests, move |$guards| $body),
                    (None, On::Runtime(runtime)) => runtime.when($requests, move |$guards| $body),
                    (None, On::Program) => when($requests, move |$guards| $body),
                }
            };
        }
        const { assert!(MOST_READS == 3) };
        let handle: Handle<Cell> = match (&writes[..], &reads[..]) {
            (w, r) if !again.is_empty() => {
                schedule!((read(&again), w, read(r)), (again, w, r) => {
                    scene.named_again(id, again);
                    scene.body(id, past, w.into_iter().collect(), r.into_iter().collect())
                })
            }
            ([], []) => schedule!((), () => scene.body(id, past, vec![], vec![])),
            ([w], []) => schedule!(w, w => scene.body(id, past, vec![w], vec![])),
            ([], [r]) => schedule!(read(r), r => scene.body(id, past, vec![], vec![r])),
            (w, []) => schedule!(w, w => scene.body(id, past, w.into_iter().collect(), vec![])),
            (w, [r]) => schedule!((w, read(r)), (w, r) => scene.body(id, past, w.into_iter().collect(), vec![r])),
            (w, [r, s]) => {
                schedule!((read(r), w, read(s)), (r, w, s) => scene.body(id, past, w.into_iter().collect(), vec![r, s]))
            }
            (w, [r, s, t]) => {
                schedule!((w, (read(r), read(s)), read(t)), (w, (r, s), t) => scene.body(id, past, w.into_iter().collect(), vec![r, s, t]))
            }
            _ => unreachable!("more than {MOST_READS} cowns to read"),
        };
        author.known.insert(id);
        author.cowns.insert(Place::Result(id), handle.cown());
        if id.is_multiple_of(2) && self.results[id].set(handle.into_cown()).is_err() {
            self.fault(format!("#{id} was scheduled twice"));
        }
    }

    /// What a behavior names once more is an alias if it writes that, and has the value otherwise.
    fn named_again(&self, id: Id, again: ReadGuards<'_, Cell>) {
        let Behavior { writes, again: places, .. } = &self.program.behaviors[id];
        for (place, guard) in places.iter().zip(again) {
            if guard.is_alias() != writes.contains(place) {
                self.fault(format!("#{id} has the wrong guard for {place:?}, which it names more than once"));
            }
        }
    }

    fn body(
        self: &Arc<Self>,
        id: Id,
        author: Author,
        mut writes: Vec<Guard<'_, Cell>>,
        reads: Vec<ReadGuard<'_, Cell>>,
    ) -> Cell {
        let tick = self.clock.fetch_add(1, Ordering::Relaxed);
        let past = author.known.clone();
        let mut me = author;
        me.known.insert(id);
        // Exclusion, and what there is to be seen.
        for cell in &writes {
            if cell.inside.fetch_add(WRITER, Ordering::Relaxed) != 0 {
                self.fault(format!("#{id} writes a cown that somebody is at"));
            }
            me.known.insert_all(&cell.known);
            me.known.insert_all(&cell.known_by_readers.lock().unwrap());
        }
        for cell in &reads {
            if cell.inside.fetch_add(1, Ordering::Relaxed) >= WRITER {
                self.fault(format!("#{id} reads a cown that somebody writes"));
            }
            me.known.insert_all(&cell.known);
        }
        let look =
            |cell: &Cell, poisoned| Seen { value: cell.state.value, version: cell.state.writers.len(), poisoned };
        let look_at_all = |writes: &[Guard<'_, Cell>]| -> Vec<Seen> {
            let writes = writes.iter().map(|cell| look(cell, cell.is_poisoned()));
            writes.chain(reads.iter().map(|cell| look(cell, cell.is_poisoned()))).collect()
        };
        let seen = look_at_all(&writes);
        let behavior = &self.program.behaviors[id];
        self.schedule_all(&mut me, &behavior.steps);
        if look_at_all(&writes) != seen {
            self.fault(format!("#{id} had a cown change under its hands"));
        }
        let digest = reference::digest(id, &seen);
        // What it leaves behind.
        for cell in &mut writes {
            cell.state.value = reference::write(cell.state.value, digest);
            cell.state.writers.push(id);
            cell.known.clone_from(&me.known);
            cell.inside.fetch_sub(WRITER, Ordering::Relaxed);
        }
        for cell in &reads {
            cell.known_by_readers.lock().unwrap().insert_all(&me.known);
            cell.inside.fetch_sub(1, Ordering::Relaxed);
        }
        if self.records[id].set(Record { tick, seen, past }).is_err() {
            self.fault(format!("#{id} ran twice"));
        }
        if behavior.panics {
            resume_unwind(Box::new("as the program says"));
        }
        self.cell(digest, me.known)
    }

    /// When everything is done.
    fn finish(self: Arc<Self>, mut cowns: BTreeMap<Place, Cown<Cell>>) -> Result<Run, String> {
        let scene = Arc::into_inner(self).ok_or("a behavior's closure was not dropped")?;
        let results = scene.results.into_iter().enumerate();
        cowns.extend(results.filter_map(|(id, cown)| Some((Place::Result(id), cown.into_inner()?))));
        let mut states = BTreeMap::new();
        for (place, cown) in &cowns {
            // One poll: everybody is done, so that it is free.
            let mut future = pin!(acquire(cown));
            let Poll::Ready(mut held) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) else {
                return Err(format!("{place:?} is held, and all are done"));
            };
            let state = held.try_guards().ok().map(|cell| State { poisoned: cell.is_poisoned(), ..cell.state.clone() });
            states.insert(*place, state);
        }
        drop(cowns);
        if let Some(fault) = scene.faults.into_inner().unwrap().first() {
            return Err(fault.clone());
        }
        Ok(Run { records: scene.records.into_iter().map(OnceLock::into_inner).collect(), states })
    }
}

fn without_leaks(run: impl FnOnce(&Arc<AtomicI64>) -> Result<Run, String>) -> Result<Run, String> {
    let live = Arc::new(AtomicI64::new(0));
    let run = run(&live)?;
    match live.load(Ordering::Relaxed) {
        0 => Ok(run),
        left => Err(format!("{left} values were not dropped")),
    }
}

/// On a runtime of so many workers, with a thread for each of the program's.
pub fn on_workers(program: &Program, workers: usize) -> Result<Run, String> {
    without_leaks(|live| {
        let runtime = Builder::new().workers(workers).build().map_err(|error| error.to_string())?;
        let (scene, author) = Scene::new(program, On::Runtime(runtime.reference()), live);
        let start = Barrier::new(program.threads.len());
        thread::scope(|scope| {
            for steps in &program.threads {
                let (scene, start, mut author) = (&scene, &start, author.clone());
                scope.spawn(move || {
                    start.wait();
                    scene.schedule_all(&mut author, steps);
                });
            }
        });
        if let Err(error) = runtime.wait(Some(Duration::from_millis(PATIENCE.load(Ordering::Relaxed)))) {
            // To drop it would wait for ever.
            std::mem::forget(runtime);
            return Err(format!("it hangs: {error}"));
        }
        drop(runtime);
        scene.finish(author.cowns)
    })
}

/// In the order that `seed` stands for; the program's threads are behaviors that ask for nothing. Nothing may panic.
pub fn deterministically(program: &Program, seed: u64) -> Result<Run, String> {
    without_leaks(|live| {
        let (scene, author) = Scene::new(program, On::Program, live);
        replay(seed, || {
            if let [steps] = &program.threads[..] {
                scene.schedule_all(&mut author.clone(), steps);
            } else {
                for (thread, mut author) in (0..program.threads.len()).map(|thread| (thread, author.clone())) {
                    let scene = scene.clone();
                    when((), move |()| scene.schedule_all(&mut author, &scene.program.threads[thread]));
                }
            }
            quiesce(None).expect("nothing is held by anybody else");
        });
        scene.finish(author.cowns)
    })
}
