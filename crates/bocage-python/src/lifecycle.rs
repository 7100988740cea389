//! `start`, `wait`, `quiesce`, and the end of the interpreter.
//!
//! There is at most one runtime of the Python layer at a time, whoever schedules: `@when` starts it, `wait`
//! stops it when it is quiet, the next `@when` starts the next one. What belongs to one run (the board, the
//! functions that were sent) is forgotten when it stops.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bocage_noticeboard::Board;
use bocage_runtime::{Admission, Builder, Error as RuntimeError, Runtime, RuntimeRef};

use crate::host::{self, Program};
use crate::py::method::{Method, function};
use crate::py::{Args, Attached, Error, Kind, Obj, Ref, Result, Signature};
use crate::state::State;
use crate::value::Value;
use crate::{board, cown, cycles, fork, function as functions, pending, unraised};

/// One run: a runtime, and what goes with it.
pub(crate) struct Run {
    pub(crate) runtime: Runtime,
    pub(crate) board: Board<Value>,
}

static RUN: Mutex<Option<Arc<Run>>> = Mutex::new(None);

/// Held while a run starts, with the GIL released.
static STARTING: Mutex<()> = Mutex::new(());

/// The main interpreter is at its exit: behaviors that run may still schedule others, and nobody else may.
static LEAVING: AtomicBool = AtomicBool::new(false);

/// Stack for a worker, in bytes: what a main thread usually has, twice. CPython takes some of its limits on
/// recursion for granted on 8 MiB.
const WORKER_STACK: usize = 16 << 20;

/// Ctrl-C must come through within 100 ms.
pub(crate) const TICK: Duration = Duration::from_millis(40);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether no run goes on and none is being started. Waits for nothing.
#[cfg(unix)]
pub(crate) fn is_idle() -> bool {
    use std::sync::{TryLockError, TryLockResult};
    let free = |held: TryLockResult<MutexGuard<'_, ()>>| !matches!(held, Err(TryLockError::WouldBlock));
    let none = |run: TryLockResult<MutexGuard<'_, Option<Arc<Run>>>>| match run {
        Ok(run) => run.is_none(),
        Err(TryLockError::Poisoned(run)) => run.into_inner().is_none(),
        Err(TryLockError::WouldBlock) => false,
    };
    free(STARTING.try_lock()) && none(RUN.try_lock())
}

/// The run that goes on now.
pub(crate) fn current() -> Result<Option<Arc<Run>>> {
    fork::check()?;
    Ok(lock(&RUN).clone())
}

/// An error at exit, but in a behavior.
pub(crate) fn check_open() -> Result<()> {
    // Relaxed: the main interpreter's threads have its GIL, under which it is set. Those of others may be late: then
    // the runtime takes the behavior in, or has stopped and refuses.
    if LEAVING.load(Ordering::Relaxed) && RuntimeRef::current().is_none() {
        return Err(leaving());
    }
    Ok(())
}

fn leaving() -> Error {
    Error::runtime_error(
        "cannot schedule behaviors at interpreter shutdown: those that still run may schedule others, and nobody else",
    )
}

/// Takes in behaviors: a main interpreter began.
pub(crate) fn open() {
    // Relaxed: as above.
    LEAVING.store(false, Ordering::Relaxed);
}

/// Counts a behavior that is about to be scheduled, and starts a runtime if there is none.
pub(crate) fn admit(state: &State) -> Result<Admission> {
    loop {
        if let Some(runtime) = state.runtime.get()
            && !fork::is_orphan()
            && let Ok(admission) = runtime.admit()
        {
            return Ok(admission);
        }
        let runtime = match RuntimeRef::current() {
            Some(runtime) => runtime,
            None => ensure(state, None)?.runtime.reference(),
        };
        state.runtime.set(Some(runtime));
    }
}

/// The run that goes on, started if there is none.
pub(crate) fn ensure(state: &State, workers: Option<usize>) -> Result<Arc<Run>> {
    let py = state.py();
    if let Some(run) = current()? {
        return Ok(run);
    }
    if !py.is_main_interpreter() {
        return Err(Error::runtime_error("bocage can be started from the main interpreter only"));
    }
    let count = match workers {
        Some(count) => count,
        None => default_workers()?,
    };
    let program = Arc::new(Program::of_this_interpreter(py)?);
    // Workers need the main interpreter's GIL to make theirs.
    let started = py.detached(move || {
        let _starting = lock(&STARTING);
        let mut run = lock(&RUN).clone();
        // Relaxed: who leaves asks for the lock of `STARTING` after it.
        if run.is_none() && !LEAVING.load(Ordering::Relaxed) {
            // What is pending is looked for: a register would know the body's type only, which all behaviors have.
            let builder = Builder::new().workers(count).name_prefix("bocage").name_pending(false);
            let builder = host::hooks(builder.stack_size(WORKER_STACK), program);
            let runtime = builder.build()?;
            let board = board::start().map_err(|error| RuntimeError::Start { worker: 0, source: error.into() })?;
            run = Some(Arc::new(Run { runtime, board }));
            lock(&RUN).clone_from(&run);
        }
        Ok(run)
    });
    started.map_err(|error| host::start_error(&error))?.ok_or_else(leaving)
}

/// The number of workers if nobody says otherwise: physical cores less one, at least 1, at most what affinity
/// and cgroup allow; or what the environment says.
fn default_workers() -> Result<usize> {
    for name in ["BOCAGE_WORKERS", "BOCPY_WORKERS"] {
        let Some(text) = std::env::var_os(name) else { continue };
        let count = text.to_str().and_then(|text| text.trim().parse().ok()).filter(|count| *count > 0);
        return count.ok_or_else(|| {
            Error::value_error(format!("{name} must be a positive integer, not '{}'", text.to_string_lossy()))
        });
    }
    Ok(worker_count())
}

/// `WORKER_COUNT`.
pub(crate) fn worker_count() -> usize {
    let allowed = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    allowed.min(num_cpus::get_physical().saturating_sub(1)).max(1)
}

/// `start`
pub(crate) const START: Method =
    function(c"start", start, c"start(worker_count=None, *, debug=False)\n--\n\nStart the runtime now, with so many workers. Without it the first @when does.\n\nDoes nothing if it runs already. The default is WORKER_COUNT, or what the environment variable BOCAGE_WORKERS\nsays. From the main interpreter only.");

/// `wait`
pub(crate) const WAIT: Method =
    function(c"wait", wait, c"wait(timeout=None, *, stats=False, noticeboard=False)\n--\n\nBlock until every behavior is done, then stop the runtime. The next @when starts a new one.\n\ntimeout is in seconds. When it is over, raises TimeoutError, which names up to five of those that are left, their\ncowns, and who holds these outside: nothing is lost, the behaviors go on, and wait can be called again. Returns None; with stats a list of one dict for each worker; with noticeboard a dict of what the\nboard held; with both a WaitResult.");

/// `quiesce`
pub(crate) const QUIESCE: Method =
    function(c"quiesce", quiesce, c"quiesce(timeout=None, *, stats=False, noticeboard=False)\n--\n\nBlock until every behavior is done. Like wait(), but the runtime goes on.");

/// Registered with `atexit`.
pub(crate) const AT_EXIT: Method =
    function(c"_at_exit", at_exit, c"Finishes what is scheduled, at the interpreter's exit.");

/// What `_worker` reports imports to.
pub(crate) const IMPORTING: Method =
    function(c"_importing", importing, c"Told how deep a worker is in code of modules that it imports.");

static START_PARAMETERS: Signature<2> = Signature::new("start", ["worker_count", "debug"], 0).keyword_only(1);

fn start(state: &State, args: Args<'_>) -> Result<()> {
    // `debug` asks that every value be converted on its way, and every value is.
    let [count, _debug] = START_PARAMETERS.bind(&args)?;
    let count = match count.filter(|count| !count.is_none()) {
        None => None,
        Some(count) if !count.is_int() || count.is_bool() => {
            return Err(Error::type_error(format!("worker_count must be an int, not {}", count.type_name())));
        }
        Some(count) => match count.to_i64()? {
            count @ 1..=4096 => Some(count as usize),
            count => {
                return Err(Error::value_error(format!("worker_count must be between 1 and 4096, not {count}")));
            }
        },
    };
    if !state.py().is_main_interpreter() {
        return Err(Error::runtime_error("bocage can be started from the main interpreter only"));
    }
    ensure(state, count).map(drop)
}

static WAIT_PARAMETERS: Signature<3> = Signature::new("wait", ["timeout", "stats", "noticeboard"], 0).keyword_only(1);
static QUIESCE_PARAMETERS: Signature<3> =
    Signature::new("quiesce", ["timeout", "stats", "noticeboard"], 0).keyword_only(1);

fn wait(state: &State, args: Args<'_>) -> Result<Obj> {
    settle(state, &WAIT_PARAMETERS, &args, true)
}

fn quiesce(state: &State, args: Args<'_>) -> Result<Obj> {
    settle(state, &QUIESCE_PARAMETERS, &args, false)
}

fn settle(state: &State, signature: &Signature<3>, args: &Args<'_>, stop: bool) -> Result<Obj> {
    let py = state.py();
    let [timeout, stats, noticeboard] = signature.bind(args)?;
    let deadline = deadline(timeout)?;
    let wants_stats = stats.map(|s| s.is_true()).transpose()?.unwrap_or(false);
    let wants_board = noticeboard.map(|n| n.is_true()).transpose()?.unwrap_or(false);
    if !py.is_main_interpreter() {
        return Err(Error::runtime_error("a behavior can't wait for all behaviors: it would wait for itself"));
    }
    let run = current()?;
    let (mut worker_stats, mut final_board) = (Vec::new(), None);
    if let Some(run) = &run {
        until_quiet(py, run, deadline, stop)?;
        worker_stats = run.runtime.stats();
        if wants_board {
            final_board = Some(py.detached(|| run.board.flush(None)).map_err(|error| board::error(&error))?);
        }
        if stop {
            forget(state, run);
        }
    }
    if stop {
        py.detached(cycles::collect);
    }
    unraised::drain(state);
    board::log_warnings(state)?;
    state.lender.take_back(py);
    // A pending call may have been lost, and signals came in meanwhile.
    py.check_signals()?;
    let stats = || Obj::list(py, worker_stats.iter().map(|s| stats_dict(py, s)).collect::<Result<Vec<_>>>()?);
    let board = || final_board.as_ref().map_or_else(|| Obj::dict(py), |snapshot| board::to_dict(state, snapshot));
    match (wants_stats, wants_board) {
        (false, false) => Ok(py.none()),
        (true, false) => stats(),
        (false, true) => board(),
        (true, true) => {
            py.import(c"bocage._results")?.attr(c"WaitResult")?.call(&[(&stats()?).into(), (&board()?).into()])
        }
    }
}

fn stats_dict(py: Attached, stats: &bocage_runtime::WorkerStats) -> Result<Obj> {
    let dict = Obj::dict(py)?;
    let counters = [
        ("scheduled", stats.scheduled),
        ("run", stats.run),
        ("stolen", stats.stolen),
        ("handed_over", stats.handed_over),
        ("parked", stats.parked),
        ("stalled", stats.stalled),
    ];
    for (name, count) in counters {
        dict.dict_set(&Obj::text(py, name)?, &py.uint(count)?)?;
    }
    Ok(dict)
}

/// When a timeout is over; `None` for never.
pub(crate) fn deadline(timeout: Option<Ref<'_>>) -> Result<Option<Instant>> {
    let Some(timeout) = timeout.filter(|t| !t.is_none()) else { return Ok(None) };
    if timeout.is_bool() || !(timeout.is_int() || timeout.is_float()) {
        return Err(Error::type_error(format!(
            "timeout must be a number of seconds or None, not {}",
            timeout.type_name()
        )));
    }
    let seconds = match timeout.to_f64() {
        Err(error) if error.matches(timeout.py(), Kind::OverflowError) => f64::INFINITY,
        seconds => seconds?,
    };
    if seconds.is_nan() {
        return Err(Error::value_error("timeout must be a number of seconds, not nan"));
    }
    Ok((seconds <= 1e9).then(|| Instant::now() + Duration::from_secs_f64(seconds.max(0.0))))
}

/// Waits, with a look at signals now and then.
fn until_quiet(py: Attached, run: &Run, deadline: Option<Instant>, stop: bool) -> Result<()> {
    loop {
        let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
        let nap = left.map_or(TICK, |left| left.min(TICK));
        let runtime = &run.runtime;
        let is_done = py.detached(|| if stop { runtime.stops_within(nap) } else { runtime.rests_within(nap) });
        if is_done.map_err(|error| Error::runtime_error(error.to_string()))? {
            return Ok(());
        }
        py.check_signals()?;
        State::current(py)?.lender.take_back(py);
        if left.is_some_and(|left| left <= nap) {
            let told = py.detached(|| pending::describe(runtime));
            let message = format!("{told}; nothing is lost: they go on, and wait() can be called again");
            return Err(Error::timeout_error(message));
        }
    }
}

/// Forgets a run that has stopped.
fn forget(state: &State, run: &Arc<Run>) {
    let mut now = lock(&RUN);
    if now.as_ref().is_some_and(|now| Arc::ptr_eq(now, run)) {
        let old = now.take();
        drop(now);
        functions::forget_all();
        state.forget_program();
        // The board's thread ends; the last values on it go.
        state.py().detached(|| drop(old));
    }
}

/// An error unless nothing is in flight.
pub(crate) fn check_at_rest() -> Result<()> {
    match current()? {
        Some(run) if run.runtime.pending() > 0 => Err(Error::runtime_error(format!(
            "still in flight: {} behaviors are not done; call wait() or quiesce() before unwrap()",
            run.runtime.pending()
        ))),
        _ => Ok(()),
    }
}

fn at_exit(state: &State, _args: Args<'_>) -> Result<()> {
    let py = state.py();
    if !py.is_main_interpreter() {
        cown::give_up_all(state);
        state.forget_everything();
        return Ok(());
    }
    if fork::is_orphan() {
        host::after_the_last(py);
        return Ok(());
    }
    // Relaxed: see `check_open` and `ensure`.
    LEAVING.store(true, Ordering::Relaxed);
    py.detached(|| drop(lock(&STARTING)));
    cown::give_up_all(state);
    if let Some(run) = current()? {
        if let Err(error) = until_quiet(py, &run, None, true) {
            // Ctrl-C: what still runs can't be stopped, and CPython can't end under it.
            Error::Raised(error.into_object(py)).print(py);
            py.flush_standard_streams();
            // SAFETY: ends the process at once; nothing of it is used any more.
            unsafe { libc::_exit(130) }
        }
        forget(state, &run);
    }
    host::end_parked(py);
    unraised::drain_all(state);
    let logged = board::log_warnings(state);
    state.forget_everything();
    logged
}

fn importing(state: &State, args: Args<'_>) -> Result<()> {
    if let [depth] = args.positional() {
        state.known.importing.set(depth.to_i64()?);
    }
    Ok(())
}
