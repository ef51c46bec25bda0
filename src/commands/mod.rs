//! Operations besides `ensure`: for the command line, and for type stubs. Arguments and output are handled in Python.

pub mod bundle;
pub mod conversion;
pub mod discover;
pub mod explain;
pub mod lock;
pub mod prune;
pub mod remote;
pub mod scaffold;
pub mod site;
pub mod stubs;
pub mod update;
pub mod watch;
