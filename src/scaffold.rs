//! What `new` writes: a source that imports at once and explains itself.

use std::path::{Path, PathBuf};

use crate::error::{Error, Result};
use crate::fs;
use crate::script;

const SCRIPT: &str = include_str!("templates/script.txt");
const LIBRARY: &str = include_str!("templates/library.txt");
const MANIFEST: &str = include_str!("templates/manifest.txt");

/// Writes a script if the path ends in `.rs`, else a crate. Returns the files that were written.
///
/// Fails if the name cannot be a module's, or if there is something already.
pub fn source(path: &Path) -> Result<Vec<PathBuf>> {
    let is_script = path.extension().is_some_and(|extension| extension == "rs");
    let name = if is_script { path.file_stem() } else { path.file_name() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    // Neither can a keyword.
    if !script::is_module_name(&name) || syn::parse_str::<syn::Ident>(&name).is_err() {
        return Err(Error::project(
            path,
            format!("`{name}` cannot be the name of a module that is written in Rust"),
            "a name has ASCII letters, digits and `_`, does not begin with a digit, and is no keyword",
        ));
    }
    let mut files = vec![(path.to_owned(), SCRIPT)];
    if !is_script {
        // The last to be written is what makes it a crate that is imported.
        let inside = [("src/lib.rs", LIBRARY), ("Cargo.toml", MANIFEST), (".rustimport", "")];
        files = inside.map(|(name, text)| (path.join(name), text)).to_vec();
        fs::create_new_folder(&path.join("src")).map_err(|error| failed(path, &error))?;
    }
    for (file, text) in &files {
        fs::write_new(file, text.replace("{name}", &name).as_bytes()).map_err(|error| failed(file, &error))?;
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "choose another name: nothing is ever overwritten",
        _ => "choose a folder that you can write to",
    };
    Error::project(path, format!("cannot write {}: {error}", path.display()), hint)
}
