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
    let errors = || diagnostics.iter().filter(|diagnostic| diagnostic.level.contains("error"));
    for (old, new) in RENAMED {
        if errors().any(|error| error.message.contains(&format!("`{old}`"))) {
            if !is_script {
                return Some(format!(
                    "newer versions of pyo3 have `{new}` in place of `{old}`; to keep an older version, set it in Cargo.toml"
                ));
            }
            return Some(format!(
                "newer versions of pyo3 have `{new}` in place of `{old}`; to keep an older version, write \
                 `//: [dependencies]` and `//: pyo3 = \"0.23\"` at the top of the script, or set \
                 `pyo3 = \"0.23\"` in [tool.rustimport] of pyproject.toml, or RUSTIMPORT_PYO3=0.23"
            ));
        }
    }
    // `the trait bound &PyModule: From<BoundModule> is not satisfied`
    let is_about_reference = |error: &Diagnostic| {
        let says = |words: &[&str]| words.iter().any(|word| error.message.contains(word));
        says(&["`&pyo3", "`&Py"]) && says(&["trait bound", "Python function argument"])
    };
    if errors().any(is_about_reference) {
        let place = if is_script {
            "`//: [dependencies]` and `//: pyo3 = \"0.22\"` at the top of the script"
        } else {
            "pyo3 = \"0.22\" in Cargo.toml"
        };
        return Some(format!(
            "references such as `&PyModule` were replaced by `&Bound<'_, PyModule>` in pyo3 0.23: change them, or keep \
             the last version that has them with {place}"
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
