//! Stages: where a thread says which behavior it runs, so that others may look at that one, and at those that wait behind it.
//!
//! A behavior holds its cowns until its body ends, and then may be gone at any moment. So whoever looks keeps it from its
//! end for so long: the thread that runs it stops between its body and the release of its cowns.
//!
//! # Who does what
//!
//! | the thread, for each behavior          | a looker, for all stages                         |
//! |----------------------------------------|--------------------------------------------------|
//! | 1. says which one, by a store          | 1. takes the gate's lock, and says that it looks |
//! | 2. calls the body                      | 2. passes a barrier                              |
//! | 3. takes that back, by another store   | 3. reads each stage                              |
//! | 4. passes a barrier                    | 4. looks at what it found there                  |
//! | 5. looks whether somebody looks        | 5. takes back that it looks, and gives up the lock |
//! | 6. if so: takes the gate's lock and gives it up | |
//! | 7. releases the cowns                  | |
//!
//! Of the thread's 3 and 5 and the looker's 1 and 3 at least one sees what the other wrote, by the barriers in between. So if
//! the looker finds a behavior, the thread that runs it has still to come to its 5, and sees there that somebody looks; or,
//! if what was found is a new one at the same address, the thread has still to come to that one's 5. It waits for the lock
//! then, and the behavior keeps its cowns until the looker is done.
//!
//! The thread's steps come for each behavior. Its barrier is only the compiler's where the looker's can make all other threads
//! pass one (Linux: membarrier(2)), and whether it has to look any further is one load of its own line.
//!
//! # What is stable meanwhile
//!
//! What stands in line behind a behavior that holds a cown to write waits for that cown, all of it, and so stays where it is.
//! Behind one that reads it others may read it already, and come and go; but a writer that comes right behind it, or that
//! the cown says waits for its readers, waits for this one too.
//!
//! A behavior that was found to wait stays where it is in all its queues. Of those cowns that it is to write, all wait that
//! stand behind it, whether it holds them already or not. Of those that it is to read that is so of the one for which it was
//! found to wait; of the others it may hold some, so that of those behind it just a writer that comes next is sure to wait.
//! (The cown says of a writer that waits for readers, but that may be one before it.)
//!
//! The body of one that waits is in its block still, as is that of one whose token is borrowed, and so it may be asked what it
//! is. The body of one that is on a stage is not.

use core::fmt;
use core::marker::PhantomData;
use core::ptr::{self, NonNull};
use core::sync::atomic::compiler_fence;
use std::collections::HashSet;
use std::ops::ControlFlow;
use std::vec::Vec;

use crate::behavior::Header;
use crate::cown::{CownHeader, CownId};
use crate::executor::{Home, Ready};
use crate::slot::{Kind, Word};
use crate::sync::{AtomicBool, AtomicPtr, Mutex, Ordering, fence, lock};

/// Where one thread says which behavior it runs. See [`Stages`].
pub struct Stage {
    runs: AtomicPtr<Header>,
    /// The gate, if the thread is to stop there, or to see whether it is.
    gate: AtomicPtr<Gate>,
}

/// What a thread passes when a body has ended, if somebody looks.
struct Gate {
    /// Whether a thread has to fence before it sees whether somebody looks.
    fences: bool,
    /// Whether somebody looks.
    looked: AtomicBool,
    /// Held by whoever looks.
    lock: Mutex<()>,
}

/// The stages of some threads, one for each.
pub struct Stages {
    gate: Gate,
    each: Box<[Line]>,
}

/// A stage alone on its line, and on the one that is fetched with it: its thread writes there for each behavior.
#[repr(align(128))]
struct Line(Stage);

impl Stage {
    /// At which nobody looks.
    #[cfg(not(loom))]
    pub const fn nowhere() -> Self {
        Self { runs: AtomicPtr::new(ptr::null_mut()), gate: AtomicPtr::new(ptr::null_mut()) }
    }

    /// The same, in a model.
    #[cfg(loom)]
    pub fn nowhere() -> Self {
        Self { runs: AtomicPtr::new(ptr::null_mut()), gate: AtomicPtr::new(ptr::null_mut()) }
    }

    /// Whether a body runs, for the thread whose stage it is.
    #[inline]
    pub fn is_entered(&self) -> bool {
        // Relaxed: this thread wrote it.
        !self.runs.load(Ordering::Relaxed).is_null()
    }

    /// The body of this behavior begins.
    #[inline(always)]
    pub(crate) fn enter(&self, header: NonNull<Header>) {
        // Release: pairs with the Acquire in `Stages::look`; publishes the block.
        self.runs.store(header.as_ptr(), Ordering::Release);
    }

    /// It has ended; the behavior's cowns may be released when this returns.
    #[inline(always)]
    pub(crate) fn leave(&self) {
        // Relaxed: the barrier orders it.
        self.runs.store(ptr::null_mut(), Ordering::Relaxed);
        // The processor's part is done by the looker, or below.
        compiler_fence(Ordering::SeqCst);
        // Acquire: pairs with the Release in `Stages::look` and in `Stages::new`. That it is not older than the barrier allows
        // is what that is for.
        let gate = self.gate.load(Ordering::Acquire);
        if let Some(gate) = NonNull::new(gate) {
            // SAFETY: of `Stages`, which last for ever if a thread uses one of theirs.
            unsafe { gate.as_ref() }.pass();
        }
    }
}

impl Gate {
    #[cold]
    fn pass(&self) {
        if self.fences {
            // Pairs with the looker's barrier.
            fence(Ordering::SeqCst);
        }
        // Relaxed: the barrier orders it.
        if self.looked.load(Ordering::Relaxed) {
            drop(lock(&self.lock));
        }
    }
}

impl Stages {
    /// For so many threads. `fences` says that they have to fence for themselves, since the barrier of whoever
    /// [looks](Self::look) does not reach them.
    pub fn new(threads: usize, fences: bool) -> Self {
        let gate = Gate { fences, looked: AtomicBool::new(false), lock: Mutex::new(()) };
        Self { gate, each: (0..threads).map(|_| Line(Stage::nowhere())).collect() }
    }

    /// That of this thread. It is to be used by one at a time: by [`Owed::on`](crate::Owed::on).
    ///
    /// # Panics
    ///
    /// If there are not so many.
    pub fn of(&'static self, thread: usize) -> &'static Stage {
        let Line(stage) = &self.each[thread];
        if self.gate.fences {
            // Release: pairs with the Acquire in `leave`.
            stage.gate.store(ptr::from_ref(&self.gate).cast_mut(), Ordering::Release);
        }
        stage
    }

    /// Calls `look` with the behaviors whose bodies run on these stages, none of which releases its cowns before that returns.
    /// So it should not take long, and must not wait for anything that a behavior does.
    ///
    /// `barrier` is called once. If it says that it could not do what it is to do, then none is found.
    ///
    /// # Safety
    ///
    /// If `barrier` says `true`, it was a full fence of this thread and, unless they fence for themselves, it made all other
    /// threads pass one.
    pub unsafe fn look<T>(&'static self, barrier: impl FnOnce() -> bool, look: impl FnOnce(&[Holder<'_>]) -> T) -> T {
        /// Lets the threads go on, also if a panic comes.
        struct Looks(&'static Stages);
        impl Drop for Looks {
            fn drop(&mut self) {
                let Stages { gate, each } = self.0;
                // Relaxed, both: a thread that sees it late takes the lock in vain.
                gate.looked.store(false, Ordering::Relaxed);
                if !gate.fences {
                    each.iter().for_each(|Line(stage)| stage.gate.store(ptr::null_mut(), Ordering::Relaxed));
                }
            }
        }
        let _lock = lock(&self.gate.lock);
        let _looks = Looks(self);
        // Relaxed: the barrier orders it.
        self.gate.looked.store(true, Ordering::Relaxed);
        for Line(stage) in &self.each {
            // Release: pairs with the Acquire in `leave`.
            stage.gate.store(ptr::from_ref(&self.gate).cast_mut(), Ordering::Release);
        }
        let is_passed = barrier();
        // Acquire: pairs with the Release in `enter`.
        let running = self.each.iter().filter_map(|Line(stage)| NonNull::new(stage.runs.load(Ordering::Acquire)));
        // SAFETY: it has not released its cowns, nor does it before the lock is given up, as the module's page says; the barrier
        // was one, as the caller does.
        let running: Vec<_> = running.filter(|_| is_passed).map(|header| unsafe { Holder::new(header) }).collect();
        look(&running)
    }
}

impl fmt::Debug for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Stage")
    }
}

impl fmt::Debug for Stages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stages").field("threads", &self.each.len()).finish()
    }
}

/// A behavior that has its cowns, and does not release them for `'a`.
#[derive(Clone, Copy)]
pub struct Holder<'a>(Seen<'a>);

impl<'a> Holder<'a> {
    /// # Safety
    ///
    /// It is so.
    unsafe fn new(header: NonNull<Header>) -> Self {
        Self(Seen { header, may_have_begun: true, of: PhantomData })
    }

    /// The behavior, to be looked at.
    pub fn seen(self) -> Seen<'a> {
        self.0
    }
}

impl<'a> From<&'a Ready> for Holder<'a> {
    /// A token is borrowed, and so not run.
    fn from(ready: &'a Ready) -> Self {
        Self(Seen { header: ready.header(), may_have_begun: false, of: PhantomData })
    }
}

impl fmt::Debug for Holder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Holder({:p})", self.0.header)
    }
}

/// A behavior that holds its cowns, or waits for some of them, while somebody looks.
#[derive(Clone, Copy)]
pub struct Seen<'a> {
    header: NonNull<Header>,
    /// Whether its body is not to be touched. If not, it does not begin for `'a`.
    may_have_begun: bool,
    of: PhantomData<&'a ()>,
}

impl Seen<'_> {
    /// Its identity among the behaviors that are alive: that of its [`Ready`].
    pub fn as_ptr(&self) -> NonNull<()> {
        self.header.cast()
    }

    /// The type of its body, by name: the path of the function around it, if it is a closure.
    pub fn name(&self) -> &'static str {
        // SAFETY: by the invariant its block is there; the vtable was made for it.
        unsafe { (Header::vtable(self.header).name)() }
    }

    /// What its body [calls itself](crate::Labelled), if it does and has not begun. None of what is found on a stage.
    pub fn label(&self) -> Option<String> {
        if self.may_have_begun {
            return None;
        }
        // SAFETY: as above; the body has not begun, nor does it as long as `self` is there.
        unsafe { (Header::vtable(self.header).label)(self.header) }
    }

    /// What its executor says of [where it is at home](crate::Executor::home).
    pub fn home(&self) -> Option<Home> {
        // SAFETY: as above; its executor is there until its body has ended.
        unsafe { (Header::vtable(self.header).home)(self.header) }
    }

    /// The cown of its result, which it holds until it ends.
    pub fn result(&self) -> CownId {
        CownId::of(Header::result(self.header).as_ptr())
    }

    /// Its cowns, each once, and whether only to read them.
    pub fn cowns(&self) -> impl Iterator<Item = (CownId, bool)> + '_ {
        // SAFETY: as above. Wants don't change once somebody else knows the block.
        let slots = unsafe { Header::slots(self.header) };
        let wants = slots.iter().map(|slot| slot.want).filter(|want| !want.is_included());
        wants.map(|want| (CownId::of(want.cown()), want.reads()))
    }
}

impl fmt::Debug for Seen<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Seen({:p}, {})", self.header, self.name())
    }
}

/// Calls `tell` with each behavior that waits for what one of `holders` holds, or for one that does, until it breaks. Those that
/// stand in line behind a reader are not found, but for the writer that is next.
///
/// O(n k²) for n that are found and ask for k cowns each.
pub fn look_behind<'a>(
    holders: impl IntoIterator<Item = Holder<'a>>,
    mut tell: impl FnMut(Seen<'a>) -> ControlFlow<()>,
) {
    let mut walk = Walk { known: HashSet::new(), places: HashSet::new(), todo: Vec::new() };
    for Holder(Seen { header, .. }) in holders {
        walk.known.insert(header);
        walk.todo.push((header, None));
    }
    while let Some((header, waits_for)) = walk.todo.pop() {
        let seen = Seen { header, may_have_begun: false, of: PhantomData };
        if waits_for.is_some() && walk.known.insert(header) && tell(seen).is_break() {
            return;
        }
        // SAFETY: a holder, for `'a`, or behind one, as the module's page says.
        unsafe { walk.behind(header, waits_for) };
    }
}

/// What was seen of the queues.
struct Walk {
    known: HashSet<NonNull<Header>>,
    /// Who was found in the queue of which cown: those that share several come one after the other in each of them.
    places: HashSet<(NonNull<Header>, NonNull<CownHeader>)>,
    /// Whom to look behind, and for which cown it was found to wait.
    todo: Vec<(NonNull<Header>, Option<NonNull<CownHeader>>)>,
}

impl Walk {
    /// Finds those that come right behind one.
    ///
    /// # Safety
    ///
    /// The behavior stays as it is: it holds its cowns or, if it waits, then for `waits_for` among others.
    unsafe fn behind(&mut self, header: NonNull<Header>, waits_for: Option<NonNull<CownHeader>>) {
        let result = Header::result(header);
        // SAFETY: as the caller says, its block is there, and its cowns are: it is in their queues, or counted as a reader.
        unsafe {
            for slot in Header::slots(header).iter().filter(|slot| !slot.want.is_included()) {
                let cown = NonNull::new_unchecked(slot.want.cown().cast_mut());
                let all_wait = !slot.want.reads() || waits_for == Some(cown);
                self.follow(&slot.word, cown, all_wait);
                if slot.want.reads()
                    && waits_for.is_none()
                    && let Some(writer) = cown.as_ref().waiting_writer()
                {
                    self.found(writer, cown);
                }
            }
            self.follow(&result.as_ref().word, result, true);
        }
    }

    /// # Safety
    ///
    /// The word is one in the queue of `cown`, of a behavior as for [`behind`](Self::behind), and `all_wait` is true only if all
    /// that come after it wait for that cown.
    unsafe fn follow(&mut self, word: &Word, cown: NonNull<CownHeader>, all_wait: bool) {
        match word.successor() {
            Some((next, kind)) if all_wait || kind == Kind::WRITES => self.found(next, cown),
            _ => {}
        }
    }

    fn found(&mut self, header: NonNull<Header>, cown: NonNull<CownHeader>) {
        if self.places.insert((header, cown)) {
            self.todo.push((header, Some(cown)));
        }
    }
}
