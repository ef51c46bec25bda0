//! The inputs of an artifact: which there were, whether they changed, and the records of them.

pub mod cargo_layout;
pub mod compiled;
pub mod dep_info;
pub mod dirty_reason;
pub mod git;
pub mod inputs;
pub mod local_units;
pub mod patterns;
pub mod record;
pub mod stamp;
pub mod unit;
