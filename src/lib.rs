//! The core of `rustimport`: checks whether the artifact of a Rust source is still fresh, and runs maturin to rebuild
//! it if it is not. `ARCHITECTURE.md` gives the overview. Each folder is one room; a room depends only on rooms further
//! down this list, without cycles (`tests/tidy` checks this):
//!
//! | room | what it answers |
//! | --- | --- |
//! | `py` | how Python calls the core, and the core calls Python: the only room that uses pyo3 |
//! | [`commands`] | operations that only the command line needs |
//! | [`ensure`] | one import, from request to outcome |
//! | [`projects`] | which projects are installed, and how they become fresh |
//! | [`sources`] | the same for scripts, crates and cells |
//! | [`build`] | how maturin runs, and what cargo compiled |
//! | [`output`] | what the output of maturin, cargo, rustc and linkers means |
//! | [`remote`] | what other machines built, and whom to believe |
//! | [`cache`] | where files are kept, and what was built before |
//! | [`freshness`] | which inputs an artifact was built from, and whether they changed |
//! | [`package`] | manifests, lock files and crates |
//! | [`script`] | what a `.rs` file declares |
//! | [`env`] | the environment of a source: interpreter, toolchain, settings |
//! | [`base`] | files, processes, locks, errors |
//!
//! `fuzz` feeds arbitrary input to every parser; the tests and the folder `fuzz/` use it.

pub mod base;
pub mod build;
pub mod cache;
pub mod commands;
pub mod ensure;
pub mod env;
pub mod freshness;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod output;
pub mod package;
pub mod projects;
#[cfg(feature = "python")]
mod py;
pub mod remote;
pub mod script;
pub mod sources;
