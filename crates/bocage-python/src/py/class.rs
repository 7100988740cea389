//! Heap types whose instances hold a Rust value.
//!
//! An instance is `{ object header, T }`. The types are built once for each interpreter from a
//! static [`Class`], and [`ClassOf`] remembers which `T` its instances hold, so a cast from an object
//! to `&T` is checked by the type alone. `T` is shared (`&T`) with whoever holds the object; what
//! changes in it is a `Cell`, guarded by the interpreter's GIL.

use std::ffi::{CStr, c_int, c_uint, c_ulong, c_void};
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::ptr;

use pyo3_ffi as ffi;

use super::method::{Method, Property};
use super::slot::Slot;
use super::{Attached, Obj, Ref, Result, entry};
use crate::state::State;

/// What instances of a class hold.
pub(crate) trait Payload: Sized + 'static {
    /// Whether the payload refers to Python objects through which a cycle could close: the type
    /// then takes part in garbage collection, through the two methods below.
    const COLLECTED: bool = false;

    /// Shows the collector each object that the payload holds.
    fn traverse(&self, _visit: &mut dyn FnMut(&Obj)) {}

    /// Drops the objects that the payload holds, to break a cycle.
    fn clear(&self) {}
}

#[repr(C)]
struct Instance<T> {
    head: ffi::PyObject,
    payload: ManuallyDrop<T>,
}

/// The static description of a class.
pub(crate) struct Class<T> {
    name: &'static CStr,
    doc: &'static CStr,
    methods: &'static [Method],
    properties: &'static [Property],
    slots: &'static [Slot],
    flags: c_ulong,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload> Class<T> {
    /// A class called `module.name`. Without a `new` slot it can't be instantiated from Python.
    pub(crate) const fn new(name: &'static CStr, doc: &'static CStr) -> Class<T> {
        Class { name, doc, methods: &[], properties: &[], slots: &[], flags: 0, payload: PhantomData }
    }

    /// With these methods; the last row is [`Method::END`].
    pub(crate) const fn methods(mut self, methods: &'static [Method]) -> Self {
        assert!(methods[methods.len() - 1].is_end(), "a method table ends with END");
        self.methods = methods;
        self
    }

    /// With these properties; the last row is [`Property::END`].
    pub(crate) const fn properties(mut self, properties: &'static [Property]) -> Self {
        assert!(properties[properties.len() - 1].is_end(), "a property table ends with END");
        self.properties = properties;
        self
    }

    /// With these slots.
    pub(crate) const fn slots(mut self, slots: &'static [Slot]) -> Self {
        self.slots = slots;
        self
    }

    /// Builds the type in this interpreter, for `module`.
    pub(crate) fn build(&'static self, module: &Obj) -> Result<ClassOf<T>> {
        let mut slots: Vec<ffi::PyType_Slot> = self.slots.iter().map(|slot| slot.0).collect();
        let mut push = |slot: c_int, pointer: *const c_void| {
            slots.push(ffi::PyType_Slot { slot, pfunc: pointer.cast_mut() });
        };
        push(ffi::Py_tp_doc, self.doc.as_ptr().cast());
        push(ffi::Py_tp_dealloc, deallocate::<T> as ffi::destructor as *const c_void);
        if !self.methods.is_empty() {
            push(ffi::Py_tp_methods, self.methods.as_ptr().cast());
        }
        if !self.properties.is_empty() {
            push(ffi::Py_tp_getset, self.properties.as_ptr().cast());
        }
        let mut flags = self.flags | ffi::Py_TPFLAGS_DEFAULT | ffi::Py_TPFLAGS_IMMUTABLETYPE;
        if T::COLLECTED {
            flags |= ffi::Py_TPFLAGS_HAVE_GC;
            push(ffi::Py_tp_traverse, traverse::<T> as ffi::traverseproc as *const c_void);
            push(ffi::Py_tp_clear, clear::<T> as ffi::inquiry as *const c_void);
        }
        if !self.slots.iter().any(|slot| slot.0.slot == ffi::Py_tp_new) {
            flags |= ffi::Py_TPFLAGS_DISALLOW_INSTANTIATION;
        }
        slots.push(ffi::PyType_Slot::default());
        let mut spec = ffi::PyType_Spec {
            name: self.name.as_ptr(),
            basicsize: size_of::<Instance<T>>() as c_int,
            itemsize: 0,
            flags: flags as c_uint,
            slots: slots.as_mut_ptr(),
        };
        // SAFETY: the spec and its slot list end with a sentinel and are read during the call; the
        // name and the tables that the type keeps pointing to are static.
        let object = unsafe {
            Obj::from_result(module.py(), ffi::PyType_FromModuleAndSpec(module.as_ptr(), &mut spec, ptr::null_mut()))?
        };
        Ok(ClassOf { object, payload: PhantomData })
    }
}

/// A built type whose instances hold a `T`.
pub(crate) struct ClassOf<T> {
    object: Obj,
    payload: PhantomData<fn() -> T>,
}

impl<T: Payload> ClassOf<T> {
    /// The type object.
    pub(crate) fn object(&self) -> &Obj {
        &self.object
    }

    /// A new instance.
    pub(crate) fn instantiate(&self, payload: T) -> Result<Obj> {
        // SAFETY: this type was built for instances that hold a `T`.
        unsafe { allocate(self.object.py(), self.object.as_ptr().cast(), payload) }
    }

    /// Whether the object is an instance, of this very type and not of a subclass.
    pub(crate) fn is_exactly(&self, object: &Obj) -> bool {
        object.type_ptr() == self.object.as_ptr().cast()
    }

    /// The object's payload, if it is an instance.
    pub(crate) fn get<'a>(&self, object: &'a Obj) -> Option<&'a T> {
        // SAFETY: an instance of this type or of a subtype starts with `Instance<T>`, and the
        // payload is initialised as long as the object lives.
        (self.is_exactly(object) || object.is_instance_of(&self.object)).then(|| unsafe { payload(object.as_ptr()) })
    }
}

/// `self` in a method: the object and its payload.
pub(crate) struct This<'a, T> {
    object: Ref<'a>,
    payload: &'a T,
    state: Option<&'a State>,
}

impl<T> Clone for This<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for This<'_, T> {}

impl<'a, T: Payload> This<'a, T> {
    /// # Safety
    /// `object` is an instance of a class built with payload `T`, alive for `'a`.
    pub(super) unsafe fn new(object: *mut ffi::PyObject) -> This<'a, T> {
        // SAFETY: the caller's promise.
        unsafe { This { object: Ref::from_ptr(object), payload: payload(object), state: None } }
    }

    /// # Safety
    /// As for [`This::new`].
    pub(super) unsafe fn with_state(object: *mut ffi::PyObject, state: &'a State) -> This<'a, T> {
        // SAFETY: the caller's promise.
        let this = unsafe { This::new(object) };
        This { state: Some(state), ..this }
    }

    /// The object itself.
    pub(crate) fn object(&self) -> Ref<'a> {
        self.object
    }

    /// The payload, for as long as the object is borrowed.
    pub(crate) fn payload(&self) -> &'a T {
        self.payload
    }

    /// Proof of being attached.
    pub(crate) fn py(&self) -> Attached {
        self.object.py()
    }

    /// The module's state; an error only while the interpreter shuts down.
    pub(crate) fn state(&self) -> Result<&'a State> {
        match self.state {
            Some(state) => Ok(state),
            // SAFETY: the object lives for 'a, and keeps its type and so the module alive.
            None => unsafe { State::of_type_ptr(self.py(), ffi::Py_TYPE(self.object.as_ptr())) },
        }
    }
}

impl<T> std::ops::Deref for This<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.payload
    }
}

/// # Safety
/// `object` is an instance of a class built with payload `T`, alive for `'a`.
unsafe fn payload<'a, T>(object: *mut ffi::PyObject) -> &'a T {
    // SAFETY: the layout is that of `Instance<T>`, see `Class::build`; shared access only.
    unsafe { &(*object.cast::<Instance<T>>()).payload }
}

/// Makes an instance of `class`.
///
/// # Safety
/// `class` was built with payload `T`, or is a subtype of one that was.
pub(super) unsafe fn allocate<T>(py: Attached, class: *mut ffi::PyTypeObject, payload: T) -> Result<Obj> {
    // SAFETY: tp_alloc gives zeroed memory of the type's size, header set; the payload's place is
    // written before anybody can see the object (a collector's traverse can't run in between).
    unsafe {
        let object = ffi::PyType_GenericAlloc(class, 0);
        if object.is_null() {
            return Err(super::Error::fetch(py));
        }
        ptr::write(&raw mut (*object.cast::<Instance<T>>()).payload, ManuallyDrop::new(payload));
        Ok(Obj::from_owned(object))
    }
}

unsafe extern "C" fn deallocate<T: Payload>(object: *mut ffi::PyObject) {
    // SAFETY: the object has no reference left, so nobody else can reach the payload; the pending
    // exception is kept aside while destructors run; a heap type's instance holds a reference to
    // its type, which goes last.
    unsafe {
        let class = ffi::Py_TYPE(object);
        if T::COLLECTED {
            ffi::PyObject_GC_UnTrack(object.cast());
        }
        let pending = ffi::PyErr_GetRaisedException();
        entry::guarded((), |_| {
            ManuallyDrop::drop(&mut (*object.cast::<Instance<T>>()).payload);
            Ok(())
        });
        if !ffi::PyErr_Occurred().is_null() {
            ffi::PyErr_WriteUnraisable(class.cast());
        }
        ffi::PyErr_SetRaisedException(pending);
        let free = (*class).tp_free.expect("every type can free its instances");
        free(object.cast());
        ffi::Py_DECREF(class.cast());
    }
}

unsafe extern "C" fn traverse<T: Payload>(
    object: *mut ffi::PyObject,
    visit: ffi::visitproc,
    arg: *mut c_void,
) -> c_int {
    // SAFETY: the collector calls with an instance; `visit` is called with objects it holds. No
    // Python code runs and no reference count changes. `entry::guarded` isn't used, since no
    // exception may be set here; a panic can only be a bug in a `traverse`, and aborts.
    unsafe {
        let mut stopped = visit(ffi::Py_TYPE(object).cast(), arg);
        payload::<T>(object).traverse(&mut |held: &Obj| {
            if stopped == 0 {
                stopped = visit(held.as_ptr(), arg);
            }
        });
        stopped
    }
}

unsafe extern "C" fn clear<T: Payload>(object: *mut ffi::PyObject) -> c_int {
    entry::guarded(0, |_| {
        // SAFETY: the collector calls with an instance.
        unsafe { payload::<T>(object) }.clear();
        Ok(0)
    })
}
