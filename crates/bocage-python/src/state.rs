//! What the module keeps for each interpreter: its types, interned names, cached callables.
//!
//! No `static` holds a Python object. A [`State`] hangs on the module object of its interpreter, and
//! is found from the module, from a type, or from whichever interpreter the thread is attached to
//! ([`State::current`]). It lives in an `Rc`: the module has one share, and whoever must outlive a
//! moment of Python code takes another.
//!
//! Lifetime: made in the module's exec slot, dropped by the module's `m_clear` or `m_free` (late in
//! the interpreter's shutdown). After that the lookups give an error instead of a state.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::ffi::{CStr, c_int, c_void};
use std::ptr;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use pyo3_ffi as ffi;

use bocage_noticeboard::Snapshot;
use bocage_runtime::RuntimeRef;

use crate::cown::{self, Cown};
use crate::holds::Holds;
use crate::inbox::{self, Inbox, Turn};
use crate::matrix;
use crate::py::{Attached, ClassOf, Error, Obj, Ref, Result, module};
use crate::value::Value;
use crate::value::lent::Lender;
use crate::value::pickle::{self, Pickling, Sink};
use crate::{resolve, schedule, when};

macro_rules! names {
    ($($field:ident = $text:literal,)*) => {
        /// Interned names, for attribute lookups on hot paths.
        pub(crate) struct Names {
            $(#[allow(missing_docs)] pub(crate) $field: Obj,)*
        }

        impl Names {
            fn new(py: Attached) -> Result<Names> {
                Ok(Names { $($field: Obj::interned(py, $text)?,)* })
            }

            fn each(&self, visit: &mut dyn FnMut(&Obj)) {
                $(visit(&self.$field);)*
            }
        }
    };
}

names! {
    add_note = c"add_note",
    args = c"args",
    cause = c"__cause__",
    context = c"__context__",
    dict = c"__dict__",
    dump = c"dump",
    module = c"__module__",
    mro = c"__mro__",
    name = c"__name__",
    new = c"__new__",
    notes = c"__notes__",
    qualname = c"__qualname__",
    raw = c"raw",
    reduce = c"reduce",
    reducer_override = c"reducer_override",
    release = c"release",
    start = c"start",
    step = c"step",
    stop = c"stop",
    suppress_context = c"__suppress_context__",
    traceback = c"__traceback__",
    update = c"update",
    value = c"value",
}

/// One interpreter's share of the module.
pub(crate) struct State {
    /// Interned names.
    pub(crate) names: Names,
    /// The type `Cown`.
    pub(crate) cown: ClassOf<Cown>,
    /// The type that picklers write to.
    pub(crate) sink: ClassOf<Sink>,
    /// `pickle`'s classes and functions, once they are needed.
    pub(crate) pickling: Pickling,
    /// `_bocage._handle`.
    pub(crate) handle_function: Obj,
    /// `_bocage._view`.
    pub(crate) view_function: Obj,
    /// `("buffer_callback",)`
    pub(crate) buffer_callback: Obj,
    /// `("buffers",)`
    pub(crate) buffers: Obj,
    /// The type `Matrix`.
    pub(crate) matrix: ClassOf<matrix::Handle>,
    /// The type of iterators over a `Matrix`.
    pub(crate) matrix_iterator: ClassOf<matrix::Walk>,
    /// The type of `@when(...)`.
    pub(crate) when: ClassOf<when::When>,
    /// The type of what an event loop hears of its awaited cowns from.
    pub(crate) inbox: ClassOf<Inbox>,
    /// The type of one await.
    pub(crate) turn: ClassOf<Turn>,
    /// The type of what `_worker` gets globals from.
    pub(crate) fetch: ClassOf<resolve::Fetch>,
    /// Functions that this interpreter scheduled.
    pub(crate) scheduler: schedule::Scheduler,
    /// Functions that this interpreter ran.
    pub(crate) known: resolve::Known,
    /// Cowns that code of this interpreter acquired.
    pub(crate) holds: Holds,
    /// Where behaviors are scheduled.
    pub(crate) runtime: Cell<Option<RuntimeRef>>,
    /// Whether a behavior runs in this interpreter.
    pub(crate) in_behavior: Cell<bool>,
    /// The noticeboard as that behavior sees it, once it looked.
    pub(crate) board_snapshot: RefCell<Option<Snapshot<Value>>>,
    /// Functions of `bocage._worker`, `bocage._definitions` and `bocage._asyncio`, by name.
    helpers: RefCell<HashMap<&'static CStr, Obj>>,
    /// Large `bytes` that others read.
    pub(crate) lender: Arc<Lender>,
    /// Identity of the interpreter, for telling states apart. Never dereferenced.
    interpreter: *mut ffi::PyInterpreterState,
}

impl State {
    fn new(module: &Obj) -> Result<State> {
        let py = module.py();
        Ok(State {
            names: Names::new(py)?,
            cown: cown::CLASS.build(module)?,
            sink: pickle::SINK.build(module)?,
            pickling: Pickling::default(),
            handle_function: module.attr(c"_handle")?,
            view_function: module.attr(c"_view")?,
            buffer_callback: Obj::tuple(py, [Obj::interned(py, c"buffer_callback")?])?,
            buffers: Obj::tuple(py, [Obj::interned(py, c"buffers")?])?,
            matrix: matrix::CLASS.build(module)?,
            matrix_iterator: matrix::ITERATOR.build(module)?,
            when: when::CLASS.build(module)?,
            inbox: inbox::INBOX.build(module)?,
            turn: inbox::TURN.build(module)?,
            fetch: resolve::FETCH.build(module)?,
            scheduler: schedule::Scheduler::default(),
            known: resolve::Known::default(),
            holds: Holds::default(),
            runtime: Cell::new(None),
            in_behavior: Cell::new(false),
            board_snapshot: RefCell::new(None),
            helpers: RefCell::default(),
            lender: Lender::new(py),
            interpreter: py.interpreter(),
        })
    }

    /// A function of `bocage._worker`.
    pub(crate) fn worker(&self, name: &'static CStr) -> Result<Obj> {
        self.helper(c"bocage._worker", name)
    }

    /// A function of `bocage._definitions`.
    pub(crate) fn definitions(&self, name: &'static CStr) -> Result<Obj> {
        self.helper(c"bocage._definitions", name)
    }

    /// A function of `bocage._asyncio`.
    pub(crate) fn asyncio(&self, name: &'static CStr) -> Result<Obj> {
        self.helper(c"bocage._asyncio", name)
    }

    fn helper(&self, module: &CStr, name: &'static CStr) -> Result<Obj> {
        if let Some(helper) = self.helpers.borrow().get(name) {
            return Ok(helper.clone());
        }
        let helper = self.py().import(module)?.attr(name)?;
        self.helpers.borrow_mut().insert(name, helper.clone());
        Ok(helper)
    }

    /// Forgets what belongs to the program, before the interpreter is parked.
    pub(crate) fn forget_program(&self) {
        self.scheduler.clear();
        self.known.clear();
        self.runtime.set(None);
        drop(self.board_snapshot.take());
        self.lender.recall(self.py());
    }

    /// Forgets all that refers to namespaces, at the interpreter's end: one with a cown in it would keep itself, since
    /// the collector doesn't look into a cown, which refers to its type and so to this state. What is forgotten may come
    /// back, but without scheduling nothing does that refers to a namespace.
    pub(crate) fn forget_everything(&self) {
        self.forget_program();
        drop(self.helpers.take());
        // By way of what the program gave to `copyreg`.
        self.pickling.clear();
    }

    /// Proof of being attached: a state is reached only through its interpreter.
    pub(crate) fn py(&self) -> Attached {
        // SAFETY: `State` is neither Send nor Sync (it holds objects).
        unsafe { Attached::assume() }
    }

    /// Every object held here, for the collector.
    fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        self.names.each(visit);
        self.pickling.each(visit);
        self.scheduler.each(visit);
        self.known.each(visit);
        if let Ok(helpers) = self.helpers.try_borrow() {
            helpers.values().for_each(&mut *visit);
        }
        for object in [
            self.cown.object(),
            self.sink.object(),
            &self.handle_function,
            &self.view_function,
            &self.buffer_callback,
            &self.buffers,
            self.matrix.object(),
            self.matrix_iterator.object(),
            self.when.object(),
            self.inbox.object(),
            self.turn.object(),
            self.fetch.object(),
        ] {
            visit(object);
        }
    }
}

// --- Where a state is found -----------------------------------------------------------------------

/// Counts states that came or went, so that a thread's remembered state is never a dead one.
static GENERATION: AtomicU64 = AtomicU64::new(1);

thread_local! {
    /// (interpreter, generation, state) of this thread's last lookup.
    static LAST: Cell<(*mut ffi::PyInterpreterState, u64, *const State)> =
        const { Cell::new((ptr::null_mut(), 0, ptr::null())) };
}

/// The key under which an interpreter's own dict keeps the address of its state.
const KEY: &CStr = c"bocage._bocage.state";

fn gone() -> Error {
    Error::runtime_error("bocage is not loaded in this interpreter, or is shutting down")
}

impl State {
    /// The state of the interpreter that this thread is attached to.
    pub(crate) fn current(py: Attached) -> Result<Rc<State>> {
        let interpreter = py.interpreter();
        // SeqCst: the counter is off the hot path's contention (written when interpreters come or
        // go), and the default ordering needs no argument.
        let generation = GENERATION.load(Ordering::SeqCst);
        let (known, at, mut state) = LAST.get();
        if known != interpreter || at != generation {
            state = State::look_up(py, interpreter).ok_or_else(gone)?;
            LAST.set((interpreter, generation, state));
        }
        // SAFETY: the address was published by `attach`, for an `Rc` that is alive: its end takes
        // the address back and moves the generation on, in the same interpreter, under its GIL.
        unsafe {
            Rc::increment_strong_count(state);
            Ok(Rc::from_raw(state))
        }
    }

    fn look_up(py: Attached, interpreter: *mut ffi::PyInterpreterState) -> Option<*const State> {
        // SAFETY: the thread is attached to this interpreter; its dict is borrowed, or null when
        // the interpreter is nearly gone.
        let dict = unsafe { Ref::from_ptr_or_null(ffi::PyInterpreterState_GetDict(interpreter)) }?;
        let key = Obj::interned(py, KEY).ok()?;
        let address = dict.dict_get(&key).ok()??;
        usize::try_from(address.to_i64().ok()?).ok().map(|address| address as *const State)
    }

    /// Publishes this state in its interpreter's dict.
    fn publish(self: &Rc<State>) -> Result<()> {
        let py = self.py();
        // SAFETY: attached to that interpreter; the dict is borrowed for the call.
        let dict = unsafe { Ref::from_ptr_or_null(ffi::PyInterpreterState_GetDict(self.interpreter)) };
        let address = py.int(Rc::as_ptr(self) as i64)?;
        dict.ok_or_else(gone)?.dict_set(&Obj::interned(py, KEY)?, &address)?;
        GENERATION.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    /// # Safety
    /// `module` is an instance of this module, alive for `'a`.
    pub(crate) unsafe fn of_module_ptr<'a>(_py: Attached, module: *mut ffi::PyObject) -> Result<&'a State> {
        // SAFETY: the place is inside the module's memory, zeroed by CPython or filled by `attach`.
        unsafe { Place::state(module::state_place(module)) }
    }

    /// # Safety
    /// `class` is a type that was made for this module (not a subtype), alive for `'a`.
    pub(crate) unsafe fn of_defining_class<'a>(py: Attached, class: *mut ffi::PyTypeObject) -> Result<&'a State> {
        // SAFETY: as for the module; a type of another kind gives null with an exception set.
        unsafe {
            let place = ffi::PyType_GetModuleState(class);
            if place.is_null() {
                return Err(Error::fetch(py));
            }
            Place::state(place.cast())
        }
    }

    /// # Safety
    /// `class` is alive for `'a`.
    pub(crate) unsafe fn of_type_ptr<'a>(py: Attached, class: *mut ffi::PyTypeObject) -> Result<&'a State> {
        // SAFETY: gives a borrowed module, kept alive by the type, or null with an exception set.
        unsafe {
            let module = ffi::PyType_GetModuleByDef(class, crate::MODULE.as_ptr());
            if module.is_null() {
                return Err(Error::fetch(py));
            }
            State::of_module_ptr(py, module)
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        GENERATION.fetch_add(1, Ordering::SeqCst);
        let py = self.py();
        // SAFETY: a state is dropped by its own interpreter; the dict may be gone already.
        let dict = unsafe { Ref::from_ptr_or_null(ffi::PyInterpreterState_GetDict(self.interpreter)) };
        let Some(dict) = dict else { return };
        let Ok(key) = Obj::interned(py, KEY) else {
            return;
        };
        let own = ptr::from_ref(self) as i64;
        // A second load of the module may have published its own state since.
        if let Ok(Some(address)) = dict.dict_get(&key)
            && address.to_i64().is_ok_and(|address| address == own)
        {
            let _ = dict.dict_set(&key, &py.none());
        }
    }
}

// --- The module's memory --------------------------------------------------------------------------

/// The module's own memory: zeroed by CPython, which reads as no state.
#[repr(transparent)]
pub(crate) struct Place(Option<Rc<State>>);

impl Place {
    /// # Safety
    /// `place` is null or a module's place, alive for `'a`, on a thread of that interpreter.
    unsafe fn state<'a>(place: *mut Place) -> Result<&'a State> {
        // SAFETY: the caller's promise.
        match unsafe { place.as_ref() } {
            Some(Place(Some(state))) => Ok(state),
            _ => Err(gone()),
        }
    }
}

/// Makes the state of a module under construction.
///
/// # Safety
/// `module` is an instance of this module, in its exec slot.
pub(crate) unsafe fn attach(module: Ref<'_>) -> Result<Rc<State>> {
    let state = Rc::new(State::new(&module)?);
    // SAFETY: the place is in the module's memory and holds none (zeroed) before.
    unsafe { (*module::state_place(module.as_ptr())).0 = Some(Rc::clone(&state)) };
    state.publish()?;
    Ok(state)
}

/// `m_traverse`.
pub(crate) unsafe extern "C" fn traverse(module: *mut ffi::PyObject, visit: ffi::visitproc, arg: *mut c_void) -> c_int {
    // SAFETY: CPython calls with a module of ours, under its GIL; `each` only reads. While somebody
    // else shares the state, its objects are reachable from there, and aren't shown.
    unsafe {
        let Some(Place(Some(state))) = module::state_place(module).as_ref() else {
            return 0;
        };
        let mut stopped = 0;
        if Rc::strong_count(state) == 1 {
            state.each(&mut |object| {
                if stopped == 0 {
                    stopped = visit(object.as_ptr(), arg);
                }
            });
        }
        stopped
    }
}

/// `m_clear`.
pub(crate) unsafe extern "C" fn clear(module: *mut ffi::PyObject) -> c_int {
    // SAFETY: as for `traverse`. The place is emptied before the state's objects go, since their
    // destructors may look for the state.
    unsafe {
        if let Some(place) = module::state_place(module).as_mut() {
            let state = place.0.take();
            drop(state);
        }
    }
    0
}

/// `m_free`.
pub(crate) unsafe extern "C" fn free(module: *mut c_void) {
    // SAFETY: as for `clear`, with the module on its way out.
    unsafe { clear(module.cast()) };
}
