//! Cowns: a value, and the queue of behaviors that want it.

use core::any::Any;
use core::cell::UnsafeCell;
use core::fmt;
use core::mem::ManuallyDrop;
use core::ptr::{self, NonNull};
use std::panic::{RefUnwindSafe, UnwindSafe};

use crate::apart::Apart;
use crate::behavior::{Header, Vtable};
use crate::end;
use crate::slot::{Tail, Word};
use crate::sync::{AtomicU32, Ordering};

/// The value is not there: a behavior has yet to make it, was cancelled, or its value was taken.
pub(crate) const EMPTY: u8 = 1;
/// The behavior whose result this is panicked, and its block keeps the payload. Comes with `EMPTY`.
pub(crate) const PANICKED: u8 = 2;
/// A behavior that held the cown panicked.
pub(crate) const POISONED: u8 = 4;
/// A cown that the behavior asked for held no value, so its body did not run. Comes with `EMPTY`.
pub(crate) const MISSING: u8 = 8;

/// The bits of these flags.
const FLAGS: u32 = 15;
/// A writer waits for the readers that hold the cown.
const WRITER_WAITS: u32 = 16;
/// The readers that hold the cown own its last reference.
const ADOPTED: u32 = 32;
/// One reader that holds the cown.
const READER: u32 = 64;

/// More handles than this to one cown abort the process, long before the count could wrap.
const MAX_REFS: u32 = u32::MAX / 2;
/// More readers than this at once do the same.
const MAX_READERS: u32 = u32::MAX / 2;

/// What every cown starts with, whatever its value.
///
/// The first two fields are for those who schedule on the cown, the others for those who hold it: see [`crate::apart`].
// Aligned so that flags fit into its address.
#[repr(C, align(8))]
pub(crate) struct CownHeader {
    /// Where the queue ends. See [`crate::slot`].
    pub(crate) tail: Tail,
    pub(crate) vtable: &'static Vtable,
    /// The slot of the behavior whose result this is, until it is done. Then the writer that waits for readers, while
    /// `state` says so.
    pub(crate) word: Word,
    refs: AtomicU32,
    /// The flags (which belong to whoever holds the cown to write), `WRITER_WAITS`, `ADOPTED`, and the readers that
    /// hold it now. See [`crate::slot`].
    state: AtomicU32,
}

/// What a reader found when it counted itself out.
pub(crate) enum AfterReader {
    /// Others read on, or nobody waits for the readers.
    Nobody,
    /// It was the last, and this writer has the cown now.
    Writer(NonNull<Header>),
    /// It was the last, and has the cown's last reference, which is now to be dropped.
    Orphan,
}

/// Where a value is kept, if the flags don't say `EMPTY`.
#[repr(C)]
pub(crate) union Storage<T> {
    pub(crate) value: ManuallyDrop<T>,
    pub(crate) nothing: (),
}

/// What a panic was about. Boxed twice: one word, as an executor has room for.
pub(crate) type Payload = Box<Box<dyn Any + Send>>;

/// A cown's block. A behavior's block begins with the one of its result.
#[repr(C)]
pub(crate) struct CownBox<T> {
    pub(crate) header: CownHeader,
    pub(crate) storage: UnsafeCell<Storage<T>>,
}

impl CownHeader {
    /// Of a cown that nobody holds.
    fn free(vtable: &'static Vtable) -> Self {
        Self {
            tail: Tail::new(ptr::null()),
            vtable,
            word: Word::unused(),
            refs: AtomicU32::new(1),
            state: AtomicU32::new(0),
        }
    }

    /// Of the result of a behavior that holds it, at address `this`.
    pub(crate) fn held(this: *const Self, refs: u32, flags: u8, vtable: &'static Vtable) -> Self {
        // SAFETY: only computes the address of a field; the caller writes the header to `this`.
        let word = unsafe { &raw const (*this).word };
        Self {
            tail: Tail::new(word),
            vtable,
            word: Word::enqueued(),
            refs: AtomicU32::new(refs),
            state: AtomicU32::new(u32::from(flags)),
        }
    }

    /// Counts so many readers that hold the cown from now on.
    pub(crate) fn count_readers(&self, readers: u32) {
        // Acquire: pairs with the Release of a writer's release, through whoever granted; the readers see
        // what that one wrote. The count itself is published by the readers' words.
        if self.state.fetch_add(readers * READER, Ordering::Acquire) > MAX_READERS {
            std::process::abort();
        }
    }

    /// Counts one reader, whose turn it is: nobody else is counted before it is granted, and so before this is over.
    #[inline]
    pub(crate) fn count_reader_in_turn(&self) {
        // Acquire: as above, and it pairs with the Release of readers that were counted out.
        let state = self.state.load(Ordering::Acquire);
        if state < READER {
            // Nobody holds the cown or waits for readers, so nobody else changes the state.
            // Relaxed: published by the reader's word, as above.
            self.state.store(state + READER, Ordering::Relaxed);
        } else {
            self.count_readers(1);
        }
    }

    /// Counts the caller's readers out, if there are no others; for whoever is to let the writer enter that comes right
    /// behind them, and has not said so here.
    #[inline]
    pub(crate) fn uncount_all_readers(&self, readers: u32) -> bool {
        // Acquire: pairs with the Release of the other readers, that were counted out before.
        let state = self.state.load(Ordering::Acquire);
        let are_all = state & !FLAGS == readers * READER;
        if are_all {
            // Relaxed: nobody else changes the state, since nobody else is counted, and the next in line is the writer, which
            // gets it from us.
            self.state.store(state & FLAGS, Ordering::Relaxed);
        }
        are_all
    }

    /// Whether no reader holds the cown.
    pub(crate) fn is_without_readers(&self) -> bool {
        // Acquire: pairs with the Release in `uncount_readers`: the readers are done when we write.
        self.state.load(Ordering::Acquire) < READER
    }

    /// Says that `writer` waits for the readers; `true` if the last of them left before that, and the writer
    /// has the cown.
    pub(crate) fn wait_for_readers(&self, writer: NonNull<Header>) -> bool {
        self.word.note(Some(writer));
        // AcqRel: Release publishes the writer to the last reader; Acquire pairs with the readers' Release.
        if self.state.fetch_add(WRITER_WAITS, Ordering::AcqRel) >= READER {
            return false;
        }
        // Relaxed: nobody looks at it before the cown is released.
        self.state.fetch_sub(WRITER_WAITS, Ordering::Relaxed);
        true
    }

    /// The writer that waits for the readers, if it has said so by now. For whoever sees to it that one of them stays.
    pub(crate) fn waiting_writer(&self) -> Option<NonNull<Header>> {
        // Acquire: pairs with the Release in `wait_for_readers`.
        let waits = self.state.load(Ordering::Acquire) & WRITER_WAITS != 0;
        if waits { self.word.noted() } else { None }
    }

    /// Counts so many readers out.
    pub(crate) fn uncount_readers(&self, readers: u32) -> AfterReader {
        // AcqRel: Release ends our reading before the writer writes, or the value is dropped; Acquire shows us the writer.
        let left = self.state.fetch_sub(readers * READER, Ordering::AcqRel) - readers * READER;
        if left >= READER || left & (WRITER_WAITS | ADOPTED) == 0 {
            return AfterReader::Nobody;
        }
        if left & ADOPTED != 0 {
            return AfterReader::Orphan;
        }
        let writer = self.word.noted();
        // Relaxed: as in `wait_for_readers`.
        self.state.fetch_sub(WRITER_WAITS, Ordering::Relaxed);
        writer.map_or(AfterReader::Nobody, AfterReader::Writer)
    }

    /// Leaves the caller's reference, which is the cown's last, to the readers that hold it; `false` if there is none. The
    /// queue is empty, so none will come.
    fn leave_to_readers(&self) -> bool {
        // Acquire, both: pairs with the Release in `uncount_readers`.
        let mut state = self.state.load(Ordering::Acquire);
        while state >= READER {
            // Release: our use of the cown comes before the drop of it by the last reader.
            match self.state.compare_exchange_weak(state, state | ADOPTED, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return true,
                Err(now) => state = now,
            }
        }
        false
    }

    pub(crate) fn keep(&self) {
        // Relaxed: whoever adds a reference already has one.
        if self.refs.fetch_add(1, Ordering::Relaxed) > MAX_REFS {
            std::process::abort();
        }
    }

    /// Drops a reference. With the last one the cown is freed or, if somebody waits for it or holds it, left to them.
    ///
    /// # Safety
    ///
    /// The caller owns the reference and uses `this` no more.
    #[inline]
    pub(crate) unsafe fn unkeep(this: NonNull<Self>) {
        // SAFETY: passed on.
        unsafe {
            if Self::give_up(this) {
                end::end(this);
            }
        }
    }

    /// The same, but that the cown is left to the caller to [end](end::end) if it says `true`.
    ///
    /// # Safety
    ///
    /// As for [`unkeep`](Self::unkeep).
    #[inline]
    #[must_use]
    pub(crate) unsafe fn give_up(this: NonNull<Self>) -> bool {
        // SAFETY: the caller's reference keeps the block alive until it is given up.
        let header = unsafe { this.as_ref() };
        // Acquire: pairs with the Release of those who dropped theirs before.
        let mut refs = header.refs.load(Ordering::Acquire);
        loop {
            if refs == 1 {
                // Nobody can enqueue any more.
                if header.tail.adopt() {
                    return false;
                }
                // A reader that was in the queue may hold the cown still. It was counted before it left.
                if header.tail.is_empty() {
                    // Nobody refers to the cown, is in its queue, or holds it, if not a reader: nobody can reach it.
                    return !header.leave_to_readers();
                }
                continue;
            }
            // Release: our use of the value comes before the drop of it by whoever is last. Acquire on failure: as for
            // the load.
            match header.refs.compare_exchange_weak(refs, refs - 1, Ordering::Release, Ordering::Acquire) {
                Ok(_) => return false,
                Err(now) => refs = now,
            }
        }
    }

    /// Whether the caller's reference is the only one, so that nobody can enqueue any more.
    pub(crate) fn is_sole(&self) -> bool {
        // Acquire: as in `unkeep`.
        self.refs.load(Ordering::Acquire) == 1
    }

    /// # Safety
    ///
    /// The caller holds the cown, to read at least, or its last reference.
    pub(crate) unsafe fn flags(&self) -> u8 {
        // Relaxed: the acquisition ordered them.
        (self.state.load(Ordering::Relaxed) & FLAGS) as u8
    }

    /// # Safety
    ///
    /// The caller holds the cown to write, or its last reference.
    pub(crate) unsafe fn set_flags(&self, flags: u8) {
        // Relaxed: the release publishes them. Nobody else changes the state while a writer holds the cown.
        let rest = self.state.load(Ordering::Relaxed) & !FLAGS;
        self.state.store(rest | u32::from(flags), Ordering::Relaxed);
    }
}

impl<T> CownBox<T> {
    /// Where the block of a behavior that panicked keeps the payload, until it is taken: right behind its result.
    pub(crate) fn payload(this: NonNull<Self>) -> NonNull<Option<Payload>> {
        // SAFETY: within the block, or one past its end.
        unsafe { this.add(1).cast() }
    }

    /// Drops what the storage holds.
    ///
    /// # Safety
    ///
    /// The caller has the last reference or holds the cown, and sets the flags (or frees) afterwards.
    pub(crate) unsafe fn drop_content(this: NonNull<Self>) {
        // SAFETY: exclusive by the caller's promise; the flags say whether the value is there.
        unsafe {
            let this = this.as_ref();
            if this.header.flags() & EMPTY == 0 {
                ManuallyDrop::drop(&mut (*this.storage.get()).value);
            }
        }
    }
}

/// A concurrent owner: a value that one behavior at a time may touch.
///
/// A `Cown` is a handle; clones name the same cown. The value is reached only by a behavior that asked
/// for the cown ([`when_on`](crate::when_on)) or by a thread that acquired it
/// ([`acquire`](crate::acquire), [`try_acquire`](crate::try_acquire)).
///
/// The value is dropped with the last handle or, if behaviors are still to have it, after the last of these, on
/// whatever thread that is. A panic in its drop is reported by the panic hook, and goes no further.
///
/// More than 2^31 handles to one cown, or 2^25 readers that hold it at once, abort the process.
///
/// ```
/// use bocage_core::{Cown, Inline, when_on};
///
/// let balance = Cown::new(100_i64);
/// let left = when_on(Inline, &balance, |mut b| { *b -= 40; *b });
/// assert_eq!(left.wait().unwrap(), 60);
/// ```
pub struct Cown<T> {
    ptr: NonNull<CownBox<T>>,
}

// SAFETY: a handle gives no access to the value by itself. Whoever acquires the cown gets `&mut T`, on
// whatever thread, one at a time; and the last handle drops the `T` wherever it is. Both need `T: Send`
// and nothing more.
unsafe impl<T: Send> Send for Cown<T> {}
// SAFETY: as above; `&Cown` gives no more than a clone of it would.
unsafe impl<T: Send> Sync for Cown<T> {}

// A panic of who has the value poisons the cown.
impl<T> UnwindSafe for Cown<T> {}
impl<T> RefUnwindSafe for Cown<T> {}

/// A cown's place in the total order in which behaviors acquire: its address.
///
/// Unique among the cowns that are alive.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CownId(usize);

impl CownId {
    /// Of the cown with this header, which is where a handle's pointer leads.
    pub(crate) fn of(header: *const CownHeader) -> Self {
        Self(header.addr())
    }

    /// The number behind the identity.
    pub fn get(self) -> usize {
        self.0
    }
}

impl fmt::Debug for CownId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cown {:#x}", self.0)
    }
}

impl<T: Send + 'static> Cown<T> {
    /// A cown that owns `value`. One allocation.
    pub fn new(value: T) -> Self {
        let (ptr, vtable) = Apart::<T>::take();
        // SAFETY: fresh memory, for this block.
        unsafe {
            ptr.write(CownBox {
                header: CownHeader::free(vtable),
                storage: UnsafeCell::new(Storage { value: ManuallyDrop::new(value) }),
            });
        }
        Self { ptr }
    }
}

impl<T> Cown<T> {
    /// # Safety
    ///
    /// `ptr` is a live cown block of this type, and the caller passes on one reference.
    pub(crate) unsafe fn from_counted(ptr: NonNull<CownBox<T>>) -> Self {
        Self { ptr }
    }

    pub(crate) fn as_box(&self) -> NonNull<CownBox<T>> {
        self.ptr
    }

    pub(crate) fn header(&self) -> NonNull<CownHeader> {
        self.ptr.cast()
    }

    /// The cown's identity, the same for all its handles.
    pub fn id(&self) -> CownId {
        CownId(self.ptr.as_ptr().addr())
    }

    /// Where the value is kept, for a layer that does its own access control.
    ///
    /// The pointer is valid as long as a handle lives. Reading or writing through it needs the cown to
    /// be held by the caller, or a `T` whose shared parts are synchronised by themselves; and a value to
    /// be there, as it always is in a cown made by [`Cown::new`] or given its result up front.
    pub fn value_ptr(&self) -> *mut T {
        // SAFETY: only computes the address of a field of a live block.
        unsafe { (&raw mut (*self.ptr.as_ref().storage.get()).value).cast::<T>() }
    }

    /// How many handles there are. (A behavior's result has one more until it is done.)
    pub fn references(&self) -> usize {
        // SAFETY: this handle keeps the block alive. Relaxed: a hint, it publishes nothing.
        unsafe { self.ptr.as_ref() }.header.refs.load(Ordering::Relaxed) as usize
    }
}

impl<T> Clone for Cown<T> {
    fn clone(&self) -> Self {
        // SAFETY: this handle keeps the block alive.
        unsafe { self.ptr.as_ref() }.header.keep();
        Self { ptr: self.ptr }
    }
}

impl<T> Drop for Cown<T> {
    fn drop(&mut self) {
        // SAFETY: this handle's own reference, used no more.
        unsafe { CownHeader::unkeep(self.header()) }
    }
}

impl<T> PartialEq for Cown<T> {
    fn eq(&self, other: &Self) -> bool {
        self.id() == other.id()
    }
}

impl<T> Eq for Cown<T> {}

impl<T> PartialOrd for Cown<T> {
    fn partial_cmp(&self, other: &Self) -> Option<core::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T> Ord for Cown<T> {
    fn cmp(&self, other: &Self) -> core::cmp::Ordering {
        self.id().cmp(&other.id())
    }
}

impl<T> core::hash::Hash for Cown<T> {
    fn hash<H: core::hash::Hasher>(&self, state: &mut H) {
        self.id().hash(state);
    }
}

impl<T> fmt::Debug for Cown<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cown({:#x})", self.id().get())
    }
}
