// rustimport
//
// No template: this uses the C API directly, through pyo3-ffi. The module only has to export a `PyInit_` function.
//
//: [dependencies]
//: pyo3-ffi = "0.30"

use std::ffi::c_long;
use std::ptr::{null, null_mut};

use pyo3_ffi::*;

static mut METHODS: [PyMethodDef; 2] = [
    PyMethodDef {
        ml_name: c"twice".as_ptr(),
        ml_meth: PyMethodDefPointer { PyCFunction: twice },
        ml_flags: METH_O,
        ml_doc: c"Twice a number.".as_ptr(),
    },
    PyMethodDef::zeroed(),
];

static mut MODULE: PyModuleDef = PyModuleDef {
    m_base: PyModuleDef_HEAD_INIT,
    m_name: c"bare".as_ptr(),
    m_doc: null(),
    m_size: 0,
    m_methods: &raw mut METHODS as *mut PyMethodDef,
    m_slots: null_mut(),
    m_traverse: None,
    m_clear: None,
    m_free: None,
};

unsafe extern "C" fn twice(_module: *mut PyObject, number: *mut PyObject) -> *mut PyObject {
    let number: c_long = unsafe { PyLong_AsLong(number) };
    if number == -1 && unsafe { !PyErr_Occurred().is_null() } {
        return null_mut();
    }
    unsafe { PyLong_FromLong(2 * number) }
}

#[no_mangle]
pub unsafe extern "C" fn PyInit_bare() -> *mut PyObject {
    unsafe { PyModule_Create(&raw mut MODULE) }
}
