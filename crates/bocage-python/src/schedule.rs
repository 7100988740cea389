//! The scheduling side of functions: from a Python callable to an `Arc<Bound>`, cheaply the second time.
//!
//! A plain function is known by its code object, which a loop makes once and for all: what `_definitions.py`
//! finds out about it is kept. Each later time costs one look at each global that the answer depends on
//! (`watch`): is the name still bound to the same object? If not, the globals are sent again.

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, HashSet};
use std::rc::Rc;
use std::sync::Arc;

use crate::function::{self, Bound, Content, Function, Globals, Home, Sent};
use crate::py::container::items_of;
use crate::py::{Error, Obj, Ref, Result, frame};
use crate::spread;
use crate::state::State;
use crate::value::{self, Value};

/// So many functions are remembered; a program that makes new code all the time starts over then.
const MOST: usize = 4096;

/// What one interpreter knows of the functions that it schedules.
#[derive(Default)]
pub(crate) struct Scheduler {
    /// By code object and namespace, which the entries keep alive.
    functions: RefCell<HashMap<(usize, usize), Rc<Known>>>,
    /// By namespace.
    pub(crate) homes: RefCell<HashMap<String, Rc<KnownHome>>>,
    /// Globals of `__main__` by which values sent from here refer to classes and functions.
    pub(crate) spread: RefCell<HashSet<String>>,
    /// What such globals need, and how many there were.
    pub(crate) beside: RefCell<Option<(Arc<Globals>, Watch, usize)>>,
    pub(crate) sharing: Cell<bool>,
}

/// A function that was scheduled before.
pub(crate) struct Known {
    /// Keeps the code's and the namespace's addresses their own.
    _code: Obj,
    _namespace: Obj,
    /// `_definitions.Behavior`.
    behavior: Obj,
    /// Parameters that can be given by position.
    pub(crate) positional: Vec<String>,
    /// How many of those have a default.
    pub(crate) defaults: usize,
    /// Keyword-only parameters, interned.
    pub(crate) keyword_only: Vec<Obj>,
    /// It has `*args`.
    pub(crate) varargs: bool,
    /// Captures travel with each behavior.
    pub(crate) captures: bool,
    function: Arc<Function>,
    home: Rc<KnownHome>,
    bound: RefCell<Option<(Arc<Bound>, Watch)>>,
}

/// A namespace whose functions were scheduled before.
pub(crate) struct KnownHome {
    home: Arc<Home>,
    /// `_definitions.Home`.
    pub(crate) object: Obj,
    pub(crate) namespace: Obj,
    /// What its definitions need is up to date while this is so, and the namespace has so many entries.
    build: RefCell<Option<Watch>>,
    entries: Cell<usize>,
    /// How many statements it has that the program passes, and how many of them it is past.
    total: usize,
    pub(crate) ran: Cell<usize>,
    /// The code in which the program is, and how many it is past at an instruction there.
    code: RefCell<Option<Obj>>,
    places: RefCell<HashMap<i32, usize>>,
    /// The last instruction there that was looked up.
    last_place: Cell<(i32, usize)>,
    /// The last object and value sent for each global.
    sent: RefCell<HashMap<String, (Obj, Arc<Sent>)>>,
}

/// Names, and what they were bound to.
pub(crate) struct Watch(Vec<(Obj, Option<Obj>)>);

impl Watch {
    fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        for (name, value) in &self.0 {
            visit(name);
            value.iter().for_each(&mut *visit);
        }
    }

    pub(crate) fn new(names: &Obj, namespace: &Obj) -> Result<Watch> {
        let names = names.tuple_items().unwrap_or_default();
        names.iter().map(|name| Ok((name.own(), namespace.dict_get(name)?))).collect::<Result<_>>().map(Watch)
    }

    pub(crate) fn holds(&self, namespace: &Obj) -> bool {
        self.0.iter().all(|(name, value)| namespace.dict_binds(name, value.as_ref()))
    }
}

impl Scheduler {
    /// Every object held here, for the collector.
    pub(crate) fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        // What is borrowed is being changed further up the stack: it counts as referred to from there.
        if let Ok(functions) = self.functions.try_borrow() {
            functions.values().for_each(|known| known.each(visit));
        }
        if let Ok(homes) = self.homes.try_borrow() {
            homes.values().for_each(|home| home.each(visit));
        }
        if let Ok(beside) = self.beside.try_borrow() {
            beside.iter().for_each(|(_, watch, _)| watch.each(visit));
        }
    }

    /// Forgets all of it.
    pub(crate) fn clear(&self) {
        drop((self.functions.take(), self.homes.take(), self.beside.take()));
        self.spread.take();
    }
}

/// The function behind a callable, described.
pub(crate) fn known(state: &State, callable: &Obj) -> Result<Rc<Known>> {
    if let Some(parts) = callable.function_parts()
        && !parts.has_attributes
    {
        let key = (parts.code.as_ptr().addr(), parts.globals.as_ptr().addr());
        if let Some(known) = state.scheduler.functions.borrow().get(&key) {
            return Ok(known.clone());
        }
        let known = Rc::new(describe(state, callable, parts.code.own(), parts.globals.own())?);
        let mut functions = state.scheduler.functions.borrow_mut();
        let full = if functions.len() >= MOST { std::mem::take(&mut *functions) } else { HashMap::new() };
        functions.insert(key, known.clone());
        drop(functions);
        // What it holds may run code when it goes.
        drop(full);
        return Ok(known);
    }
    let none = state.py().none();
    describe(state, callable, none.clone(), none).map(Rc::new)
}

fn describe(state: &State, callable: &Obj, code: Obj, namespace: Obj) -> Result<Known> {
    // First, as it keeps the namespace's home.
    let home = known_home(state, &state.definitions(c"home_of")?.call1(callable)?)?;
    let behavior = state.definitions(c"describe")?.call1(callable)?;
    let record = behavior.attr(c"record")?;
    let record = record.as_bytes().ok_or_else(|| Error::system_error("a record is bytes"))?;
    let name = behavior.attr(c"name")?.display();
    let values = encode_all(state, &behavior)?;
    let keyword_only: Vec<Obj> = behavior.attr(c"keyword_only")?.sequence_items().unwrap_or_default();
    let keyword_names = keyword_only.iter().map(Obj::display).collect();
    let positional = behavior.attr(c"positional")?.sequence_items().unwrap_or_default();
    Ok(Known {
        function: function::function(&home.home, &name, record, values, keyword_names),
        positional: positional.iter().map(Obj::display).collect(),
        defaults: behavior.attr(c"defaults")?.to_i64()? as usize,
        keyword_only,
        varargs: behavior.attr(c"varargs")?.is_true()?,
        captures: behavior.attr(c"captures")?.is_true()?,
        home,
        bound: RefCell::new(None),
        behavior,
        _code: code,
        _namespace: namespace,
    })
}

/// What is known of a `_definitions.Home`.
pub(crate) fn known_home(state: &State, object: &Obj) -> Result<Rc<KnownHome>> {
    let key = object.attr(c"key")?.display();
    if let Some(home) = state.scheduler.homes.borrow().get(&key) {
        return Ok(home.clone());
    }
    let payload = object.attr(c"payload")?;
    let payload = payload.as_bytes().ok_or_else(|| Error::system_error("a payload is bytes"))?;
    let home = Rc::new(KnownHome {
        home: function::home(&key, payload),
        namespace: object.attr(c"namespace")?,
        object: object.clone(),
        total: object.attr(c"ends")?.len()?,
        ran: Cell::new(0),
        code: RefCell::new(None),
        places: RefCell::default(),
        last_place: Cell::new((-1, 0)),
        build: RefCell::new(None),
        entries: Cell::new(0),
        sent: RefCell::default(),
    });
    state.scheduler.homes.borrow_mut().insert(key, home.clone());
    Ok(home)
}

impl Known {
    fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        for object in [&self._code, &self._namespace, &self.behavior] {
            visit(object);
        }
        self.keyword_only.iter().for_each(&mut *visit);
        if let Ok(bound) = self.bound.try_borrow() {
            bound.iter().for_each(|(_, watch)| watch.each(visit));
        }
    }

    /// The name, for messages.
    pub(crate) fn name(&self) -> &str {
        &self.function.name
    }

    /// The function with its globals as they are now.
    pub(crate) fn bind(&self, state: &State) -> Result<Arc<Bound>> {
        let home = &*self.home;
        home.keep_built(state)?;
        let mut beside = spread::beside(state)?;
        let mut globals = None;
        if let Some((bound, watch)) = &*self.bound.borrow()
            && bound.globals.ran == home.ran.get()
            && watch.holds(&home.namespace)
        {
            if bound.beside.as_ref().map(Arc::as_ptr) == beside.as_ref().map(Arc::as_ptr) {
                return Ok(bound.clone());
            }
            globals = Some(bound.globals.clone());
        }
        let (globals, watch) = match globals {
            Some(globals) => (globals, None),
            None => {
                let reach = state.definitions(c"reach")?.call(&[(&home.object).into(), (&self.behavior).into()])?;
                let globals = home.gather(state, &reach, true)?;
                // The values may have brought classes.
                beside = spread::beside(state)?;
                (globals, Some(Watch::new(&reach.attr(c"watch")?, &home.namespace)?))
            }
        };
        let bound = Arc::new(Bound { function: self.function.clone(), globals, beside });
        let mut last = self.bound.borrow_mut();
        let (mut old, mut replaced) = (None, None);
        match (watch, &mut *last) {
            (Some(watch), last) => old = last.replace((bound.clone(), watch)),
            (None, Some((last, _))) => replaced = Some(std::mem::replace(last, bound.clone())),
            (None, None) => {}
        }
        drop(last);
        // Dropping objects can run code.
        drop((old, replaced));
        Ok(bound)
    }
}

impl KnownHome {
    fn each(&self, visit: &mut dyn FnMut(&Obj)) {
        visit(&self.object);
        visit(&self.namespace);
        if let Ok(build) = self.build.try_borrow() {
            build.iter().for_each(|watch| watch.each(visit));
        }
        if let Ok(sent) = self.sent.try_borrow() {
            sent.values().for_each(|(object, _)| visit(object));
        }
        if let Ok(code) = self.code.try_borrow() {
            code.iter().for_each(visit);
        }
    }

    /// Sends what the definitions need while they run, if that is new.
    pub(crate) fn keep_built(&self, state: &State) -> Result<()> {
        let entries = self.namespace.len()?;
        if entries <= self.entries.get()
            && self.ran_by_now(state) == Some(self.ran.get())
            && let Some(watch) = &*self.build.borrow()
            && watch.holds(&self.namespace)
        {
            return Ok(());
        }
        if self.ran.get() < self.total {
            self.look(state)?;
        }
        let reach = state.definitions(c"at_build")?.call1(&self.object)?;
        Gathered::new(self).add(state, &reach, false)?;
        let watch = Watch::new(&reach.attr(c"watch")?, &self.namespace)?;
        drop(self.build.replace(Some(watch)));
        self.entries.set(entries);
        Ok(())
    }

    /// How many statements the program is past, if that is seen at a glance.
    fn ran_by_now(&self, state: &State) -> Option<usize> {
        if self.ran.get() == self.total {
            return Some(self.total);
        }
        if let Some(ran) = state.known.ran(&self.home.key) {
            return Some(ran.max(self.ran.get()));
        }
        let code = self.code.borrow();
        match code.as_ref().map(|code| frame::instruction_of(state.py(), code)) {
            Some(Some(instruction)) if instruction == self.last_place.get().0 => Some(self.last_place.get().1),
            Some(Some(instruction)) => {
                let ran = self.places.borrow().get(&instruction).copied()?;
                self.last_place.set((instruction, ran));
                Some(ran)
            }
            // Another thread than the program's own: what it binds tells.
            _ => Some(self.ran.get()),
        }
    }

    fn look(&self, state: &State) -> Result<()> {
        self.ran.set(self.object.attr(c"look")?.call0()?.to_i64()? as usize);
        let code = self.object.attr(c"code")?;
        if !code.is_none() {
            if let Some(instruction) = frame::instruction_of(state.py(), &code) {
                self.places.borrow_mut().insert(instruction, self.ran.get());
            }
            drop(self.code.replace(Some(code)));
        }
        Ok(())
    }

    /// What a `_definitions.Reach` names, encoded.
    pub(crate) fn gather(&self, state: &State, reach: &Obj, strict: bool) -> Result<Arc<Globals>> {
        let mut gathered = Gathered::new(self);
        gathered.add(state, reach, strict)?;
        for class in reach.attr(c"classes")?.sequence_items().unwrap_or_default() {
            spread::note(class.to_utf8()?);
        }
        Ok(Arc::new(Globals {
            home: self.home.clone(),
            sent: gathered.sent.into_values().collect(),
            needs: gathered.needs.into(),
            ran: self.ran.get(),
        }))
    }
}

/// Globals on their way: from a `_definitions.Reach`, encoded.
struct Gathered<'a> {
    home: &'a KnownHome,
    sent: HashMap<String, Arc<Sent>>,
    needs: Vec<String>,
}

impl<'a> Gathered<'a> {
    fn new(home: &'a KnownHome) -> Self {
        Gathered { home, sent: HashMap::new(), needs: Vec::new() }
    }

    /// Adds what `reach` names. A value that does not cross is replaced by its assignment; if there is none,
    /// that is an error, or (`strict` is not set) it is left out.
    fn add(&mut self, state: &State, reach: &Obj, strict: bool) -> Result<()> {
        for pair in reach.attr(c"values")?.sequence_items().unwrap_or_default() {
            let Some([name, value]) = pair.tuple_items() else { continue };
            let text = name.display();
            if self.sent.contains_key(&text) || self.sent_before(&text, value) {
                continue;
            }
            match value::encode_copy(state, value) {
                Ok(encoded) => self.send(&text, value, Content::Value(encoded)),
                Err(error) => self.add_instead(state, name, error, strict)?,
            }
        }
        for pair in reach.attr(c"packed")?.sequence_items().unwrap_or_default() {
            let Some([name, packed]) = pair.tuple_items() else { continue };
            let text = name.display();
            let now = self.home.namespace.dict_get(name)?.unwrap_or_else(|| state.py().none());
            if self.sent.contains_key(&text) || self.sent_before(&text, &now) {
                continue;
            }
            let record = packed.attr(c"record")?;
            let record = record.as_bytes().ok_or_else(|| Error::system_error("a record is bytes"))?.into();
            match encode_all(state, packed) {
                Ok(values) => self.send(&text, &now, Content::Packed(record, values)),
                Err(error) => self.add_instead(state, name, error, strict)?,
            }
        }
        self.needs.extend(reach.attr(c"needs")?.sequence_items().unwrap_or_default().iter().map(Obj::display));
        Ok(())
    }

    /// Adds what replaces a global that does not cross.
    fn add_instead(&mut self, state: &State, name: &Obj, error: Error, strict: bool) -> Result<()> {
        let error = error.into_object(state.py());
        let home = &self.home.object;
        match state.definitions(c"instead_of")?.call(&[home.into(), name.into(), (&error).into()]) {
            Ok(instead) => self.add(state, &instead, strict),
            Err(error) if strict => Err(error),
            Err(_) => Ok(()),
        }
    }

    /// Whether the same object was sent for that name already; then that goes along again.
    fn sent_before(&mut self, name: &str, value: &Obj) -> bool {
        let before = self.home.sent.borrow().get(name).filter(|(object, _)| object.is(value)).map(|(_, s)| s.clone());
        before.map(|sent| self.sent.insert(name.to_owned(), sent)).is_some()
    }

    fn send(&mut self, name: &str, value: &Obj, content: Content) {
        let sent = self.home.home.send(name, content);
        self.sent.insert(name.to_owned(), sent.clone());
        let old = self.home.sent.borrow_mut().insert(name.to_owned(), (value.clone(), sent));
        drop(old);
    }
}

/// The values beside a record, of a `_definitions.Behavior` or `_pack.Packed`.
fn encode_all(state: &State, recorded: &Obj) -> Result<Box<[Value]>> {
    let values = recorded.attr(c"values")?.sequence_items().unwrap_or_default();
    let encode = |(index, value): (usize, &Obj)| {
        value::encode_copy(state, value).or_else(|error| Err(refused(state, recorded, index, error)?))
    };
    values.iter().enumerate().map(encode).collect()
}

/// The error that says which of those values does not cross.
fn refused(state: &State, recorded: &Obj, index: usize, error: Error) -> Result<Error> {
    let py = state.py();
    let (index, error) = (py.uint(index as u64)?, error.into_object(py));
    let refused = state.definitions(c"refused")?.call(&[recorded.into(), (&index).into(), (&error).into()])?;
    Ok(Error::Raised(refused))
}

/// The captures that follow the cowns: the defaults of the parameters past the first `given`.
pub(crate) fn captures<'a>(known: &Known, defaults: Option<Ref<'a>>, given: usize) -> Result<&'a [Ref<'a>]> {
    let total = known.positional.len();
    let name = known.name();
    if given > total {
        if known.varargs {
            return Ok(&[]);
        }
        let plural = if total == 1 { "" } else { "s" };
        return Err(Error::type_error(format!(
            "behavior '{name}' takes {total} parameter{plural} but is given {given} arguments: add a parameter for each"
        )));
    }
    let required = total - known.defaults;
    if let Some(parameter) = known.positional[..required].get(given) {
        return Err(Error::type_error(format!(
            "behavior '{name}' has no default for the parameter '{parameter}', and @when gives no cown for it: \
             list one, or capture a value: `{parameter}={parameter}`"
        )));
    }
    let items = defaults.map_or(&[][..], items_of);
    Ok(&items[(given - required).min(items.len())..])
}
