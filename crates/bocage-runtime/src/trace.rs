//! Traces (feature `trace`): what ran where and when, to be looked at in Perfetto or `chrome://tracing`.
//!
//! One track for each worker, a slice for each behavior, an arrow where a behavior that released a cown made the next
//! one ready. A slice begins when the body is called and ends when the cowns are released. Its name is the type of the
//! closure, which tells the function that it stands in, unless the body says another [`name`]. Its arguments tell how
//! long the behavior had waited since it was scheduled, and on which cowns
//! ([`CownId`](bocage_core::CownId), `read` if only to read).
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
//! trace pays for a look at a flag when it schedules and when it runs. One that traces pays for two looks at the clock
//! and a lock that nobody else takes. Behaviors that come in by [`admit`](crate::Runtime::admit), as those of the Python
//! layer do, have a slice, but no name of their own nor a time of waiting. [Pinned](crate::Pinned) behaviors have none:
//! the thread that runs them is no worker.

use std::any::type_name;
use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::io;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use bocage_core::Requests;
use crossbeam_utils::CachePadded;
use serde_json::{Value, json};

use crate::worker::with_current;

/// Nanoseconds since a moment that is the same for all runtimes of the process.
fn now() -> u64 {
    static EPOCH: OnceLock<Instant> = OnceLock::new();
    let since = EPOCH.get_or_init(Instant::now).elapsed();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Names the slice of the behavior that the calling thread runs, instead of its closure's type. Elsewhere, and if
/// nothing is traced, it does nothing.
pub fn name(name: impl Into<Cow<'static, str>>) {
    with_current(|worker| {
        if let Some(worker) = worker {
            worker.slice().rename(name.into());
        }
    });
}

/// Where a runtime's workers write down what they do.
pub(crate) struct Tracer {
    /// How many slices, and how many arrows, each worker keeps; 0 for no trace.
    limit: AtomicUsize,
    /// One for each worker: locked by it alone, but for whoever takes the trace.
    lanes: Box<[CachePadded<Mutex<Lane>>]>,
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

/// The start of an arrow: a worker made the behavior of this block ready.
struct Arrow {
    block: usize,
    at: u64,
}

/// The slice that a worker is at, while there is one.
#[derive(Default)]
pub(crate) struct Open(RefCell<Option<Slice>>);

impl Open {
    fn rename(&self, name: Cow<'static, str>) {
        if let Some(slice) = &mut *self.0.borrow_mut() {
            slice.name = Some(name);
        }
    }

    fn begin(&self, label: Label) {
        if let Some(slice) = &mut *self.0.borrow_mut() {
            slice.label = Some(label);
            slice.begin = now();
        }
    }
}

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
        with_current(|worker| {
            if let Some(worker) = worker {
                worker.slice().begin(label);
            }
        });
    }
}

impl Tracer {
    pub(crate) fn new(workers: usize) -> Self {
        Self { limit: AtomicUsize::new(0), lanes: (0..workers).map(|_| CachePadded::default()).collect() }
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

    fn lane(&self, worker: usize) -> MutexGuard<'_, Lane> {
        self.lanes[worker].lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Told by a worker that it hands the behavior of this block over, to itself or to whoever steals it.
    pub(crate) fn handed_over(&self, worker: usize, block: NonNull<()>) {
        let limit = self.limit();
        if limit > 0 {
            let mut lane = self.lane(worker);
            if lane.arrows.len() < limit {
                lane.arrows.push(Arrow { block: address(block), at: now() });
            }
        }
    }

    /// Told by a worker that it is about to run the behavior of this block.
    pub(crate) fn begin(&self, block: NonNull<()>, open: &Open) {
        if self.is_on() {
            let at = now();
            open.0.replace(Some(Slice { block: address(block), begin: at, end: at, name: None, label: None }));
        }
    }

    /// Told by a worker that it has run it.
    pub(crate) fn end(&self, worker: usize, open: &Open) {
        let Some(slice) = open.0.take() else { return };
        let mut lane = self.lane(worker);
        if lane.slices.len() < self.limit() {
            lane.slices.push(Slice { end: now(), ..slice });
        } else {
            lane.dropped += 1;
        }
    }

    pub(crate) fn take(&self) -> Trace {
        Trace { lanes: (0..self.lanes.len()).map(|worker| std::mem::take(&mut *self.lane(worker))).collect() }
    }
}

/// What a runtime's workers did, from the time when it was built, or from when the last trace was taken.
pub struct Trace {
    /// One for each worker.
    lanes: Vec<Lane>,
}

impl Trace {
    /// How many behaviors it tells of.
    pub fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.slices.len()).sum()
    }

    /// Whether it tells of none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many behaviors ran that it does not tell of, as there were more than the builder was told to keep.
    pub fn dropped(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.dropped).sum()
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
            if !std::mem::take(&mut first) {
                to.write_all(b",\n")?;
            }
            serde_json::to_writer(&mut to, &event).map_err(io::Error::from)
        };
        for (worker, lane) in self.lanes.iter().enumerate() {
            let name = format!("worker {worker}");
            event(json!({"ph": "M", "name": "thread_name", "pid": 1, "tid": worker, "args": {"name": name}}))?;
            for slice in &lane.slices {
                event(slice.json(worker))?;
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
        for (worker, lane) in self.lanes.iter().enumerate() {
            for arrow in &lane.arrows {
                starts.entry(arrow.block).or_default().push((arrow.at, worker));
            }
        }
        for starts in starts.values_mut() {
            starts.sort_unstable();
        }
        let mut slices: Vec<_> = self
            .lanes
            .iter()
            .enumerate()
            .flat_map(|(to, lane)| lane.slices.iter().map(move |slice| (to, slice)))
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
    fn json(&self, worker: usize) -> Value {
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
        json!({"ph": "X", "name": name, "cat": "behavior", "pid": 1, "tid": worker, "ts": ts, "dur": dur, "args": args})
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
