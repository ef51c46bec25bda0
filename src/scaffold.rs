//! What `new` writes: a source that imports at once and explains itself.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs;
use crate::script;

const SCRIPT: &str = include_str!("templates/script.txt");

/// Writes a script. Returns the files that were written.
///
/// Fails if the name cannot be a module's, or if there is something already.
pub fn script(path: &Path) -> Result<Vec<PathBuf>> {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    if path.extension().is_none_or(|extension| extension != "rs") {
        return Err(Error::project(
            path,
            format!("{} is no name for a script", path.display()),
            format!("scripts end in .rs: {name}.rs"),
        ));
    }
    if !script::is_module_name(&name) {
        return Err(Error::project(
            path,
            format!("`{name}` cannot be the name of a module that is written in Rust"),
            "a name has ASCII letters, digits and `_`, and does not begin with a digit",
        ));
    }
    fs::write_new(path, SCRIPT.replace("{name}", &name).as_bytes()).map_err(|error| {
        let hint = match error.kind() {
            std::io::ErrorKind::AlreadyExists => "choose another name: nothing is ever overwritten",
            _ => "choose a folder that you can write to",
        };
        Error::project(path, format!("cannot write {}: {error}", path.display()), hint)
    })?;
    Ok(vec![path.to_owned()])
}
