//! Converts a script to a Cargo package: generates its code and its manifest. Writing them is up to
//! [`super::scaffold`].
//!
//! The code that the template generated is written out, the header becomes the manifest, and relative paths are changed
//! so that they lead to the same files from the package's folder.

use std::path::Path;

use toml::{Table, Value};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::paths::relative;
use crate::env::settings::PYO3_RANGE;
use crate::package::manifest;
use crate::script::parse::Script;

/// A script converted for a package in a given folder.
pub struct Conversion {
    /// The content of `src/lib.rs`.
    pub code: String,
    /// The complete manifest, without comments.
    pub manifest: Table,
    /// The `//d:` patterns, relative to the package.
    pub patterns: Vec<String>,
    /// The name of the module that the code declares.
    pub module: String,
}

/// Converts the script at `path` for the package `name` in `folder`. `module` is the name of the module, if the script
/// does not declare one. Both paths are absolute.
///
/// Fails if the script cannot be parsed, or if it declares no module and none is generated.
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
        let message = format!("{} is not valid Rust without its header", path.display());
        return Err(Error::project(path, message, "write the header as lines that begin with `//`, above all code"));
    }
    let relocate =
        |text: &str| if Path::new(text).is_absolute() { text.to_owned() } else { relative(&from.join(text), folder) };
    let mut table = script.header.manifest.clone();
    manifest::for_each_path(&mut table, &mut |path| *path = relocate(path));
    let package = manifest::table(&mut table, "package");
    manifest::default(package, "name", name);
    manifest::default(package, "version", "0.1.0");
    manifest::default(package, "edition", "2021");
    if let Some(Value::String(build)) = package.get_mut("build") {
        *build = relocate(build);
    }
    let library = manifest::table(&mut table, "lib");
    // For scripts, these settings are replaced as well.
    library.insert("name".into(), module.clone().into());
    library.remove("path");
    library.insert("crate-type".into(), Value::Array(vec!["cdylib".into()]));
    if script.uses_pyo3() {
        manifest::complete_pyo3(manifest::table(&mut table, "dependencies"), PYO3_RANGE);
    }
    let patterns = script.header.patterns.iter().map(|pattern| relocate(pattern)).collect();
    Ok(Conversion { code, manifest: table, patterns, module })
}

/// The manifest as text: first the keys outside of tables, which would otherwise belong to the table above them, then
/// the package, the library, the dependencies and the other tables.
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
    fn code_paths_and_manifest_are_converted() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.rs");
        let convert = |source: &str| {
            std::fs::write(&path, source).unwrap();
            super::convert(&path, &folder.path().join("crates/m"), "m", "m").unwrap()
        };
        let conversion = convert(
            "// rustimport:pyo3\n//: [dependencies]\n//: helper = { path = \"helper\" }\n//: [package]\n\
             //: build = \"build.rs\"\n//d: data/*.json\n\n/// Doc.\n#[pyfunction]\nfn f() { include_str!(\"x.txt\"); }\nmod part;\n",
        );
        assert_eq!(
            conversion.code,
            "use pyo3::prelude::*;\n\n/// Doc.\n#[pyfunction]\nfn f() { include_str!(\"../../../x.txt\"); }\n\
             #[path = \"../../../part.rs\"] mod part;\n\n#[pymodule]\nmod m {\n    #[pymodule_export]\n    use super::f;\n}\n"
        );
        let value = Value::Table(conversion.manifest);
        let get = |keys: &[&str]| {
            let found = keys.iter().try_fold(&value, |value, key| value.get(key));
            found.and_then(Value::as_str).map(str::to_owned)
        };
        assert_eq!(get(&["dependencies", "helper", "path"]).unwrap(), "../../helper");
        assert_eq!(get(&["dependencies", "pyo3"]).unwrap(), PYO3_RANGE);
        assert_eq!(get(&["package", "build"]).unwrap(), "../../build.rs");
        assert_eq!(conversion.patterns, ["../../data/*.json"]);
        // Keys outside of tables remain outside.
        let conversion = convert(
            "// rustimport:pyo3\n//: cargo-features = [\"edition2024\"]\n//: [[bin]]\n//: name = \"b\"\nfn f() {}",
        );
        assert_eq!(render(&conversion.manifest).parse::<Table>().unwrap(), conversion.manifest);
        // An inner attribute remains at the top, and the module gets another name if its name is in use.
        let conversion = convert("// rustimport:pyo3\n#![allow(\n    dead_code\n)]\n\n#[pyclass]\nstruct m;\n");
        assert!(syn::parse_file(&conversion.code).is_ok(), "{}", conversion.code);
        let module = "#[pymodule]\n#[pyo3(name = \"m\")]\nmod python {\n    #[pymodule_export]\n    use super::m;\n}\n";
        let end = format!("struct m;\n\nuse pyo3::prelude::*;\n\n{module}");
        assert_eq!(&conversion.code[conversion.code.find("struct").unwrap_or_default()..], end);
        // A script with a module and the prelude is not changed.
        let own = "//! Docs.\n#![allow(unused)]\nuse pyo3::prelude::*;\n\n#[pymodule]\nmod other {}\n";
        let conversion = convert(&format!("// rustimport\n{own}"));
        assert_eq!((conversion.code.as_str(), conversion.module.as_str()), (own, "other"));
    }
}
