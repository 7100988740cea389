//! Object to value.
//!
//! The walk over native objects runs no Python code at all (see [`Still`]), so nothing can change
//! under it, whatever finalizers and other threads do: they come before or after. It goes by an
//! explicit stack, so that depth costs heap and not C stack, up to the interpreter's recursion limit.
//!
//! Sharing: an object with one reference can't be met twice, so only those with more are looked up in
//! the memo. For containers the memo is exact, since their identity shows; for `str` and `bytes` it
//! only saves room and time, and small ones go through a small table that forgets.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use crate::py::exact::{Exact, Still, Width};
use crate::py::{Error, Obj, Ref, Result, version};
use crate::state::State;

use super::handles::{Gathering, Matrices};
use super::{SHORT, Value, wire};

/// Those that need no buffer of their own, or one that is just their content, and don't move.
#[inline]
pub(super) fn scalar(state: &State, object: &Obj) -> Result<Option<Value>> {
    // SAFETY: nothing below runs Python code while something is borrowed.
    let still = unsafe { Still::assume(object) };
    let object = object.reborrow();
    Ok(Some(match object.exact() {
        Exact::None => Value::None,
        Exact::Ellipsis => Value::Ellipsis,
        Exact::NotImplemented => Value::NotImplemented,
        Exact::Bool => Value::Bool(still.int(object) == Some(1)),
        Exact::Int => match still.int(object) {
            Some(value) => Value::Int(value),
            None => return Ok(None),
        },
        Exact::Float => Value::Float(still.float(object)),
        Exact::Str => match still.text(object) {
            (Width::Ascii, text) if text.len() <= SHORT => {
                let mut short = [0; SHORT];
                short[..text.len()].copy_from_slice(text);
                Value::Short(text.len() as u8, short)
            }
            (width, text) => Value::Text(width, text.into()),
        },
        Exact::Bytes => match state.lender.lend(object) {
            Some(lent) => Value::Lent(lent),
            None => Value::Bytes(still.bytes(object).into()),
        },
        Exact::Other => match state.cown.get(&object) {
            Some(cown) => Value::Cown(cown.handle().clone()),
            None => return Ok(None),
        },
        _ => return Ok(None),
    }))
}

/// The bytes of the object's graph, and what they refer to; `None` if some part of it isn't native.
#[inline]
pub(super) fn native(state: &State, object: &Obj, matrices: Matrices) -> Result<Option<(Vec<u8>, Gathering)>> {
    let mut writer = Writer {
        state,
        // SAFETY: the writer runs no Python code; what it borrows isn't used after it.
        still: unsafe { Still::assume(object) },
        out: Vec::with_capacity(256),
        handles: Gathering::new(matrices),
        shared: 0,
        memo: HashMap::default(),
        recent: Vec::new(),
        stack: Vec::new(),
        limit: version::recursion_limit(state.py()),
    };
    match writer.run(object.reborrow()) {
        Ok(()) => {}
        Err(Stop::Foreign) => return Ok(None),
        Err(Stop::Error(error)) => return Err(error),
    }
    Ok(Some((writer.out, writer.handles)))
}

/// Why a walk ended early.
enum Stop {
    /// A part isn't native.
    Foreign,
    Error(Error),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Stop {
        Stop::Error(error)
    }
}

/// A container that is being walked: what is left of it.
enum Frame<'a> {
    Items(Ref<'a>, &'a [Ref<'a>], usize),
    Members(Ref<'a>, Vec<Ref<'a>>, usize),
    Dict(Ref<'a>, isize),
    /// A dict whose key has been written (it was a container), with the value that belongs to it.
    DictValue(Ref<'a>, isize, Ref<'a>),
}

impl<'a> Frame<'a> {
    fn container(&self) -> Ref<'a> {
        match self {
            Frame::Items(container, ..)
            | Frame::Members(container, ..)
            | Frame::Dict(container, _)
            | Frame::DictValue(container, ..) => *container,
        }
    }
}

struct Writer<'a> {
    state: &'a State,
    still: Still<'a>,
    out: Vec<u8>,
    handles: Gathering,
    /// How many numbers of the memo are given.
    shared: usize,
    /// Numbers of containers and long texts, by address.
    memo: HashMap<usize, usize, BuildHasherDefault<AddressHasher>>,
    /// Numbers of short texts, by a few bits of the address; empty until one is met.
    recent: Vec<(usize, usize)>,
    stack: Vec<Frame<'a>>,
    limit: usize,
}

/// From this many bytes on a shared text is never written twice.
const LONG: usize = 64;
const RECENT: usize = 256;

impl<'a> Writer<'a> {
    fn run(&mut self, root: Ref<'a>) -> std::result::Result<(), Stop> {
        if !self.leaf(root)? {
            self.open(root)?;
        }
        while let Some(frame) = self.stack.pop() {
            match frame {
                Frame::Items(container, items, from) => {
                    if let Some(at) = self.leaves(items, from)? {
                        self.stack.push(Frame::Items(container, items, at + 1));
                        self.open(items[at])?;
                    }
                }
                Frame::Members(container, items, from) => {
                    if let Some(at) = self.leaves(&items, from)? {
                        let item = items[at];
                        self.stack.push(Frame::Members(container, items, at + 1));
                        self.open(item)?;
                    }
                }
                Frame::Dict(dict, position) => self.pairs(dict, position)?,
                Frame::DictValue(dict, position, value) => {
                    self.stack.push(Frame::Dict(dict, position));
                    if !self.leaf(value)? {
                        self.open(value)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Writes items up to the first that is a container, and gives its index.
    #[inline]
    fn leaves(&mut self, items: &[Ref<'a>], from: usize) -> std::result::Result<Option<usize>, Stop> {
        for (index, item) in items.iter().enumerate().skip(from) {
            if !self.leaf(*item)? {
                return Ok(Some(index));
            }
        }
        Ok(None)
    }

    /// Writes a dict's entries up to the first container among keys and values.
    fn pairs(&mut self, dict: Ref<'a>, mut position: isize) -> std::result::Result<(), Stop> {
        while let Some((key, value)) = self.still.next_pair(dict, &mut position) {
            if !self.leaf(key)? {
                self.stack.push(Frame::DictValue(dict, position, value));
                return self.open(key);
            }
            if !self.leaf(value)? {
                self.stack.push(Frame::Dict(dict, position));
                return self.open(value);
            }
        }
        Ok(())
    }

    /// Writes an object that has no content of its own; false for a container.
    #[inline]
    fn leaf(&mut self, object: Ref<'a>) -> std::result::Result<bool, Stop> {
        match object.exact() {
            Exact::Str => self.text(object),
            Exact::Int => match self.still.int(object) {
                Some(value) => wire::put_int(&mut self.out, value),
                None => self.big_int(object)?,
            },
            Exact::Float => {
                let [a, b, c, d, e, f, g, h] = self.still.float(object).to_ne_bytes();
                self.out.extend_from_slice(&[wire::FLOAT, a, b, c, d, e, f, g, h]);
            }
            Exact::None => self.out.push(wire::NONE),
            Exact::Bool => self.out.push(match self.still.int(object) {
                Some(1) => wire::TRUE,
                _ => wire::FALSE,
            }),
            Exact::Bytes => self.bytes(object),
            Exact::Ellipsis => self.out.push(wire::ELLIPSIS),
            Exact::NotImplemented => self.out.push(wire::NOT_IMPLEMENTED),
            Exact::Complex => {
                let (real, imag) = self.still.complex(object);
                self.out.push(wire::COMPLEX);
                self.out.extend_from_slice(&real.to_ne_bytes());
                self.out.extend_from_slice(&imag.to_ne_bytes());
            }
            Exact::ByteArray => {
                if !self.seen(object)? {
                    let content = self.still.bytearray(object);
                    self.out.push(wire::BYTE_ARRAY);
                    wire::put_length(&mut self.out, content.len());
                    self.out.extend_from_slice(content);
                }
            }
            Exact::Other => self.handle(object)?,
            Exact::List | Exact::Tuple | Exact::Dict | Exact::Set | Exact::FrozenSet | Exact::Range | Exact::Slice => {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Writes a container's head and puts its content on the stack.
    fn open(&mut self, object: Ref<'a>) -> std::result::Result<(), Stop> {
        if self.seen(object)? {
            return Ok(());
        }
        if self.stack.len() >= self.limit {
            return Err(Stop::Error(Error::recursion_error(format!(
                "the value is nested deeper than the recursion limit of {}",
                self.limit
            ))));
        }
        let still = self.still;
        let (tag, length, frame) = match object.exact() {
            Exact::List => {
                let items = still.list(object);
                (wire::LIST, items.len(), Frame::Items(object, items, 0))
            }
            Exact::Tuple => {
                let items = still.tuple(object);
                (wire::TUPLE, items.len(), Frame::Items(object, items, 0))
            }
            Exact::Dict => (wire::DICT, still.entries(object), Frame::Dict(object, 0)),
            Exact::Set => {
                let members = still.members(object)?;
                (wire::SET, members.len(), Frame::Members(object, members, 0))
            }
            Exact::FrozenSet => {
                let members = still.members(object)?;
                (wire::FROZEN_SET, members.len(), Frame::Members(object, members, 0))
            }
            Exact::Slice => {
                self.out.push(wire::SLICE);
                self.stack.push(Frame::Items(object, still.slice(object), 0));
                return Ok(());
            }
            Exact::Range => {
                self.out.push(wire::RANGE);
                return self.range(object);
            }
            _ => return Err(Stop::Foreign),
        };
        self.out.push(tag);
        wire::put_length(&mut self.out, length);
        self.stack.push(frame);
        Ok(())
    }

    /// A range's three ints; they are written in place, whatever their size.
    fn range(&mut self, range: Ref<'a>) -> std::result::Result<(), Stop> {
        let names = &self.state.names;
        for name in [&names.start, &names.stop, &names.step] {
            let bound = range.getattr(name)?;
            // SAFETY: the range, which is immutable, keeps its bounds alive.
            let bound = unsafe { Ref::from_ptr(bound.as_ptr()) };
            match bound.exact() {
                Exact::Int | Exact::Bool => self.leaf(bound)?,
                _ => return Err(Stop::Foreign),
            };
        }
        Ok(())
    }

    fn big_int(&mut self, object: Ref<'a>) -> std::result::Result<(), Stop> {
        let mut digits = Vec::new();
        self.still.big_int(object, &mut digits)?;
        self.out.push(wire::BIG_INT);
        wire::put_length(&mut self.out, digits.len());
        self.out.extend_from_slice(&digits);
        Ok(())
    }

    #[inline]
    fn text(&mut self, object: Ref<'a>) {
        let (width, text) = self.still.text(object);
        if object.refcount() > 1 && text.len() > 1 && self.text_seen(object, text.len()) {
            return;
        }
        let tag = wire::TEXT + width as u8;
        if text.len() < 0x80 {
            self.out.reserve(text.len() + 2);
            self.out.extend_from_slice(&[tag, text.len() as u8]);
        } else {
            self.out.push(tag);
            wire::put_length(&mut self.out, text.len());
        }
        self.out.extend_from_slice(text);
    }

    fn bytes(&mut self, object: Ref<'a>) {
        let bytes = self.still.bytes(object);
        if object.refcount() > 1 && bytes.len() > 1 && self.text_seen(object, bytes.len()) {
            return;
        }
        self.out.push(wire::BYTES);
        wire::put_length(&mut self.out, bytes.len());
        self.out.extend_from_slice(bytes);
    }

    /// As [`Writer::seen`] for a shared `str` or `bytes`, of which a short one may be forgotten.
    fn text_seen(&mut self, object: Ref<'a>, length: usize) -> bool {
        let address = object.as_ptr() as usize;
        if length >= LONG {
            return self.numbered(address);
        }
        if self.recent.is_empty() {
            self.recent = vec![(0, 0); RECENT];
        }
        let slot = &mut self.recent[(address >> 4 ^ address >> 12) % RECENT];
        if slot.0 == address {
            let number = slot.1;
            self.again(number);
            return true;
        }
        *slot = (address, self.shared);
        self.shared += 1;
        self.out.push(wire::SHARE);
        false
    }

    /// Whether the object was written before, in which case it is referred to. If it may be met
    /// again it gets a number.
    #[inline]
    fn seen(&mut self, object: Ref<'a>) -> std::result::Result<bool, Stop> {
        if object.refcount() <= 1 {
            return Ok(false);
        }
        let again = self.numbered(object.as_ptr() as usize);
        // A slice or frozenset can be made only when its content is there, so neither can contain
        // itself. (By way of a list in a slice it could be asked to.)
        if again
            && matches!(object.exact(), Exact::Slice | Exact::FrozenSet)
            && self.stack.iter().any(|frame| frame.container().is(&object))
        {
            return Err(Stop::Foreign);
        }
        Ok(again)
    }

    fn numbered(&mut self, address: usize) -> bool {
        match self.memo.entry(address) {
            std::collections::hash_map::Entry::Occupied(known) => {
                let number = *known.get();
                self.again(number);
                true
            }
            std::collections::hash_map::Entry::Vacant(slot) => {
                slot.insert(self.shared);
                self.shared += 1;
                self.out.push(wire::SHARE);
                false
            }
        }
    }

    fn again(&mut self, number: usize) {
        self.out.push(wire::AGAIN);
        wire::put_length(&mut self.out, number);
    }

    fn handle(&mut self, object: Ref<'a>) -> std::result::Result<(), Stop> {
        if self.seen(object)? {
            return Ok(());
        }
        match self.handles.add(self.state, &object)? {
            Some(index) => {
                self.out.push(wire::HANDLE);
                wire::put_length(&mut self.out, index);
                Ok(())
            }
            None => Err(Stop::Foreign),
        }
    }
}

/// Spreads addresses: objects are aligned and lie close together.
#[derive(Default)]
struct AddressHasher(u64);

impl Hasher for AddressHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, _bytes: &[u8]) {
        unreachable!("only addresses are hashed");
    }

    fn write_usize(&mut self, address: usize) {
        // Fibonacci hashing: 2^64 / golden ratio.
        self.0 = (address as u64 >> 4).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}
