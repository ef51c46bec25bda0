//! The remote store: artifacts that one machine built and others use. What may leave a machine is decided in
//! [`portability`], whom a machine believes in [`trust`]; a library from elsewhere is used only if a trusted key has
//! signed it together with the inputs that it was built from.

pub mod configuration;
pub mod folder;
pub mod key;
pub mod linkage;
pub mod network;
pub mod portability;
pub mod remote_store;
pub mod serials;
pub mod signed_set;
pub mod trust;
