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
    is_ours && !is_in_a_crate(path) && !is_declared_by_another_file(path, stem)
}

/// Whether a file contains the signs of a module of this name anywhere.
fn names_module(source: &[u8], stem: &str) -> bool {
    let has = |text: &str| memchr::memmem::find(source, text.as_bytes()).is_some();
    has(&format!("PyInit_{stem}")) || (has("#[pymodule") && has(stem))
}

/// Whether the file is the library of a package in its folder or a parent folder, or is in the folder of that library.
fn is_in_a_crate(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        let manifest = krate::manifest_in(folder);
        let library = krate::library_of(&manifest, folder);
        // Next to the manifest there may be scripts: there, the modules are those that a file declares.
        let is_below = || library.parent().is_some_and(|sources| sources != folder && path.starts_with(sources));
        manifest.contains_key("package") && (library == path || is_below())
    })
}

/// Whether a Rust file next to this one, or the file of the module that its folder is, declares it with `mod stem;`.
fn is_declared_by_another_file(path: &Path, stem: &str) -> bool {
    let Some(folder) = path.parent() else { return false };
    let beside = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path());
    beside.chain([folder.with_extension("rs")]).any(|other| {
        let is_rust = other.extension().is_some_and(|extension| extension == "rs");
        is_rust && other != path && other.is_file() && fs::read(&other).is_ok_and(|text| uses_file(&text, stem))
    })
}

/// Whether a source contains `mod stem;`, outside of comments.
fn uses_file(source: &[u8], stem: &str) -> bool {
    if memchr::memmem::find(source, stem.as_bytes()).is_none() {
        return false;
    }
    let text = String::from_utf8_lossy(source);
    let code = text.lines().map(|line| line.split("//").next().unwrap_or_default());
    let words: Vec<&str> =
        code.flat_map(|line| line.split_inclusive([';', '{', '}'])).flat_map(str::split_whitespace).collect();
    let declared = [format!("{stem};"), format!("r#{stem};")];
    words.windows(2).any(|pair| pair[0] == "mod" && declared.iter().any(|name| name == pair[1]))
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
    fn sources_of_a_crate_are_not_scripts() {
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
        check("[package]\nname = 'c'", "src/m.rs", false);
        check("[package]\nname = 'c'", "m.rs", true);
        check("[package]\nname = 'c'\n[lib]\npath = 'lib.rs'", "m.rs", true);
        check("[workspace]\n[lib]\npath = 'm.rs'", "m.rs", true);
    }

    #[test]
    fn modules_of_other_files_are_not_scripts() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m/m.rs");
        std::fs::create_dir(folder.path().join("m")).unwrap();
        std::fs::write(&path, "#[pymodule] mod m {}").unwrap();
        let check = |file: &str, text: &str, expected: bool| {
            let other = folder.path().join(file);
            std::fs::write(&other, text).unwrap();
            assert_eq!(is_module(&path), expected, "{file}: {text}");
            std::fs::remove_file(other).unwrap();
        };
        check("m/lib.rs", "pub mod m;", false);
        check("m/lib.rs", "#[cfg(unix)] pub(crate) mod\n    r#m;", false);
        check("m/lib.rs", "// mod m;", true);
        check("m/lib.rs", "mod m { } mod more;", true);
        check("m/lib.txt", "mod m;", true);
        check("m.rs", "fn f() {} mod m;", false);
    }
}
