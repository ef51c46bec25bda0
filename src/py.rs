//! The binding to Python: the one file that names pyo3. It converts, releases the GIL, and turns events
//! into calls of one callback; it decides nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::time::Duration;

use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::diagnostic::Diagnostic;
use crate::ensure;
use crate::error::Error;
use crate::event::{Event, Host};
use crate::interpreter::Interpreter;
use crate::request::{Outcome, Request, SourceKind};
use crate::settings::Settings;

#[pymodule]
mod _core {
    use super::{Bound, PathBuf, Py, PyAny, PyDict, PyResult, Python, catch, ensure, outcome, to_exception};
    use super::{PythonHost, pyfunction};

    #[pymodule_export]
    #[allow(non_upper_case_globals, reason = "the name that Python asks for")]
    const __version__: &str = env!("CARGO_PKG_VERSION");

    /// Returns the artifact of a source, built if it was stale.
    #[pyfunction]
    #[pyo3(name = "ensure")]
    fn py_ensure<'py>(
        py: Python<'py>,
        request: &Bound<'py, PyDict>,
        on_event: Py<PyAny>,
    ) -> PyResult<Bound<'py, PyDict>> {
        let request = super::request(request)?;
        let mut host = PythonHost { on_event, raised: None };
        let result = py.detach(|| catch(|| ensure::ensure(&request, &mut host)));
        // What a signal handler or the callback raised is what the caller gets.
        if let Some(raised) = host.raised {
            return Err(raised);
        }
        match result {
            Ok(Ok(done)) => outcome(py, &done),
            Ok(Err(error)) => Err(to_exception(py, error)),
            Err(panic) => Err(super::to_bug_report(py, &panic)),
        }
    }

    /// Whether a script without a marker is a module named like its file, and no part of a crate.
    #[pyfunction]
    #[allow(clippy::needless_pass_by_value, reason = "that is how arguments come")]
    fn is_module(py: Python<'_>, path: PathBuf) -> PyResult<bool> {
        py.detach(|| catch(|| ensure::is_module(&path))).map_err(|panic| super::to_bug_report(py, &panic))
    }
}

/// A panic must not take the interpreter down, nor pass as an exception that `except Exception` misses.
fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

struct PythonHost {
    on_event: Py<PyAny>,
    /// What the callback or a signal handler raised.
    raised: Option<PyErr>,
}

impl Host for PythonHost {
    fn event(&mut self, event: Event) {
        if self.raised.is_some() {
            return;
        }
        self.raised = Python::attach(|py| {
            let details = PyDict::new(py);
            let name = fill(&details, event)?;
            self.on_event.call(py, (name,), Some(&details)).map(drop)
        })
        .err();
    }

    fn check(&mut self) -> Result<(), Error> {
        if self.raised.is_none() {
            self.raised = Python::attach(|py| -> PyResult<()> { py.check_signals() }).err();
        }
        if self.raised.is_some() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn fill(details: &Bound<'_, PyDict>, event: Event) -> PyResult<&'static str> {
    Ok(match event {
        Event::Log { message } => {
            details.set_item("message", message)?;
            "log"
        }
        Event::Notice { message } => {
            details.set_item("message", message)?;
            "notice"
        }
        Event::Waiting { what } => {
            details.set_item("what", what)?;
            "waiting"
        }
        Event::Started { reason } => {
            details.set_item("reason", reason)?;
            "started"
        }
        Event::Progress { done, total, what } => {
            details.set_item("done", done)?;
            details.set_item("total", total)?;
            details.set_item("what", what)?;
            "progress"
        }
        Event::Warning(warning) => {
            details.set_item("diagnostic", diagnostic(details.py(), &warning)?)?;
            "warning"
        }
        Event::Finished { seconds } => {
            details.set_item("seconds", seconds)?;
            "finished"
        }
        Event::Failed { seconds } => {
            details.set_item("seconds", seconds)?;
            "failed"
        }
    })
}

fn request(dict: &Bound<'_, PyDict>) -> PyResult<Request> {
    let kind: String = item(dict, "kind")?;
    let settings: Bound<'_, PyDict> = item(dict, "settings")?;
    let interpreter: Bound<'_, PyDict> = item(dict, "interpreter")?;
    let lock_timeout: Option<f64> = item(dict, "lock_timeout")?;
    Ok(Request {
        kind: match kind.as_str() {
            "script" => SourceKind::Script,
            other => return Err(PyValueError::new_err(format!("no kind of source: {other:?}"))),
        },
        root: item(dict, "root")?,
        module: item(dict, "module")?,
        cache: item(dict, "cache")?,
        entry: item(dict, "entry")?,
        context: item(dict, "context")?,
        settings: Settings {
            profile: item(&settings, "profile")?,
            pyo3: item(&settings, "pyo3")?,
            cargo: item(&settings, "cargo")?,
            maturin: item(&settings, "maturin")?,
        },
        interpreter: Interpreter {
            key: item(&interpreter, "key")?,
            implementation: item(&interpreter, "implementation")?,
            version: item(&interpreter, "version")?,
            extension_suffix: item(&interpreter, "extension_suffix")?,
            base_prefix: item(&interpreter, "base_prefix")?,
            pointer_width: item(&interpreter, "pointer_width")?,
            build_flags: item(&interpreter, "build_flags")?,
            script_folders: item(&interpreter, "script_folders")?,
            siphash13: item(&interpreter, "siphash13")?,
        },
        marked: item(dict, "marked")?,
        force: item(dict, "force")?,
        // Beyond what a Duration can hold is for ever.
        lock_timeout: lock_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
    })
}

fn item<'py, T>(dict: &Bound<'py, PyDict>, key: &str) -> PyResult<T>
where
    T: for<'a> FromPyObject<'a, 'py>,
{
    let value = dict.get_item(key)?.ok_or_else(|| PyKeyError::new_err(key.to_owned()))?;
    let extracted: PyResult<T> = value.extract().map_err(Into::into);
    extracted.map_err(|error| PyValueError::new_err(format!("{key}: {error}")))
}

fn outcome<'py>(py: Python<'py>, outcome: &Outcome) -> PyResult<Bound<'py, PyDict>> {
    let dict = PyDict::new(py);
    dict.set_item("artifact", outcome.artifact.as_os_str())?;
    dict.set_item("reason", outcome.reason.as_deref())?;
    dict.set_item("built", outcome.built)?;
    dict.set_item("seconds", outcome.seconds)?;
    Ok(dict)
}

/// `rustimport.errors.Diagnostic`
fn diagnostic<'py>(py: Python<'py>, diagnostic: &Diagnostic) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("level", &diagnostic.level)?;
    fields.set_item("code", diagnostic.code.as_deref())?;
    fields.set_item("message", &diagnostic.message)?;
    fields.set_item("file", diagnostic.file.as_ref().map(|file| file.as_os_str()))?;
    fields.set_item("line", diagnostic.line)?;
    fields.set_item("column", diagnostic.column)?;
    fields.set_item("rendered", &diagnostic.rendered)?;
    fields.set_item("rendered_ansi", &diagnostic.rendered_ansi)?;
    py.import("rustimport.errors")?.getattr("Diagnostic")?.call((), Some(&fields))
}

/// The exception of `rustimport.errors` for an error. Should even that fail, its failure.
fn to_exception(py: Python<'_>, error: Error) -> PyErr {
    exception(py, error).unwrap_or_else(|failure| failure)
}

fn exception(py: Python<'_>, error: Error) -> PyResult<PyErr> {
    let message = error.to_string();
    let fields = PyDict::new(py);
    let (class, hint) = match error {
        Error::Build(failure) => {
            let diagnostics: PyResult<Vec<_>> = failure.diagnostics.iter().map(|found| diagnostic(py, found)).collect();
            fields.set_item("diagnostics", diagnostics?)?;
            fields.set_item("rendered", failure.rendered)?;
            fields.set_item("command", failure.command)?;
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
    fields.set_item("hint", hint)?;
    let class = py.import("rustimport.errors")?.getattr(class)?;
    Ok(PyErr::from_value(class.call((message,), Some(&fields))?))
}

fn to_bug_report(py: Python<'_>, panic: &str) -> PyErr {
    let report = || {
        let fields = PyDict::new(py);
        fields.set_item("hint", "this is a bug in rustimport: please report it, with what is printed above")?;
        let class = py.import("rustimport.errors")?.getattr("RustImportError")?;
        Ok(PyErr::from_value(class.call((format!("rustimport failed within itself: {panic}"),), Some(&fields))?))
    };
    report().unwrap_or_else(|failure: PyErr| failure)
}
