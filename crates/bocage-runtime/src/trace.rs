//! Traces (feature `trace`): what ran where and when, to be looked at in Perfetto or `chrome://tracing`.
//!
//! One track for each worker, and for each thread that ran what is [pinned](crate::Pinned) to it (`pinned to` its name); a
//! slice for each behavior, an arrow where a behavior that released a cown made the next one ready. A slice begins when
//! the body is called and ends when the cowns are released. Its name is the type of the closure, which tells the function
//! that it stands in, unless the body says another [`name`]. Its arguments tell how long the behavior had waited since it
//! was scheduled, and on which cowns ([`CownId`](bocage_core::CownId), `read` if only to read).
//!
//! ```
//! use bocage_core::Cown;
//! use bocage_runtime::{Builder, trace};
//!
//! let runtime = Builder::new().workers(2).trace(100_000).build()?;
//! let account = Cown::new(100);
//! for amount in [10, 20] {
//!     drop(runtime.when(&account, move |mut account| {
//!         trace::name("withdraw");
//!         *account -= amount;
//!     }));
//! }
//! runtime.wait(None)?;
//! let mut json = Vec::new();
//! runtime.take_trace().write(&mut json).unwrap();
//! assert!(String::from_utf8(json).unwrap().contains("withdraw"));
//! # Ok::<(), bocage_runtime::Error>(())
//! ```
//!
//! Without the feature none of this is compiled. With it, a runtime whose [`Builder`](crate::Builder) was not told to
//! trace pays for a look at a flag when it schedules, when it runs and when it hands over. One that traces pays for two
//! looks at the clock and a lock that nobody else takes, or, for what is pinned, no other than threads that pump.
//! Behaviors that come in by [`admit`](crate::Runtime::admit), as those of the Python layer do, have a slice, but no
//! name of their own nor a time of waiting; nor have those whose body is not called, since they are cancelled or the result
//! that they asked for is not there. Each runtime has its own trace: what a thread runs for two of them is in two,
//! and no arrow leads from one to the other.

use std::any::type_name;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::mem::{self, ManuallyDrop};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;

use bocage_core::Requests;
use crossbeam_utils::CachePadded;
use serde_json::{Value, json};

/// Nanoseconds since a moment that is the same for all runtimes of the process.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let since = EPOCH.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Names the slice of the behavior that the calling thread runs, instead of its closure's type. Elsewhere, and if
/// nothing is traced, it does nothing.
pub fn name(name: impl Into<Cow<'static, str>>) {
    let name = name.into();
    with_open(|slice| slice.name = Some(name));
}

/// Where those who run a runtime's behaviors write down what they do.
pub(crate) struct Tracer {
    /// How many slices, and how many arrows, each of them keeps; 0 for no trace.
    limit: AtomicUsize,
    /// One for each worker: locked by it alone, but for whoever takes the trace.
    workers: Box<[CachePadded<Mutex<Lane>>]>,
    /// One for each thread that ran what is pinned to it, since the last trace was taken.
    owners: Mutex<Vec<OwnerLane>>,
}

/// Who writes something down.
#[derive(Clone, Copy)]
pub(crate) enum By {
    Worker(usize),
    /// The calling thread, which runs what is pinned to it.
    Owner,
}

/// What a thread wrote down that ran what is pinned to it.
struct OwnerLane {
    thread: ThreadId,
    track: String,
    lane: Lane,
}

#[derive(Default)]
struct Lane {
    slices: Vec<Slice>,
    arrows: Vec<Arrow>,
    dropped: u64,
}

/// What the program said of a behavior when it was scheduled.
pub(crate) struct Label {
    name: &'static str,
    scheduled: u64,
    cowns: Box<[(usize, bool)]>,
}

/// A behavior that ran. Its block's address tells it from all others that are alive at the same time.
struct Slice {
    block: usize,
    begin: u64,
    end: u64,
    name: Option<Cow<'static, str>>,
    label: Option<Label>,
}

/// The start of an arrow: who wrote it down made the behavior of this block ready.
struct Arrow {
    block: usize,
    at: u64,
}

thread_local! {
    /// The slice that the calling thread is at, while there is one. Whoever opens one closes it, so that nothing is left
    /// to be dropped, and it can be looked at for as long as the thread lives.
    static OPEN: RefCell<ManuallyDrop<Option<Slice>>> = const { RefCell::new(ManuallyDrop::new(None)) };
}

/// Tells something of the slice that the calling thread is at.
fn with_open(tell: impl FnOnce(&mut Slice)) {
    OPEN.with_borrow_mut(|open| open.as_mut().map(tell));
}

/// What the calling thread was at before it opened a slice: a body that waits, as one that drops another runtime does,
/// may pump meanwhile.
#[must_use = "a slice ends"]
pub(crate) struct Outer(Option<Slice>);

fn address(block: NonNull<()>) -> usize {
    block.as_ptr().addr()
}

/// The body, so that a trace tells of it.
pub(crate) fn labelled<Q, R, F>(
    tracer: &Tracer,
    requests: &Q,
    body: F,
) -> impl for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static + use<Q, R, F>
where
    Q: Requests,
    R: Send + 'static,
    F: for<'a> FnOnce(Q::Guards<'a>) -> R + Send + 'static,
{
    let label = label::<Q, F>(tracer, requests);
    move |guards: Q::Guards<'_>| {
        begin(label);
        body(guards)
    }
}

/// What there is to tell of a behavior with `F` for a body, if anything is traced.
pub(crate) fn label<Q: Requests, F>(tracer: &Tracer, requests: &Q) -> Option<Label> {
    tracer.is_on().then(|| {
        let mut cowns = Vec::new();
        requests.visit(&mut |cown| cowns.push((cown.id().get(), cown.reads())));
        Label { name: type_name::<F>(), scheduled: now(), cowns: cowns.into() }
    })
}

/// Told by a body that it begins.
pub(crate) fn begin(label: Option<Label>) {
    if let Some(label) = label {
        with_open(|slice| {
            slice.label = Some(label);
            slice.begin = now();
        });
    }
}

impl Tracer {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            limit: AtomicUsize::new(0),
            workers: (0..workers).map(|_| CachePadded::default()).collect(),
            owners: Mutex::default(),
        }
    }

    /// Begins or ends tracing, and forgets what was recorded.
    pub(crate) fn restart(&self, limit: usize) {
        // Relaxed: it says only whether to record.
        self.limit.store(limit, Ordering::Relaxed);
        drop(self.take());
    }

    fn limit(&self) -> usize {
        // Relaxed: as above.
        self.limit.load(Ordering::Relaxed)
    }

    pub(crate) fn is_on(&self) -> bool {
        self.limit() > 0
    }

    fn write(&self, by: By, write: impl FnOnce(&mut Lane)) {
        match by {
            By::Worker(index) => write(&mut lock(&self.workers[index])),
            By::Owner => {
                let (here, mut owners) = (thread::current(), lock(&self.owners));
                let at = owners.iter().position(|owner| owner.thread == here.id()).unwrap_or_else(|| {
                    let name = here.name().map_or_else(|| format!("{:?}", here.id()), str::to_owned);
                    let track = format!("pinned to {name}");
                    owners.push(OwnerLane { thread: here.id(), track, lane: Lane::default() });
                    owners.len() - 1
                });
                write(&mut owners[at].lane);
            }
        }
    }

    /// Told by who releases a cown that it hands it to the behavior of this block, whoever runs that then.
    pub(crate) fn handed_over(&self, by: By, block: NonNull<()>) {
        let limit = self.limit();
        if limit > 0 {
            self.write(by, |lane| {
                if lane.arrows.len() < limit {
                    lane.arrows.push(Arrow { block: address(block), at: now() });
                }
            });
        }
    }

    /// The calling thread is about to run the behavior of this block. If nothing is traced it is at no slice then, not
    /// even at an outer one, which is not what a body would name.
    pub(crate) fn open(&self, block: NonNull<()>) -> Outer {
        let slice = self.is_on().then(|| {
            let at = now();
            Slice { block: address(block), begin: at, end: at, name: None, label: None }
        });
        Outer(ManuallyDrop::into_inner(OPEN.replace(ManuallyDrop::new(slice))))
    }

    /// It has run it.
    pub(crate) fn close(&self, by: By, outer: Outer) {
        let Some(slice) = ManuallyDrop::into_inner(OPEN.replace(ManuallyDrop::new(outer.0))) else { return };
        let limit = self.limit();
        self.write(by, |lane| {
            if lane.slices.len() < limit {
                lane.slices.push(Slice { end: now(), ..slice });
            } else {
                lane.dropped += 1;
            }
        });
    }

    pub(crate) fn take(&self) -> Trace {
        let workers =
            self.workers.iter().enumerate().map(|(i, lane)| (format!("worker {i}"), mem::take(&mut *lock(lane))));
        let owners = mem::take(&mut *lock(&self.owners)).into_iter().map(|owner| (owner.track, owner.lane));
        Trace { tracks: workers.chain(owners).collect() }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What ran on a runtime, from the time when it was built, or from when the last trace was taken.
pub struct Trace {
    /// With their names: one for each worker, then those of threads that ran what is pinned to them.
    tracks: Vec<(String, Lane)>,
}

impl Trace {
    /// How many behaviors it tells of.
    pub fn len(&self) -> usize {
        self.tracks.iter().map(|(_, lane)| lane.slices.len()).sum()
    }

    /// Whether it tells of none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many behaviors ran that it does not tell of, as there were more than the builder was told to keep.
    pub fn dropped(&self) -> u64 {
        self.tracks.iter().map(|(_, lane)| lane.dropped).sum()
    }

    /// Writes it as JSON in Chrome's trace event format, which Perfetto reads too. Best into a buffered writer.
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn write(&self, mut to: impl io::Write) -> io::Result<()> {
        to.write_all(b"{\"displayTimeUnit\":\"ns\",\"traceEvents\":[\n")?;
        let mut first = true;
        let mut event = |event: Value| -> io::Result<()> {
            if !mem::take(&mut first) {
                to.write_all(b",\n")?;
            }
            serde_json::to_writer(&mut to, &event).map_err(io::Error::from)
        };
        for (track, (name, lane)) in self.tracks.iter().enumerate() {
            event(json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": track, "args": {"name": name}}))?;
            for slice in &lane.slices {
                event(slice.json(track))?;
            }
        }
        for (id, arrow) in self.arrows().iter().enumerate() {
            let (from, begin, to, end) = (arrow.from, micros(arrow.at), arrow.to, micros(arrow.begin));
            event(
                json!({"ph": "s", "name": "hand-over", "cat": "hand-over", "id": id, "pid": 1, "tid": from, "ts": begin}),
            )?;
            event(
                json!({"ph": "f", "bp": "e", "name": "hand-over", "cat": "hand-over", "id": id, "pid": 1, "tid": to, "ts": end}),
            )?;
        }
        to.write_all(b"\n]}\n")?;
        to.flush()
    }

    /// The arrows whose both ends were recorded.
    fn arrows(&self) -> Vec<WholeArrow> {
        let mut starts: HashMap<usize, Vec<(u64, usize)>> = HashMap::new();
        for (track, (_, lane)) in self.tracks.iter().enumerate() {
            for arrow in &lane.arrows {
                starts.entry(arrow.block).or_default().push((arrow.at, track));
            }
        }
        for starts in starts.values_mut() {
            starts.sort_unstable();
        }
        let mut slices: Vec<_> = self
            .tracks
            .iter()
            .enumerate()
            .flat_map(|(to, (_, lane))| lane.slices.iter().map(move |slice| (to, slice)))
            .collect();
        slices.sort_unstable_by_key(|(_, slice)| slice.begin);
        let mut whole = Vec::new();
        // One block may be a behavior's after another's: an arrow leads to the first that begins after it. What it
        // led to may be missing, so it must not be older than the behavior either.
        for (to, slice) in slices {
            let Some(starts) = starts.get_mut(&slice.block) else { continue };
            let before = starts.partition_point(|(at, _)| *at <= slice.begin);
            let last = starts.drain(..before).next_back();
            if let Some((at, from)) = last
                && slice.label.as_ref().is_none_or(|label| label.scheduled <= at)
            {
                whole.push(WholeArrow { from, at, to, begin: slice.begin });
            }
        }
        whole
    }
}

struct WholeArrow {
    from: usize,
    at: u64,
    to: usize,
    begin: u64,
}

impl Slice {
    fn json(&self, track: usize) -> Value {
        let name = self.name.as_deref().or(self.label.as_ref().map(|label| label.name)).unwrap_or("behavior");
        let (ts, dur) = (micros(self.begin), micros(self.end - self.begin));
        let args = self.label.as_ref().map_or_else(
            || json!({}),
            |label| {
                let cowns =
                    label.cowns.iter().map(|(id, reads)| format!("{}{id:#x}", if *reads { "read " } else { "" }));
                json!({"waited_us": micros(self.begin - label.scheduled), "cowns": cowns.collect::<Vec<_>>()})
            },
        );
        json!({"ph": "X", "name": name, "cat": "behavior", "pid": 1, "tid": track, "ts": ts, "dur": dur, "args": args})
    }
}

/// The format's unit, with three digits after the point.
fn micros(nanos: u64) -> f64 {
    nanos as f64 / 1000.0
}

impl std::fmt::Debug for Trace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Trace").field("behaviors", &self.len()).field("dropped", &self.dropped()).finish()
    }
}
