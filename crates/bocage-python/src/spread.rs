//! Classes and functions of the program as parts of values, and what they need wherever they go.
//!
//! A worker finds such a class by its name in `__main__`, and its methods find their globals there: globals that no
//! behavior names whose cowns hold an instance. So each name that is met (by a pickler, or as a class that some body
//! uses and may make an instance of) is noted for the whole process, and from then on every behavior carries what all
//! of them need. As long as there is none, that costs scheduling a look at a counter.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::function::Globals;
use crate::py::{Obj, Result};
use crate::schedule::{self, Watch};
use crate::state::State;

/// Globals of `__main__` by which values refer to classes and functions. Kept from run to run, as cowns are.
static SPREAD: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
/// How many of those there are.
static SPREADING: AtomicUsize = AtomicUsize::new(0);

/// From now on a value may refer to that global of `__main__`.
pub(crate) fn note(name: &str) {
    let mut spread = names();
    if !spread.contains(name) {
        spread.insert(name.to_owned());
        // Relaxed: whoever sees the number takes the names under the lock.
        SPREADING.store(spread.len(), Ordering::Relaxed);
    }
}

/// How many globals values refer to.
pub(crate) fn count() -> usize {
    SPREADING.load(Ordering::Relaxed)
}

fn names() -> MutexGuard<'static, BTreeSet<String>> {
    SPREAD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What classes and functions of `__main__` need that may be part of a value; `None` as long as there are none.
pub(crate) fn beside(state: &State) -> Result<Option<Arc<Globals>>> {
    if count() == 0 {
        return Ok(None);
    }
    if !state.py().is_main_interpreter() && state.known.ran("__main__").is_none() {
        // A worker's own `__main__` is none of the program's.
        return Ok(state.known.beside());
    }
    let home = state.scheduler.homes.borrow().get("__main__").cloned();
    let home = match home {
        Some(home) => home,
        None => schedule::known_home(state, &state.definitions(c"home_of_main")?.call0()?)?,
    };
    loop {
        home.keep_built(state)?;
        let known = count();
        if let Some((globals, watch, at)) = &*state.scheduler.beside.borrow()
            && *at == known
            && globals.ran == home.ran.get()
            && watch.holds(&home.namespace)
        {
            return Ok(Some(globals.clone()));
        }
        let names: Vec<String> = names().iter().cloned().collect();
        let names = names.iter().map(|name| Obj::text(state.py(), name)).collect::<Result<Vec<_>>>()?;
        let names = Obj::tuple(state.py(), names)?;
        let reach = state.definitions(c"beside")?.call(&[(&home.object).into(), (&names).into()])?;
        // Most behaviors get no such value: what does not cross is no mistake of theirs.
        let globals = home.gather(state, &reach, false)?;
        let watch = Watch::new(&reach.attr(c"watch")?, &home.namespace)?;
        drop(state.scheduler.beside.replace(Some((globals, watch, known))));
        // Once more, as those values may have brought others.
    }
}

/// Sends what a value needs that is the first of its kind: a behavior that was scheduled before may get it.
pub(crate) fn share(state: &State) {
    let scheduler = &state.scheduler;
    // Who schedules nothing sends it with the first behavior. And sending can bring further values.
    if !scheduler.homes.borrow().is_empty() && !scheduler.sharing.replace(true) {
        // It is a help: whoever schedules next gets the error.
        let _ = beside(state);
        scheduler.sharing.set(false);
    }
}

/// Notes a class or function that is part of a value on its way, if it is the program's own.
///
/// # Errors
/// `TypeError` if workers could not have it.
pub(crate) fn met(state: &State, thing: &Obj) -> Result<()> {
    let is_main = |module: &Obj| module.is_str() && module.to_utf8().is_ok_and(|name| name == "__main__");
    if !thing.getattr_opt(&state.names.module)?.as_ref().is_some_and(is_main) {
        return Ok(());
    }
    let Some(name) = thing.getattr_opt(&state.names.qualname)?.filter(|name| name.is_str()) else { return Ok(()) };
    let name = name.to_utf8()?;
    let name = name.split('.').next().unwrap_or(name);
    if state.scheduler.spread.borrow().contains(name) {
        return Ok(());
    }
    if state.py().is_main_interpreter() && state.definitions(c"spread")?.call1(thing)?.is_none() {
        return Ok(());
    }
    state.scheduler.spread.borrow_mut().insert(name.to_owned());
    note(name);
    Ok(())
}
