//! Finding sources in folders, for builds that are asked for.

use std::path::{Path, PathBuf};

use crate::ensure;
use crate::error::{Error, Result};
use crate::header::Header;

/// The sources among `paths` and in the folders among them, each once, in the order of their names. A path that names a
/// source needs no marker; in folders, those count that opted in, or all crates and what declares a module if not
/// `opt_in`. What is inside a crate belongs to it.
pub fn sources(paths: &[PathBuf], opt_in: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let path = std::path::absolute(path).unwrap_or_else(|_| path.clone());
        if path.join("Cargo.toml").is_file() {
            found.push(path);
        } else if path.is_dir() {
            walk(&path, opt_in, &mut found);
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        } else {
            let what = if path.exists() { "is no Rust source" } else { "does not exist" };
            return Err(Error::project(
                &path,
                format!("{} {what}", path.display()),
                "give .rs files and crates, or folders to search for them",
            ));
        }
    }
    let mut known = std::collections::BTreeSet::new();
    found.retain(|path| known.insert(path.clone()));
    Ok(found)
}

fn walk(folder: &Path, opt_in: bool, found: &mut Vec<PathBuf>) {
    let mut items: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    items.sort_by_key(std::fs::DirEntry::file_name);
    for item in items {
        let (path, name) = (item.path(), item.file_name());
        let is_hidden = name.to_string_lossy().starts_with('.');
        // A link to a folder could lead anywhere, also back.
        let Ok(kind) = item.file_type() else { continue };
        if kind.is_dir() {
            if !is_hidden && path.join("Cargo.toml").is_file() {
                if !opt_in || is_marked_crate(&path) {
                    found.push(path);
                }
            } else if !is_hidden && !is_foreign(&path) {
                walk(&path, opt_in, found);
            }
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && path.is_file()
            && is_wanted(&path, opt_in)
        {
            found.push(path);
        }
    }
}

fn is_marked_crate(folder: &Path) -> bool {
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    let first = manifest.lines().next().unwrap_or_default();
    (first.starts_with('#') && first.contains("rustimport")) || folder.join(".rustimport").exists()
}

/// Virtual environments and caches.
fn is_foreign(folder: &Path) -> bool {
    ["pyvenv.cfg", "CACHEDIR.TAG"].iter().any(|name| folder.join(name).exists())
}

fn is_wanted(path: &Path, opt_in: bool) -> bool {
    let text = std::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Header::is_marked(&text) || (!opt_in && ensure::is_module(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_searched() {
        let folder = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for place in ["", "sub/", ".hidden/", "venv/", "crate/src/", "cache/"] {
            write(&format!("{place}marked.rs"), "// rustimport:pyo3\n");
        }
        write("venv/pyvenv.cfg", "");
        write("crate/Cargo.toml", "");
        write("cache/CACHEDIR.TAG", "");
        write("plain.rs", "fn main() {}");
        write("words.rs", "use pyo3::prelude::*;\n#[pymodule]\nmod words {}\n");
        let check = |paths: &[&str], opt_in: bool, expected: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
            let found = sources(&paths, opt_in).unwrap();
            let expected: Vec<PathBuf> = expected.iter().map(|path| folder.path().join(path)).collect();
            assert_eq!(found, expected);
        };
        check(&[""], true, &["marked.rs", "sub/marked.rs"]);
        check(&[""], false, &["crate", "marked.rs", "sub/marked.rs", "words.rs"]);
        check(&["plain.rs", "sub", "sub/marked.rs"], true, &["plain.rs", "sub/marked.rs"]);
        check(&["crate"], true, &["crate"]);
        write("crate/.rustimport", "");
        check(&[""], true, &["crate", "marked.rs", "sub/marked.rs"]);
        assert!(sources(&[folder.path().join("nothing")], true).is_err());
    }
}
