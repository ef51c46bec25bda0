//! Converts errors of the core to exceptions of `rustimport.errors`, without secrets in their texts.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::env_vars::without_secrets;
use crate::base::error::Error;
use crate::py::convert::{diagnostic, shown};

/// The exception of `rustimport.errors` for an error. If it cannot be created, the exception of that failure.
pub fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: Error) -> PyResult<PyErr> {
    let message = shown(&error.to_string());
    let fields = PyDict::new(py);
    let (class, hint) = match error {
        Error::Build(failure) => {
            let diagnostics: PyResult<Vec<_>> = failure.diagnostics.iter().map(|found| diagnostic(py, found)).collect();
            fields.set_item("diagnostics", diagnostics?)?;
            fields.set_item("rendered", without_secrets(&failure.rendered))?;
            let command: Vec<String> = failure.command.iter().map(|word| without_secrets(word)).collect();
            fields.set_item("command", command)?;
            fields.set_item("returncode", failure.returncode)?;
            ("BuildError", failure.hint)
        }
        Error::Toolchain { hint, .. } => ("ToolchainError", hint),
        Error::Lock { hint, .. } => ("LockTimeout", hint),
        Error::Project { hint, path, .. } => {
            fields.set_item("path", path.as_os_str())?;
            ("ProjectError", hint)
        }
        Error::Cache { hint, path, .. } => {
            fields.set_item("path", path.as_os_str())?;
            ("CacheError", hint)
        }
        Error::Interrupted => ("RustImportError", "import again".into()),
    };
    fields.set_item("hint", shown(&hint))?;
    let class = py.import("rustimport.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((message,), Some(&fields))?))
}

/// The exception for a panic of the core.
pub fn to_bug_report(py: Python<'_>, panic: &str) -> PyErr {
    let report = || {
        let fields = PyDict::new(py);
        fields.set_item(
            "hint",
            "this is a bug in rustimport: please report it, with the output above and that of `python -m rustimport info`",
        )?;
        let class = py.import("rustimport.errors")?.getattr("RustImportError")?;
        Ok(PyErr::from_value(
            class.call((format!("internal error in rustimport: {}", without_secrets(panic)),), Some(&fields))?,
        ))
    };
    report().unwrap_or_else(|failure: PyErr| failure)
}
