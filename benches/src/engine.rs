//! What a case needs of whatever runs it.

/// Something that runs pieces of code over data that each has to itself.
pub trait Engine: 'static {
    /// As in the benchmarks' names.
    const NAME: &'static str;

    /// Where a body schedules.
    type Place<'a>: Copy;

    /// A handle to data that one body at a time may touch.
    type Cown<T: Send + Sync + 'static>: Clone + Send + Sync + 'static;

    /// Starts so many workers, runs `root` on one of them and all that follows from it, and stops them.
    fn run(workers: usize, root: impl FnOnce(Self::Place<'_>) + Send + 'static);

    /// Data of its own. Called in bodies only.
    fn cown<T: Send + Sync + 'static>(value: T) -> Self::Cown<T>;

    /// Schedules a body that needs no cown.
    fn spawn(place: Self::Place<'_>, body: impl FnOnce(Self::Place<'_>) + Send + 'static);

    /// Schedules a body on one cown.
    fn when<T: Send + Sync + 'static>(
        place: Self::Place<'_>,
        cown: &Self::Cown<T>,
        body: impl FnOnce(Self::Place<'_>, &mut T) + Send + 'static,
    );

    /// Schedules a body that only reads one cown, where the engine has that.
    fn read<T: Send + Sync + 'static>(
        place: Self::Place<'_>,
        cown: &Self::Cown<T>,
        body: impl FnOnce(&T) + Send + 'static,
    ) {
        Self::when(place, cown, move |_, value| body(value));
    }

    /// Schedules a body on two cowns, which are not the same.
    fn when_both<T: Send + Sync + 'static>(
        place: Self::Place<'_>,
        first: &Self::Cown<T>,
        second: &Self::Cown<T>,
        body: impl FnOnce(Self::Place<'_>, &mut T, &mut T) + Send + 'static,
    );

    /// Schedules one body on so many cowns, which are distinct; it does the same to each.
    fn when_all<T: Send + Sync + 'static>(
        place: Self::Place<'_>,
        cowns: &[Self::Cown<T>],
        each: impl FnMut(&mut T) + Send + 'static,
    );
}

/// An engine whose bodies run in the order in which they were scheduled, so that a result can be asked for before
/// it is there.
pub trait Results: Engine {
    /// The cown of what `body` makes of two others'.
    fn combined(first: &Self::Cown<u64>, second: &Self::Cown<u64>, body: fn(u64, u64) -> u64) -> Self::Cown<u64>;
}
