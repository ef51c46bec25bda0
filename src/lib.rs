//! The core of `rustimport`: finds out whether what was built from a Rust source is still fresh, and
//! has maturin build it where it is not. `ARCHITECTURE.md` tells the story; this is the map.
//!
//! | question | module |
//! | --- | --- |
//! | one import, from request to outcome | [`ensure`]; [`source`], [`plan`], [`build`]; [`project`] |
//! | which projects are installed, and how | [`index`], [`installation`], [`metadata`] |
//! | what a script says and how a package is made of it | [`header`], [`script`], [`cell`], [`krate`], [`manifest`], [`cargo_lock`]; [`c_header`] |
//! | what an artifact was made of, and whether that changed | [`inputs`], [`staleness`], [`unit`], [`dep_info`], [`cargo_layout`] |
//! | what is remembered | [`record`] (all of it), [`compiled`] (cargo's side), [`stamp`] (what Python can check by itself), [`sealed`] (how) |
//! | what was built before, or elsewhere | [`store`], [`in_place`] |
//! | where it is kept, and who may touch it | [`cache`], [`lock`], [`own`] |
//! | where cargo builds | [`lane`] |
//! | who builds | [`compile`] (both ways: [`maturin`], [`project_job`] with [`wheel`]), [`runner`], [`toolchain`], [`interpreter`], [`process`] |
//! | what is said | [`diagnostic`], [`error`], [`event`], [`request`] |
//! | what the command line does | [`discover`], [`inventory`], [`bundle`], [`scaffold`] with [`conversion`], [`site`], [`watch`] |
//! | what is configured | [`settings`], [`env_vars`] |
//! | what arbitrary input does to all that reads it (tests and `fuzz/`) | `hostile` |
//!
//! Boundaries, held by `tests/tidy`: only `py.rs` names pyo3, only [`process`] spawns, only [`fs`]
//! writes, only [`ensure`] both locks and builds, only [`env_vars`] names environment variables.

pub mod build;
pub mod bundle;
pub mod c_header;
pub mod cache;
pub mod cargo_layout;
pub mod cargo_lock;
pub mod cell;
pub mod compile;
pub mod compiled;
pub mod conversion;
pub mod dep_info;
pub mod diagnostic;
pub mod discover;
pub mod ensure;
pub mod env_vars;
pub mod error;
pub mod event;
pub mod fs;
pub mod header;
#[cfg(any(test, fuzzing))]
pub mod hostile;
pub mod in_place;
pub mod index;
pub mod inputs;
pub mod installation;
pub mod interpreter;
pub mod inventory;
pub mod krate;
pub mod lane;
pub mod lock;
pub mod manifest;
pub mod maturin;
pub mod messages;
pub mod metadata;
pub mod own;
pub mod paths;
pub mod plan;
pub mod process;
pub mod programs;
pub mod project;
pub mod project_job;
#[cfg(feature = "python")]
mod py;
pub mod record;
pub mod request;
pub mod runner;
pub mod scaffold;
pub mod script;
pub mod script_job;
pub mod sealed;
pub mod settings;
pub mod site;
pub mod source;
pub mod staleness;
pub mod stamp;
pub mod store;
pub mod text;
pub mod toolchain;
pub mod unit;
pub mod watch;
pub mod wheel;
