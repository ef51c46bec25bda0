//! maturin projects that are installed in editable mode: finding them, checking them and building them. Scripts and
//! crates are in [`crate::sources`].

pub mod answers;
pub mod dist_info;
pub mod features;
pub mod index;
pub mod installation;
pub mod metadata;
pub mod project;
pub mod project_job;
pub mod shadow;
pub mod sharing;
