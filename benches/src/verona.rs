//! Microsoft's Verona runtime, where behavior-oriented concurrency comes from: C++, by the crate `boc`.

use std::mem::{ManuallyDrop, transmute_copy};
use std::{ptr, slice, thread};

use boc::{AcquiredCown, Cown, when0, when1, when2, when3, when9, with_n_threads};
use boc_sys::{CownPtr, Slot, WorkPtr};

use crate::engine::{Engine, Results};

/// The Verona runtime.
#[derive(Debug)]
pub struct Verona;

impl Engine for Verona {
    const NAME: &'static str = "boc";
    type Place<'a> = ();
    type Cown<T: Send + Sync + 'static> = Cown<T>;

    fn run(workers: usize, root: impl FnOnce(()) + Send + 'static) {
        // It pins the calling thread to a processor, for good: whatever that starts later would run there too.
        let run = thread::spawn(move || with_n_threads(workers, || when0(|| root(()))));
        run.join().expect("the Verona runtime reports nothing");
    }

    fn cown<T: Send + Sync + 'static>(value: T) -> Cown<T> {
        Cown::new(value)
    }

    fn spawn((): (), body: impl FnOnce(()) + Send + 'static) {
        when0(|| body(()));
    }

    fn when<T: Send + Sync + 'static>((): (), cown: &Cown<T>, body: impl FnOnce((), &mut T) + Send + 'static) {
        when1(cown, |mut value| body((), &mut value));
    }

    fn when_both<T: Send + Sync + 'static>(
        (): (),
        first: &Cown<T>,
        second: &Cown<T>,
        body: impl FnOnce((), &mut T, &mut T) + Send + 'static,
    ) {
        when2(first, second, |mut first, mut second| body((), &mut first, &mut second));
    }

    fn when_all<T: Send + Sync + 'static>((): (), cowns: &[Cown<T>], mut each: impl FnMut(&mut T) + Send + 'static) {
        let [a, b, c, d, e, f, g, h, i] = cowns else { return on_many(cowns, each) };
        when9(a, b, c, d, e, f, g, h, i, move |a, b, c, d, e, f, g, h, i| {
            for mut value in [a, b, c, d, e, f, g, h, i] {
                each(&mut value);
            }
        });
    }
}

/// Schedules a body on any number of cowns, which the runtime can and the binding's own functions, which end at
/// nine, cannot.
fn on_many<T: Send + Sync + 'static>(cowns: &[Cown<T>], each: impl FnMut(&mut T) + Send + 'static) {
    fn schedule<T, F: FnMut(&mut T)>(cowns: &[CownPtr], each: F) {
        // The runtime copies it to where only words are aligned.
        const { assert!(align_of::<F>() <= align_of::<*mut ()>()) }
        let each = ManuallyDrop::new(each);
        let body = ptr::from_ref(&each).cast();
        // SAFETY: `run` is told the type of the body by its own; the body, which is copied, is dropped there and
        // not here. The caller holds the cowns until this returns, and the behavior holds them from then on.
        unsafe { boc_sys::boxcars_sched_lambda(run::<T, F>, cowns.as_ptr(), cowns.len(), body, size_of::<F>()) };
    }

    extern "C" fn run<T, F: FnMut(&mut T)>(work: WorkPtr) {
        let (mut slots, mut body, mut count) = (ptr::null::<Slot>(), ptr::null(), 0);
        // SAFETY: the runtime calls this once, with the work that `schedule` made, whose body is an `F`.
        let (slots, mut each) = unsafe {
            boc_sys::boxcars_preinvoke(work, &mut slots, &mut body, &mut count);
            (slice::from_raw_parts(slots, count), body.cast::<F>().read())
        };
        for slot in slots {
            // SAFETY: as for `pointer`; the behavior has the cown to itself until `postinvoke`.
            let mut value: AcquiredCown<'_, T> = unsafe { transmute_copy(&slot.cown) };
            each(&mut value);
        }
        drop(each);
        // SAFETY: once, when the body is done.
        unsafe { boc_sys::boxcars_postinvoke(work) };
    }

    fn pointer<T>(cown: &Cown<T>) -> CownPtr {
        const {
            assert!(size_of::<Cown<T>>() == size_of::<CownPtr>());
            assert!(size_of::<AcquiredCown<'_, T>>() == size_of::<CownPtr>());
        }
        // SAFETY: the binding's types hold a `CownPtr` each and, being no larger, nothing else.
        unsafe { transmute_copy(cown) }
    }

    let cowns: Vec<CownPtr> = cowns.iter().map(pointer).collect();
    schedule::<T, _>(&cowns, each);
}

impl Results for Verona {
    fn combined(first: &Cown<u64>, second: &Cown<u64>, body: fn(u64, u64) -> u64) -> Cown<u64> {
        // It has no results: a cown that is made beforehand takes its place.
        let result = Cown::new(0);
        when3(first, second, &result, move |first, second, mut result| *result = body(*first, *second));
        result
    }
}
