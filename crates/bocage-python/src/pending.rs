//! What runs right now, for the message of a wait that timed out.
//!
//! Each worker's thread has a place where it notes the call that it is in. The note is taken and removed under
//! the place's own lock, which nobody else asks for but a `wait` that has run out of time.

use std::cell::RefCell;
use std::fmt::Write as _;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::run::Call;

/// So many behaviors are named.
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

/// "; running: 'f' on cowns 0x…", or nothing.
pub(crate) fn describe() -> String {
    let mut text = String::new();
    let places: Vec<_> =
        PLACES.lock().unwrap_or_else(PoisonError::into_inner).iter().filter_map(Weak::upgrade).collect();
    let mut named = 0;
    for place in places {
        let running = place.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(Running(call)) = &*running else { continue };
        // SAFETY: the note is there, so the call is, as long as we hold the lock; what is read of it does not
        // change while it runs.
        let call = unsafe { call.as_ref() };
        if named == MOST {
            text.push_str(", …");
            break;
        }
        text.push_str(if named == 0 { "; running: " } else { ", " });
        named += 1;
        let _ = write!(text, "'{}' on ", call.bound.function.name);
        match &*call.cowns {
            [] => text.push_str("no cown"),
            cowns => {
                let ids: Vec<_> = cowns.iter().take(MOST).map(|cown| format!("{:#x}", cown.id())).collect();
                let _ = write!(text, "cown{} {}", if cowns.len() == 1 { "" } else { "s" }, ids.join(" "));
            }
        }
    }
    text
}
