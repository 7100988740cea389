//! Objects that cross by pickle: protocol 5, buffers out of band, handles beside.
//!
//! A [`Sink`] is three things to CPython's own pickler: the file that it writes to, the callback that
//! gets buffers, and the `reducer_override` that is asked for every object of a type that pickle
//! doesn't know itself. There cowns and matrices become `_handle(index)`, an index into the table that
//! goes with the pickle. Since only this pickler asks the sink, `pickle.dumps(cown)` in a user's
//! program, also in some `__reduce__` that is called meanwhile, reaches `Cown.__reduce_ex__`, which
//! refuses.
//!
//! While a pickle is loaded, a thread-local points to its table; `_handle` takes from there.

use std::cell::{Cell, RefCell};
use std::ptr::NonNull;

use crate::py::buffer::{self, Buffer};
use crate::py::class::Class;
use crate::py::method::{Method, method};
use crate::py::slot::{self, Slot};
use crate::py::{Args, Error, Obj, Payload, Result, Signature, This, exact};
use crate::spread;
use crate::state::State;

use super::handles::{Gathering, Handles, Matrices, Source};

/// A pickled object.
pub(crate) struct Pickle {
    bytes: Vec<u8>,
    buffers: Vec<OutOfBand>,
    handles: Handles,
}

struct OutOfBand {
    readonly: bool,
    bytes: Box<[u8]>,
}

impl Pickle {
    /// The cowns and matrices inside.
    pub(crate) fn handles(&self) -> &Handles {
        &self.handles
    }

    /// The object; matrices move into it.
    pub(crate) fn into_object(self, state: &State) -> Result<Obj> {
        load(state, &self.bytes, &self.buffers, &Source::given(self.handles))
    }

    /// The object; matrices are copied into it.
    pub(crate) fn to_object(&self, state: &State) -> Result<Obj> {
        load(state, &self.bytes, &self.buffers, &Source::Lent(&self.handles))
    }
}

// --- Writing --------------------------------------------------------------------------------------

/// What a pickler has written so far. Nothing moves before [`Dump::finish`].
#[derive(Default)]
pub(crate) struct Dump {
    bytes: Vec<u8>,
    buffers: Vec<OutOfBand>,
    handles: Gathering,
}

impl Dump {
    /// The cowns and matrices inside.
    pub(super) fn handles(&self) -> &Gathering {
        &self.handles
    }

    /// Takes the matrices.
    pub(super) fn finish(self, state: &State) -> Result<Pickle> {
        Ok(Pickle { handles: self.handles.take(state)?, bytes: self.bytes, buffers: self.buffers })
    }
}

/// Pickles the object without moving anything.
pub(super) fn write(state: &State, object: &Obj, matrices: Matrices) -> Result<Dump> {
    let py = state.py();
    let names = &state.names;
    let empty = Dump { handles: Gathering::new(matrices), ..Dump::default() };
    let sink = state.sink.instantiate(Sink(RefCell::new(empty)))?;
    let pickler = state
        .pickler()?
        .call_named(&[sink.reborrow(), py.int(5)?.reborrow(), sink.reborrow()], &state.buffer_callback)?;
    pickler.setattr(&names.reducer_override, &sink.getattr(&names.reduce)?)?;
    pickler.call_method(&names.dump, &[object.reborrow()])?;
    let sink = state.sink.get(&sink);
    Ok(sink.map(|sink| sink.0.take()).unwrap_or_default())
}

/// What a pickler writes to.
pub(crate) struct Sink(RefCell<Dump>);

// It holds matrix objects, which hold no Python objects: no cycle passes through it.
impl Payload for Sink {}

static METHODS: [Method; 3] = [
    method(c"write", sink_write, c"Appends bytes."),
    method(c"reduce", sink_reduce, c"A `reducer_override`."),
    Method::END,
];

static SLOTS: [Slot; 1] = [slot::call(sink_buffer)];

/// The class of sinks. Python code sees one only while pickling.
pub(crate) static SINK: Class<Sink> =
    Class::new(c"bocage._bocage._Sink", c"What a pickler writes to.").methods(&METHODS).slots(&SLOTS);

static WRITE: Signature<1> = Signature::new("write", ["data"], 1);
static REDUCE: Signature<1> = Signature::new("reduce", ["object"], 1);
static CALL: Signature<1> = Signature::new("_Sink", ["buffer"], 1);

fn sink_write(this: This<'_, Sink>, args: Args<'_>) -> Result<()> {
    let [Some(data)] = WRITE.bind(&args)? else {
        return Ok(());
    };
    let data = Buffer::of(&data)?;
    this.0.borrow_mut().bytes.extend_from_slice(data.bytes());
    Ok(())
}

/// Takes a buffer out of band: gives false, which tells the pickler so.
fn sink_buffer(this: This<'_, Sink>, args: Args<'_>) -> Result<bool> {
    let [Some(pickle_buffer)] = CALL.bind(&args)? else {
        return Ok(true);
    };
    // `raw` flattens what is contiguous in either order.
    let raw = pickle_buffer.call_method(&this.state()?.names.raw, &[])?;
    let content = Buffer::of(&raw)?;
    this.0.borrow_mut().buffers.push(OutOfBand { readonly: content.is_readonly(), bytes: content.bytes().into() });
    Ok(false)
}

fn sink_reduce(this: This<'_, Sink>, args: Args<'_>) -> Result<Obj> {
    let py = this.py();
    let [Some(object)] = REDUCE.bind(&args)? else {
        return Ok(py.not_implemented());
    };
    let state = this.state()?;
    if let Some(index) = this.0.borrow_mut().handles.add(state, &object)? {
        let arguments = Obj::tuple(py, [py.uint(index as u64)?])?;
        return Obj::tuple(py, [Obj::clone(&state.handle_function), arguments]);
    }
    if object.is_class_or_function() {
        spread::met(state, &object)?;
    } else if object.is_memoryview() {
        return reduce_view(state, &object);
    }
    Ok(py.not_implemented())
}

/// Formats that `memoryview.cast` can make again.
const CASTABLE: &str = "cbB?hHiIlLqQnNefdP";

fn reduce_view(state: &State, view: &Obj) -> Result<Obj> {
    let py = state.py();
    let format = view.attr(c"format")?;
    let code = format.to_utf8()?;
    let code = code.strip_prefix('@').unwrap_or(code);
    if code.len() != 1 || !CASTABLE.contains(code) {
        return Err(Error::type_error(format!(
            "a memoryview of format '{code}' can't cross: pass the object that it looks at"
        )));
    }
    let contiguous =
        if view.attr(c"c_contiguous")?.is_true()? { Obj::clone(view) } else { view.attr(c"tobytes")?.call0()? };
    let content = py.import(c"pickle")?.attr(c"PickleBuffer")?.call1(&contiguous)?;
    let code = Obj::text(py, code)?;
    let arguments = Obj::tuple(py, [content, code, view.attr(c"shape")?])?;
    Obj::tuple(py, [Obj::clone(&state.view_function), arguments])
}

// --- Reading --------------------------------------------------------------------------------------

thread_local! {
    /// The table of the pickle that this thread is loading, innermost first.
    static LOADING: Cell<Option<NonNull<Source<'static>>>> = const { Cell::new(None) };
}

/// Makes a table the one that `_handle` takes from, until it is dropped.
struct Loading(Option<NonNull<Source<'static>>>);

impl Loading {
    fn from(source: &Source<'_>) -> Loading {
        let table = NonNull::from(source).cast::<Source<'static>>();
        Loading(LOADING.replace(Some(table)))
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        LOADING.set(self.0);
    }
}

fn load(state: &State, bytes: &[u8], buffers: &[OutOfBand], handles: &Source<'_>) -> Result<Obj> {
    let py = state.py();
    let mut content = Vec::with_capacity(buffers.len());
    for buffer in buffers {
        content.push(if buffer.readonly {
            Obj::bytes(py, &buffer.bytes)?
        } else {
            exact::new_bytearray(py, &buffer.bytes)?
        });
    }
    let content = Obj::list(py, content)?;
    let loads = state.loads()?;
    let _loading = Loading::from(handles);
    buffer::lend(py, bytes, &state.names.release, |bytes| {
        loads.call_named(&[bytes.reborrow(), content.reborrow()], &state.buffers)
    })
}

static HANDLE: Signature<1> = Signature::new("_handle", ["index"], 1);

/// `_handle(index)`: the cown or matrix of that index, for the pickle that is being loaded.
pub(crate) fn handle(state: &State, args: Args<'_>) -> Result<Obj> {
    let [Some(index)] = HANDLE.bind(&args)? else {
        return Ok(state.py().none());
    };
    let index = usize::try_from(index.to_i64()?);
    let table = LOADING.get().ok_or_else(|| Error::type_error("a Cown or Matrix is loaded by bocage alone"))?;
    // SAFETY: the pointer is to the table of a `load` further up this thread's stack, which takes
    // it back (`Loading`) before the table goes; the table is only read.
    let table = unsafe { table.as_ref() };
    table.object(state, index.unwrap_or(usize::MAX))
}

static VIEW: Signature<3> = Signature::new("_view", ["buffer", "format", "shape"], 3);

/// `_view(buffer, format, shape)`: a memoryview again.
pub(crate) fn view(state: &State, args: Args<'_>) -> Result<Obj> {
    let [Some(buffer), Some(format), Some(shape)] = VIEW.bind(&args)? else {
        return Ok(state.py().none());
    };
    let view = buffer::memoryview(&buffer)?;
    // An empty view can't be cast; it is as empty in bytes.
    if view.len()? == 0 {
        return Ok(view);
    }
    view.attr(c"cast")?.call(&[format, shape])
}

impl State {
    /// The pickler class: CPython's, with room for attributes.
    pub(super) fn pickler(&self) -> Result<Obj> {
        self.pickling.pickler(self)
    }

    /// `pickle.loads`.
    pub(super) fn loads(&self) -> Result<Obj> {
        self.pickling.loads(self)
    }
}

/// What is imported when something is pickled for the first time.
#[derive(Default)]
pub(crate) struct Pickling {
    pickler: RefCell<Option<Obj>>,
    loads: RefCell<Option<Obj>>,
}

impl Pickling {
    /// Shows the collector what is held.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        for held in [&self.pickler, &self.loads] {
            // What is borrowed is being changed further up the stack: it counts as referred to from there.
            if let Ok(held) = held.try_borrow() {
                held.iter().for_each(&mut *visit);
            }
        }
    }

    /// Forgets all of it.
    pub(crate) fn clear(&self) {
        drop((self.pickler.take(), self.loads.take()));
    }

    fn pickler(&self, state: &State) -> Result<Obj> {
        if let Some(pickler) = &*self.pickler.borrow() {
            return Ok(pickler.clone());
        }
        let py = state.py();
        let base = py.import(c"_pickle")?.attr(c"Pickler")?;
        let bases = Obj::tuple(py, [base])?;
        let namespace = Obj::dict(py)?;
        namespace.dict_set(&state.names.module, &Obj::text(py, "bocage._bocage")?)?;
        let name = Obj::text(py, "_Pickler")?;
        let class = bases.type_of().type_of().own();
        let class = class.call(&[name.reborrow(), bases.reborrow(), namespace.reborrow()])?;
        drop(self.pickler.replace(Some(class.clone())));
        Ok(class)
    }

    fn loads(&self, state: &State) -> Result<Obj> {
        if let Some(loads) = &*self.loads.borrow() {
            return Ok(loads.clone());
        }
        let loads = state.py().import(c"_pickle")?.attr(c"loads")?;
        drop(self.loads.replace(Some(loads.clone())));
        Ok(loads)
    }
}
