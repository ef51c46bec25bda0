// rustimport:pyo3
//
// A class, an enum and an exception of the standard library. Every #[pyclass] and #[pyfunction] is exported.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// Which way to count.
#[pyclass(eq, eq_int, from_py_object)]
#[derive(Clone, Copy, PartialEq)]
enum Direction {
    Up,
    Down,
}

/// Counts, and keeps the current number.
#[pyclass]
struct Counter {
    #[pyo3(get)]
    value: i64,
    step: i64,
}

#[pymethods]
impl Counter {
    #[new]
    #[pyo3(signature = (direction = Direction::Up, step = 1))]
    fn new(direction: Direction, step: i64) -> PyResult<Self> {
        if step < 1 {
            return Err(PyValueError::new_err(format!("a step of {step} leads nowhere")));
        }
        Ok(Self { value: 0, step: if direction == Direction::Up { step } else { -step } })
    }

    fn __iter__(this: PyRef<'_, Self>) -> PyRef<'_, Self> {
        this
    }

    fn __next__(&mut self) -> i64 {
        self.value += self.step;
        self.value
    }
}
