//! The messages of rustc for which there is a hint. All other messages of rustc are complete in themselves.

use crate::base::diagnostic::Diagnostic;

/// The hint for code that was written for another version of pyo3.
pub fn pyo3_hint(diagnostics: &[Diagnostic], is_script: bool) -> Option<String> {
    /// Names that were removed from pyo3, and their replacements.
    const RENAMED: [(&str, &str); 5] = [
        ("with_gil", "Python::attach"),
        ("allow_threads", "Python::detach"),
        ("PyObject", "Py<PyAny>"),
        ("prepare_freethreaded_python", "Python::initialize"),
        ("GILOnceCell", "PyOnceLock"),
    ];
    /// Types of pyo3 whose references had methods.
    const NATIVE: [&str; 10] =
        ["PyAny", "PyBytes", "PyDict", "PyIterator", "PyList", "PyModule", "PySet", "PyString", "PyTuple", "PyType"];
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
    for (old, new) in RENAMED {
        if errors().any(|error| error.message.contains(&format!("`{old}`"))) {
            if !is_script {
                return Some(format!(
                    "newer versions of pyo3 have `{new}` in place of `{old}`; to keep the last version with both, set \
                     `pyo3 = \"0.27\"` in Cargo.toml"
                ));
            }
            return Some(format!(
                "newer versions of pyo3 have `{new}` in place of `{old}`; to keep the last version with both, write \
                 `//: [dependencies]` and `//: pyo3 = \"0.27\"` at the top of the script, or set \
                 `pyo3 = \"0.27\"` in [tool.rustimport] of pyproject.toml, or RUSTIMPORT_PYO3=0.27"
            ));
        }
    }
    let is_about_reference = |error: &Diagnostic| {
        let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
        // `the trait bound &PyModule: From<BoundModule> is not satisfied`
        (says(&["&pyo3", "&Py"]) && says(&["trait bound", "Python function argument"]))
            // `no method named len found for reference &PyDict`
            || error.message.split_once("found for reference `&").is_some_and(|(_, rest)| {
                let name = rest.split('`').next().unwrap_or_default();
                NATIVE.contains(&name.rsplit(':').next().unwrap_or_default())
            })
    };
    if errors().any(is_about_reference) {
        // Without the feature, 0.22 does not accept them either.
        let place = if is_script {
            "`//: [dependencies]` and `//: pyo3 = { version = \"0.22\", features = [\"gil-refs\"] }` at the top of the script"
        } else {
            "`pyo3 = { version = \"0.22\", features = [\"gil-refs\"] }` in Cargo.toml"
        };
        return Some(format!(
            "references such as `&PyModule` were replaced by `&Bound<'_, PyModule>`: change them, or keep the last pyo3 \
             that has them, which supports Python up to 3.13, with {place}"
        ));
    }
    None
}

/// The name in an error about a crate or module that does not exist.
pub fn unlinked_crate(diagnostics: &[Diagnostic]) -> Option<&str> {
    /// The second one is from rustc 1.85.
    const PHRASES: [&str; 2] = ["unresolved module or unlinked crate `", "use of undeclared crate or module `"];
    let errors = diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
    errors
        .flat_map(|error| PHRASES.iter().filter_map(|phrase| error.rendered.split_once(phrase)?.1.split_once('`')))
        .map(|(name, _)| name)
        .next()
}
