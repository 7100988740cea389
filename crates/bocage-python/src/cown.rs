//! The Python type `Cown`: a handle, and what its owner may do with it.

use bocage_core::try_acquire;
use bocage_runtime::RuntimeRef;

pub(crate) use crate::cell::CownHandle;
use crate::lifecycle;
use crate::py::class::Class;
use crate::py::method::{Method, Property, class_method, getter, method, property};
use crate::py::slot::{self, Comparison, Slot};
use crate::py::{Args, Error, Obj, Payload, Ref, Result, Signature, This};
use crate::state::State;
use crate::{fork, value};

/// What an instance of `Cown` holds.
pub(crate) struct Cown {
    handle: CownHandle,
}

impl Payload for Cown {}

impl Cown {
    /// The cown that this object names.
    pub(crate) fn handle(&self) -> &CownHandle {
        &self.handle
    }
}

impl Drop for Cown {
    fn drop(&mut self) {
        // The last handle of a cown that code here acquired and never released: nobody else could release it
        // any more, and what waits for it would wait for ever. One reference: this handle's.
        // SAFETY: an instance is dropped by its interpreter, on an attached thread.
        let py = unsafe { crate::py::Attached::assume() };
        if self.handle.core().references() <= 1
            && self.handle.cell().has_token(py)
            && let Ok(state) = State::current(py)
        {
            let _ = give_up(&state, &self.handle);
        }
    }
}

/// A new Python object for a cown.
pub(crate) fn new_object(state: &State, handle: CownHandle) -> Result<Obj> {
    state.cown.instantiate(Cown { handle })
}

static METHODS: [Method; 10] = [
    method(c"unwrap", unwrap, c"unwrap($self, /)\n--\n\nTake the value out of a cown that is at rest, and leave None.\n\nReturns the value. If it is an exception that a behavior raised, raises it, once.\n\nRaises RuntimeError while behaviors are still in flight: call wait() or quiesce() first."),
    method(
        c"result",
        crate::result::result,
        c"result($self, timeout=None)\n--\n\nWait until every behavior scheduled on this cown so far is done, then take its value like unwrap().\n\ntimeout is in seconds. When it is over, raises TimeoutError, and nothing is consumed. Raises RuntimeError in a\nbehavior, which could wait for itself, and where the cown is acquired.",
    ),
    method(c"acquire", acquire, c"acquire($self, /)\n--\n\nBecome the owner, outside behaviors, if nobody else is.\n\nBehaviors scheduled meanwhile wait until release(). Raises RuntimeError, without waiting, if the cown is taken, and\nin a behavior. `with cown:` does both. What is still acquired when the interpreter ends is released then."),
    method(c"release", release, c"release($self, /)\n--\n\nGive up what acquire() took.\n\nRaises RuntimeError if the cown was not acquired here, and TypeError if its new value can't be sent to other\ninterpreters; the cown is released all the same, and holds that exception."),
    method(c"__enter__", enter, c"__enter__($self, /)\n--\n\nAcquire the cown."),
    method(c"__exit__", exit, c"Release the cown."),
    method(c"__reduce_ex__", reduce, c"Refuses, but inside bocage's own transfers."),
    method(c"__reduce__", reduce, c"Refuses, but inside bocage's own transfers."),
    class_method(c"__class_getitem__", generic, c"Cown[T], for annotations."),
    Method::END,
];

static PROPERTIES: [Property; 4] = [
    property(c"value", get_value, set_value, c"The value, for the owner only: inside a behavior that lists the cown, or in a `with cown:` block.\n\nSetting it also clears `exception`. Anyone else gets RuntimeError."),
    property(c"exception", get_exception, set_exception, c"True if the value is an exception that a behavior raised. For the owner only.\n\nSetting it to True raises TypeError unless the value is an exception."),
    getter(c"acquired", acquired, c"True if the calling interpreter owns the cown now."),
    Property::END,
];

static SLOTS: [Slot; 5] =
    [slot::new(new), slot::hash(hash), slot::compare(compare), slot::repr(repr), slot::awaiter(awaiter)];

/// The class.
pub(crate) static CLASS: Class<Cown> = Class::new(
    c"bocage.Cown",
    c"Cown(value, /)\n--\n\nA concurrent owner: a value that one behavior at a time may touch.\n\nThe value is moved in at once, so that from then on only the cown's current owner reaches it. Raises TypeError\n(or what pickle raises) if it can't be sent to other interpreters.\n\nA Cown is a handle: handles of the same cown are equal, and may be captured, returned, kept in other cowns and put\non the noticeboard.\n\n`await cown` is result() for asyncio: the loop goes on meanwhile, and an await that is cancelled consumes nothing.\nFrom the moment its turn comes until the loop resumes it, the await has the cown: behaviors scheduled on it later\nstart after that, so don't block the loop.",
)
.methods(&METHODS)
.properties(&PROPERTIES)
.slots(&SLOTS);

static NEW: Signature<1> = Signature::new("Cown", ["value"], 1);

fn new(args: Args<'_>) -> Result<Cown> {
    let [value] = NEW.bind(&args)?;
    let value = value.expect("required");
    fork::check()?;
    let state = State::current(args.py())?;
    if state.known.importing.get() > 0 {
        state.worker(c"warn_private_cown")?.call0()?;
    }
    Ok(Cown { handle: CownHandle::new(value::encode(&state, &value)?) })
}

fn get_value(this: This<'_, Cown>) -> Result<Obj> {
    this.handle.cell().get(this.state()?)
}

fn set_value(this: This<'_, Cown>, value: Option<Ref<'_>>) -> Result<()> {
    match value {
        Some(value) => this.handle.cell().set(this.py(), &value),
        None => Err(Error::type_error("a cown's value can't be deleted: set it to None")),
    }
}

fn get_exception(this: This<'_, Cown>) -> Result<bool> {
    this.handle.cell().raised(this.py())
}

fn set_exception(this: This<'_, Cown>, value: Option<Ref<'_>>) -> Result<()> {
    match value {
        Some(value) => this.handle.cell().set_raised(this.state()?, value.is_true()?),
        None => Err(Error::type_error("the flag can't be deleted: set it to False")),
    }
}

fn acquired(this: This<'_, Cown>) -> Result<bool> {
    Ok(this.handle.cell().is_owned(this.py()))
}

fn unwrap(this: This<'_, Cown>, args: Args<'_>) -> Result<Obj> {
    no_arguments("unwrap", &args)?;
    let state = this.state()?;
    let cell = this.handle.cell();
    let owned = cell.is_owned(this.py());
    if !owned {
        lifecycle::check_at_rest()?;
        take_hold(state, &this.handle)?;
    }
    let taken = cell.take(state);
    if !owned {
        give_up(state, &this.handle)?;
    }
    match taken? {
        (exception, true) => Err(Error::Raised(exception)),
        (value, false) => Ok(value),
    }
}

fn take_hold(state: &State, handle: &CownHandle) -> Result<()> {
    // Not `in_behavior`: another thread of the same interpreter is outside.
    if RuntimeRef::current().is_some() {
        return Err(Error::runtime_error(
            "acquire() and `with cown:` are for code outside behaviors: list the cown in @when and use its value, or \
             schedule another behavior on it",
        ));
    }
    let token = try_acquire(handle.core()).ok_or_else(|| {
        Error::runtime_error(
            "the cown is taken: a behavior holds it or waits for it, or it was acquired before; schedule a behavior \
             on it, or acquire it when the runtime is quiet",
        )
    })?;
    // SAFETY: the token was just granted.
    unsafe { handle.cell().claim(state.py()) };
    handle.cell().keep_token(state.py(), token, state.holds.add(handle))
}

fn give_up(state: &State, handle: &CownHandle) -> Result<()> {
    let cell = handle.cell();
    let (token, place) = cell.take_token(state.py())?.ok_or_else(|| {
        Error::runtime_error(
            "the cown was not acquired by acquire() or `with`: a behavior's cowns are released when it ends",
        )
    })?;
    state.holds.remove(place);
    let outcome = cell.release(state, || "the new value of the cown".to_owned());
    // Dropped after the cell is portable: others may own it from here on.
    drop(token);
    outcome
}

/// Gives up all that code of this interpreter acquired and did not release, at the interpreter's end.
pub(crate) fn give_up_all(state: &State) {
    for handle in state.holds.all() {
        // Releasing another one may have run code that released this one.
        if handle.cell().has_token(state.py())
            && let Err(error) = give_up(state, &handle)
        {
            error.report(state.py(), None);
        }
    }
}

fn acquire(this: This<'_, Cown>, args: Args<'_>) -> Result<()> {
    no_arguments("acquire", &args)?;
    take_hold(this.state()?, &this.handle)
}

fn release(this: This<'_, Cown>, args: Args<'_>) -> Result<()> {
    no_arguments("release", &args)?;
    give_up(this.state()?, &this.handle)
}

fn enter(this: This<'_, Cown>, args: Args<'_>) -> Result<Obj> {
    no_arguments("__enter__", &args)?;
    take_hold(this.state()?, &this.handle)?;
    Ok(this.object().own())
}

fn exit(this: This<'_, Cown>, _args: Args<'_>) -> Result<bool> {
    give_up(this.state()?, &this.handle)?;
    Ok(false)
}

fn no_arguments(name: &str, args: &Args<'_>) -> Result<()> {
    if args.positional().is_empty() && args.keywords().is_empty() {
        return Ok(());
    }
    Err(Error::type_error(format!("{name}() takes no arguments")))
}

fn generic(state: &State, class: Ref<'_>, args: Args<'_>) -> Result<Obj> {
    let [parameter] = args.positional() else {
        return Err(Error::type_error("Cown[...] takes one type"));
    };
    state.py().import(c"types")?.attr(c"GenericAlias")?.call(&[class, *parameter])
}

fn hash(this: This<'_, Cown>) -> Result<isize> {
    // Blocks are aligned: their low bits say nothing.
    Ok(this.handle.id().rotate_right(4) as isize)
}

fn compare(this: This<'_, Cown>, other: Ref<'_>, comparison: Comparison) -> Result<Obj> {
    let py = this.py();
    let Some(other) = this.state()?.cown.get(&other) else {
        return Ok(py.not_implemented());
    };
    let (left, right) = (this.handle.id(), other.handle.id());
    Ok(py.bool(match comparison {
        Comparison::Less => left < right,
        Comparison::LessEqual => left <= right,
        Comparison::Equal => left == right,
        Comparison::NotEqual => left != right,
        Comparison::Greater => left > right,
        Comparison::GreaterEqual => left >= right,
    }))
}

fn repr(this: This<'_, Cown>) -> Result<Obj> {
    let id = this.handle.id();
    let text = if this.handle.cell().is_owned(this.py()) {
        let value = this.handle.cell().get(this.state()?)?;
        format!("Cown({id:#x}, value={})", value.repr()?.display())
    } else {
        format!("Cown({id:#x}, not owned here)")
    };
    Obj::text(this.py(), &text)
}

/// `Cown.__await__`
fn awaiter(this: This<'_, Cown>) -> Result<Obj> {
    let state = this.state()?;
    state.asyncio(c"turn_of")?.call(&[this.object(), state.inbox.object().into()])
}

fn reduce(this: This<'_, Cown>, _args: Args<'_>) -> Result<Obj> {
    let _ = this;
    Err(Error::type_error("a Cown can't be pickled: it moves only with a behavior, in a cown or on the noticeboard"))
}
