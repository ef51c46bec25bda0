//! The cache on disk: entries of sources, the store of artifacts, and cargo's target folders. Whether an artifact is
//! fresh is decided in [`crate::freshness`].

pub mod in_place;
pub mod layout;
pub mod set;
pub mod store;
pub mod target_slot;
