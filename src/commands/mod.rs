//! Operations that only the command line needs. Arguments and output are handled in Python (`_cli`).

pub mod bundle;
pub mod conversion;
pub mod discover;
pub mod prune;
pub mod scaffold;
pub mod site;
pub mod watch;
