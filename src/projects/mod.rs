//! maturin projects that are installed in editable mode.

pub mod index;
pub mod installation;
pub mod metadata;
pub mod project;
pub mod project_job;
pub mod stubs;
