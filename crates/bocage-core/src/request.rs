//! Requests: which cowns a behavior asks for, and to do what.
//!
//! # A cown that is named twice
//!
//! It is acquired once: to write, if one of the names asks for that. But each name gets its guard, and Rust must
//! never see a `&mut` to the value beside another reference to it. A check when a guard is used can't see to that: the
//! reference that a guard gave out earlier may still be in use, and nothing tells when it ends. So it is
//! settled before the behavior is scheduled, from the request alone:
//!
//! | the names of one cown    | guards that reach the value | aliases |
//! |--------------------------|-----------------------------|---------|
//! | all read                 | all                         | none    |
//! | one writes, or more do   | the first that writes       | all others, readers too |
//!
//! Which guard has the value thus depends neither on addresses nor on what the body did before. An alias
//! knows its cown and whether that is poisoned, and panics when its value is asked for. Whether a guard is one is a bit
//! of the address in its slot, so that a request without duplicates takes no room and no pass for it.

use core::fmt;
use core::slice;

use crate::acquire::Erased;
use crate::cown::Cown;
use crate::guard::{Guard, ReadGuard};
use crate::slot::Slot;

/// Something that `when` takes: a cown to write or to [`read`], or a tuple (up to 12), an array, a slice or a `Vec` of
/// such. They nest. The body gets guards in the same shape and order.
///
/// | request | guards |
/// |---|---|
/// | `&Cown<T>` | `Guard<T>` |
/// | `read(&cown)` | `ReadGuard<T>` |
/// | `(A, B)`, each a request | `(A's, B's)` |
/// | `&[Cown<T>]`, `&Vec<Cown<T>>` | `Guards<T>` |
/// | `&[Cown<T>; N]` | `[Guard<T>; N]` |
/// | `read(&cowns)`, of one of these two lines | `ReadGuards<T>`, `[ReadGuard<T>; N]` |
/// | `[A; N]` of requests | `[A's; N]` |
/// | `&[A]`, `Vec<A>`, `&Vec<A>` of requests | `Vec<A's>`, which is one allocation more |
/// | `()` and empty ones | themselves, and the behavior runs at once |
///
/// A cown that is named more than once, wherever in the request, is acquired once: to write, if one of the names
/// asks for that, and to read otherwise. There is a guard for each name all the same. If it is only read, all of them
/// read it; else the first that writes has the value, and the others are [aliases](Guard#aliases).
///
/// ```
/// use bocage_core::{Cown, Inline, read, when_on};
///
/// let (prices, log) = (vec![Cown::new(3), Cown::new(5)], Cown::new(String::new()));
/// let (rate, sums) = (Cown::new(2), [Cown::new(0), Cown::new(0)]);
/// drop(when_on(Inline, (read(&prices), (read(&rate), &log), &sums), |(prices, (rate, mut log), [mut plain, mut taxed])| {
///     *plain = prices.iter().sum();
///     *taxed = *plain * *rate;
///     *log += "summed";
/// }));
/// assert_eq!(when_on(Inline, [read(&sums[0]), read(&sums[1])], |sums| sums.map(|sum| *sum)).wait().unwrap(), [8, 16]);
/// ```
///
/// # Safety
///
/// `visit` shows as many cowns as `count` says, and as [`COUNT`](Requests::COUNT) does if it is not `None`, none of them to
/// read if [`READS`](Requests::READS) denies it. `guards` takes
/// as many from what it gets: for each in turn a guard of its type, to write or to read as it was shown. So do the `guards` of
/// [`Lasting`](Requests::Lasting), of the same shape.
pub unsafe trait Requests {
    /// What `guards` has to know of the shape, beside its type.
    type Shape: Send + 'static;
    /// What the body gets.
    type Guards<'a>;
    /// Requests of the same shape, and with the same guards, that borrow from nobody: what an acquisition that outlives the
    /// handles is called by.
    type Lasting: Requests<Shape = Self::Shape> + 'static;

    /// How many cowns are named, if the type tells. Then the code that schedules, runs and frees the behavior is made for
    /// just that number.
    const COUNT: Option<usize> = None;

    /// Whether there may be a cown among them that is only to be read. If not, there is no code for that.
    const READS: bool = true;

    /// How many cowns are named.
    fn count(&self) -> usize;

    /// Shows every cown, in the order of the guards.
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>));

    /// See [`Shape`](Requests::Shape).
    fn shape(&self) -> Self::Shape;

    /// The guards, when all cowns are held.
    ///
    /// # Safety
    ///
    /// All cowns of `held` are held for `'a`, hold a value, and have no guards yet. They were shown by a request of
    /// this shape. Of those for a cown that is written, all but one are marked as aliases.
    unsafe fn guards<'a>(shape: &Self::Shape, held: &mut Held<'a>) -> Self::Guards<'a>;
}

/// The cowns that a behavior holds, in the order of its requests.
pub struct Held<'a>(slice::Iter<'a, Slot>);

impl<'a> Held<'a> {
    pub(crate) fn new(slots: &'a [Slot]) -> Self {
        Self(slots.iter())
    }

    #[inline]
    pub(crate) fn next(&mut self) -> &'a Slot {
        self.0.next().expect("a request makes no more guards than it counts cowns")
    }

    /// So many at once.
    #[inline]
    pub(crate) fn some(&mut self, count: usize) -> &'a [Slot] {
        let (some, rest) = self.0.as_slice().split_at(count);
        self.0 = rest.iter();
        some
    }
}

impl fmt::Debug for Held<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Held({})", self.0.len())
    }
}

// SAFETY: one cown, one guard.
unsafe impl<T: Send + 'static> Requests for &Cown<T> {
    type Shape = ();
    type Guards<'a> = Guard<'a, T>;
    type Lasting = &'static Cown<T>;

    const COUNT: Option<usize> = Some(1);
    const READS: bool = false;

    #[inline]
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        see(Erased::new(self));
    }

    fn shape(&self) {}

    #[inline]
    unsafe fn guards<'a>((): &(), held: &mut Held<'a>) -> Guard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { Guard::new(held.next().want) }
    }
}

/// Asks to read: behaviors that only read a cown run at the same time. See [`read`].
#[derive(Clone, Copy, Debug)]
pub struct Read<C>(pub(crate) C);

/// Asks only to read `cowns`: a `&Cown<T>`, or a slice, a `&Vec` or a `&[_; N]` of cowns.
///
/// Consecutive readers of a cown hold it together; a writer waits for those before it, and readers that come
/// behind a waiting writer wait for that one, so nobody starves. That is why the value must be `Sync`.
///
/// ```
/// use bocage_core::{Cown, Inline, read, when_on};
///
/// let (prices, cart) = (Cown::new(vec![3, 5]), Cown::new(0));
/// drop(when_on(Inline, (read(&prices), &cart), |(prices, mut cart)| *cart += prices.iter().sum::<i32>()));
/// assert_eq!(when_on(Inline, read(&cart), |cart| *cart).wait().unwrap(), 8);
///
/// let shelves = vec![Cown::new(1), Cown::new(2)];
/// assert_eq!(when_on(Inline, read(&shelves), |all| all.iter().sum::<i32>()).wait().unwrap(), 3);
/// ```
pub fn read<C>(cowns: C) -> Read<C>
where
    Read<C>: Requests,
{
    Read(cowns)
}

// SAFETY: one cown, one guard.
unsafe impl<T: Send + Sync + 'static> Requests for Read<&Cown<T>> {
    type Shape = ();
    type Guards<'a> = ReadGuard<'a, T>;
    type Lasting = Read<&'static Cown<T>>;

    const COUNT: Option<usize> = Some(1);

    #[inline]
    fn count(&self) -> usize {
        1
    }

    #[inline]
    fn visit<'s>(&'s self, see: &mut impl FnMut(Erased<'s>)) {
        see(Erased::read(self.0));
    }

    fn shape(&self) {}

    #[inline]
    unsafe fn guards<'a>((): &(), held: &mut Held<'a>) -> ReadGuard<'a, T> {
        // SAFETY: passed on from the caller.
        unsafe { ReadGuard::new(held.next().want) }
    }
}
