//! A script that outgrew one file: the code and the manifest that make a package of it.
//!
//! What the template filled in is written out, the header becomes the manifest, and what was relative to the script's
//! folder leads to the same place from the package's.

use std::path::Path;

use toml::{Table, Value};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::paths::relative;
use crate::env::settings::PYO3_RANGE;
use crate::package::manifest;
use crate::script::parse::Script;

/// What becomes of a script, for a package in a given folder.
pub struct Conversion {
    /// Of `src/lib.rs`.
    pub code: String,
    /// Complete but for the comments.
    pub manifest: Table,
    /// The `//d:` patterns, relative to the package.
    pub patterns: Vec<String>,
    /// The name of the module that the code declares.
    pub module: String,
}

/// Converts the script at `path` for the package `name` in `folder`; `module` is the name of its module, if the script
/// declares none. Both paths are absolute.
///
/// Fails where the script cannot be parsed, or would be no module.
pub fn convert(path: &Path, folder: &Path, name: &str, module: &str) -> Result<Conversion> {
    let source = fs::read(path).map_err(|error| {
        let message = format!("cannot read {}: {error}", path.display());
        Error::project(path, message, "give a `.rs` file: `--from somecode.rs`")
    })?;
    let script = Script::parse(path, &source)?;
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let from = path.parent().unwrap_or(Path::new("/"));
    let module = script.declared_module(&stem).unwrap_or_else(|| module.to_owned());
    script.check_module(path, &module)?;
    let code = script.as_library(path, &folder.join("src"), &module)?;
    if syn::parse_file(&code).is_err() {
        let message = format!("{} is no Rust any more without its header", path.display());
        return Err(Error::project(path, message, "write the header as lines that begin with `//`, above all code"));
    }
    let moved =
        |text: &str| if Path::new(text).is_absolute() { text.to_owned() } else { relative(&from.join(text), folder) };
    let mut table = script.header.manifest.clone();
    manifest::for_each_path(&mut table, &mut |path| *path = moved(path));
    let package = manifest::table(&mut table, "package");
    manifest::default(package, "name", name);
    manifest::default(package, "version", "0.1.0");
    manifest::default(package, "edition", "2021");
    if let Some(Value::String(build)) = package.get_mut("build") {
        *build = moved(build);
    }
    let library = manifest::table(&mut table, "lib");
    // The script's own are replaced for scripts as well.
    library.insert("name".into(), module.clone().into());
    library.remove("path");
    library.insert("crate-type".into(), Value::Array(vec!["cdylib".into()]));
    if script.uses_pyo3() {
        manifest::complete_pyo3(manifest::table(&mut table, "dependencies"), PYO3_RANGE);
    }
    let patterns = script.header.patterns.iter().map(|pattern| moved(pattern)).collect();
    Ok(Conversion { code, manifest: table, patterns, module })
}

/// The manifest as text: what stands in no table, or it would be the table's above, then the package, the library, the rest.
pub fn render(manifest: &Table) -> String {
    let first = ["package", "lib", "dependencies"];
    let holds_tables = |value: &Value| value.as_array().is_some_and(|all| all.first().is_some_and(Value::is_table));
    let is_bare = |name: &&str| manifest.get(*name).is_some_and(|value| !value.is_table() && !holds_tables(value));
    let names = || manifest.keys().map(String::as_str);
    let rest = names().filter(|name| !first.contains(name) && !is_bare(name));
    let names = names().filter(is_bare).chain(first).chain(rest);
    let tables = names.filter_map(|name| Some(Table::from_iter([(name.to_owned(), manifest.get(name)?.clone())])));
    tables.map(|table| table.to_string()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_keeps_its_meaning() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.rs");
        let convert = |source: &str| {
            std::fs::write(&path, source).unwrap();
            super::convert(&path, &folder.path().join("crates/m"), "m", "m").unwrap()
        };
        let done = convert(
            "// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = \"helper\" }\n//: [package]\n\
             //: build = \"build.rs\"\n//d: data/*.json\n\n/// Doc.\n#[pyfunction]\nfn f() { include_str!(\"x.txt\"); }\nmod part;\n",
        );
        assert_eq!(
            done.code,
            "use pyo3::prelude::*;\n\n/// Doc.\n#[pyfunction]\nfn f() { include_str!(\"../../../x.txt\"); }\n\
             #[path = \"../../../part.rs\"] mod part;\n\n#[pymodule]\nmod m {\n    #[pymodule_export]\n    use super::f;\n}\n"
        );
        let value = Value::Table(done.manifest);
        let get = |keys: &[&str]| {
            let found = keys.iter().try_fold(&value, |value, key| value.get(key));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        assert_eq!(get(&["dependencies", "helper", "path"]).unwrap(), "../../helper");
        assert_eq!(get(&["dependencies", "pyo3"]).unwrap(), PYO3_RANGE);
        assert_eq!(get(&["package", "build"]).unwrap(), "../../build.rs");
        assert_eq!(done.patterns, ["../../data/*.json"]);
        // What stands above all tables stays there.
        let done = convert(
            "// rustimport:pyo3\n//: cargo-features = [\"edition2024\"]\n//: [[bin]]\n//: name = \"b\"\nfn f() {}",
        );
        assert_eq!(render(&done.manifest).parse::<Table>().unwrap(), done.manifest);
        // An inner attribute stays above, and a name that is taken is not taken again.
        let done = convert("// rustimport:pyo3\n#![allow(\n    dead_code\n)]\n\n#[pyclass]\nstruct m;\n");
        assert!(syn::parse_file(&done.code).is_ok(), "{}", done.code);
        let module = "#[pymodule]\n#[pyo3(name = \"m\")]\nmod python {\n    #[pymodule_export]\n    use super::m;\n}\n";
        let end = format!("struct m;\n\nuse pyo3::prelude::*;\n\n{module}");
        assert_eq!(&done.code[done.code.find("struct").unwrap_or_default()..], end);
        // What declares its module, and brings its prelude, stays as it is.
        let own = "//! Docs.\n#![allow(unused)]\nuse pyo3::prelude::*;\n\n#[pymodule]\nmod other {}\n";
        let done = convert(&format!("// rustimport\n{own}"));
        assert_eq!((done.code.as_str(), done.module.as_str()), (own, "other"));
    }
}
