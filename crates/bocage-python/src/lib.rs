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
//! [`state`], [`value`] (how objects cross), [`cown`], [`matrix`].
//!
//! Invariants: no `static` holds a Python object; an object is touched only by a thread attached to
//! its interpreter (`Obj` is not `Send`); nothing unwinds into C.

#[allow(dead_code)]
mod cown;
#[allow(dead_code)]
mod matrix;
// The layer offers the whole of a protocol, whether or not each part has a caller yet.
#[allow(dead_code)]
mod py;
#[allow(dead_code)]
mod state;

use std::ffi::c_int;

use pyo3_ffi as ffi;

use py::method::Method;
use py::module::{ModuleDef, ModuleSlots};

static METHODS: [Method; 1] = [Method::END];

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
        module.add(c"Cown", state.cown.object())?;
        module.add(c"Matrix", state.matrix.object())
    };
    // SAFETY: as above.
    unsafe { py::module::exec(module, body) }
}
