//! Passes events to a Python callback, and checks for signals and cancellation. It does not format messages.

use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::base::error::Error;
use crate::base::event::{Event, Observer};
use crate::py::convert::{diagnostic, shown};

pub struct PythonObserver {
    on_event: Py<PyAny>,
    /// The exception that the callback or a signal handler raised.
    pub raised: Option<PyErr>,
}

impl PythonObserver {
    pub fn new(on_event: Py<PyAny>) -> Self {
        Self { on_event, raised: None }
    }
}

impl Observer for PythonObserver {
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
            // Signals arrive in the main thread only; other threads are cancelled by the callback.
            self.raised = Python::attach(|py| -> PyResult<()> {
                // A signal handler may also run, and raise, during this attribute access.
                if let Some(cancelled) = self.on_event.bind(py).getattr_opt("is_cancelled")?
                    && cancelled.is_truthy()?
                {
                    return Err(pyo3::exceptions::PyKeyboardInterrupt::new_err(()));
                }
                py.check_signals()
            })
            .err();
        }
        if self.raised.is_some() { Err(Error::Interrupted) } else { Ok(()) }
    }
}

fn fill(details: &Bound<'_, PyDict>, event: Event) -> PyResult<&'static str> {
    Ok(match event {
        Event::Log { message } => {
            details.set_item("message", shown(&message))?;
            "log"
        }
        Event::Notice { message } => {
            details.set_item("message", shown(&message))?;
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
        Event::Fetched { from, seconds } => {
            details.set_item("origin", shown(&from))?;
            details.set_item("seconds", seconds)?;
            "fetched"
        }
        Event::Failed { seconds } => {
            details.set_item("seconds", seconds)?;
            "failed"
        }
    })
}
