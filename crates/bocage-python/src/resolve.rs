//! A worker's side of functions: what an `Arc<Bound>` means in this interpreter.
//!
//! | kept here   | for what                                                                              |
//! |-------------|---------------------------------------------------------------------------------------|
//! | `callables` | a function's id to the object that `_worker.resolve` made of its record               |
//! | `homes`     | which namespaces were built, and which version of each global is bound there          |
//! | `last`      | the last behavior's `Bound` and its callable: a loop over one function looks up nothing |

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::function::{Bound, Content, Globals, Home, Sent};
use crate::py::class::Class;
use crate::py::slot::{self, Slot};
use crate::py::{Args, Error, Obj, Payload, Result, This};
use crate::state::State;

/// What one interpreter knows of functions.
#[derive(Default)]
pub(crate) struct Known {
    callables: RefCell<HashMap<u64, Obj>>,
    homes: RefCell<HashMap<String, Built>>,
    last: RefCell<Option<(Arc<Bound>, Obj)>>,
    /// Whose globals `fetch` serves first.
    serving: RefCell<Option<Arc<Bound>>>,
    /// How deep the interpreter is in code of modules that it imports.
    pub(crate) importing: Cell<i64>,
}

/// What is known of a namespace that was built here.
#[derive(Default)]
struct Built {
    /// The version that each global is bound to.
    versions: HashMap<String, u64>,
    /// Definitions that are there.
    made: HashSet<String>,
    /// How many statements of it the programs of all behaviors so far were past.
    ran: usize,
}

impl Known {
    /// How many statements of a namespace that was built here the program is past.
    pub(crate) fn ran(&self, key: &str) -> Option<usize> {
        self.homes.borrow().get(key).map(|built| built.ran)
    }

    fn with_built(&self, key: &str, work: impl FnOnce(&mut Built)) {
        self.homes.borrow_mut().get_mut(key).map(work);
    }

    /// What a behavior that runs here has beside its own globals.
    pub(crate) fn beside(&self) -> Option<Arc<Globals>> {
        self.last.borrow().as_ref().and_then(|(bound, _)| bound.beside.clone())
    }

    /// Every object held here, for the collector.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        // What is borrowed is being changed further up the stack: it counts as referred to from there.
        if let Ok(callables) = self.callables.try_borrow() {
            callables.values().for_each(&mut *visit);
        }
        if let Ok(last) = self.last.try_borrow() {
            last.iter().for_each(|(_, callable)| visit(callable));
        }
    }

    /// Forgets all of it.
    pub(crate) fn clear(&self) {
        // Taken out first: dropping an object can run code that comes back here.
        drop((self.callables.take(), self.homes.take(), self.last.take(), self.serving.take()));
        self.importing.set(0);
    }
}

/// The callable of a behavior, in this interpreter, with its globals bound.
pub(crate) fn callable(state: &State, bound: &Arc<Bound>) -> Result<Obj> {
    let known = &state.known;
    if let Some((last, callable)) = &*known.last.borrow()
        && Arc::ptr_eq(last, bound)
    {
        return Ok(callable.clone());
    }
    let before = known.serving.replace(Some(bound.clone()));
    let result = bind_and_load(state, bound);
    known.serving.replace(before);
    let callable = result?;
    drop(known.last.replace(Some((bound.clone(), callable.clone()))));
    Ok(callable)
}

fn bind_and_load(state: &State, bound: &Arc<Bound>) -> Result<Obj> {
    if let Some(beside) = &bound.beside {
        bind_globals(state, beside)?;
    }
    bind_globals(state, &bound.globals)?;
    let known = state.known.callables.borrow().get(&bound.function.id).cloned();
    if let Some(callable) = known {
        return Ok(callable);
    }
    let py = state.py();
    let record = Obj::bytes(py, &bound.function.record)?;
    let values = bound.function.values.iter().map(|v| v.to_object(state)).collect::<Result<Vec<_>>>()?;
    let values = Obj::tuple(py, values)?;
    let callable = state.worker(c"resolve")?.call(&[(&record).into(), (&values).into()])?;
    state.known.callables.borrow_mut().insert(bound.function.id, callable.clone());
    Ok(callable)
}

/// Builds the home if it isn't yet, and binds what was sent since.
fn bind_globals(state: &State, globals: &Globals) -> Result<()> {
    let py = state.py();
    let home = &globals.home;
    let texts = |names: &mut dyn Iterator<Item = &String>| {
        let names = names.map(|name| Obj::text(py, name)).collect::<Result<Vec<_>>>()?;
        Obj::tuple(py, names)
    };
    let key = Obj::text(py, &home.key)?;
    let mut ran = state.known.ran(&home.key);
    // Only after a success: a home that could not be imported is tried again by the next behavior.
    if ran.is_none() {
        let payload = Obj::bytes(py, &home.payload)?;
        let fetch = state.fetch.instantiate(Fetch { home: home.clone() })?;
        state.worker(c"build")?.call(&[(&payload).into(), (&fetch).into()])?;
        state.known.homes.borrow_mut().insert(home.key.clone(), Built::default());
        ran = Some(0);
    }
    if ran < Some(globals.ran) {
        state.worker(c"advance")?.call(&[(&key).into(), (&py.uint(globals.ran as u64)?).into()])?;
        state.known.with_built(&home.key, |built| built.ran = globals.ran);
    }
    let (stale, missing): (Vec<&Arc<Sent>>, Vec<&String>) = {
        let homes = state.known.homes.borrow();
        let built = homes.get(&home.key);
        let is_stale = |s: &&Arc<Sent>| built.is_none_or(|b| b.versions.get(&s.name) != Some(&s.version));
        let is_missing = |name: &&String| built.is_none_or(|b| !b.made.contains(*name));
        (globals.sent.iter().filter(is_stale).collect(), globals.needs.iter().filter(is_missing).collect())
    };
    if !stale.is_empty() {
        let names = texts(&mut stale.iter().map(|s| &s.name))?;
        state.worker(c"update")?.call(&[(&key).into(), (&names).into()])?;
        state.known.with_built(&home.key, |built| {
            for sent in stale {
                built.versions.insert(sent.name.clone(), sent.version);
                built.made.remove(&sent.name);
            }
        });
    }
    if !missing.is_empty() {
        let names = texts(&mut missing.iter().copied())?;
        let all = state.worker(c"require")?.call(&[(&key).into(), (&names).into()])?.is_true()?;
        state.known.with_built(&home.key, |built| {
            for name in missing {
                built.versions.remove(name);
                if all {
                    built.made.insert(name.clone());
                }
            }
        });
    }
    Ok(())
}

/// What `_worker` calls to get the value of a global that was sent.
pub(crate) struct Fetch {
    home: Arc<Home>,
}

impl Payload for Fetch {}

static FETCH_SLOTS: [Slot; 1] = [slot::call(fetch)];

/// The class of it.
pub(crate) static FETCH: Class<Fetch> =
    Class::new(c"bocage._bocage._Fetch", c"Gives the globals that the scheduling side sent.").slots(&FETCH_SLOTS);

fn fetch(this: This<'_, Fetch>, args: Args<'_>) -> Result<Obj> {
    let state = this.state()?;
    let [name] = args.positional() else {
        return Err(Error::type_error("fetch takes a name"));
    };
    let name = name.to_utf8()?;
    let serving = state.known.serving.borrow().clone();
    let given = |globals: &Globals| {
        let sent = Arc::ptr_eq(&globals.home, &this.home).then_some(&globals.sent)?;
        sent.iter().find(|s| s.name == name).cloned()
    };
    let sent = serving
        .and_then(|bound| given(&bound.globals).or_else(|| bound.beside.as_deref().and_then(given)))
        .or_else(|| this.home.newest(name));
    let Some(sent) = sent else {
        return Err(Error::key_error(format!("{name} was not sent")));
    };
    match &sent.content {
        Content::Value(value) => value.to_object(state),
        Content::Packed(record, values) => {
            let py = state.py();
            let record = Obj::bytes(py, record)?;
            let values = values.iter().map(|v| v.to_object(state)).collect::<Result<Vec<_>>>()?;
            let values = Obj::tuple(py, values)?;
            state.worker(c"unpack")?.call(&[(&record).into(), (&values).into()])
        }
    }
}
