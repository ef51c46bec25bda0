//! One message of the compiler, with paths that the user knows.

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
    /// From 1.
    pub line: Option<usize>,
    /// From 1, in characters.
    pub column: Option<usize>,
    /// As rustc prints it, without colours.
    pub rendered: String,
    /// As rustc prints it on a terminal.
    pub rendered_ansi: String,
}
