//! Calls the core: releases the GIL, prepares the process for a build, and converts panics to errors. The conversion of
//! values is in [`crate::py::convert`].

use std::panic::{AssertUnwindSafe, catch_unwind};

use pyo3::prelude::*;

use crate::base::error::Error;
use crate::base::event::Observer;
use crate::py::error::{to_bug_report, to_exception};
use crate::py::observe::PythonObserver;

/// Returns a panic as an error. It must not abort the interpreter, nor become pyo3's `PanicException`, which
/// `except Exception` does not catch.
pub fn catch<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| {
        let text = panic.downcast_ref::<&str>().map(ToString::to_string);
        text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_default()
    })
}

/// Runs `work` without the GIL. For work that needs no callback.
pub fn detached<T: Send>(py: Python<'_>, work: impl FnOnce() -> Result<T, Error> + Send) -> PyResult<T> {
    match py.detach(|| catch(work)) {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(to_exception(py, error)),
        Err(panic) => Err(to_bug_report(py, &panic)),
    }
}

/// Runs `work` without the GIL. For work that reports events and checks whether to continue.
pub fn observed<T: Send>(
    py: Python<'_>,
    on_event: Py<PyAny>,
    work: impl FnOnce(&mut dyn Observer) -> Result<T, Error> + Send,
) -> PyResult<T> {
    let mut observer = PythonObserver::new(on_event);
    let children = Children::of(py)?;
    let lock = ImportLock::release(py);
    let result = py.detach(|| catch(|| work(&mut observer)));
    drop(lock);
    drop(children);
    // An exception of a signal handler or of the callback takes precedence.
    if let Some(raised) = observer.raised {
        return Err(raised);
    }
    match result {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(to_exception(py, error)),
        Err(panic) => Err(to_bug_report(py, &panic)),
    }
}

/// Releases the global import lock until dropped. Otherwise imports and forks in all other threads would wait for the
/// build.
struct ImportLock<'py> {
    imp: Option<Bound<'py, PyModule>>,
    depth: u32,
}

impl<'py> ImportLock<'py> {
    fn release(py: Python<'py>) -> Self {
        let imp = py.import("_imp").ok();
        let mut depth = 0;
        // `release_lock` fails once this thread no longer holds the lock.
        while depth < 1000 && imp.as_ref().is_some_and(|imp| imp.call_method0("release_lock").is_ok()) {
            depth += 1;
        }
        Self { imp, depth }
    }
}

impl Drop for ImportLock<'_> {
    fn drop(&mut self) {
        for _ in 0..self.depth {
            let _ = self.imp.as_ref().map(|imp| imp.call_method0("acquire_lock"));
        }
    }
}

/// Restores the default handling of `SIGCHLD` until dropped. If an application ignores it, its child processes inherit
/// that, and cannot wait for their own children.
struct Children<'py> {
    signal: Option<(Bound<'py, PyModule>, i32, Py<PyAny>)>,
}

impl<'py> Children<'py> {
    fn of(py: Python<'py>) -> PyResult<Self> {
        let signal = py.import("_signal")?;
        let (Ok(number), Ok(ignored)) = (signal.getattr("SIGCHLD"), signal.getattr("SIG_IGN")) else {
            return Ok(Self { signal: None });
        };
        let number: i32 = number.extract()?;
        if !signal.call_method1("getsignal", (number,))?.eq(&ignored)? {
            return Ok(Self { signal: None });
        }
        if signal.call_method1("signal", (number, signal.getattr("SIG_DFL")?)).is_err() {
            let message = "this process ignores SIGCHLD, so a build cannot wait for the compiler";
            let hint =
                "import the module in the main thread first, or call signal.signal(signal.SIGCHLD, signal.SIG_DFL)";
            return Err(to_exception(py, Error::toolchain(message, hint)));
        }
        Ok(Self { signal: Some((signal, number, ignored.unbind())) })
    }
}

impl Drop for Children<'_> {
    fn drop(&mut self) {
        if let Some((signal, number, ignored)) = self.signal.take() {
            let _ = signal.call_method1("signal", (number, ignored));
        }
    }
}

/// Calls `find` and watches the folders that it returns, until it raises or a signal arrives.
pub fn watch(py: Python<'_>, find: Py<PyAny>) -> PyResult<()> {
    let bound = find.clone_ref(py);
    let mut raised = None;
    let mut folders = || {
        Python::attach(|py| bound.bind(py).call0()?.extract()).map_err(|error| {
            raised = Some(error);
            Error::Interrupted
        })
    };
    let result = observed(py, find, |observer| crate::commands::watch::watch(&mut folders, observer));
    raised.map_or(result, Err)
}
