//! Finds scripts and crates in folders, for `build` and other commands. Imports do not use this: Python finds their
//! sources by name.

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::paths;
use crate::package::krate;
use crate::script::header::Header;
use crate::sources::opt_in;

/// The sources among `paths`, and those in the folders among them, each once and sorted by name within a folder.
///
/// A path that names a source needs no marker. In folders, only marked sources are found, or, without `opt_in`, all
/// crates and all files that declare a module. Files inside a crate belong to the crate. Without `are_named`, a crate
/// in `paths` is treated like a crate in a folder.
pub fn sources(paths: &[PathBuf], opt_in: bool, are_named: bool) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for path in paths {
        let path = paths::normal(&std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        if krate::is_package(&path) && (are_named || !opt_in || krate::is_marked(&path)) {
            found.push(path);
        } else if path.is_dir() {
            walk(&path, opt_in, &mut found, &mut Vec::new());
        } else if path.is_file() && path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        } else {
            let what = if path.exists() { "is not a Rust source" } else { "does not exist" };
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

/// The `.rs` files without a marker in the folders among `paths`, outside crates.
pub fn passed_over(paths: &[PathBuf]) -> Vec<PathBuf> {
    let mut passed = Vec::new();
    for path in paths {
        let path = paths::normal(&std::path::absolute(path).unwrap_or_else(|_| path.clone()));
        if path.is_dir() && !krate::is_package(&path) {
            walk(&path, true, &mut Vec::new(), &mut passed);
        }
    }
    passed.sort();
    passed.dedup();
    passed
}

/// Searches a folder. Files that are not sources are added to `passed`, unless they belong to a crate.
fn walk(folder: &Path, opt_in: bool, found: &mut Vec<PathBuf>, passed: &mut Vec<PathBuf>) {
    let mut items: Vec<_> = std::fs::read_dir(folder).into_iter().flatten().flatten().collect();
    items.sort_by_key(std::fs::DirEntry::file_name);
    for item in items {
        let (path, name) = (item.path(), item.file_name());
        let is_hidden = name.to_string_lossy().starts_with('.');
        // Links to folders are not followed: they may form a cycle.
        let Ok(kind) = item.file_type() else { continue };
        if kind.is_dir() {
            if is_hidden || is_excluded(&path) {
                continue;
            }
            if krate::is_package(&path) && (!opt_in || krate::is_marked(&path)) {
                // If a script and a crate have the same name, an import uses the script.
                let script = folder.join(format!("{}.rs", name.to_string_lossy()));
                if !is_script(&script, opt_in) {
                    found.push(path);
                }
            } else {
                // Files of a crate without a marker are sources only if they have one themselves.
                let mut inside = Vec::new();
                walk(&path, opt_in, found, &mut inside);
                if !krate::is_package(&path) {
                    passed.append(&mut inside);
                }
            }
        } else if is_script(&path, opt_in) {
            found.push(path);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            passed.push(path);
        }
    }
}

/// Whether a folder is a virtual environment or a cache.
fn is_excluded(folder: &Path) -> bool {
    ["pyvenv.cfg", "CACHEDIR.TAG"].iter().any(|name| folder.join(name).exists())
}

fn is_script(path: &Path, opt_in: bool) -> bool {
    if path.extension().is_none_or(|extension| extension != "rs") || !path.is_file() {
        return false;
    }
    let text = crate::base::fs::read(path).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    Header::is_marked(&text) || (!opt_in && opt_in::is_module(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_are_found_in_folders() {
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
        write("crate/Cargo.toml", "[package]\nname = 'c'\n");
        write("ws/Cargo.toml", "[workspace]\n");
        write("ws/member/Cargo.toml", "# rustimport\n[package]\nname = 'm'\n");
        write("cache/CACHEDIR.TAG", "");
        write("plain.rs", "fn main() {}");
        write("words.rs", "use pyo3::prelude::*;\n#[pymodule]\nmod words {}\n");
        let check = |paths: &[&str], opt_in: bool, expected: &[&str]| {
            let paths: Vec<PathBuf> = paths.iter().map(|path| folder.path().join(path)).collect();
            let found = sources(&paths, opt_in, true).unwrap();
            let expected: Vec<PathBuf> = expected.iter().map(|path| folder.path().join(path)).collect();
            assert_eq!(found, expected);
        };
        check(&[""], true, &["crate/src/marked.rs", "marked.rs", "sub/marked.rs", "ws/member"]);
        // The working folder is searched even if it is a crate.
        let here = sources(&[folder.path().join("crate")], true, false).unwrap();
        assert_eq!(here, [folder.path().join("crate/src/marked.rs")]);
        check(&[""], false, &["crate", "marked.rs", "sub/marked.rs", "words.rs", "ws/member"]);
        assert_eq!(passed_over(&[folder.path().into()]), ["plain.rs", "words.rs"].map(|name| folder.path().join(name)));
        check(&["plain.rs", "sub", "sub/marked.rs"], true, &["plain.rs", "sub/marked.rs"]);
        check(&["crate"], true, &["crate"]);
        write("crate/.rustimport", "");
        check(&["", "sub/../sub"], true, &["crate", "marked.rs", "sub/marked.rs", "ws/member"]);
        check(&["ws"], true, &["ws/member"]);
        write("ws/member.rs", "// rustimport");
        check(&["ws"], true, &["ws/member.rs"]);
        assert!(sources(&[folder.path().join("nothing")], true, true).is_err());
    }
}
