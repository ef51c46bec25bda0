//! What maturin, cargo, rustc and linkers print for people, and what is read in it. None of it is promised: what is not
//! recognised is shown as it is.

pub mod cargo;
pub mod hint;
pub mod linker;
pub mod maturin;
pub mod rustc;
