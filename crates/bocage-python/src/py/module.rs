//! The extension module's definition: multi-phase initialisation, per-interpreter state.

use std::ffi::{CStr, c_int, c_void};
use std::ptr;

use pyo3_ffi as ffi;

use super::entry;
use super::method::Method;
use super::{Obj, Ref, Result, version};
use crate::state;

/// A module's definition and its slots, in memory that lives as long as the process.
#[repr(transparent)]
pub(crate) struct ModuleDef(pub(crate) std::cell::UnsafeCell<ffi::PyModuleDef>);

// SAFETY: CPython alone writes to it (the index, under its own lock or the import lock); this crate
// passes its address.
unsafe impl Sync for ModuleDef {}

/// The slots of a module; the last one is zeroed.
#[repr(transparent)]
pub(crate) struct ModuleSlots<const N: usize>([ffi::PyModuleDef_Slot; N]);

// SAFETY: holds function pointers and small numbers; CPython reads it.
unsafe impl<const N: usize> Sync for ModuleSlots<N> {}

impl<const N: usize> ModuleSlots<N> {
    /// Where CPython starts reading.
    pub(crate) const fn as_ptr(&'static self) -> *mut ffi::PyModuleDef_Slot {
        self.0.as_ptr().cast_mut()
    }
}

impl ModuleSlots<{ version::MODULE_SLOTS }> {
    /// The slots of a module that runs in interpreters with their own GIL.
    pub(crate) const fn isolated(exec: unsafe extern "C" fn(*mut ffi::PyObject) -> c_int) -> Self {
        ModuleSlots(version::module_slots(exec as *mut c_void))
    }
}

impl ModuleDef {
    /// A module with per-interpreter [`State`].
    pub(crate) const fn new(
        name: &'static CStr,
        doc: &'static CStr,
        methods: &'static [Method],
        slots: *mut ffi::PyModuleDef_Slot,
    ) -> ModuleDef {
        assert!(methods[methods.len() - 1].is_end(), "a method table ends with END");
        ModuleDef(std::cell::UnsafeCell::new(ffi::PyModuleDef {
            m_base: ffi::PyModuleDef_HEAD_INIT,
            m_name: name.as_ptr(),
            m_doc: doc.as_ptr(),
            m_size: size_of::<state::Place>() as isize,
            m_methods: methods.as_ptr().cast_mut().cast(),
            m_slots: slots,
            m_traverse: Some(state::traverse),
            m_clear: Some(state::clear),
            m_free: Some(state::free),
        }))
    }

    /// The address that CPython knows the definition by.
    pub(crate) const fn as_ptr(&'static self) -> *mut ffi::PyModuleDef {
        self.0.get()
    }

    /// What the module's init function returns.
    pub(crate) fn init(&'static self) -> *mut ffi::PyObject {
        // SAFETY: the definition is static and complete.
        unsafe { ffi::PyModuleDef_Init(self.as_ptr()) }
    }
}

/// Runs a module's exec slot.
///
/// # Safety
/// `module` is the module that CPython is initialising.
pub(crate) unsafe fn exec(module: *mut ffi::PyObject, body: impl FnOnce(Ref<'_>) -> Result<()>) -> c_int {
    entry::guarded(-1, |_| {
        // SAFETY: the module outlives its exec slot.
        body(unsafe { Ref::from_ptr(module) }).map(|()| 0)
    })
}

impl Obj {
    /// `module.name = value`, for a module under construction.
    pub(crate) fn add(&self, name: &CStr, value: &Obj) -> Result<()> {
        // SAFETY: both are alive and the name is NUL-terminated.
        let status = unsafe { ffi::PyModule_AddObjectRef(self.as_ptr(), name.as_ptr(), value.as_ptr()) };
        super::Error::check(self.py(), status).map(drop)
    }
}

/// The state's place in a module.
///
/// # Safety
/// `module` is alive.
pub(crate) unsafe fn state_place(module: *mut ffi::PyObject) -> *mut state::Place {
    if module.is_null() {
        return ptr::null_mut();
    }
    // SAFETY: alive, by the caller.
    unsafe { ffi::PyModule_GetState(module).cast() }
}
