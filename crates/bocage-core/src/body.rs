//! Bodies: what a behavior runs when it has its cowns, and what it says of itself.

use core::any::type_name;

use crate::block::Place;

/// What runs when a behavior has its cowns.
///
/// A closure is one. Another kind may leave a ticket behind, which outlives the body and is dropped when the behavior
/// has released its cowns: then nothing of the body is left, and nothing that it borrowed is used any more.
pub(crate) trait Body<R>: Send {
    /// For how many requests it is, if its type tells.
    const REQUESTS: Option<usize> = None;

    /// Whether any of them may be to read.
    const READS: bool = true;

    type Ticket: Ticket;

    /// Called first, and once, whether the body is to run or is cancelled.
    fn ticket(&mut self) -> Self::Ticket;

    fn run(self, place: Place<'_, R>);

    /// For reports.
    fn name() -> &'static str {
        type_name::<Self>()
    }

    /// The same of this one, if it has more to say than its type. Called on any thread before the body's ticket is asked for:
    /// who reads anything of the body here is `Sync`.
    fn label(&self) -> Option<String> {
        None
    }
}

/// See [`Body`].
pub(crate) trait Ticket {
    /// The body panicked.
    fn panicked(&self);
}

impl Ticket for () {
    fn panicked(&self) {}
}

impl<R, F: FnOnce(Place<'_, R>) + Send> Body<R> for F {
    type Ticket = ();

    fn ticket(&mut self) {}

    fn run(self, place: Place<'_, R>) {
        self(place);
    }
}

/// A body that says what it is, for [`schedule_labelled`](crate::schedule_labelled).
///
/// For layers whose bodies are all of one type, which tells nothing of what they do.
pub trait Labelled<R>: Send + Sync + 'static {
    /// What this one is to be called. Asked for by [`Seen::label`](crate::Seen::label), on any thread, as long as the body has not
    /// begun. Others stand still meanwhile, so it must not wait for anything.
    fn label(&self) -> String;

    /// The body itself.
    fn run(self, place: Place<'_, R>);
}

/// It, as a [`Body`].
pub(crate) struct Label<B>(pub(crate) B);

impl<R, B: Labelled<R>> Body<R> for Label<B> {
    type Ticket = ();

    #[inline]
    fn ticket(&mut self) {}

    #[inline]
    fn run(self, place: Place<'_, R>) {
        self.0.run(place);
    }

    fn name() -> &'static str {
        type_name::<B>()
    }

    fn label(&self) -> Option<String> {
        Some(self.0.label())
    }
}
