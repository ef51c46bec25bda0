// rustimport:pyo3
//
// Other files are found where they stand.
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
