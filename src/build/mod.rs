//! Having maturin build, and being sure of what cargo compiled.

pub mod compile;
pub mod maturin;
pub mod messages;
pub mod runner;
pub mod script_job;
pub mod wheel;
