//! How an object leaves its interpreter: as a [`Value`] made of Rust data alone.
//!
//! [`encode`] looks at the object and picks the cheapest form that keeps it equal:
//!
//! | the object | the value |
//! | --- | --- |
//! | `None`, `bool`, `...`, `int` of 64 bits, `float`, `str` of at most 22 ASCII characters | in line, nothing is allocated |
//! | longer `str`; `bytes` | one shared buffer of the stored characters |
//! | `bytes` of 16 KiB and more | a reference to the object, which stays where it is (see [`lent`]) |
//! | a cown | its handle |
//! | a matrix | the matrix itself, moved |
//! | list, tuple, dict, set, frozenset, slice, range, bytearray, complex, big int, of exact types and with such content | a [`graph::Graph`]: one flat buffer and a table of handles |
//! | an exception that a body raised | an [`exception::Exception`] (see [`exception::encode`]) |
//! | anything else, or anything with such a part | a [`pickle::Pickle`]: protocol 5, buffers out of band, and the same table of handles |
//!
//! A payload crosses as a whole: one part that isn't native sends the whole of it by pickle, so that
//! what is shared inside one payload stays shared.
//!
//! # Moving and copying
//!
//! A matrix moves: encoding takes its buffer out of the object, decoding puts it into a new one. Both
//! happen once and only on success: a failed encode leaves every matrix where it was. A call that
//! encodes more than one object, or can fail afterwards, makes drafts first (see [`draft`]).
//! [`Value::into_object`] consumes the value; if it was the last share, matrices move, else they are
//! copied. [`Value::to_object`] leaves the value for others (captures of a cached function, the
//! noticeboard) and copies them.

pub(crate) mod blame;
pub(crate) mod content;
pub(crate) mod decode;
pub(crate) mod draft;
pub(crate) mod encode;
pub(crate) mod exception;
pub(crate) mod graph;
pub(crate) mod handles;
pub(crate) mod lent;
pub(crate) mod pickle;
pub(crate) mod wire;

use std::sync::Arc;

use crate::cown::CownHandle;
use crate::matrix::{self, Matrix};
use crate::py::exact::{self, Width};
use crate::py::{Error, Obj, Result};
use crate::state::State;

use content::Content;

pub(crate) use draft::{encode, encode_copy};

/// The longest ASCII `str` that is held in line.
pub(crate) const SHORT: usize = 22;

/// An object outside any interpreter.
///
/// `Send` and `Sync`, of 24 bytes, cheap to clone (see the module's page for what a clone means to a
/// matrix). The default is `None`.
#[derive(Clone, Default)]
pub(crate) enum Value {
    /// `None`
    #[default]
    None,
    /// `Ellipsis`
    Ellipsis,
    /// `NotImplemented`
    NotImplemented,
    /// A `bool`.
    Bool(bool),
    /// An `int` of 64 bits.
    Int(i64),
    /// A `float`.
    Float(f64),
    /// A short ASCII `str`: its length and characters.
    Short(u8, [u8; SHORT]),
    /// A `str`: its stored characters.
    Text(Width, Content),
    /// A `bytes`.
    Bytes(Content),
    /// A large `bytes`, left where it is.
    Lent(Arc<lent::Lent>),
    /// A cown.
    Cown(CownHandle),
    /// A matrix.
    Matrix(Arc<Matrix>),
    /// A graph of native objects.
    Graph(Arc<graph::Graph>),
    /// A pickled object.
    Pickle(Arc<pickle::Pickle>),
    /// A raised exception.
    Exception(Arc<exception::Exception>),
}

const _: () = {
    const fn crosses<T: Send + Sync>() {}
    crosses::<Value>();
    assert!(size_of::<Value>() <= 24);
};

impl Value {
    /// The object, in the state's interpreter. Matrices move if this is the value's last share, and
    /// are copied otherwise.
    ///
    /// # Errors
    /// What the object's own code raises (importing its module, `__setstate__`), `MemoryError`.
    pub(crate) fn into_object(self, state: &State) -> Result<Obj> {
        match self {
            Value::Matrix(matrix) => match Arc::try_unwrap(matrix) {
                Ok(matrix) => matrix::new_object(state, matrix),
                Err(shared) => matrix::new_object(state, handles::copy(&shared)?),
            },
            Value::Graph(graph) => match Arc::try_unwrap(graph) {
                Ok(graph) => graph.into_object(state),
                Err(shared) => shared.to_object(state),
            },
            Value::Pickle(pickle) => match Arc::try_unwrap(pickle) {
                Ok(pickle) => pickle.into_object(state),
                Err(shared) => shared.to_object(state),
            },
            other => other.to_object(state),
        }
    }

    /// The object, in the state's interpreter; the value stays as it is. Matrices are copied.
    ///
    /// # Errors
    /// As for [`Value::into_object`].
    pub(crate) fn to_object(&self, state: &State) -> Result<Obj> {
        let py = state.py();
        match self {
            Value::None => Ok(py.none()),
            Value::Ellipsis => Ok(py.ellipsis()),
            Value::NotImplemented => Ok(py.not_implemented()),
            Value::Bool(value) => Ok(py.bool(*value)),
            Value::Int(value) => py.int(*value),
            Value::Float(value) => py.float(*value),
            Value::Short(length, text) => exact::new_str(py, Width::Ascii, &text[..usize::from(*length)]),
            Value::Text(width, text) => exact::new_str(py, *width, text),
            Value::Bytes(bytes) => Obj::bytes(py, bytes),
            Value::Lent(bytes) => bytes.to_object(py),
            Value::Cown(handle) => crate::cown::new_object(state, handle.clone()),
            Value::Matrix(matrix) => matrix::new_object(state, handles::copy(matrix)?),
            Value::Graph(graph) => graph.to_object(state),
            Value::Pickle(pickle) => pickle.to_object(state),
            Value::Exception(exception) => exception.to_object(state),
        }
    }

    /// Whether the value holds no object that can be changed, so that one decoded object can serve
    /// any number of readers in its interpreter.
    pub(crate) fn is_immutable(&self) -> bool {
        !matches!(self, Value::Matrix(_) | Value::Graph(_) | Value::Pickle(_) | Value::Exception(_))
    }

    /// Whether there are any, of those that [`Value::own_cowns`] visits.
    pub(crate) fn holds_own_cowns(&self) -> bool {
        let mut any = false;
        self.own_cowns(&mut |_| any = true);
        any
    }

    /// Calls `visit` for each handle of a cown that is this value's alone: what other shares of it hold, too, is
    /// left out.
    pub(crate) fn own_cowns(&self, visit: &mut dyn FnMut(&CownHandle)) {
        match self {
            Value::Cown(handle) => visit(handle),
            Value::Graph(graph) if Arc::strong_count(graph) == 1 => graph.handles().cowns().for_each(visit),
            Value::Pickle(pickle) if Arc::strong_count(pickle) == 1 => pickle.handles().cowns().for_each(visit),
            Value::Exception(exception) if Arc::strong_count(exception) == 1 => exception.own_cowns(visit),
            _ => {}
        }
    }

    /// Whether decoding can move something out of the value: a matrix that it holds.
    pub(crate) fn moves(&self) -> bool {
        match self {
            Value::Matrix(_) => true,
            Value::Graph(graph) => graph.handles().has_matrix(),
            Value::Pickle(pickle) => pickle.handles().has_matrix(),
            _ => false,
        }
    }
}

/// Encoding and decoding in one, for tests.
pub(crate) fn roundtrip(state: &State, object: &Obj) -> Result<Obj> {
    encode(state, object)?.into_object(state)
}

/// As [`roundtrip`], as if a body had raised the exception.
pub(crate) fn roundtrip_exception(state: &State, object: &Obj) -> Result<Obj> {
    if !object.is_instance_of(&crate::py::Kind::BaseException.class(state.py())) {
        return Err(Error::type_error("not an exception"));
    }
    exception::encode(state, object).into_object(state)
}
