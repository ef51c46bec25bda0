//! Reads what type stubs are made from, and writes them. What belongs in them, and where, is decided in
//! `python/rustimport/_stubs.py`, which has the loaded module.

use std::path::Path;

use serde_json::Value;

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::output::introspection;
use crate::projects::installation::Installation;

/// The type stubs of a library, with relative paths.
pub fn read(library: &Path, module: &str, described: Option<&Value>) -> Result<Vec<(String, String)>> {
    let failed = |why: String| {
        let message = format!("pyo3's type information in {} cannot be read: {why}", library.display());
        Error::project(library, message, "a newer rustimport may understand this pyo3; no type stub is written")
    };
    let bytes = fs::read(library).map_err(|error| failed(error.to_string()))?;
    let stubs = introspection::stubs(&bytes, module, described).map_err(failed)?;
    Ok(stubs.into_iter().map(|(path, text)| (path.to_string_lossy().into_owned(), text)).collect())
}

/// The names that the library has type information about.
pub fn names(library: &Path) -> Vec<String> {
    fs::read(library).map(|bytes| introspection::names(&bytes)).unwrap_or_default()
}

/// Writes a stub, and the folders that it is in.
pub fn write_file(path: &Path, content: &str) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new(""));
    let written = fs::create_users_folder(folder).and_then(|()| fs::write_users_file(path, content.as_bytes()));
    written.map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Error::project(path, message, "check its permissions, or choose another folder")
    })
}

/// Lists a stub that was added to the installation of a project, so that pip removes it as well.
pub fn list(root: &Path, dist_info: &Path, path: &Path) -> Result<()> {
    let Some(installation) = Installation::now(dist_info, root) else { return Ok(()) };
    installation.list(path).map_err(|error| {
        let message = format!("cannot list {} in the project's RECORD: {error}", path.display());
        Error::project(path, message, "check that you may write to the environment")
    })
}
