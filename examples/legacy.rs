// rustimport
//
// rust-cpython, the predecessor of pyo3, which supports Python up to 3.11. New code should use pyo3.
//
//: [dependencies.cpython]
//: version = "0.7"
//: features = ["extension-module"]

use cpython::{py_fn, py_module_initializer, PyResult, Python};

py_module_initializer!(legacy, |py, module| {
    module.add(py, "__doc__", "Written for rust-cpython.")?;
    module.add(py, "square", py_fn!(py, square(x: i32)))
});

fn square(_: Python, x: i32) -> PyResult<i32> {
    Ok(x * x)
}
