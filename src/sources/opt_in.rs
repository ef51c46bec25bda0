//! Decides which `.rs` files are meant to be imported although they have no marker. `python/rustimport/_marker.py`
//! applies the same rules at an import, and calls [`is_module`] if a search for bytes does not suffice. Markers are not
//! checked here.

use std::path::Path;

use crate::base::fs;
use crate::package::krate;
use crate::script::parse::Script;

/// Whether a script without a marker is a module named like its file, and not part of a crate.
pub fn is_module(path: &Path) -> bool {
    let (Ok(source), Some(stem)) = (fs::read(path), path.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    // If it cannot be parsed, but is meant to be a module, the compiler has to report it.
    let is_ours = match Script::parse(path, &source) {
        Ok(script) if script.is_parsed() => script.declares_module(stem),
        _ => names_module(&source, stem),
    };
    is_ours && !is_library_of_a_crate(path)
}

/// Whether a file contains the signs of a module of this name anywhere.
fn names_module(source: &[u8], stem: &str) -> bool {
    let has = |text: &str| memchr::memmem::find(source, text.as_bytes()).is_some();
    has(&format!("PyInit_{stem}")) || (has("#[pymodule") && has(stem))
}

/// Whether the file is the library of a Cargo.toml in its folder or a parent folder.
fn is_library_of_a_crate(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        let manifest = krate::manifest_in(folder);
        manifest.contains_key("package") && krate::library_of(&manifest, folder) == path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn modules_without_marker() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.rs");
        let check = |text: &str, expected: bool| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_module(&path), expected, "{text}");
        };
        check("#[pymodule] mod m {}", true);
        check("#[pymodule] mod other {}", false);
        check("#[pymodule] mod m { fn }", true);
        check("fn broken( {} #[pyo3::pymodule] mod m {}", false);
        check("pub extern \"C\" fn PyInit_m( {", true);
        check("fn broken( {", false);
        check("//: [broken\n#[pymodule] mod m {}", true);
    }

    #[test]
    fn library_of_a_crate_is_not_a_script() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("src")).unwrap();
        let check = |manifest: &str, file: &str, expected: bool| {
            std::fs::write(root.join("Cargo.toml"), manifest).unwrap();
            let path = root.join(file);
            std::fs::write(&path, "#[pymodule] mod m {}").unwrap();
            assert_eq!(is_module(&path), expected, "{manifest}");
        };
        check("[package]\nname = 'm'\n[lib]\npath = 'src/m.rs'", "src/m.rs", false);
        check("[package]\nname = 'm'\n[lib]\npath = 'm.rs'", "m.rs", false);
        check("[package]\nname = 'm'", "src/m.rs", true);
        check("[workspace]\n[lib]\npath = 'm.rs'", "m.rs", true);
    }
}
