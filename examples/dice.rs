// rustimport:pyo3
//
// A dependency from crates.io: the `//:` lines are a Cargo.toml.
//
//: [dependencies]
//: rand = "0.8.5"

use rand::Rng;

/// Throws `count` dice.
#[pyfunction]
fn throw(count: usize) -> Vec<u8> {
    let mut rng = rand::thread_rng();
    (0..count).map(|_| rng.gen_range(1..=6)).collect()
}
