//! The request for an artifact, and its outcome. The types are the same for every kind of source.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::lock::Timeout;
use crate::env::interpreter::Interpreter;
use crate::env::settings::{Settings, Stubs};

/// Properties of a cell (a script that is a string) besides its text.
#[derive(Debug, Clone)]
pub struct Cell {
    /// The folder that relative paths are resolved against.
    pub folder: PathBuf,
    /// Additions to its manifest, as TOML.
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
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of its own")]
pub struct Request {
    pub kind: SourceKind,
    /// The source: the `.rs` file of a script, the folder of a crate or project. Absolute.
    pub root: PathBuf,
    /// The module's full name. The library must export `PyInit_` with its last part.
    pub module: String,
    /// Only for a script that is a string.
    pub cell: Option<Cell>,
    /// For a project: how it is installed.
    pub installed: Option<Installed>,
    /// For a project: its inputs, if they are not those that the compiler read. For other sources: additional inputs.
    pub files: Option<Vec<PathBuf>>,
    /// The cache folder's root.
    pub cache: PathBuf,
    /// The root of the shared cache, which was prepared for all users and is only read.
    pub shared_cache: Option<PathBuf>,
    /// The name of this source's entry in the interpreter's cache.
    pub entry: String,
    /// A hash of the caller's settings and environment. A stamp is valid for one context only.
    pub context: String,
    pub settings: Settings,
    pub interpreter: Interpreter,
    /// Whether the source opted in with a marker. The import hook requires it; explicit calls do not.
    pub marked: bool,
    /// Whether an artifact may be used that is not in the entry: next to the source, or in the shared cache.
    pub in_place: bool,
    /// For a script or crate: the folder in which to keep the wheel that maturin builds. Forced builds only.
    pub wheels: Option<PathBuf>,
    /// For a script without a lock file: choose the newest versions of its dependencies, not those that other scripts
    /// use.
    pub newest: bool,
    /// Build even if the artifact is fresh.
    pub force: bool,
    /// Whether a script or crate may be built if no store has its artifact.
    pub may_build: bool,
    /// How long to wait for another process's build.
    pub lock_timeout: Timeout,
}

#[derive(Debug, Clone)]
pub struct Installed {
    /// The dist-info folder.
    pub dist_info: PathBuf,
    /// Whether to install the project in editable mode if it is not installed.
    pub automatic: bool,
}

impl Request {
    /// The folder that relative paths are resolved against: the script's folder, the crate, or the folder of the code
    /// that contains a cell.
    pub fn folder(&self) -> &Path {
        match (self.kind, &self.cell) {
            (_, Some(cell)) => &cell.folder,
            (SourceKind::Script, None) => self.place(),
            (SourceKind::Crate | SourceKind::Project, None) => &self.root,
        }
    }

    /// The folders that are removed from paths in the compiler's messages.
    pub fn unnamed_folders(&self) -> Vec<&Path> {
        let cells = self.cell.as_ref().map(|_| self.place());
        std::iter::once(self.folder()).chain(cells).collect()
    }

    /// The folder in which Python finds the source as a module.
    pub fn place(&self) -> &Path {
        self.root.parent().unwrap_or(Path::new("."))
    }

    /// The last part of the module's name.
    pub fn stem(&self) -> &str {
        self.module.rsplit('.').next().unwrap_or(&self.module)
    }
}

/// Where an artifact came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// It was there, and fresh.
    Fresh,
    Built,
    /// It was built before, and kept in the cache.
    Restored,
    /// From a remote store.
    Fetched,
}

#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// The library to load.
    pub artifact: PathBuf,
    /// Why it was stale; `None` if it was fresh.
    pub reason: Option<String>,
    /// Whether this call ran maturin. If it was stale and not built, another process has built it.
    pub built: bool,
    pub origin: Origin,
    /// Wall time of the whole call.
    pub seconds: f64,
    /// For a project: the folders to add to `sys.path` after it was installed.
    pub roots: Vec<PathBuf>,
    /// Where type stubs belong, if it was stale and the library contains what they are made from.
    pub stubs: Option<Stubs>,
}

impl Outcome {
    /// The outcome of a call that began at `start`.
    pub fn since(start: Instant, artifact: PathBuf, reason: Option<String>, origin: Origin) -> Self {
        let (built, seconds) = (origin == Origin::Built, start.elapsed().as_secs_f64());
        Self { artifact, reason, built, origin, seconds, roots: Vec::new(), stubs: None }
    }
}
