//! The extension module `bocage._bocage`: Bocage for CPython 3.12 and up.
//!
//! The same library is loaded in the main interpreter and in every worker's sub-interpreter, each of
//! which has its own GIL. So nothing here is shared between interpreters but Rust data that is `Send`
//! and `Sync`; every Python object belongs to one interpreter's [`state`].
//!
//! ```python
//! from bocage import Cown, when, wait
//!
//! account = Cown(100)
//!
//! @when(account)
//! def deposit(account, amount=20):
//!     account.value += amount
//!
//! wait()
//! print(account.unwrap())    # 120
//! ```
//!
//! Reading order: [`py`] (the layer over CPython's C API, the only place with raw references),
//! [`state`], [`value`] (how objects cross); [`cell`], [`cown`], [`holds`] and [`cycles`]; [`result`], [`inbox`] and
//! [`bell`] (waiting for one cown); a behavior's way: [`when`], [`schedule`], [`spread`] and [`function`] (what
//! travels), [`host`] (where it runs), [`run`] and [`resolve`] (there); [`lifecycle`], [`fork`], [`pending`], [`unraised`];
//! [`board`], [`matrix`].
//!
//! Invariants: no `static` holds a Python object; an object is touched only by a thread attached to
//! its interpreter (`Obj` is not `Send`); nothing unwinds into C.

mod bell;
mod board;
mod cell;
mod cown;
mod cycles;
mod fork;
mod function;
mod holds;
mod host;
mod inbox;
mod lifecycle;
mod matrix;
mod pending;
mod py;
mod resolve;
mod result;
mod run;
mod schedule;
mod spread;
mod state;
mod unraised;
mod value;
mod when;

use std::ffi::c_int;

use pyo3_ffi as ffi;

use py::method::{Method, function};
use py::module::{ModuleDef, ModuleSlots};
use py::{Args, Error, Obj, Result, Signature};
use state::State;

static METHODS: [Method; 16] = [
    when::WHEN,
    when::WHENCALL,
    lifecycle::START,
    lifecycle::WAIT,
    lifecycle::QUIESCE,
    lifecycle::AT_EXIT,
    lifecycle::IMPORTING,
    board::WRITE,
    board::DELETE,
    board::READ,
    board::BOARD,
    function(c"_handle", value::pickle::handle, c"For pickles of bocage's own."),
    function(c"_view", value::pickle::view, c"For pickles of bocage's own."),
    function(
        c"_roundtrip",
        roundtrip,
        c"_roundtrip(object): the object as another interpreter would get it; for tests.",
    ),
    function(
        c"_roundtrip_exception",
        roundtrip_exception,
        c"_roundtrip_exception(exception): as if a behavior had raised it; for tests.",
    ),
    Method::END,
];

static ONE: Signature<1> = Signature::new("_roundtrip", ["object"], 1);

fn roundtrip(state: &State, args: Args<'_>) -> Result<Obj> {
    let [object] = ONE.bind(&args)?;
    let object = object.ok_or_else(|| Error::type_error("_roundtrip() needs an object"))?;
    value::roundtrip(state, &object)
}

fn roundtrip_exception(state: &State, args: Args<'_>) -> Result<Obj> {
    let [object] = ONE.bind(&args)?;
    let object = object.ok_or_else(|| Error::type_error("_roundtrip() needs an object"))?;
    value::roundtrip_exception(state, &object)
}

static SLOTS: ModuleSlots<{ py::version::MODULE_SLOTS }> = ModuleSlots::isolated(exec);

static MODULE: ModuleDef = ModuleDef::new(c"bocage._bocage", c"The native half of bocage.", &METHODS, SLOTS.as_ptr());

/// Where CPython starts: `import bocage._bocage`.
#[unsafe(no_mangle)]
pub extern "C" fn PyInit__bocage() -> *mut ffi::PyObject {
    MODULE.init()
}

unsafe extern "C" fn exec(module: *mut ffi::PyObject) -> c_int {
    let body = |module: py::Ref<'_>| {
        // SAFETY: CPython gives the module that it is initialising.
        let state = unsafe { state::attach(module) }?;
        let version = py::Obj::text(module.py(), env!("CARGO_PKG_VERSION"))?;
        module.add(c"__version__", &version)?;
        module.add(c"WORKER_COUNT", &module.py().uint(lifecycle::worker_count() as u64)?)?;
        if module.py().is_main_interpreter() {
            fork::notice();
            lifecycle::open();
        }
        let finish = module.attr(c"_at_exit")?;
        module.py().import(c"atexit")?.attr(c"register")?.call1(&finish)?;
        module.add(c"Cown", state.cown.object())?;
        module.add(c"Matrix", state.matrix.object())
    };
    // SAFETY: as above.
    unsafe { py::module::exec(module, body) }
}
