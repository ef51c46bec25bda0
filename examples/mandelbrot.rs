// rustimport:pyo3
//
// Uses all cores, with rayon, while other Python threads continue.
//
//: [dependencies]
//: rayon = "1"
//:
//: [profile.dev]
//: opt-level = 3

use rayon::prelude::*;

/// The number of steps after which each point of a grid escapes, in rows from the top; `limit` if it never does.
#[pyfunction]
fn escapes(py: Python<'_>, width: usize, height: usize, limit: u32) -> Vec<Vec<u32>> {
    let row = |y: usize| {
        let imaginary = 1.25 - 2.5 * y as f64 / height as f64;
        (0..width).map(|x| escape(3.0 * x as f64 / width as f64 - 2.25, imaginary, limit)).collect()
    };
    py.detach(|| (0..height).into_par_iter().map(row).collect())
}

fn escape(real: f64, imaginary: f64, limit: u32) -> u32 {
    let (mut x, mut y) = (0.0, 0.0);
    for step in 0..limit {
        if x * x + y * y > 4.0 {
            return step;
        }
        (x, y) = (x * x - y * y + real, 2.0 * x * y + imaginary);
    }
    limit
}
