//! What surrounds a source: the interpreter, the toolchain, settings, cargo's configuration; and the request that carries them.

pub mod cargo_config;
pub mod interpreter;
pub mod request;
pub mod settings;
pub mod toolchain;
