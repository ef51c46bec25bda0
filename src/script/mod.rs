//! The content of a `.rs` file: its header, its modules, what it exports.

pub mod c_header;
pub mod header;
pub mod parse;
