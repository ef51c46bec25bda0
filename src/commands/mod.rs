//! What only the command line needs.

pub mod bundle;
pub mod conversion;
pub mod discover;
pub mod prune;
pub mod scaffold;
pub mod site;
pub mod watch;
