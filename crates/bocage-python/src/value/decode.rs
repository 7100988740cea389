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
    Builder { state, reader: Reader::new(bytes), handles, memo: Vec::new(), stack: Vec::new(), opened: None }
        .run()
        .map_err(|error| *error)
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

/// As everywhere, but of two words, since it is returned for every object.
type Fast<T> = std::result::Result<T, Box<Error>>;

struct Builder<'a> {
    state: &'a State,
    reader: Reader<'a>,
    handles: &'a Source<'a>,
    /// Objects by number; `None` where one is announced and not there yet.
    memo: Vec<Option<Obj>>,
    stack: Vec<Frame>,
    /// The container whose head was read last.
    opened: Option<Frame>,
}

#[cold]
fn malformed() -> Error {
    Error::system_error("a value's bytes are malformed")
}

impl Builder<'_> {
    fn run(mut self) -> Fast<Obj> {
        let mut frame = match self.read()? {
            Some(object) => return Ok(object),
            None => self.opened()?,
        };
        loop {
            // Fill the innermost container, up to the next one inside it.
            let inner = match &mut frame {
                Frame::Sequence(sequence) => loop {
                    if sequence.is_full() {
                        break None;
                    }
                    match self.read()? {
                        Some(item) => sequence.push(item),
                        None => break Some(self.opened()?),
                    }
                },
                Frame::Dict(dict, left, key) => loop {
                    if *left == 0 {
                        break None;
                    }
                    if key.is_none() {
                        match self.read()? {
                            Some(object) => *key = Some(object),
                            None => break Some(self.opened()?),
                        }
                    }
                    match self.read()? {
                        Some(value) => {
                            let key = key.take().ok_or_else(malformed)?;
                            dict.dict_set(&key, &value)?;
                            *left -= 1;
                        }
                        None => break Some(self.opened()?),
                    }
                },
                Frame::Set(set, left) | Frame::FrozenSet(set, left, _) => loop {
                    if *left == 0 {
                        break None;
                    }
                    match self.read()? {
                        Some(member) => {
                            build::add(set, &member)?;
                            *left -= 1;
                        }
                        None => break Some(self.opened()?),
                    }
                },
                Frame::Three(_, parts, filled, _) => loop {
                    if *filled == 3 {
                        break None;
                    }
                    match self.read()? {
                        Some(part) => {
                            parts[*filled] = Some(part);
                            *filled += 1;
                        }
                        None => break Some(self.opened()?),
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

    fn close(&mut self, frame: Frame) -> Fast<Obj> {
        let (object, place) = match frame {
            Frame::Sequence(sequence) => return Ok(sequence.finish()),
            Frame::Dict(object, ..) | Frame::Set(object, _) => return Ok(object),
            Frame::FrozenSet(object, _, place) => (object, place),
            Frame::Three(is_slice, [Some(a), Some(b), Some(c)], _, place) => {
                (if is_slice { build::slice(&a, &b, &c)? } else { build::range(&a, &b, &c)? }, place)
            }
            Frame::Three(..) => return Err(malformed().into()),
        };
        if let Some(place) = place {
            self.memo[place] = Some(Obj::clone(&object));
        }
        Ok(object)
    }

    /// The container whose head was just read.
    fn opened(&mut self) -> Fast<Frame> {
        Ok(self.opened.take().ok_or_else(malformed)?)
    }

    /// Reads one object: whole, or (`None`) the head of a container, which is then [`Builder::opened`].
    #[inline]
    fn read(&mut self) -> Fast<Option<Obj>> {
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
            _ => {
                self.opened = Some(self.head(tag, place)?);
                return Ok(None);
            }
        };
        if let Some(place) = place {
            self.memo[place] = Some(Obj::clone(&leaf));
        }
        Ok(Some(leaf))
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
