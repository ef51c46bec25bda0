//! What the core tells while it works, and how it asks whether to go on.

use crate::base::diagnostic::Diagnostic;
use crate::base::error::Error;

/// Everything that is said during one `ensure`. Later values are added here; the shape stays.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// Details for whoever asked for them: why something is stale, which command runs.
    Log { message: String },
    /// What everybody should know, besides that something is built.
    Notice { message: String },
    /// Somebody else is at work: another process on this source, or cargo on a shared dependency.
    Waiting { what: String },
    /// maturin runs now.
    Started { reason: String },
    /// `done` of `total` units are compiled, `what` is being compiled.
    Progress { done: u32, total: u32, what: String },
    /// A compiler warning, once for each build.
    Warning(Diagnostic),
    /// The artifact stands. `seconds` is wall time.
    Finished { seconds: f64 },
    /// The build failed after `seconds` of wall time; the error follows.
    Failed { seconds: f64 },
}

/// Whoever asked for the artifact. In Python: the callback, and the interpreter's signal handlers.
pub trait Observer {
    fn event(&mut self, event: Event);

    /// Called often while waiting. `Err(Error::Interrupted)` ends the wait and whatever runs.
    fn check(&mut self) -> Result<(), Error>;
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Nobody listens, and nobody interrupts.
    pub struct Silent;

    impl Observer for Silent {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<(), Error> {
            Ok(())
        }
    }
}
