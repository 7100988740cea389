//! Bytes to object.
//!
//! The mirror of the encoder: an explicit stack of containers under construction, and the memo as a
//! list. A shared container has its place in the memo from its head on, so that its content can refer
//! to it; those that are made when their content is complete (frozenset, slice, range) take it then.

use crate::py::build::{self, Sequence};
use crate::py::exact::{self, Width};
use crate::py::{Error, Obj, Result};
use crate::state::State;

use super::handles::Source;
use super::wire::{self, Reader};

/// Rebuilds the object.
pub(super) fn decode(state: &State, bytes: &[u8], handles: &Source<'_>) -> Result<Obj> {
    Builder {
        state,
        reader: Reader::new(bytes),
        handles,
        memo: Vec::new(),
        stack: Vec::new(),
    }
    .run()
}

/// A container under construction.
enum Frame {
    Sequence(Sequence),
    /// The dict, how many entries are to come, and the key whose value comes next.
    Dict(Obj, usize, Option<Obj>),
    /// The set and how many members are to come.
    Set(Obj, usize),
    FrozenSet(Obj, usize, Option<usize>),
    /// A slice or range: its parts so far.
    Three(bool, [Option<Obj>; 3], usize, Option<usize>),
}

/// What a tag announced.
enum Read {
    Leaf(Obj),
    Open(Frame),
}

struct Builder<'a> {
    state: &'a State,
    reader: Reader<'a>,
    handles: &'a Source<'a>,
    /// Objects by number; `None` where one is announced and not there yet.
    memo: Vec<Option<Obj>>,
    stack: Vec<Frame>,
}

fn malformed() -> Error {
    Error::system_error("a value's bytes are malformed")
}

impl Builder<'_> {
    fn run(mut self) -> Result<Obj> {
        let mut frame = match self.read()? {
            Read::Leaf(object) => return Ok(object),
            Read::Open(frame) => frame,
        };
        loop {
            // Fill the innermost container, up to the next one inside it.
            let inner = match &mut frame {
                Frame::Sequence(sequence) => loop {
                    if sequence.is_full() {
                        break None;
                    }
                    match self.read()? {
                        Read::Leaf(item) => sequence.push(item),
                        Read::Open(inner) => break Some(inner),
                    }
                },
                Frame::Dict(dict, left, key) => loop {
                    if *left == 0 {
                        break None;
                    }
                    if key.is_none() {
                        match self.read()? {
                            Read::Leaf(object) => *key = Some(object),
                            Read::Open(inner) => break Some(inner),
                        }
                    }
                    match self.read()? {
                        Read::Leaf(value) => {
                            let key = key.take().ok_or_else(malformed)?;
                            dict.dict_set(&key, &value)?;
                            *left -= 1;
                        }
                        Read::Open(inner) => break Some(inner),
                    }
                },
                Frame::Set(set, left) | Frame::FrozenSet(set, left, _) => loop {
                    if *left == 0 {
                        break None;
                    }
                    match self.read()? {
                        Read::Leaf(member) => {
                            build::add(set, &member)?;
                            *left -= 1;
                        }
                        Read::Open(inner) => break Some(inner),
                    }
                },
                Frame::Three(_, parts, filled, _) => loop {
                    if *filled == 3 {
                        break None;
                    }
                    match self.read()? {
                        Read::Leaf(part) => {
                            parts[*filled] = Some(part);
                            *filled += 1;
                        }
                        Read::Open(inner) => break Some(inner),
                    }
                },
            };
            if let Some(inner) = inner {
                self.stack.push(std::mem::replace(&mut frame, inner));
                continue;
            }
            // It is complete: put it into the one around it.
            let object = self.close(frame)?;
            let Some(outer) = self.stack.pop() else {
                return Ok(object);
            };
            frame = outer;
            match &mut frame {
                Frame::Sequence(sequence) => sequence.push(object),
                Frame::Dict(dict, left, key) => match key.take() {
                    None => *key = Some(object),
                    Some(key) => {
                        dict.dict_set(&key, &object)?;
                        *left -= 1;
                    }
                },
                Frame::Set(set, left) | Frame::FrozenSet(set, left, _) => {
                    build::add(set, &object)?;
                    *left -= 1;
                }
                Frame::Three(_, parts, filled, _) => {
                    parts[*filled] = Some(object);
                    *filled += 1;
                }
            }
        }
    }

    fn close(&mut self, frame: Frame) -> Result<Obj> {
        let (object, place) = match frame {
            Frame::Sequence(sequence) => return Ok(sequence.finish()),
            Frame::Dict(object, ..) | Frame::Set(object, _) => return Ok(object),
            Frame::FrozenSet(object, _, place) => (object, place),
            Frame::Three(is_slice, [Some(a), Some(b), Some(c)], _, place) => (
                if is_slice {
                    build::slice(&a, &b, &c)?
                } else {
                    build::range(&a, &b, &c)?
                },
                place,
            ),
            Frame::Three(..) => return Err(malformed()),
        };
        if let Some(place) = place {
            self.memo[place] = Some(Obj::clone(&object));
        }
        Ok(object)
    }

    /// Reads one object: whole, or the head of a container.
    #[inline]
    fn read(&mut self) -> Result<Read> {
        let py = self.state.py();
        let mut tag = self.reader.byte()?;
        let mut place = None;
        if tag == wire::SHARE {
            place = Some(self.memo.len());
            self.memo.push(None);
            tag = self.reader.byte()?;
        }
        let leaf = match tag {
            wire::INT_1 => py.int(i64::from(self.reader.byte()? as i8))?,
            wire::INT_4 => py.int(self.reader.int_4()?)?,
            wire::INT_8 => py.int(self.reader.int_8()?)?,
            wire::FLOAT => py.float(self.reader.float()?)?,
            wire::TEXT..wire::BYTES => {
                let length = self.reader.length()?;
                let width = Width::from_u8(tag - wire::TEXT).ok_or_else(malformed)?;
                exact::new_str(py, width, self.reader.take(length)?)?
            }
            wire::NONE => py.none(),
            wire::TRUE => py.bool(true),
            wire::FALSE => py.bool(false),
            wire::AGAIN => {
                let number = self.reader.length()?;
                let known = self.memo.get(number).and_then(Option::as_ref);
                Obj::clone(known.ok_or_else(malformed)?)
            }
            wire::ELLIPSIS => py.ellipsis(),
            wire::NOT_IMPLEMENTED => py.not_implemented(),
            wire::BIG_INT => {
                let length = self.reader.length()?;
                exact::new_big_int(py, self.reader.take(length)?)?
            }
            wire::COMPLEX => exact::new_complex(py, self.reader.float()?, self.reader.float()?)?,
            wire::BYTES => {
                let length = self.reader.length()?;
                Obj::bytes(py, self.reader.take(length)?)?
            }
            wire::BYTE_ARRAY => {
                let length = self.reader.length()?;
                exact::new_bytearray(py, self.reader.take(length)?)?
            }
            wire::HANDLE => {
                let index = self.reader.length()?;
                self.handles.object(self.state, index)?
            }
            _ => return self.head(tag, place).map(Read::Open),
        };
        if let Some(place) = place {
            self.memo[place] = Some(Obj::clone(&leaf));
        }
        Ok(Read::Leaf(leaf))
    }

    fn head(&mut self, tag: u8, place: Option<usize>) -> Result<Frame> {
        let py = self.state.py();
        if matches!(tag, wire::SLICE | wire::RANGE) {
            return Ok(Frame::Three(tag == wire::SLICE, [None, None, None], 0, place));
        }
        let length = self.reader.length()?;
        let frame = match tag {
            wire::LIST => Frame::Sequence(Sequence::list(py, length)?),
            wire::TUPLE => Frame::Sequence(Sequence::tuple(py, length, place.is_some())?),
            wire::DICT => Frame::Dict(build::dict(py, length)?, length, None),
            wire::SET => Frame::Set(build::set(py)?, length),
            wire::FROZEN_SET => {
                return Ok(Frame::FrozenSet(build::frozenset(py)?, length, place));
            }
            _ => return Err(malformed()),
        };
        if let Some(place) = place {
            self.memo[place] = Some(Obj::clone(match &frame {
                Frame::Sequence(sequence) => sequence.object(),
                Frame::Dict(object, ..) | Frame::Set(object, _) => object,
                Frame::FrozenSet(..) | Frame::Three(..) => return Err(malformed()),
            }));
        }
        Ok(frame)
    }
}
