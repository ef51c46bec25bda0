//! Where it is kept what was built: entries, the store of artifacts by content, cargo's target folders.

pub mod in_place;
pub mod layout;
pub mod store;
pub mod target_slot;
