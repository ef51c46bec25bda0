//! Recognises phrases in the text output of maturin, cargo, rustc and linkers. None of this output is a stable format,
//! so text that is not recognised is shown unchanged. Structured messages are read in [`crate::build::messages`].

pub mod cargo;
pub mod hint;
pub mod introspection;
pub mod linker;
pub mod maturin;
pub mod rustc;
