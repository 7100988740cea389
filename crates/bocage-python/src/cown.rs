//! The Python type `Cown`.

use std::sync::Arc;

use crate::py::class::Class;
use crate::py::method::{Method, method};
use crate::py::slot::{self, Comparison, Slot};
use crate::py::{Args, Error, Obj, Payload, Ref, Result, Signature, This};

/// A cown, from any thread: cheap to clone, compared by identity.
#[derive(Clone)]
pub(crate) struct CownHandle(Arc<Inner>);

struct Inner {
    /// Keeps the block from being zero-sized, so that its address is its identity.
    _place: u8,
}

impl CownHandle {
    /// A number that no other living cown has; cowns are acquired in its order.
    pub(crate) fn id(&self) -> usize {
        Arc::as_ptr(&self.0) as usize
    }
}

impl PartialEq for CownHandle {
    fn eq(&self, other: &CownHandle) -> bool {
        self.id() == other.id()
    }
}

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

static METHODS: [Method; 2] =
    [method(c"__reduce_ex__", reduce, c"Refuses: a cown moves only through bocage's own transfers."), Method::END];

static SLOTS: [Slot; 3] = [slot::new(new), slot::hash(hash), slot::compare(compare)];

/// The class.
pub(crate) static CLASS: Class<Cown> =
    Class::new(c"bocage.Cown", c"Cown(value)\n--\n\nA value that only its current owner reaches.")
        .methods(&METHODS)
        .slots(&SLOTS);

static NEW: Signature<1> = Signature::new("Cown", ["value"], 1).positional_only(1);

fn new(args: Args<'_>) -> Result<Cown> {
    let [_value] = NEW.bind(&args)?;
    Ok(Cown { handle: CownHandle(Arc::new(Inner { _place: 0 })) })
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

fn reduce(_this: This<'_, Cown>, _args: Args<'_>) -> Result<Obj> {
    Err(Error::type_error("a Cown can't be pickled: it moves only with a behavior, in a cown or on the noticeboard"))
}
