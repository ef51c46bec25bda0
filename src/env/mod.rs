//! The environment of a source: the interpreter, the toolchain, settings and cargo's configuration; and the request
//! that carries them.

pub mod cargo_config;
pub mod interpreter;
pub mod named_files;
pub mod request;
pub mod settings;
pub mod toolchain;
