//! Scripts, crates and cells: reading them, checking them and building them. Editable projects are in
//! [`crate::projects`].

pub mod build_source;
pub mod cell;
pub mod fetch;
pub mod opt_in;
pub mod plan;
pub mod rust_tools;
pub mod script_versions;
pub mod source;
