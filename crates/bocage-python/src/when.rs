//! `@when` and `whencall`: from the decorator call to the enqueue.

use bocage_core::{Erased, schedule_labelled};
use smallvec::SmallVec;

use crate::cell::{Cell, CownHandle};
use crate::py::class::Class;
use crate::py::method::{Method, function};
use crate::py::slot::{self, Slot};
use crate::py::{Args, Error, Obj, Payload, Ref, Result, Signature, This};
use crate::run::{Argument, Call};
use crate::schedule::{self, Known};
use crate::state::State;
use crate::value::Value;
use crate::value::draft::{self, Draft};
use crate::{fork, lifecycle};

/// What `@when(...)` gives: waits for its function.
pub(crate) struct When {
    requests: Requests,
}

impl Payload for When {}

/// The cowns that a behavior asks for.
struct Requests {
    /// Groups flattened.
    cowns: Vec<CownHandle>,
    /// `None` if each cown is an argument of its own.
    groups: Option<Box<[Argument]>>,
    /// How many arguments the function gets for them.
    arguments: usize,
}

static SLOTS: [Slot; 1] = [slot::call(call)];

/// The class of it.
pub(crate) static CLASS: Class<When> =
    Class::new(c"bocage._bocage._When", c"A decorator that schedules a function as a behavior.").slots(&SLOTS);

/// The functions of this file.
pub(crate) const WHEN: Method = function(c"when", when, c"when(*cowns)\n--\n\nSchedule the decorated function as a behavior, and replace it with a Cown for its result.\n\nEach argument is a Cown (one parameter of the function) or a list or tuple of cowns (one parameter, a list).\nThe function runs on a worker as soon as it has all of them; nobody else has them meanwhile. Further parameters\nneed a default: it is evaluated now and moved to the worker with the behavior.\n\n    @when(account)\n    def balance(account, fee=3):\n        account.value -= fee\n        return account.value\n\nRaises TypeError, SyntaxError or NameError, naming the parameter or variable, for a function that can't run on a\nworker.");

/// See [`WHEN`].
pub(crate) const WHENCALL: Method = function(c"whencall", whencall, c"whencall(func, cowns, captures=())\n--\n\nSchedule func(*cowns, *captures) as a behavior: @when without the decorator.\n\nfunc may be any callable that can be imported by name, or a plain function. cowns is a sequence of cowns, or of\nlists of cowns. Returns a Cown for the result.");

fn when(state: &State, args: Args<'_>) -> Result<Obj> {
    if !args.keywords().is_empty() {
        return Err(Error::type_error(
            "when() takes cowns by position only: give a capture as a default of the function",
        ));
    }
    fork::check()?;
    let requests = requests(state, args.positional())?;
    state.when.instantiate(When { requests })
}

fn requests(state: &State, arguments: &[Ref<'_>]) -> Result<Requests> {
    let mut cowns = Vec::with_capacity(arguments.len());
    let mut groups = None;
    for (index, argument) in arguments.iter().enumerate() {
        if let Some(cown) = state.cown.get(argument) {
            cowns.push(cown.handle().clone());
            if let Some(groups) = &mut groups {
                let groups: &mut Vec<Argument> = groups;
                groups.push(Argument::One);
            }
            continue;
        }
        let items = argument.sequence_items().ok_or_else(|| not_a_cown(argument, index))?;
        let groups = groups.get_or_insert_with(|| vec![Argument::One; index]);
        groups.push(Argument::Group(items.len()));
        for item in &items {
            let cown = state.cown.get(item).ok_or_else(|| not_a_cown(item, index))?;
            cowns.push(cown.handle().clone());
        }
    }
    Ok(Requests { cowns, groups: groups.map(Vec::into_boxed_slice), arguments: arguments.len() })
}

fn not_a_cown(object: &Obj, index: usize) -> Error {
    Error::type_error(format!(
        "argument {} of when() must be a Cown or a list or tuple of cowns, not {}: wrap the value, `Cown(value)`, \
         or capture it as a default of the function",
        index + 1,
        object.type_name()
    ))
}

fn call(this: This<'_, When>, args: Args<'_>) -> Result<Obj> {
    let [callable] = args.positional() else {
        return Err(Error::type_error("@when(...) decorates one function"));
    };
    lifecycle::check_open()?;
    let requests = &this.requests;
    let state = this.state()?;
    let known = schedule::known(state, callable)?;
    let captures = captures(state, &known, callable, requests.arguments, &[])?;
    let requests =
        Requests { cowns: requests.cowns.clone(), groups: requests.groups.clone(), arguments: requests.arguments };
    enqueue(state, &known, requests, captures)
}

static CALL: Signature<3> = Signature::new("whencall", ["func", "cowns", "captures"], 2);

fn whencall(state: &State, args: Args<'_>) -> Result<Obj> {
    fork::check()?;
    lifecycle::check_open()?;
    let [callable, cowns, given] = CALL.bind(&args)?;
    let (callable, cowns) = (callable.expect("required"), cowns.expect("required"));
    let cowns = cowns.sequence_items().ok_or_else(|| {
        Error::type_error(format!("whencall() takes its cowns as a list or tuple, not {}", cowns.type_name()))
    })?;
    let cowns: Vec<Ref<'_>> = cowns.iter().map(Ref::from).collect();
    let given = match given {
        Some(given) => given.sequence_items().ok_or_else(|| {
            Error::type_error(format!("whencall() takes its captures as a list or tuple, not {}", given.type_name()))
        })?,
        None => Vec::new(),
    };
    let requests = requests(state, &cowns)?;
    let known = schedule::known(state, &callable)?;
    let captures = captures(state, &known, &callable, requests.arguments, &given)?;
    enqueue(state, &known, requests, captures)
}

/// What follows the cowns, on its way to the worker.
struct Captures {
    drafts: Vec<Draft>,
    /// How many arguments precede them.
    cowns: usize,
    /// How many of them are given by position.
    by_position: usize,
}

/// Drafts what follows the cowns: captures given, then defaults of the parameters that are left.
fn captures(state: &State, known: &Known, callable: &Obj, cowns: usize, given: &[Obj]) -> Result<Captures> {
    let mut captures = Captures { drafts: Vec::new(), cowns, by_position: given.len() };
    if !known.captures {
        captures.add(state, known, given)?;
        return Ok(captures);
    }
    let parts = callable.function_parts();
    let defaults = parts.as_ref().and_then(|parts| parts.defaults);
    let rest = schedule::captures(known, defaults, cowns + given.len())?;
    if given.is_empty() && rest.is_empty() && known.keyword_only.is_empty() {
        return Ok(captures);
    }
    captures.by_position += rest.len();
    // Encoding can run Python code, which could rebind the defaults: references of our own.
    let mut values: Vec<Obj> = Vec::with_capacity(given.len() + rest.len() + known.keyword_only.len());
    values.extend_from_slice(given);
    values.extend(rest.iter().map(|value| value.own()));
    if !known.keyword_only.is_empty() {
        let defaults = parts.as_ref().and_then(|parts| parts.keyword_defaults);
        for name in &known.keyword_only {
            let value = defaults.as_ref().map(|d| d.dict_get(name)).transpose()?.flatten();
            let value = value.ok_or_else(|| {
                Error::type_error(format!("the keyword-only parameter '{}' has no default", name.display()))
            })?;
            values.push(value);
        }
    }
    captures.add(state, known, &values)?;
    Ok(captures)
}

impl Captures {
    fn add(&mut self, state: &State, known: &Known, values: &[Obj]) -> Result<()> {
        self.drafts.reserve_exact(values.len());
        for (index, value) in values.iter().enumerate() {
            let draft = draft::draft(state, value).map_err(|error| self.blame(state, known, index, error))?;
            self.drafts.push(draft);
        }
        // Also at the end, but a mistake is to start no runtime.
        draft::check(state, &self.drafts).map_err(|(index, error)| self.blame(state, known, index, error))
    }

    /// Adds to an exception which capture it is about.
    fn blame(&self, state: &State, known: &Known, index: usize, error: Error) -> Error {
        let py = state.py();
        let name = match index.checked_sub(self.by_position) {
            None => known.positional.get(self.cowns + index).cloned(),
            Some(index) => known.keyword_only.get(index).map(|name| name.display()),
        };
        let name = name.unwrap_or_else(|| format!("captures[{index}]"));
        let exception = error.into_object(py);
        let note = format!("while capturing '{name}' for behavior '{}'", known.name());
        if let (Ok(add_note), Ok(note)) = (exception.attr(c"add_note"), Obj::text(py, &note)) {
            // The exception matters more than a failure to annotate it.
            let _ = add_note.call1(&note);
        }
        Error::Raised(exception)
    }

    /// Moves them.
    fn finish(mut self, state: &State, known: &Known) -> Result<Box<[Value]>> {
        let drafts = std::mem::take(&mut self.drafts);
        if drafts.is_empty() {
            return Ok(Box::default());
        }
        draft::finish(state, drafts).map_err(|(index, error)| self.blame(state, known, index, error))
    }
}

fn enqueue(state: &State, known: &Known, requests: Requests, captures: Captures) -> Result<Obj> {
    let bound = known.bind(state)?;
    let admission = lifecycle::admit(state)?;
    // Nothing below refuses the call: only now matrices may move.
    let captures = captures.finish(state, known)?;
    let Requests { cowns, groups, .. } = requests;
    let cowns = cowns.into_boxed_slice();
    // SAFETY: the handles live in the box's own memory, which stays where it is when the behavior takes the
    // box, and as long as the behavior has not run. The core looks at the cowns only until then.
    let lent: &[CownHandle] = unsafe { &*std::ptr::from_ref(&*cowns) };
    let mut erased: SmallVec<[Erased<'_>; 8]> = lent.iter().map(|cown| Erased::new(cown.core())).collect();
    let call = Call { bound, cowns, groups, captures };
    let result =
        admission.schedule(|executor| schedule_labelled(executor, &mut erased, Some(Cell::new(Value::None)), call));
    crate::cown::new_object(state, CownHandle::from_core(result))
}
