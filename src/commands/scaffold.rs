//! Writes the files of `new`: a script, a crate or a project that can be imported at once. The conversion of a script
//! is in [`conversion`].

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

const ABOUT_CRATE: &str = "# `import {name}` in Python builds this crate after each change:\n\
    # the file `.rustimport` next to this one enables that.\n\n";
const ABOUT_PROJECT: &str = "# The Rust part of the project in pyproject.toml.\n\n";

/// The name of a project's extension module inside its Python package.
const MODULE: &str = "_core";

/// Writes a source of a kind, converted `from` a script if one is given. Returns the files that were written.
///
/// Fails if the name is not a valid module name, if a file exists, or if the script cannot be converted.
pub fn source(path: &Path, kind: SourceKind, from: Option<&Path>) -> Result<Vec<PathBuf>> {
    let path = &std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let name = if kind == SourceKind::Script { path.file_stem() } else { path.file_name() };
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    // `syn` does not accept keywords as identifiers.
    if !is_module_name(&name) || syn::parse_str::<syn::Ident>(&name).is_err() {
        return Err(Error::project(
            path,
            format!("`{name}` cannot be the name of a module that is written in Rust"),
            "a name has ASCII letters, digits and `_`, does not begin with a digit, and is not a keyword",
        ));
    }
    let own_module = if kind == SourceKind::Project { MODULE } else { &name };
    let from = from.map(|from| std::path::absolute(from).unwrap_or_else(|_| from.to_owned()));
    let conversion = from.as_ref().map(|from| conversion::convert(from, path, &name, own_module)).transpose()?;
    let module = conversion.as_ref().map_or(own_module, |conversion| &conversion.module);
    if let (SourceKind::Crate, Some(from)) = (kind, &from)
        && module != name
    {
        return Err(Error::project(
            from,
            format!("{} declares the module `{module}`, and a crate is imported by its folder's name", from.display()),
            format!("rename the folder to `{module}`, or the module to `{name}`"),
        ));
    }
    let fill = |text: &str| text.replace("{name}", &name).replace("{module}", module);
    let files: Vec<(PathBuf, String)> = match kind {
        SourceKind::Script => vec![(path.clone(), fill(SCRIPT))],
        // The marker is written last, so that an incomplete crate is not imported.
        SourceKind::Crate => vec![
            (path.join("src/lib.rs"), library(conversion.as_ref(), kind).unwrap_or_else(|| fill(LIBRARY))),
            (path.join("Cargo.toml"), fill(ABOUT_CRATE) + &manifest(conversion.as_ref(), &fill(MANIFEST))),
            (path.join(".rustimport"), String::new()),
        ],
        SourceKind::Project => vec![
            (path.join("src/lib.rs"), library(conversion.as_ref(), kind).unwrap_or_else(|| fill(LIBRARY))),
            (path.join("Cargo.toml"), ABOUT_PROJECT.to_owned() + &manifest(conversion.as_ref(), &fill(MANIFEST))),
            (path.join("python").join(&name).join("__init__.py"), fill(PACKAGE)),
            (path.join(".gitignore"), GITIGNORE.to_owned()),
            (path.join("pyproject.toml"), fill(PYPROJECT) + &conversion.as_ref().map(inputs).unwrap_or_default()),
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
            // Remove the incomplete folder, so that the command can be repeated.
            if kind != SourceKind::Script {
                fs::remove_tree(path)?;
            }
            return Err(failed(&item.0, &error));
        }
    }
    Ok(files.into_iter().map(|(file, _)| file).collect())
}

/// The code of a converted script. In a crate, the patterns stay in the header.
fn library(conversion: Option<&Conversion>, kind: SourceKind) -> Option<String> {
    let conversion = conversion?;
    let patterns = conversion.patterns.iter().filter(|_| kind == SourceKind::Crate);
    let mut lines: Vec<String> = patterns.map(|pattern| format!("//d: {pattern}")).collect();
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.push(conversion.code.clone());
    Some(lines.join("\n"))
}

fn manifest(conversion: Option<&Conversion>, template: &str) -> String {
    conversion.map_or_else(|| template.to_owned(), |conversion| conversion::render(&conversion.manifest))
}

/// The patterns of a converted script, as settings of a project.
fn inputs(conversion: &Conversion) -> String {
    if conversion.patterns.is_empty() {
        return String::new();
    }
    let inputs = toml::Value::from(conversion.patterns.clone());
    format!("\n[tool.rustimport]\n# Additional files that are checked for changes.\ninputs = {inputs}\n")
}

fn failed(path: &Path, error: &std::io::Error) -> Error {
    let hint = match error.kind() {
        std::io::ErrorKind::AlreadyExists => "choose another name: existing files are not overwritten",
        std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => "the disk is full: free some space",
        _ => "choose a folder that you can write to",
    };
    Error::project(path, format!("cannot write {}: {error}", path.display()), hint)
}
