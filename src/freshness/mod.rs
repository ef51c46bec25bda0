//! What an artifact was made of, whether that changed, and what is remembered of it.

pub mod cargo_layout;
pub mod compiled;
pub mod dep_info;
pub mod dirty_reason;
pub mod inputs;
pub mod record;
pub mod stamp;
pub mod unit;
