//! Every difference among CPython 3.12, 3.13, 3.14 and 3.15, and what `pyo3-ffi` doesn't declare.

use std::ffi::c_void;

use pyo3_ffi as ffi;

/// How many slots [`module_slots`] gives.
pub(crate) const MODULE_SLOTS: usize = if cfg!(Py_3_13) { 4 } else { 3 };

/// The slots of a module that runs in interpreters with their own GIL. From 3.13 on it also says
/// that it wants the GIL (on a free-threaded build): payloads of objects rely on it.
pub(crate) const fn module_slots(exec: *mut c_void) -> [ffi::PyModuleDef_Slot; MODULE_SLOTS] {
    [
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_exec, value: exec },
        ffi::PyModuleDef_Slot {
            slot: ffi::Py_mod_multiple_interpreters,
            value: ffi::Py_MOD_PER_INTERPRETER_GIL_SUPPORTED,
        },
        #[cfg(Py_3_13)]
        ffi::PyModuleDef_Slot { slot: ffi::Py_mod_gil, value: ffi::Py_MOD_GIL_USED },
        ffi::PyModuleDef_Slot { slot: 0, value: std::ptr::null_mut() },
    ]
}
