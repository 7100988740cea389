//! Large `bytes` that cross without a copy: the object stays where it is, and others read its content.
//!
//! A `bytes` never changes, so its content may be read from any thread for as long as somebody keeps the
//! object alive. What must be done in the object's own interpreter is to give its reference back.
//!
//! | a lent value is | what happens |
//! |---|---|
//! | decoded in the lender's own interpreter | the very object comes back |
//! | decoded in another one | one copy, straight from the object |
//! | dropped by a thread that is attached to the lender | the reference is given back |
//! | dropped by another thread | the reference goes to the lender's list, which is emptied after each behavior, before the interpreter is paused, and by `wait` |
//! | alive when the lender is parked or ended | it is recalled: the content is copied, the object let go |
//!
//! So that a lender which is never awake again holds little, it lends no more while the list is long.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use pyo3_ffi as ffi;

use crate::py::{Attached, Obj, Ref, Result, attached_interpreter};

/// Shorter ones are copied: a copy costs less than the lock.
pub(crate) const LEAST: usize = 16 << 10;

/// A lender whose list holds so many bytes lends no more.
const MOST_RETURNED: usize = 64 << 20;

/// An interpreter, as somebody who lends.
pub(crate) struct Lender {
    /// Its address, as a name.
    interpreter: usize,
    /// References to give back.
    returned: Mutex<Vec<Held>>,
    /// The bytes in that list: read without the lock, as a hint.
    returned_bytes: AtomicUsize,
    /// What is lent, to be recalled.
    lent: Mutex<Vec<Weak<Lent>>>,
}

/// A lent `bytes`.
pub(crate) struct Lent {
    lender: Arc<Lender>,
    content: Mutex<Content>,
    length: usize,
}

enum Content {
    Object(Held),
    Copied(Box<[u8]>),
    /// Only while it is dropped.
    Gone,
}

/// One reference to a `bytes` of the lender.
struct Held(NonNull<ffi::PyObject>);

// SAFETY: the object's reference count is touched only by threads attached to its interpreter; from others
// only its content is read, which never changes.
unsafe impl Send for Held {}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Held {
    fn content(&self) -> &[u8] {
        // SAFETY: the held reference keeps the object alive, a `bytes` by `Lender::lend`, whose content never
        // changes nor moves.
        unsafe {
            let size = ffi::Py_SIZE(self.0.as_ptr()) as usize;
            let bytes = (&raw const (*self.0.as_ptr().cast::<ffi::PyBytesObject>()).ob_sval).cast::<u8>();
            std::slice::from_raw_parts(bytes, size)
        }
    }

    /// Gives the reference back.
    ///
    /// # Safety
    /// The thread is attached to the object's interpreter.
    unsafe fn give_back(self) {
        // SAFETY: the reference is owned, and the thread attached.
        drop(unsafe { Obj::from_owned(self.0.as_ptr()) });
    }
}

impl Lender {
    /// The lender that an interpreter is.
    pub(crate) fn new(py: Attached) -> Arc<Lender> {
        Arc::new(Lender {
            interpreter: py.interpreter().addr(),
            returned: Mutex::default(),
            returned_bytes: AtomicUsize::new(0),
            lent: Mutex::default(),
        })
    }

    /// Lends a `bytes` of this interpreter; `None` if it is short or too many wait to be taken back.
    pub(crate) fn lend(self: &Arc<Self>, bytes: Ref<'_>) -> Option<Arc<Lent>> {
        self.take_back(bytes.py());
        let length = bytes.as_bytes()?.len();
        // Relaxed: a hint.
        if length < LEAST || self.returned_bytes.load(Ordering::Relaxed) > MOST_RETURNED {
            return None;
        }
        let held = Held(NonNull::new(bytes.own().into_ptr())?);
        let lent = Arc::new(Lent { lender: self.clone(), content: Mutex::new(Content::Object(held)), length });
        let mut all = lock(&self.lent);
        if all.len() == all.capacity() {
            all.retain(|lent| lent.strong_count() > 0);
        }
        all.push(Arc::downgrade(&lent));
        Some(lent)
    }

    /// Gives back what others dropped. Cheap if there is nothing.
    pub(crate) fn take_back(&self, py: Attached) {
        // Relaxed: whoever adds does so under the lock, and what is missed now is found the next time.
        if self.returned_bytes.load(Ordering::Relaxed) == 0 || py.interpreter().addr() != self.interpreter {
            return;
        }
        let returned = {
            let mut returned = lock(&self.returned);
            self.returned_bytes.store(0, Ordering::Relaxed);
            std::mem::take(&mut *returned)
        };
        for held in returned {
            // SAFETY: attached to the lender, as checked.
            unsafe { held.give_back() };
        }
    }

    /// Copies what is still lent and lets the objects go, before the interpreter is parked or ended.
    pub(crate) fn recall(&self, py: Attached) {
        if py.interpreter().addr() != self.interpreter {
            return;
        }
        let all = std::mem::take(&mut *lock(&self.lent));
        for lent in all.iter().filter_map(Weak::upgrade) {
            let mut content = lock(&lent.content);
            if let Content::Object(held) = &*content {
                let copy = Content::Copied(held.content().into());
                if let Content::Object(held) = std::mem::replace(&mut *content, copy) {
                    // SAFETY: attached to the lender, as checked.
                    unsafe { held.give_back() };
                }
            }
        }
        self.take_back(py);
    }
}

impl Lent {
    /// The `bytes`, in the interpreter that the thread is attached to.
    pub(crate) fn to_object(&self, py: Attached) -> Result<Obj> {
        let content = lock(&self.content);
        match &*content {
            // SAFETY: held, and the thread is attached to its interpreter.
            Content::Object(held) if py.interpreter().addr() == self.lender.interpreter => unsafe {
                Ok(Obj::from_borrowed(held.0.as_ptr()))
            },
            Content::Object(held) => Obj::bytes(py, held.content()),
            Content::Copied(copy) => Obj::bytes(py, copy),
            Content::Gone => Obj::bytes(py, &[]),
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let content = self.content.get_mut().unwrap_or_else(PoisonError::into_inner);
        let Content::Object(held) = std::mem::replace(content, Content::Gone) else { return };
        if attached_interpreter().is_some_and(|here| here.addr() == self.lender.interpreter) {
            // SAFETY: as just checked.
            unsafe { held.give_back() };
        } else {
            let mut returned = lock(&self.lender.returned);
            returned.push(held);
            // Relaxed: written under the lock.
            self.lender.returned_bytes.fetch_add(self.length, Ordering::Relaxed);
        }
    }
}
