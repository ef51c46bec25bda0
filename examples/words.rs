// A complete module: it uses no template, and needs no marker because it is named like its file. Dependencies on
// pyo3 are added because the code uses pyo3.

use std::collections::HashMap;

use pyo3::prelude::*;

#[pymodule]
mod words {
    use super::{HashMap, PyResult, pyfunction};

    /// How often each word occurs, in lower case.
    #[pyfunction]
    fn count(text: &str) -> PyResult<HashMap<String, usize>> {
        let mut counts = HashMap::new();
        for word in text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()) {
            *counts.entry(word.to_lowercase()).or_insert(0) += 1;
        }
        Ok(counts)
    }
}
