//! Programs that don't compile, as they would be unsound: each beside a twin that does, so that it is known to be
//! refused for what the two differ in. They are doctests, and here only for them.
//!
//! Where the compiler's error has a code, it stands there; a nightly compiler checks it. (Two of them have none: "lifetime
//! may not live long enough".)

/// What a body captures goes to another thread, so it must be `Send`. An `Arc` is:
///
/// ```
/// use std::sync::Arc;
/// let shared = Arc::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, (), move |()| *shared));
/// ```
///
/// An `Rc` is not:
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let shared = Rc::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, (), move |()| *shared));
/// ```
///
/// Nor is a reference to a `Cell`, in a scope:
///
/// ```
/// let cell = std::sync::atomic::AtomicUsize::new(1);
/// bocage_core::scope(|s| drop(s.when_on(bocage_core::Inline, (), |()| cell.store(2, std::sync::atomic::Ordering::Relaxed))));
/// ```
///
/// ```compile_fail,E0277
/// let cell = std::cell::Cell::new(1);
/// bocage_core::scope(|s| drop(s.when_on(bocage_core::Inline, (), |()| cell.set(2))));
/// ```
///
/// Nor what a batch gets:
///
/// ```compile_fail,E0277
/// let shared = std::rc::Rc::new(1);
/// drop(bocage_core::Batch::new().when_on(bocage_core::Inline, (), move |()| *shared));
/// ```
struct BodiesThatAreNotSend;

/// Results go back to whoever waits, and values to whoever comes next:
///
/// ```
/// use std::sync::Arc;
/// drop(bocage_core::when_on(bocage_core::Inline, (), |()| Arc::new(1)));
/// drop(bocage_core::Cown::new(Arc::new(1)));
/// ```
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// drop(bocage_core::when_on(bocage_core::Inline, (), |()| Rc::new(1)));
/// ```
///
/// ```compile_fail,E0277
/// use std::rc::Rc;
/// let cown: bocage_core::Cown<Rc<i32>> = bocage_core::Cown::new(Rc::new(1));
/// fn send<T: Send>(_: T) {}
/// send(cown);
/// ```
///
/// Readers share, so what is read must be `Sync`; what is written need not be:
///
/// ```
/// use std::cell::Cell;
/// let cown = bocage_core::Cown::new(Cell::new(1));
/// drop(bocage_core::when_on(bocage_core::Inline, &cown, |cell| cell.get()));
/// ```
///
/// ```compile_fail,E0277
/// use std::cell::Cell;
/// let cown = bocage_core::Cown::new(Cell::new(1));
/// drop(bocage_core::when_on(bocage_core::Inline, bocage_core::read(&cown), |cell| cell.get()));
/// ```
struct ValuesThatAreNotSend;

/// A guard ends with its behavior. What it guards may be copied out:
///
/// ```
/// let cown = bocage_core::Cown::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, &cown, |guard| *guard));
/// ```
///
/// But the guard is no result,
///
/// ```compile_fail
/// let cown = bocage_core::Cown::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, &cown, |guard| guard));
/// ```
///
/// nor a reference that it gives,
///
/// ```compile_fail,E0515
/// let cown = bocage_core::Cown::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, bocage_core::read(&cown), |guard| &*guard));
/// ```
///
/// and it can't be put somewhere else, which a copy can,
///
/// ```
/// use std::sync::Mutex;
/// let (cown, out) = (bocage_core::Cown::new(1), Mutex::new(None));
/// bocage_core::scope(|s| drop(s.when_on(bocage_core::Inline, &cown, |guard| *out.lock().unwrap() = Some(*guard))));
/// ```
///
/// ```compile_fail,E0521
/// use std::sync::Mutex;
/// let (cown, out) = (bocage_core::Cown::new(1), Mutex::new(None));
/// bocage_core::scope(|s| drop(s.when_on(bocage_core::Inline, &cown, |guard| *out.lock().unwrap() = Some(guard))));
/// ```
///
/// nor sent to a thread that goes on after the behavior; one that the behavior waits for may have it:
///
/// ```
/// let cown = bocage_core::Cown::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, &cown, |mut guard| {
///     std::thread::scope(|s| drop(s.spawn(|| *guard += 1)));
/// }));
/// ```
///
/// ```compile_fail,E0521
/// let cown = bocage_core::Cown::new(1);
/// drop(bocage_core::when_on(bocage_core::Inline, &cown, |mut guard| {
///     std::thread::spawn(move || *guard += 1);
/// }));
/// ```
struct GuardsThatLeave;

/// Of an acquisition there is one set of guards at a time:
///
/// ```
/// let cown = bocage_core::Cown::new(1);
/// let mut held = bocage_core::acquire(&cown).wait();
/// *held.guards() += 1;
/// *held.guards() += 1;
/// ```
///
/// ```compile_fail,E0499
/// let cown = bocage_core::Cown::new(1);
/// let mut held = bocage_core::acquire(&cown).wait();
/// let (mut one, mut two) = (held.guards(), held.guards());
/// *one += *two;
/// ```
///
/// And the guards of a value that is not `Send` stay on their thread; so does the acquisition, since there is no such
/// request. A guard to read goes to another thread if the value is `Sync`:
///
/// ```
/// fn send<T: Send>() {}
/// send::<bocage_core::Guard<'_, std::cell::Cell<i32>>>();
/// send::<bocage_core::ReadGuard<'_, i32>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<bocage_core::Guard<'_, std::rc::Rc<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn send<T: Send>() {}
/// send::<bocage_core::ReadGuard<'_, std::cell::Cell<i32>>>();
/// ```
///
/// ```compile_fail,E0277
/// fn sync<T: Sync>() {}
/// sync::<bocage_core::Guard<'_, std::cell::Cell<i32>>>();
/// ```
struct GuardsTwice;

/// Outside of a scope a body owns what it uses:
///
/// ```
/// let text = String::from("moved in");
/// drop(bocage_core::when_on(bocage_core::Inline, (), move |()| text.len()));
/// ```
///
/// ```compile_fail,E0373
/// let text = String::from("only borrowed");
/// drop(bocage_core::when_on(bocage_core::Inline, (), |()| text.len()));
/// ```
///
/// In one, it borrows what is there before and after:
///
/// ```
/// let text = String::from("outside");
/// bocage_core::scope(|s| {
///     s.when_on(bocage_core::Inline, (), |()| drop(text.len()));
/// });
/// ```
///
/// ```compile_fail,E0597
/// bocage_core::scope(|s| {
///     let text = String::from("inside");
///     let text = &text;
///     s.when_on(bocage_core::Inline, (), move |()| drop(text.len()));
/// });
/// ```
///
/// It has what it changes for itself until the end,
///
/// ```compile_fail,E0499
/// let mut count = 0;
/// bocage_core::scope(|s| {
///     s.when_on(bocage_core::Inline, (), |()| count += 1);
///     s.when_on(bocage_core::Inline, (), |()| count += 1);
/// });
/// ```
///
/// its result borrows nothing, as it may outlive the scope,
///
/// ```compile_fail,E0597
/// let text = String::from("outside");
/// bocage_core::scope(|s| {
///     s.when_on(bocage_core::Inline, (), |()| &text[1..]);
/// });
/// ```
///
/// and neither the scope nor a handle leaves it:
///
/// ```compile_fail
/// let handle = bocage_core::scope(|s| s.when_on(bocage_core::Inline, (), |()| 1));
/// ```
///
/// ```
/// let cown = bocage_core::scope(|s| s.when_on(bocage_core::Inline, (), |()| 1).into_cown());
/// ```
struct BorrowsThatEnd;
