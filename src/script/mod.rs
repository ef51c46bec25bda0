//! What a `.rs` file says: its header, its modules, what it exports.

pub mod c_header;
pub mod header;
pub mod parse;
