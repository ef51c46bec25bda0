//! The foundation of all other rooms: files, processes, locks, errors, events. Nothing here knows what a source is.

pub mod diagnostic;
pub mod env_vars;
pub mod error;
pub mod event;
pub mod folder;
pub mod fork_guard;
pub mod fs;
pub mod lock;
pub mod owners;
pub mod paths;
pub mod process;
pub mod programs;
pub mod sealed;
pub mod text;
