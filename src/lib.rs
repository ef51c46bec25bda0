//! The core of `rustimport`: finds out whether what was built from a Rust source is still fresh, and has maturin build it
//! where it is not. `ARCHITECTURE.md` tells the story; each folder is a room, and arrows between rooms go down this list
//! only, never in a circle (`tests/tidy` holds that):
//!
//! | room | what it answers |
//! | --- | --- |
//! | `py` | how Python and the core speak with each other: the only one that names pyo3 |
//! | [`commands`] | what only the command line asks |
//! | [`ensure`] | one import, from request to outcome |
//! | [`projects`] | which projects are installed, and how they become fresh |
//! | [`sources`] | the same for scripts, crates and cells |
//! | [`build`] | how maturin runs, and what cargo compiled |
//! | [`cache`] | where things are kept, and what was built before |
//! | [`freshness`] | what an artifact was made of, and whether that changed |
//! | [`package`] | manifests, lock files and crates |
//! | [`script`] | what a `.rs` file says |
//! | [`env`] | what surrounds a source: interpreter, toolchain, settings |
//! | [`base`] | files, processes, locks, errors |
//!
//! `fuzz` is what arbitrary input does to all that reads it (tests and the folder `fuzz/`).

pub mod base;
pub mod build;
pub mod cache;
pub mod commands;
pub mod ensure;
pub mod env;
pub mod freshness;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
pub mod package;
pub mod projects;
#[cfg(feature = "python")]
mod py;
pub mod script;
pub mod sources;
