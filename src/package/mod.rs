//! Cargo packages: the manifests and lock files of scripts, and crates.

pub mod cargo_lock;
pub mod krate;
pub mod manifest;
pub mod script_lock;
