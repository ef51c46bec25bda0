// rustimport:pyo3
//
// Other source files are found relative to this one.
mod wheel;

#[pyfunction]
fn primes_below(limit: usize) -> Vec<usize> {
    let mut composite = vec![false; limit];
    let mut primes = Vec::new();
    for n in wheel::candidates(limit) {
        if composite[n] {
            continue;
        }
        primes.push(n);
        for multiple in (n * n..limit).step_by(n) {
            composite[multiple] = true;
        }
    }
    primes
}
