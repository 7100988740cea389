//! Cycles of cowns: found and broken when a runtime stops.
//!
//! Cowns are counted, so cowns that hold each other would stay for ever. All cells whose portable value holds
//! cowns are listed here, each with the handles inside its value, and [`collect`] finds those that only such
//! cells refer to (trial deletion): of each listed cell it counts the handles that listed values have to it. If
//! there are more references than those, someone outside has one; such cells, and what can be reached from
//! them, stay. From the others the values are taken, which frees them all.
//!
//! # Why it may run while other threads use cowns
//!
//! A cell is listed from when its value became portable until right before that value is decoded, replaced
//! or dropped: each of these steps takes the list's lock, and `collect` holds it from beginning to end. So the
//! handles that it counts stay where they are, and keep their cowns alive. It may read a cown's count of
//! references while others change it. But a count equal to that of the listed handles means that at that point in
//! the count's history there was no other handle; and a new one can only be made from another one, or by taking
//! one out of a listed value, which needs the lock. So nobody will ever own these cells again, and `collect` may.
//!
//! A value that is shared with somebody (an `Arc` with more than one owner) isn't listed: its handles count as
//! references from outside. That can keep a cycle, and never breaks one that is in use.

use std::collections::HashMap;
use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::{Mutex, MutexGuard, PoisonError};

use smallvec::SmallVec;

use crate::cell::{Cell, CownHandle};
use crate::fork;
use crate::value::Value;

/// A cell's place in the list.
#[derive(Clone, Copy)]
pub(crate) struct Listing(u32);

struct Entry {
    cell: *const Cell,
    /// Copies of the handles inside its value, which aren't counted and live as long as the entry.
    holds: SmallVec<[ManuallyDrop<CownHandle>; 2]>,
}

/// Entries by number, so that none has to be looked for.
struct List {
    entries: Vec<Option<Entry>>,
    free: Vec<u32>,
}

// SAFETY: the cells and handles are used under the list's lock only, as the module's page says.
unsafe impl Send for List {}

/// Divides the list, so that workers seldom meet.
const LISTS: usize = 16;

static LIST: [Mutex<List>; LISTS] = [const { Mutex::new(List { entries: Vec::new(), free: Vec::new() }) }; LISTS];

fn list_of(cell: *const Cell) -> MutexGuard<'static, List> {
    // Blocks are allocated at multiples of 16.
    lock(&LIST[cell.addr() / 64 % LISTS])
}

fn lock(list: &Mutex<List>) -> MutexGuard<'_, List> {
    list.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lists a cell with the cowns in its value, if there are any. The caller unlists it before that value is
/// touched.
pub(crate) fn list(cell: *const Cell, value: &Value) -> Option<Listing> {
    let mut holds = SmallVec::new();
    // SAFETY: never dropped, and gone when the caller unlists the cell: the value with the handle lives longer.
    value.own_cowns(&mut |handle| holds.push(ManuallyDrop::new(unsafe { ptr::read(handle) })));
    if holds.is_empty() || fork::is_orphan() {
        return None;
    }
    let entry = Entry { cell, holds };
    let mut list = list_of(cell);
    let index = match list.free.pop() {
        Some(index) => {
            list.entries[index as usize] = Some(entry);
            index
        }
        None => {
            list.entries.push(Some(entry));
            u32::try_from(list.entries.len() - 1).expect("fewer than 2^32 cells fit into memory")
        }
    };
    Some(Listing(index))
}

/// Takes a cell off the list.
pub(crate) fn unlist(cell: *const Cell, Listing(index): Listing) {
    // Nobody collects in an orphan, and the lock may be held for ever.
    if fork::is_orphan() {
        return;
    }
    let mut list = list_of(cell);
    list.entries[index as usize] = None;
    list.free.push(index);
}

/// Whether no thread uses the list. Waits for nothing.
#[cfg(unix)]
pub(crate) fn is_idle() -> bool {
    LIST.iter().all(|list| !matches!(list.try_lock(), Err(std::sync::TryLockError::WouldBlock)))
}

/// A listed cell while cycles are looked for.
struct Node<'a> {
    entry: &'a Entry,
    /// References to its cown, as counted there; 0 while nobody was found to hold it.
    references: usize,
    /// Of these, the handles inside listed values.
    listed: usize,
    /// It stays.
    stays: bool,
}

/// Frees all cowns that only they themselves refer to. In time and memory linear in the listed cells and handles.
pub(crate) fn collect() {
    let mut lists: Vec<MutexGuard<'_, List>> = LIST.iter().map(lock).collect();
    let dead = find(&lists);
    let mut values = Vec::with_capacity(dead.len());
    for cell in dead {
        // SAFETY: alive, since handles inside the values that are kept here refer to it; and, as the module's
        // page says, nobody else will own it again.
        if let Some((value, Listing(index))) = unsafe { Cell::take_unreachable(cell) } {
            values.push(value);
            let list = &mut lists[cell.addr() / 64 % LISTS];
            list.entries[index as usize] = None;
            list.free.push(index);
        }
    }
    drop(lists);
    // With the locks released: other cells go with them.
    drop(values);
}

/// The cells that can't be reached.
fn find(lists: &[MutexGuard<'_, List>]) -> Vec<*const Cell> {
    let entries = || lists.iter().flat_map(|list| &list.entries).flatten();
    let mut nodes: Vec<Node<'_>> =
        entries().map(|entry| Node { entry, references: 0, listed: 0, stays: false }).collect();
    let index: HashMap<*const Cell, usize> = entries().enumerate().map(|(at, entry)| (entry.cell, at)).collect();
    let target = |handle: &CownHandle| index.get(&ptr::from_ref(handle.cell())).copied();
    for handle in entries().flat_map(|entry| &entry.holds) {
        if let Some(at) = target(handle) {
            // Read once: see the module's page.
            if nodes[at].listed == 0 {
                nodes[at].references = handle.core().references();
            }
            nodes[at].listed += 1;
        }
    }
    let mut todo = Vec::new();
    for (at, node) in nodes.iter_mut().enumerate() {
        if node.listed == 0 || node.references != node.listed {
            node.stays = true;
            todo.push(at);
        }
    }
    while let Some(at) = todo.pop() {
        for next in nodes[at].entry.holds.iter().filter_map(|handle| target(handle)) {
            if !std::mem::replace(&mut nodes[next].stays, true) {
                todo.push(next);
            }
        }
    }
    nodes.iter().filter(|node| !node.stays).map(|node| node.entry.cell).collect()
}
