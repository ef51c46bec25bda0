// A module written out in full: no template, and no marker either, since it is named like its file. What
// it needs of pyo3 is added because the code names pyo3.

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
