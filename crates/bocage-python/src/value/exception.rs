//! Exceptions that a body raised, as others will see them.
//!
//! Pickle alone would lose half of one: `__cause__`, `__context__` and the traceback. So a raised
//! exception crosses as a chain of links, each with up to three forms, of which the first that can be
//! rebuilt is taken:
//!
//! | form | what it keeps | why it may fail |
//! | --- | --- | --- |
//! | *whole* | the exception as pickle sees it, notes and attributes included | an argument or attribute can't cross; the constructor wants other arguments than `args` |
//! | *parts* | type, `args` and those attributes that can cross, with no call of its `__init__` | the type can't be imported; an argument can't cross |
//! | *stand-in* | the nearest builtin type, the message, the notes | never |
//!
//! Notes also cross by themselves, since a type's own `__reduce__` may leave them out (which attributes it
//! leaves out is its own business). What got lost is said in a note. The traceback can't cross, so its text
//! becomes a note of the link, which `traceback.print_exception` shows with the files and lines of the worker.

use crate::cell::CownHandle;
use crate::py::{Attached, Error, Kind, Obj, Result};
use crate::state::State;

use super::Value;
use super::handles::Matrices;

/// A raised exception and those that it refers to as cause or context.
pub(crate) struct Exception(Vec<Link>);

struct Link {
    whole: Option<Value>,
    parts: Option<Value>,
    stand_in: StandIn,
    cause: Option<usize>,
    context: Option<usize>,
    suppress_context: bool,
    /// Notes that are added here: what got lost, the worker's traceback.
    notes: Vec<String>,
}

struct StandIn {
    builtin: String,
    message: String,
    original: String,
    notes: Vec<String>,
    /// Why the exception itself can't cross, if that is known here.
    reason: Option<String>,
}

/// The longest chain that crosses; what is behind it is dropped.
const LONGEST: usize = 256;

/// How the note with the worker's traceback begins.
const TRACEBACK: &str = "worker traceback (most recent call last):\n";

/// Encodes an exception that was raised. Never fails.
///
/// # Panics
/// If `exception` is no exception.
pub(crate) fn encode(state: &State, exception: &Obj) -> Value {
    let mut objects = vec![Obj::clone(exception)];
    let mut links = Vec::new();
    while let Some(object) = objects.get(links.len()).cloned() {
        let mut follow = |name: &Obj| -> Option<usize> {
            let next = object.getattr(name).ok()?;
            if next.is_none() {
                return None;
            }
            if let Some(known) = objects.iter().position(|known| known.is(&next)) {
                return Some(known);
            }
            (objects.len() < LONGEST).then(|| {
                objects.push(next);
                objects.len() - 1
            })
        };
        let cause = follow(&state.names.cause);
        let context = follow(&state.names.context);
        links.push(Link::new(state, &object, cause, context));
    }
    Value::Exception(std::sync::Arc::new(Exception(links)))
}

impl Link {
    fn new(state: &State, exception: &Obj, cause: Option<usize>, context: Option<usize>) -> Link {
        let py = state.py();
        let names = &state.names;
        let mut notes = Vec::new();
        // The stand-in first: encoding may move what the message shows.
        let mut stand_in = StandIn::new(state, exception);
        let (whole, parts) = match super::encode(state, exception) {
            Ok(whole) => {
                let parts = stand_in.is_of_own_type() && !whole.moves();
                let parts = parts.then(|| Parts::of(state, exception));
                (Some(whole), parts.and_then(|parts| Some(parts.ok()?.value)))
            }
            Err(error) => match Parts::of(state, exception) {
                Ok(parts) => {
                    notes.extend(parts.lost.iter().map(|lost| format!("bocage: lost {lost}")));
                    (None, Some(parts.value))
                }
                Err(_) => {
                    stand_in.reason = Some(shown(py, error));
                    (None, None)
                }
            },
        };
        let suppress = exception.getattr(&names.suppress_context);
        notes.extend(traceback_text(state, exception));
        Link {
            whole,
            parts,
            stand_in,
            cause,
            context,
            suppress_context: suppress.and_then(|suppress| suppress.is_true()).unwrap_or(false),
            notes,
        }
    }

    fn decode(&self, state: &State) -> Obj {
        let py = state.py();
        let mut reason = self.stand_in.reason.clone();
        let mut rebuilt = None;
        for form in [
            self.whole.as_ref().map(|whole| whole.to_object(state)),
            self.parts.as_ref().map(|parts| Parts::join(state, parts)),
        ]
        .into_iter()
        .flatten()
        {
            match form {
                Ok(object) if object.is_instance_of(&Kind::BaseException.class(py)) => {
                    rebuilt = Some(object);
                    break;
                }
                Ok(_) => reason = Some("it does not pickle to an exception".to_owned()),
                Err(error) => reason = Some(shown(py, error)),
            }
        }
        let object = match rebuilt {
            Some(object) => {
                self.stand_in.give_notes_back(state, &object);
                object
            }
            None => self.stand_in.object(state, reason),
        };
        for note in &self.notes {
            add_note(state, &object, note);
        }
        object
    }
}

impl Exception {
    /// The worker's traceback, as text.
    pub(crate) fn traceback(&self) -> Option<&str> {
        let notes = &self.0.first()?.notes;
        notes.iter().find(|note| note.starts_with(TRACEBACK)).map(String::as_str)
    }

    /// See [`Value::own_cowns`].
    pub(super) fn own_cowns(&self, visit: &mut dyn FnMut(&CownHandle)) {
        for form in self.0.iter().flat_map(|link| [&link.whole, &link.parts]).flatten() {
            form.own_cowns(visit);
        }
    }

    /// The exception, with its chain.
    pub(super) fn to_object(&self, state: &State) -> Result<Obj> {
        let py = state.py();
        let names = &state.names;
        let objects: Vec<Obj> = self.0.iter().map(|link| link.decode(state)).collect();
        for (link, object) in self.0.iter().zip(&objects) {
            if let Some(context) = link.context {
                object.setattr(&names.context, &objects[context])?;
            }
            if let Some(cause) = link.cause {
                object.setattr(&names.cause, &objects[cause])?;
            }
            object.setattr(&names.suppress_context, &py.bool(link.suppress_context))?;
        }
        let first = objects.into_iter().next();
        first.ok_or_else(|| Error::system_error("an empty chain of exceptions"))
    }
}

/// Type, arguments and attributes.
struct Parts {
    value: Value,
    /// Attributes that can't cross, and why.
    lost: Vec<String>,
}

impl Parts {
    fn of(state: &State, exception: &Obj) -> Result<Parts> {
        let py = state.py();
        let class = exception.type_of().own();
        let args = exception.getattr(&state.names.args)?;
        super::encode(state, &class)?;
        let attributes = Obj::dict(py)?;
        let mut lost = Vec::new();
        let held = exception.getattr_opt(&state.names.dict)?;
        for (name, value) in held.iter().flat_map(Obj::dict_pairs) {
            // Tried without moving anything: the whole is encoded once, below.
            match super::pickle::write(state, &value, Matrices::Move) {
                Ok(_) => attributes.dict_set(&name, &value)?,
                Err(error) => lost.push(format!("the attribute {}: {}", name.repr()?.display(), shown(py, error))),
            }
        }
        let parts = Obj::tuple(py, [class, args, attributes])?;
        Ok(Parts { value: super::encode(state, &parts)?, lost })
    }

    fn join(state: &State, parts: &Value) -> Result<Obj> {
        let names = &state.names;
        let parts = parts.to_object(state)?;
        let Some([class, args, attributes]) = parts.tuple_items() else {
            return Err(Error::system_error("an exception's parts are malformed"));
        };
        let mut arguments = vec![*class];
        arguments.extend_from_slice(args.tuple_items().unwrap_or_default());
        let exception = class.getattr(&names.new)?.call(&arguments)?;
        exception.setattr(&names.args, args)?;
        let held = exception.getattr(&names.dict)?;
        held.call_method(&names.update, &[*attributes])?;
        Ok(exception)
    }
}

impl StandIn {
    fn new(state: &State, exception: &Obj) -> StandIn {
        let names = &state.names;
        let class = exception.type_of();
        let text = |class: &Obj, name: &Obj| class.getattr(name).map(|text| text.display());
        let module = text(&class, &names.module).unwrap_or_default();
        let name = text(&class, &names.qualname).unwrap_or_else(|_| exception.type_name());
        let bases = class.getattr(&names.mro).ok();
        let builtin = bases
            .iter()
            .filter_map(Obj::tuple_items)
            .flatten()
            .find(|base| text(base, &names.module).is_ok_and(|module| module == "builtins"));
        let notes = exception.getattr_opt(&names.notes).ok().flatten();
        StandIn {
            builtin: builtin.and_then(|base| text(base, &names.name).ok()).unwrap_or_else(|| "Exception".to_owned()),
            message: exception.display(),
            original: if module == "builtins" { name } else { format!("{module}.{name}") },
            notes: notes
                .and_then(|notes| notes.sequence_items())
                .unwrap_or_default()
                .iter()
                .map(Obj::display)
                .collect(),
            reason: None,
        }
    }

    fn is_of_own_type(&self) -> bool {
        self.original != self.builtin
    }

    /// Adds the notes to the exception rebuilt, if its own `__reduce__` left them out.
    fn give_notes_back(&self, state: &State, exception: &Obj) {
        if self.notes.is_empty() || matches!(exception.getattr_opt(&state.names.notes), Ok(Some(_))) {
            return;
        }
        for note in &self.notes {
            add_note(state, exception, note);
        }
    }

    /// The stand-in itself.
    fn object(&self, state: &State, reason: Option<String>) -> Obj {
        let py = state.py();
        let made = (|| -> Result<Obj> {
            let class = py.import(c"builtins")?.getattr(&Obj::text(py, &self.builtin)?)?;
            let message = Obj::text(py, &self.message)?;
            match class.call1(&message) {
                Ok(exception) => Ok(exception),
                // Some builtin types want more than a message.
                Err(_) => Kind::RuntimeError.class(py).call1(&message),
            }
        })();
        let exception = made.unwrap_or_else(|error| error.into_object(py));
        for note in &self.notes {
            add_note(state, &exception, note);
        }
        let reason = reason.unwrap_or_else(|| "reason unknown".to_owned());
        let note = format!("bocage: this stands for a {}, which could not cross: {reason}", self.original);
        add_note(state, &exception, &note);
        exception
    }
}

/// Type and message of an error, for a note.
fn shown(py: Attached, error: Error) -> String {
    let exception = error.into_object(py);
    format!("{}: {}", exception.type_name(), exception.display())
}

/// Adds a note; an exception that refuses notes goes without.
fn add_note(state: &State, exception: &Obj, note: &str) {
    let py = state.py();
    let added = Obj::text(py, note).and_then(|note| exception.call_method(&state.names.add_note, &[note.reborrow()]));
    drop(added);
}

/// The traceback as text, or `None` if there is none (or it can't be shown).
fn traceback_text(state: &State, exception: &Obj) -> Option<String> {
    let traceback = exception.getattr(&state.names.traceback).ok()?;
    if traceback.is_none() {
        return None;
    }
    let module = state.py().import(c"traceback").ok()?;
    let lines = module.attr(c"format_tb").ok()?.call1(&traceback).ok()?;
    let mut text = TRACEBACK.to_owned();
    for line in lines.sequence_items()? {
        text.push_str(&line.display());
    }
    Some(text.trim_end().to_owned())
}
