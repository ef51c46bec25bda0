//! One compiler message. Its paths are those of the user's files, not those of copies in the cache.

use std::path::PathBuf;

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Diagnostic {
    /// `error`, `warning`, …
    pub level: String,
    /// `E0308`, or a lint's name.
    pub code: Option<String>,
    pub message: String,
    /// Absolute path of the file with the primary span.
    pub file: Option<PathBuf>,
    /// Counted from 1.
    pub line: Option<usize>,
    /// Counted from 1, in characters.
    pub column: Option<usize>,
    /// As rustc prints it, without colors.
    pub rendered: String,
    /// As rustc prints it on a terminal, with colors.
    pub rendered_ansi: String,
}
