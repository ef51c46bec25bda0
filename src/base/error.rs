//! All errors of the core. There is one variant for each exception class in `rustimport.errors`, except that
//! [`Error::Interrupted`] leads to the exception that interrupted the build.
//!
//! The message of an error says what happened, and its hint says what to do.

use std::path::{Path, PathBuf};

use crate::base::diagnostic::Diagnostic;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    /// The source did not compile, or maturin could not build a library from it.
    #[error("{}", .0.message)]
    Build(Box<BuildFailure>),
    /// cargo, rustc or maturin is missing, too old or broken.
    #[error("{message}")]
    Toolchain { message: String, hint: String },
    /// Another process held a lock for longer than the timeout.
    #[error("{message}")]
    Lock { message: String, hint: String },
    /// The source cannot be built because of its header, its module name or its settings.
    #[error("{message}")]
    Project { message: String, hint: String, path: PathBuf },
    /// The cache folder cannot be used.
    #[error("{message}")]
    Cache { message: String, hint: String, path: PathBuf },
    /// Ctrl-C, or another signal handler that raised.
    #[error("interrupted")]
    Interrupted,
}

#[derive(Debug, Clone)]
pub struct BuildFailure {
    pub message: String,
    pub hint: String,
    /// The compiler's output, as plain text.
    pub rendered: String,
    pub diagnostics: Vec<Diagnostic>,
    pub command: Vec<String>,
    pub returncode: Option<i32>,
}

impl Error {
    pub fn toolchain(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Toolchain { message: message.into(), hint: hint.into() }
    }

    pub fn project(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Project { message: message.into(), hint: hint.into(), path: path.to_owned() }
    }

    pub fn cache(path: &Path, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::Cache { message: message.into(), hint: hint.into(), path: path.to_owned() }
    }

    /// A failed file operation in the cache, with a hint that fits the kind of I/O error.
    pub fn cache_io(what: &str, path: &Path, error: &std::io::Error) -> Self {
        use std::io::ErrorKind as Kind;
        let hint = match error.kind() {
            Kind::StorageFull | Kind::QuotaExceeded => {
                "the disk is full: free some space, or set RUSTIMPORT_CACHE_DIR to a folder on another disk"
            }
            Kind::PermissionDenied | Kind::ReadOnlyFilesystem => {
                "make the folder writable for you, or set RUSTIMPORT_CACHE_DIR to one that is"
            }
            Kind::NotADirectory | Kind::AlreadyExists => {
                "a file exists where a folder is needed: move it away, or set RUSTIMPORT_CACHE_DIR to another folder"
            }
            Kind::InvalidFilename => "the source's name is too long for this file system: give it a shorter one",
            _ => "set RUSTIMPORT_CACHE_DIR to a folder on a local disk that you can write to",
        };
        Self::cache(path, format!("cannot {what} {}: {error}", path.display()), hint)
    }
}
