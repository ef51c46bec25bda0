// rustimport:pyo3
//
// Paths are relative to this file. An edit of the crate rebuilds the script.
//
//: [dependencies]
//: units = { path = "units" }

use units::Kilometres;

/// The distance of two places on the globe in kilometres, each as latitude and longitude in degrees.
#[pyfunction]
fn between(from: (f64, f64), to: (f64, f64)) -> f64 {
    let Kilometres(distance) = units::great_circle(from, to);
    distance
}
