//! What is not done yet, for the message of a wait that timed out.
//!
//! Each worker's thread has a place where it notes the call that it is in. The note is taken and removed under
//! the place's own lock, which nobody else asks for but a `wait` that has run out of time. What has not begun is
//! found by the runtime, which asks it for its label ([`Call`] has one).

use std::cell::RefCell;
use std::collections::HashSet;
use std::fmt::Write as _;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bocage_runtime::{PendingBehavior, Runtime};

use crate::cell::CownHandle;
use crate::run::Call;

/// So many behaviors are named, and so many cowns of each.
const MOST: usize = 5;

/// A worker's place.
#[derive(Default)]
struct Place(Mutex<Option<Running>>);

struct Running(NonNull<Call>);

// SAFETY: the pointer is used only under the lock of its place, and removed from there, under the lock, before
// the call goes.
unsafe impl Send for Running {}

static PLACES: Mutex<Vec<Weak<Place>>> = Mutex::new(Vec::new());

thread_local! {
    static HERE: RefCell<Option<Arc<Place>>> = const { RefCell::new(None) };
}

/// The note that a call runs; dropping it removes it.
pub(crate) struct Note(Option<Arc<Place>>);

/// Notes that the calling worker is in `call`, which outlives the note.
pub(crate) fn note(call: &Call) -> Note {
    let place = HERE.with_borrow_mut(|here| here.get_or_insert_with(new_place).clone());
    *place.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(Running(NonNull::from(call)));
    Note(Some(place))
}

fn new_place() -> Arc<Place> {
    let place = Arc::new(Place::default());
    let mut places = PLACES.lock().unwrap_or_else(PoisonError::into_inner);
    places.retain(|place| place.strong_count() > 0);
    places.push(Arc::downgrade(&place));
    place
}

impl Drop for Note {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            *place.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
    }
}

/// "2 behaviors are not done yet; running: 'f' on cown 0x…; waiting: 'g' on cowns 0x… 0x…", and who has what they wait for, if
/// that is no behavior. The thread need not be attached.
pub(crate) fn describe(runtime: &Runtime) -> String {
    // In this order: what runs now was not found to wait, whatever begins in between.
    let running = running();
    let left = runtime.look();
    let (begun, waiting) = left.named.split_at(left.named.partition_point(|behavior| behavior.runs));
    let shown: Vec<_> = waiting.iter().take(MOST.saturating_sub(running.len())).map(waits).collect();
    let named = running.len() + shown.len();
    // The last may have ended since the time was over.
    let behaviors = left.behaviors.max(named as u64).max(1);
    let mut text = format!("{behaviors} behavior{} not done yet", if behaviors == 1 { " is" } else { "s are" });
    for (what, list) in [("running", &running), ("waiting", &shown)] {
        if !list.is_empty() {
            let _ = write!(text, "; {what}: {}", list.join(", "));
        }
    }
    if named > 0 && behaviors > named as u64 {
        let _ = write!(text, "; and {} more", behaviors - named as u64);
    }
    for (cown, holder) in held_outside(begun, waiting).iter().take(MOST) {
        let _ = write!(text, "; {holder} holds cown {cown:#x}");
    }
    text
}

/// Calls that run, as far as they are named.
fn running() -> Vec<String> {
    let places: Vec<_> =
        PLACES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    let told = places.iter().filter_map(|place| {
        let running = place.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Running(call) = running.as_ref()?;
        // SAFETY: the note is there, so the call is, as long as we hold the lock; what is read of it does not
        // change while it runs.
        let call = unsafe { call.as_ref() };
        Some(tell(&call.bound.function.name, call.cowns.iter().map(CownHandle::id)))
    });
    told.take(MOST).collect()
}

fn waits(behavior: &PendingBehavior) -> String {
    tell(&behavior.name, behavior.cowns.iter().map(|cown| cown.id.get()))
}

/// "'f' on cowns 0x… 0x…"
fn tell(name: &str, mut cowns: impl ExactSizeIterator<Item = usize>) -> String {
    let mut text = format!("'{name}' on {}", ["no cown", "cown", "cowns"][cowns.len().min(2)]);
    for cown in cowns.by_ref().take(MOST) {
        let _ = write!(text, " {cown:#x}");
    }
    if cowns.len() > 0 {
        let _ = write!(text, " and {} more", cowns.len());
    }
    text
}

/// Which cowns that are waited for are held by none of those that run, and by whom.
fn held_outside(begun: &[PendingBehavior], waiting: &[PendingBehavior]) -> Vec<(usize, &'static str)> {
    let runs: HashSet<_> = begun.iter().flat_map(|behavior| &behavior.cowns).map(|cown| cown.id).collect();
    let mut held = Vec::new();
    for cown in waiting.iter().flat_map(|behavior| &behavior.cowns).filter(|cown| !runs.contains(&cown.id)) {
        let holder = match cown.held_by.as_deref() {
            Some("acquire") => "acquire() or a `with` block",
            // Nothing else is shown to hold any.
            Some(_) => "an await whose loop has not gone on",
            None => continue,
        };
        if !held.contains(&(cown.id.get(), holder)) {
            held.push((cown.id.get(), holder));
        }
    }
    held
}
