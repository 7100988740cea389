//! The cowns that code of one interpreter acquired outside behaviors, and has not released.
//!
//! What is still acquired when the interpreter ends is released then: nobody could do it later, and what waits for it
//! would wait for ever.

use std::cell::RefCell;
use std::mem::ManuallyDrop;
use std::ptr;

use crate::cell::CownHandle;

/// A cown's place among them.
#[derive(Clone, Copy, Default)]
pub(crate) struct Place(u32);

/// Entries by number, so that none has to be looked for.
#[derive(Default)]
struct List {
    /// Copies of handles, which aren't counted, so that a program's last one is still the last.
    entries: Vec<Option<ManuallyDrop<CownHandle>>>,
    free: Vec<u32>,
}

/// All of one interpreter.
#[derive(Default)]
pub(crate) struct Holds(RefCell<List>);

impl Holds {
    /// Notes a cown that was just acquired. The caller takes it off before it is released.
    pub(crate) fn add(&self, handle: &CownHandle) -> Place {
        // SAFETY: never dropped, and a cown lives as long as somebody holds it.
        let entry = Some(ManuallyDrop::new(unsafe { ptr::read(handle) }));
        let mut list = self.0.borrow_mut();
        if let Some(place) = list.free.pop() {
            list.entries[place as usize] = entry;
            return Place(place);
        }
        list.entries.push(entry);
        Place(u32::try_from(list.entries.len() - 1).expect("fewer than 2^32 cowns fit into memory"))
    }

    /// Takes one off.
    pub(crate) fn remove(&self, Place(place): Place) {
        let mut list = self.0.borrow_mut();
        list.entries[place as usize] = None;
        list.free.push(place);
    }

    /// Those that are acquired now.
    pub(crate) fn all(&self) -> Vec<CownHandle> {
        self.0.borrow().entries.iter().flatten().map(|handle| CownHandle::clone(handle)).collect()
    }
}
