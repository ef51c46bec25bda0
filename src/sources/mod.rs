//! Scripts, crates and cells as things to be built.

pub mod build_source;
pub mod cell;
pub mod opt_in;
pub mod plan;
pub mod source;
