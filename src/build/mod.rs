//! Runs maturin or cargo, reads what they report, and verifies what cargo compiled. It does not decide whether a build
//! is needed; see [`crate::ensure`].

pub mod compile;
pub mod debug_information;
pub mod failure;
pub mod maturin;
pub mod messages;
pub mod readers;
pub mod runner;
pub mod script_job;
pub mod wheel;
