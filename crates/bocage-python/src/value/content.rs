//! The content of a `str` or `bytes`, shared.
//!
//! Buffers of many pages are kept for the next one when they are given back. An allocator returns such a
//! buffer to the system and asks for it again, and then every page of it faults anew, which takes far longer
//! than copying what is in it.

use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError};

use crate::fork;

/// Bytes that any number of values share.
#[derive(Clone)]
pub(crate) enum Content {
    /// In one block with its counter.
    Small(Arc<[u8]>),
    /// In a buffer that is used again.
    Large(Arc<Large>),
}

/// A buffer that goes to the [`SPARE`] ones when it is dropped.
pub(crate) struct Large(Vec<u8>);

/// From this many bytes on a buffer is used again.
const LARGE: usize = 1 << 16;
/// No more than this many bytes are kept, in no more than this many buffers.
const KEPT: usize = 1 << 25;
const BUFFERS: usize = 8;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

impl From<&[u8]> for Content {
    fn from(bytes: &[u8]) -> Content {
        if bytes.len() < LARGE {
            return Content::Small(bytes.into());
        }
        let mut buffer = take(bytes.len());
        buffer.extend_from_slice(bytes);
        Content::Large(Arc::new(Large(buffer)))
    }
}

impl Deref for Content {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Content::Small(bytes) => bytes,
            Content::Large(buffer) => &buffer.0,
        }
    }
}

impl Drop for Large {
    fn drop(&mut self) {
        give(std::mem::take(&mut self.0));
    }
}

/// An empty buffer with room for `length` bytes: the smallest spare one that isn't much too large, or a new one.
fn take(length: usize) -> Vec<u8> {
    if fork::is_orphan() {
        return Vec::with_capacity(length);
    }
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    let fits = |buffer: &Vec<u8>| (length..=length.saturating_mul(4)).contains(&buffer.capacity());
    let best = (0..spare.len()).filter(|index| fits(&spare[*index])).min_by_key(|index| spare[*index].capacity());
    match best {
        Some(index) => spare.swap_remove(index),
        None => {
            drop(spare);
            Vec::with_capacity(length)
        }
    }
}

/// Keeps a buffer for the next one, if there is room; the oldest ones make room for it.
fn give(mut buffer: Vec<u8>) {
    if !(LARGE..=KEPT).contains(&buffer.capacity()) || fork::is_orphan() {
        return;
    }
    buffer.clear();
    let mut gone = Vec::new();
    let mut spare = SPARE.lock().unwrap_or_else(PoisonError::into_inner);
    spare.push(buffer);
    while spare.len() > BUFFERS || spare.iter().map(Vec::capacity).sum::<usize>() > KEPT {
        gone.push(spare.remove(0));
    }
    // Freed with the lock released.
    drop(spare);
    drop(gone);
}
