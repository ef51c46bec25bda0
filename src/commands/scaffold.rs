//! What `new` writes: a source that imports at once and explains itself.

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::commands::conversion::{self, Conversion};
use crate::env::request::SourceKind;
use crate::script::parse::is_module_name;

const SCRIPT: &str = include_str!("../package/templates/script.txt");
const LIBRARY: &str = include_str!("../package/templates/library.txt");
const MANIFEST: &str = include_str!("../package/templates/manifest.txt");
const PYPROJECT: &str = include_str!("../package/templates/pyproject.txt");
const PACKAGE: &str = include_str!("../package/templates/package.txt");
const GITIGNORE: &str = include_str!("../package/templates/gitignore.txt");

const ABOUT_CRATE: &str = "# `import {name}` in Python builds this crate whenever it changed:\n\
    # the file `.rustimport` beside this one says that it is to be imported.\n\n";
const ABOUT_PROJECT: &str = "# The Rust of the project that pyproject.toml describes.\n\n";

/// The extension module of a project that has a name of its own.
const MODULE: &str = "_core";

/// Writes a source of a kind, made `from` a script if there is one. Returns the files that were written.
///
/// Fails if the name cannot be a module's, if there is something already, or if the script cannot become that.
pub fn source(path: &Path, kind: SourceKind, from: Option<&Path>) -> Result<Vec<PathBuf>> {
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = if kind == SourceKind::Script { path.file_stem() } else { path.file_name() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    // Neither can a keyword.
    if !is_module_name(&name) || syn::parse_str::<syn::Ident>(&name).is_err() {
        return Err(Error::project(
            path,
            format!("`{name}` cannot be the name of a module that is written in Rust"),
            "a name has ASCII letters, digits and `_`, does not begin with a digit, and is no keyword",
        ));
    }
    let own_module = if kind == SourceKind::Project { MODULE } else { &name };
    let from = from.map(|from| std::path::absolute(from).unwrap_or_else(|_| from.to_owned()));
    let made = from.as_ref().map(|from| conversion::convert(from, path, &name, own_module)).transpose()?;
    let module = made.as_ref().map_or(own_module, |made| &made.module);
    if let (SourceKind::Crate, Some(from)) = (kind, &from)
        && module != name
    {
        return Err(Error::project(
            from,
            format!("{} declares the module `{module}`, and a crate is imported by its folder's name", from.display()),
            format!("call the folder `{module}`, or the module `{name}`"),
        ));
    }
    let fill = |text: &str| text.replace("{name}", &name).replace("{module}", module);
    let files: Vec<(PathBuf, String)> = match kind {
        SourceKind::Script => vec![(path.clone(), fill(SCRIPT))],
        // The last to be written is what makes it a crate that is imported.
        SourceKind::Crate => vec![
            (path.join("src/lib.rs"), library(made.as_ref(), kind).unwrap_or_else(|| fill(LIBRARY))),
            (path.join("Cargo.toml"), fill(ABOUT_CRATE) + &manifest(made.as_ref(), &fill(MANIFEST))),
            (path.join(".rustimport"), String::new()),
        ],
        SourceKind::Project => vec![
            (path.join("src/lib.rs"), library(made.as_ref(), kind).unwrap_or_else(|| fill(LIBRARY))),
            (path.join("Cargo.toml"), ABOUT_PROJECT.to_owned() + &manifest(made.as_ref(), &fill(MANIFEST))),
            (path.join("python").join(&name).join("__init__.py"), fill(PACKAGE)),
            (path.join(".gitignore"), GITIGNORE.to_owned()),
            (path.join("pyproject.toml"), fill(PYPROJECT) + &made.as_ref().map(inputs).unwrap_or_default()),
        ],
    };
    if kind != SourceKind::Script {
        fs::create_new_folder(path).map_err(|error| failed(path, &error))?;
    }
    let write = |(file, text): &(PathBuf, String)| {
        let folder = file.parent().filter(|folder| folder.starts_with(path));
        folder.map_or(Ok(()), fs::create_users_folder)?;
        fs::write_new(file, text.as_bytes())
    };
    for item in &files {
        if let Err(error) = write(item) {
            // Half a source would stand in the way of the next attempt.
            if kind != SourceKind::Script {
                fs::remove_tree(path)?;
            }
            return Err(failed(&item.0, &error));
        }
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

/// The code of what was a script. A crate's has its patterns in the header, as the script had.
fn library(made: Option<&Conversion>, kind: SourceKind) -> Option<String> {
    let made = made?;
    let patterns = made.patterns.iter().filter(|_| kind == SourceKind::Crate);
    let mut lines: Vec<String> = patterns.map(|pattern| format!("//d: {pattern}")).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(made.code.clone());
    Some(lines.join("\n"))
}

fn manifest(made: Option<&Conversion>, template: &str) -> String {
    made.map_or_else(|| template.to_owned(), |made| conversion::render(&made.manifest))
}

/// The patterns of what was a script, as a project has them.
fn inputs(made: &Conversion) -> String {
    if made.patterns.is_empty() {
        return String::new();
    }
    let inputs = toml::Value::from(made.patterns.clone());
    format!("\n[tool.rustimport]\n# More files that count when something may have changed.\ninputs = {inputs}\n")
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "choose another name: nothing is ever overwritten",
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "the disk is full: free some space",
        _ => "choose a folder that you can write to",
    };
    Error::project(path, format!("cannot write {}: {error}", path.display()), hint)
}
