// rustimport:pyo3
//
// NumPy arrays without copies, with the `numpy` crate. Python needs NumPy as well: pip install numpy
//
//: [dependencies]
//: numpy = "0.30"

use numpy::{IntoPyArray, PyArray1, PyReadonlyArray1, PyReadwriteArray1};

/// The mean of each value and its neighbours.
#[pyfunction]
fn smooth<'py>(py: Python<'py>, values: PyReadonlyArray1<'py, f64>) -> Bound<'py, PyArray1<f64>> {
    let values = values.as_array();
    let last = values.len().saturating_sub(1);
    let mean = |index: usize| {
        let around = &values.as_slice().expect("contiguous")[index.saturating_sub(1)..=(index + 1).min(last)];
        around.iter().sum::<f64>() / around.len() as f64
    };
    (0..values.len()).map(mean).collect::<Vec<_>>().into_pyarray(py)
}

/// Multiplies in place.
#[pyfunction]
fn scale(mut values: PyReadwriteArray1<'_, f64>, factor: f64) {
    values.as_array_mut().map_inplace(|value| *value *= factor);
}
