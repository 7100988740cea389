//! Calls into Python, and the arguments of calls from Python.

use std::ffi::CStr;

use pyo3_ffi as ffi;

use super::{Attached, Error, Obj, Ref, Result};

impl Obj {
    /// `self(*args)`.
    pub(crate) fn call(&self, args: &[Ref<'_>]) -> Result<Obj> {
        // SAFETY: `Ref` is transparent over an object pointer, and all are alive during the call.
        unsafe {
            Obj::from_result(
                self.py(),
                ffi::PyObject_Vectorcall(self.as_ptr(), args.as_ptr().cast(), args.len(), std::ptr::null_mut()),
            )
        }
    }

    /// `self()`.
    pub(crate) fn call0(&self) -> Result<Obj> {
        // SAFETY: the object is alive.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_CallNoArgs(self.as_ptr())) }
    }

    /// `self(arg)`.
    pub(crate) fn call1(&self, arg: &Obj) -> Result<Obj> {
        // SAFETY: both are alive.
        unsafe { Obj::from_result(self.py(), ffi::PyObject_CallOneArg(self.as_ptr(), arg.as_ptr())) }
    }

    /// `self(*args, **dict(zip(names, named)))`: `args` holds the positional arguments and then one
    /// value for each of the names, a tuple of str.
    pub(crate) fn call_named(&self, args: &[Ref<'_>], names: &Obj) -> Result<Obj> {
        let named = names.tuple_items().map_or(0, <[_]>::len);
        let positional = args.len().checked_sub(named);
        let positional = positional.ok_or_else(|| Error::system_error("fewer values than keyword names"))?;
        // SAFETY: as for `call`; `args` holds a value for each name, past the positional ones.
        unsafe {
            Obj::from_result(
                self.py(),
                ffi::PyObject_Vectorcall(self.as_ptr(), args.as_ptr().cast(), positional, names.as_ptr()),
            )
        }
    }

    /// `self.name(*args)`; `name` is best an interned string of the state.
    pub(crate) fn call_method(&self, name: &Obj, args: &[Ref<'_>]) -> Result<Obj> {
        let mut all = Vec::with_capacity(args.len() + 1);
        all.push(self.reborrow());
        all.extend_from_slice(args);
        // SAFETY: as for `call`; the first argument is the object whose method is called.
        unsafe {
            Obj::from_result(
                self.py(),
                ffi::PyObject_VectorcallMethod(name.as_ptr(), all.as_ptr().cast(), all.len(), std::ptr::null_mut()),
            )
        }
    }
}

impl Attached {
    /// `import name` (the module at the end of a dotted path).
    pub(crate) fn import(self, name: &CStr) -> Result<Obj> {
        // SAFETY: the thread is attached and the name is NUL-terminated.
        unsafe { Obj::from_result(self, ffi::PyImport_ImportModule(name.as_ptr())) }
    }
}

/// The arguments of one call from Python.
pub(crate) struct Args<'a> {
    py: Attached,
    positional: &'a [Ref<'a>],
    keywords: Keywords<'a>,
}

enum Keywords<'a> {
    None,
    /// Names, and their values in the same order.
    Vector(Ref<'a>, &'a [Ref<'a>]),
    Dict(Ref<'a>),
}

impl<'a> Args<'a> {
    /// # Safety
    /// The arguments of a `METH_FASTCALL | METH_KEYWORDS` call, alive for `'a`.
    pub(super) unsafe fn from_vector(
        py: Attached,
        args: *const *mut ffi::PyObject,
        positional: isize,
        names: *mut ffi::PyObject,
    ) -> Args<'a> {
        let positional = positional as usize;
        let slice = |from: usize, length: usize| {
            if length == 0 {
                &[][..]
            } else {
                // SAFETY: CPython gives positional values, then one for each keyword name; `Ref`
                // is transparent over an object pointer.
                unsafe { std::slice::from_raw_parts(args.add(from).cast::<Ref<'a>>(), length) }
            }
        };
        // SAFETY: null or a tuple of str that outlives the call.
        let keywords = match unsafe { Ref::from_ptr_or_null(names) } {
            Some(names) => {
                let count = names.tuple_items().map_or(0, <[_]>::len);
                Keywords::Vector(names, slice(positional, count))
            }
            None => Keywords::None,
        };
        Args { py, positional: slice(0, positional), keywords }
    }

    /// # Safety
    /// The arguments of a `tp_new` or `tp_call`: a tuple, and a dict or null, alive for `'a`.
    pub(super) unsafe fn from_tuple(py: Attached, args: *mut ffi::PyObject, dict: *mut ffi::PyObject) -> Args<'a> {
        // SAFETY: a tuple keeps its items alive and unchanged; `Ref` is transparent over an
        // object pointer.
        let positional = unsafe {
            let tuple = args.cast::<ffi::PyTupleObject>();
            let items = (&raw const (*tuple).ob_item).cast::<Ref<'a>>();
            std::slice::from_raw_parts(items, ffi::PyTuple_GET_SIZE(args) as usize)
        };
        Args {
            py,
            positional,
            // SAFETY: null or a dict that outlives the call.
            keywords: match unsafe { Ref::from_ptr_or_null(dict) } {
                Some(dict) => Keywords::Dict(dict),
                None => Keywords::None,
            },
        }
    }

    /// Proof of being attached.
    pub(crate) fn py(&self) -> Attached {
        self.py
    }

    /// The positional arguments.
    pub(crate) fn positional(&self) -> &'a [Ref<'a>] {
        self.positional
    }

    /// The keyword arguments, in the order of the call.
    pub(crate) fn keywords(&self) -> Vec<(Ref<'a>, Ref<'a>)> {
        match &self.keywords {
            Keywords::None => Vec::new(),
            Keywords::Vector(names, values) => {
                let count = values.len();
                (0..count)
                    .map(|index| {
                        // SAFETY: the tuple has `count` names and lives as long as the call.
                        let name = unsafe { Ref::from_ptr(ffi::PyTuple_GET_ITEM(names.as_ptr(), index as isize)) };
                        (name, values[index])
                    })
                    .collect()
            }
            Keywords::Dict(dict) => {
                let mut pairs = Vec::new();
                let (mut position, mut key, mut value) = (0, std::ptr::null_mut(), std::ptr::null_mut());
                // SAFETY: the call's own dict, which nobody changes, keeps both alive.
                unsafe {
                    while ffi::PyDict_Next(dict.as_ptr(), &mut position, &mut key, &mut value) != 0 {
                        pairs.push((Ref::from_ptr(key), Ref::from_ptr(value)));
                    }
                }
                pairs
            }
        }
    }

    fn has_keywords(&self) -> bool {
        match &self.keywords {
            Keywords::None => false,
            Keywords::Vector(_, values) => !values.is_empty(),
            // SAFETY: the dict is alive.
            Keywords::Dict(dict) => unsafe { ffi::PyDict_Size(dict.as_ptr()) > 0 },
        }
    }
}

/// The parameters of a function of `N` parameters, and how a call's arguments bind to them.
///
/// The first `positional_only` can't be named, those from `keyword_only` on must be, and the first
/// `required` must be given.
pub(crate) struct Signature<const N: usize> {
    function: &'static str,
    names: [&'static str; N],
    required: usize,
    positional_only: usize,
    keyword_only: usize,
}

impl<const N: usize> Signature<N> {
    /// All parameters may be given by position or name; the first `required` must be.
    pub(crate) const fn new(function: &'static str, names: [&'static str; N], required: usize) -> Self {
        assert!(required <= N);
        Signature { function, names, required, positional_only: 0, keyword_only: N }
    }

    /// The first `count` are positional only (before a `/`).
    pub(crate) const fn positional_only(mut self, count: usize) -> Self {
        assert!(count <= N);
        self.positional_only = count;
        self
    }

    /// Those from `index` on are keyword only (after a `*`).
    pub(crate) const fn keyword_only(mut self, index: usize) -> Self {
        assert!(index <= N);
        self.keyword_only = index;
        self
    }

    /// Binds the arguments; `TypeError` as CPython words it.
    pub(crate) fn bind<'a>(&self, args: &Args<'a>) -> Result<[Option<Ref<'a>>; N]> {
        let mut bound = [None; N];
        let given = args.positional();
        if given.len() > self.keyword_only {
            return Err(Error::type_error(format!(
                "{}() takes at most {} positional argument{} ({} given)",
                self.function,
                self.keyword_only,
                if self.keyword_only == 1 { "" } else { "s" },
                given.len()
            )));
        }
        for (slot, value) in bound.iter_mut().zip(given) {
            *slot = Some(*value);
        }
        if args.has_keywords() {
            for (name, value) in args.keywords() {
                let name = name.to_utf8()?;
                let index = self.names.iter().position(|known| *known == name);
                match index {
                    Some(index) if index >= self.positional_only => {
                        if bound[index].replace(value).is_some() {
                            return Err(Error::type_error(format!(
                                "{}() got multiple values for argument '{name}'",
                                self.function
                            )));
                        }
                    }
                    Some(_) => {
                        return Err(Error::type_error(format!(
                            "{}() got the positional-only argument '{name}' as a keyword",
                            self.function
                        )));
                    }
                    None => {
                        return Err(Error::type_error(format!(
                            "{}() got an unexpected keyword argument '{name}'",
                            self.function
                        )));
                    }
                }
            }
        }
        match (0..self.required).find(|index| bound[*index].is_none()) {
            None => Ok(bound),
            Some(missing) => Err(Error::type_error(format!(
                "{}() missing required argument '{}' (position {})",
                self.function,
                self.names[missing],
                missing + 1
            ))),
        }
    }
}
