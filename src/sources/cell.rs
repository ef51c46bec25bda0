//! Rust in a string: a notebook's cell, or the argument of `rustimport.inline`. It is written to a script in the cache,
//! which is then built like any other script.
//!
//! The script is named by its content, so equal strings share one build. The template is that of `// rustimport:pyo3`,
//! and relative paths start at the author's working folder, not in the cache.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use toml::{Table, Value};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::cache::layout::Cache;
use crate::env::request::Cell;
use crate::script::header::{Header, Template};
use crate::script::parse::Script;

/// A cell's file, and the name of the module that it declares, if any.
pub type Written = (PathBuf, Option<String>);

/// Writes a cell's text to its file below the cache's root, unless the file already exists.
pub fn write(root: &Path, text: &str, manifest: &str) -> Result<Written> {
    Cache::check_private_root(root)?;
    let folder = Cache::cells_of(root);
    let name = fs::hash_bytes(format!("{manifest}\0{text}").as_bytes());
    let path = folder.join(format!("cell_{}.rs", &name[..16]));
    // An existing file is not written again, since the cache may be read-only.
    if fs::read(&path).ok().as_deref() != Some(text.as_bytes()) {
        fs::create_private_folder(&folder)?;
        fs::write(&path, text.as_bytes())?;
    }
    // Errors in the header are reported by the build.
    let declared = Script::parse(&path, text.as_bytes()).ok().and_then(|script| script.declared_module(""));
    Ok((path, declared))
}

impl Cell {
    /// Completes the header of the cell at `path` with the given manifest, which takes precedence over the text.
    pub fn complete(&self, header: &mut Header, path: &Path) -> Result<()> {
        header.marked = true;
        header.template.get_or_insert(Template::Pyo3);
        let more: Table = self.manifest.parse().map_err(|error: toml::de::Error| {
            let message = format!("`{}` is not valid in a manifest: {}", self.manifest.trim(), error.message());
            Error::project(path, message, "dependencies are written as in Cargo.toml, such as {\"rand\": \"0.8\"}")
        })?;
        for (key, value) in more {
            match (header.manifest.get_mut(&key), value) {
                (Some(Value::Table(known)), Value::Table(added)) => known.extend(added),
                (_, value) => drop(header.manifest.insert(key, value)),
            }
        }
        Ok(())
    }
}

/// Removes the files of cells that have no entry and were not used recently. Running a cell again reads its file.
pub fn remove_unused(root: &Path, is_used: &dyn Fn(&Path) -> bool) -> Result<()> {
    // The system may update access times only once a day.
    const LATE: Duration = Duration::from_secs(2 * 86_400);
    // The folder chosen for the cache may already have contained a folder of this name.
    let is_cell = |item: &std::fs::DirEntry| {
        let name = item.file_name().to_string_lossy().into_owned();
        let hash = name.strip_prefix("cell_").and_then(|name| name.strip_suffix(".rs"));
        hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|digit| digit.is_ascii_hexdigit()))
    };
    for item in fs::items(&Cache::cells_of(root)).filter(is_cell) {
        let Ok(metadata) = item.metadata() else { continue };
        let brought = metadata.modified().into_iter().chain(metadata.accessed()).max();
        let age = brought.and_then(|time| SystemTime::now().duration_since(time).ok());
        if age.is_some_and(|age| age > LATE) && !is_used(&item.path()) {
            fs::remove_tree(&item.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn manifest_completes_header() {
        let check = |source: &str, manifest: &str, expected: &str| {
            let path = Path::new("/c/cell_0.rs");
            let mut header = Header::parse(path, source).unwrap();
            let cell = Cell { folder: "/n".into(), manifest: manifest.into() };
            cell.complete(&mut header, path).unwrap();
            assert_eq!(header.template, Some(Template::Pyo3));
            assert_eq!(header.manifest, expected.parse().unwrap(), "{source}");
        };
        check("fn f() {}", "", "");
        check("// rustimport\n//: [dependencies]\n//: a = '1'", "", "[dependencies]\na = '1'");
        check(
            "//: [dependencies]\n//: a = '1'\n//: b = '1'",
            "[dependencies]\na = '2'",
            "[dependencies]\na = '2'\nb = '1'",
        );
    }

    #[test]
    fn equal_texts_have_one_file() {
        let root = tempfile::tempdir().unwrap();
        let write = |text: &str, manifest: &str| write(root.path(), text, manifest).unwrap();
        let (path, declared) = write("fn f() {}", "");
        assert_eq!(fs::read_text(&path).unwrap(), "fn f() {}");
        assert_eq!((path.clone(), declared), write("fn f() {}", ""));
        assert_ne!(path, write("fn g() {}", "").0);
        assert_ne!(path, write("fn f() {}", "[dependencies]").0);
        assert_eq!(write("#[pymodule] mod m {}", "").1.as_deref(), Some("m"));
    }
}
