//! What a case needs of whatever runs it.

/// Something that runs pieces of code over data that each has to itself.
pub trait Engine: 'static {
    /// As in the benchmarks' names.
    const NAME: &'static str;

    /// Where a body schedules.
    type Place<'a>: Copy;

    /// A handle to data that one body at a time may touch.
    type Cown<T: Send + 'static>: Clone + Send + Sync + 'static;

    /// Starts so many workers, runs `root` on one of them and all that follows from it, and stops them.
    fn run(workers: usize, root: impl FnOnce(Self::Place<'_>) + Send + 'static);

    /// Data of its own. Called in bodies only.
    fn cown<T: Send + 'static>(value: T) -> Self::Cown<T>;

    /// Schedules a body on one cown.
    fn when<T: Send + 'static>(
        place: Self::Place<'_>,
        cown: &Self::Cown<T>,
        body: impl FnOnce(Self::Place<'_>, &mut T) + Send + 'static,
    );

    /// Schedules a body on two cowns, which are not the same.
    fn when_both<T: Send + 'static>(
        place: Self::Place<'_>,
        first: &Self::Cown<T>,
        second: &Self::Cown<T>,
        body: impl FnOnce(&mut T, &mut T) + Send + 'static,
    );
}
