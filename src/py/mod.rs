//! The binding to Python. `python/rustimport/_request.py` declares the types of arguments and results. It contains no
//! logic of its own.

pub mod bind;
pub mod call;
pub mod convert;
pub mod error;
pub mod observe;
