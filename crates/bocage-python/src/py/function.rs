//! What a plain Python function is made of.

use pyo3_ffi as ffi;

use super::{Obj, Ref};

/// The parts of a function object that scheduling looks at each time.
pub(crate) struct Parts<'a> {
    /// Its code object.
    pub(crate) code: Ref<'a>,
    /// The dict in which it finds its globals.
    pub(crate) globals: Ref<'a>,
    /// A tuple of the defaults of its last positional parameters.
    pub(crate) defaults: Option<Ref<'a>>,
    /// A dict of the defaults of keyword-only parameters.
    pub(crate) keyword_defaults: Option<Ref<'a>>,
    /// Whether it has attributes of its own, such as `__wrapped__`.
    pub(crate) has_attributes: bool,
}

impl Obj {
    /// Whether pickle sends this by its name.
    pub(crate) fn is_class_or_function(&self) -> bool {
        // SAFETY: the object is alive; only its type is looked at.
        unsafe { ffi::PyType_Check(self.as_ptr()) != 0 || ffi::PyFunction_Check(self.as_ptr()) != 0 }
    }

    /// The parts, if this is a plain function.
    pub(crate) fn function_parts(&self) -> Option<Parts<'_>> {
        // SAFETY: the object is alive; the type is checked before the cast; a function keeps its parts alive
        // and they change only by Python code, which can't run while the parts are being read here. Callers
        // take references of their own before they run any.
        unsafe {
            if ffi::PyFunction_Check(self.as_ptr()) == 0 {
                return None;
            }
            let function = self.as_ptr().cast::<ffi::PyFunctionObject>();
            let dict = (*function).func_dict;
            Some(Parts {
                code: Ref::from_ptr((*function).func_code),
                globals: Ref::from_ptr((*function).func_globals),
                defaults: Ref::from_ptr_or_null((*function).func_defaults),
                keyword_defaults: Ref::from_ptr_or_null((*function).func_kwdefaults),
                has_attributes: !dict.is_null() && ffi::PyDict_Size(dict) > 0,
            })
        }
    }

    /// Whether `self[key]`, self being a dict, is this very object (`None`: is absent). Runs no Python code
    /// if the key is an interned string.
    pub(crate) fn dict_binds(&self, key: &Obj, expected: Option<&Obj>) -> bool {
        // SAFETY: both are alive; an error (a key that can't be hashed) reads as absent and is cleared.
        let found = unsafe {
            let found = ffi::PyDict_GetItemWithError(self.as_ptr(), key.as_ptr());
            if found.is_null() {
                ffi::PyErr_Clear();
            }
            found
        };
        expected.map_or(std::ptr::null_mut(), Obj::as_ptr) == found
    }
}
