//! Cargo packages: manifests, lock files, crates.

pub mod cargo_lock;
pub mod krate;
pub mod manifest;
