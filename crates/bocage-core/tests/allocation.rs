//! How often a behavior allocates, and how much it takes while it waits. One test: the allocator counts for
//! the whole process.
#![cfg(not(loom))]

use std::alloc::{GlobalAlloc, Layout, System};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bocage_core::{Cown, Executor, Ready, acquire, read, try_acquire, when_on};

struct Counting;

static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
static BYTES: AtomicUsize = AtomicUsize::new(0);

// SAFETY: the system's allocator does it all.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        BYTES.fetch_add(layout.size(), Ordering::Relaxed);
        // SAFETY: passed on from the caller.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, memory: *mut u8, layout: Layout) {
        // SAFETY: passed on from the caller.
        unsafe { System.dealloc(memory, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How many allocations `f` makes, and of how many bytes.
fn allocated<T>(f: impl FnOnce() -> T) -> (usize, usize, T) {
    let before = (ALLOCATIONS.load(Ordering::Relaxed), BYTES.load(Ordering::Relaxed));
    let value = f();
    (ALLOCATIONS.load(Ordering::Relaxed) - before.0, BYTES.load(Ordering::Relaxed) - before.1, value)
}

/// As large as a runtime's: a pointer. Runs nothing until it is told to.
#[derive(Clone, Copy)]
struct Shelf(&'static Mutex<Vec<Ready>>);

impl Executor for Shelf {
    fn ready(&self, ready: Ready) {
        self.0.lock().unwrap().push(ready);
    }
}

impl Shelf {
    fn run(self) {
        loop {
            let Some(ready) = self.0.lock().unwrap().pop() else { return };
            ready.run();
        }
    }
}

/// What a pending behavior of one cown may take beside its closure.
const PENDING: usize = 64;

#[test]
fn a_behavior_is_one_small_allocation_from_its_schedule_to_its_end() {
    let shelf = Shelf(Box::leak(Box::new(Mutex::new(Vec::with_capacity(64)))));
    let cowns: Vec<Cown<u64>> = (0..8).map(Cown::new).collect();
    let capture = [1_u64; 3];
    // The process's stages.
    drop(try_acquire(&cowns[0]));

    let (count, bytes, waiting) = allocated(|| {
        let held = try_acquire(&cowns[0]);
        let waiting = when_on(shelf, &cowns[0], move |mut n| *n += capture[0]);
        drop(held);
        waiting
    });
    assert_eq!(count, 2, "one for the acquisition that holds the cown, one for the behavior");
    let token = allocated(|| try_acquire(&cowns[1])).1;
    let beside = bytes - token - mem::size_of_val(&capture);
    assert!(beside <= PENDING, "a pending behavior takes {beside} bytes beside its closure");

    let (count, _, last) = allocated(|| {
        shelf.run();
        drop(waiting);
        let two = when_on(shelf, (&cowns[1], &cowns[2]), |(a, b)| *a + *b);
        let same = two.cown();
        let reads = when_on(shelf, (&same, &cowns[3]), |(sum, d)| *sum + *d);
        shelf.run();
        drop((two, same));
        reads
    });
    assert_eq!(count, 2, "running, releasing, handing over and results allocate nothing");
    assert_eq!(last.wait().unwrap(), 6);

    let (count, bytes, _) = allocated(|| Cown::new(0_u64));
    assert_eq!(count, 1);
    // 32, and up to 48 so that a cache line ends where it is to.
    assert!(bytes <= 96, "a cown takes {bytes} bytes around 8 of its own");

    // However many cowns it asks for, but for what the thread keeps for the next time.
    let many: Vec<Cown<u64>> = (0..100).map(Cown::new).collect();
    drop(when_on(shelf, &many, |_| ()));
    for cowns in [&cowns[..], &many] {
        let (count, ..) = allocated(|| when_on(shelf, cowns, |all| all.len()));
        assert_eq!(count, 1);
        let (count, ..) = allocated(|| shelf.run());
        assert_eq!(count, 0, "guards are no allocation");
    }

    // The first one of the process makes the stages on which all say what they hold.
    drop(acquire(&cowns[0]).wait());
    let (count, ..) = allocated(|| acquire((&cowns[0], read(&cowns[1]), &cowns[2])).wait());
    assert_eq!(count, 2, "an acquisition: its place in line, and where it is told");
}
