//! What the core reports while it works, and how the caller can interrupt it.

use crate::base::diagnostic::Diagnostic;
use crate::base::error::Error;

/// Everything that is reported during one `ensure`.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Details for verbose output: why an artifact is stale, which command runs.
    Log { message: String },
    /// A message that is shown by default.
    Notice { message: String },
    /// The build waits for another process that builds this source or compiles dependencies.
    Waiting { what: String },
    /// maturin starts.
    Started { reason: String },
    /// `done` of `total` units are compiled, `what` is being compiled.
    Progress { done: u32, total: u32, what: String },
    /// A compiler warning. Each is reported once for each build.
    Warning(Diagnostic),
    /// The build succeeded. `seconds` is wall time.
    Finished { seconds: f64 },
    /// The artifact came from a remote store.
    Fetched { from: String, seconds: f64 },
    /// The build failed after `seconds` of wall time; the error follows.
    Failed { seconds: f64 },
}

/// The caller's side of an `ensure`. In Python these are the callback and the interpreter's signal handlers.
pub trait Observer {
    fn event(&mut self, event: Event);

    /// Called often while waiting. `Err(Error::Interrupted)` ends the wait and kills the running command.
    fn check(&mut self) -> Result<(), Error>;
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Ignores events and never interrupts.
    pub struct Silent;

    impl Observer for Silent {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }
}
