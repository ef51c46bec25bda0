//! What is asked for, and what comes back: the shapes that every kind of source shares.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::lock::Timeout;
use crate::env::interpreter::Interpreter;
use crate::env::settings::Settings;

/// What is known of a cell besides its text.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Where relative paths lead.
    pub folder: PathBuf,
    /// More of its manifest, as TOML.
    pub manifest: String,
}

/// The kinds of source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceKind {
    /// A standalone `.rs` file.
    Script,
    /// A Cargo package's folder.
    Crate,
    /// A maturin project that is installed in editable mode.
    Project,
}

#[derive(Debug, Clone)]
pub struct Request {
    pub kind: SourceKind,
    /// The source: the `.rs` file of a script, the folder of a crate or project. Absolute.
    pub root: PathBuf,
    /// The module's full name; its last part is what `PyInit_` must carry.
    pub module: String,
    /// Of a script that is a string.
    pub cell: Option<Cell>,
    /// Of a project: how it is installed.
    pub installed: Option<Installed>,
    /// Of a project: its inputs, if not those that the compiler read. Of others: more inputs.
    pub files: Option<Vec<PathBuf>>,
    /// The cache folder's root.
    pub cache: PathBuf,
    /// The root of a cache that was prepared for all users, to be read only.
    pub shared_cache: Option<PathBuf>,
    /// Name of this source's entry below the interpreter's cache.
    pub entry: String,
    /// What the caller knows of settings and environment, hashed; a stamp holds for one context.
    pub context: String,
    pub settings: Settings,
    pub interpreter: Interpreter,
    /// Whether the source opted in, as the import hook requires. Explicit calls need no marker.
    pub marked: bool,
    /// Whether an artifact may be taken that is not the entry's own: beside the source, or in the shared cache.
    pub in_place: bool,
    /// Of a script or crate: the folder in which the wheel is left that maturin makes; forced builds only.
    pub wheels: Option<PathBuf>,
    /// Build past every check.
    pub force: bool,
    /// How long to wait for another process's build.
    pub lock_timeout: Timeout,
}

#[derive(Debug, Clone)]
pub struct Installed {
    /// The dist-info folder.
    pub dist_info: PathBuf,
    /// Install the project in editable mode if it is not.
    pub automatic: bool,
}

impl Request {
    /// Where relative paths lead: the folder in which a script stands, or which is the crate; that of a cell's author.
    pub fn folder(&self) -> &Path {
        match (self.kind, &self.cell) {
            (_, Some(cell)) => &cell.folder,
            (SourceKind::Script, None) => self.place(),
            (SourceKind::Crate | SourceKind::Project, None) => &self.root,
        }
    }

    /// The folders that the compiler's messages do not name.
    pub fn unnamed_folders(&self) -> Vec<&Path> {
        let cells = self.cell.as_ref().map(|_| self.place());
        std::iter::once(self.folder()).chain(cells).collect()
    }

    /// The folder in which the source is found as a module.
    pub fn place(&self) -> &Path {
        self.root.parent().unwrap_or(Path::new("."))
    }

    /// The last part of the module's name.
    pub fn stem(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The library to load.
    pub artifact: PathBuf,
    /// Why it was stale; `None` when it was fresh.
    pub reason: Option<String>,
    /// Whether this call ran maturin. Stale and not built: somebody else was faster.
    pub built: bool,
    /// Wall time of the whole call.
    pub seconds: f64,
    /// Of a project: the folders that belong on `sys.path` since it is installed.
    pub roots: Vec<PathBuf>,
}

impl Outcome {
    /// Of a call that began at `start`.
    pub fn since(start: Instant, artifact: PathBuf, reason: Option<String>, built: bool) -> Self {
        Self { artifact, reason, built, seconds: start.elapsed().as_secs_f64(), roots: Vec::new() }
    }
}
