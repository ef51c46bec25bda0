//! The binding to Python. `python/rustimport/_request.py` declares the types of what crosses it.

pub mod bind;
pub mod call;
pub mod convert;
pub mod error;
pub mod observe;
