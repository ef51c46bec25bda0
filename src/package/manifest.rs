//! The package that maturin builds for a script: its `Cargo.toml` and its `pyproject.toml`.

use std::path::Path;

use serde::Serialize;
use toml::{Table, Value};

use crate::env::request::Request;
use crate::env::settings::BuildSettings;
use crate::script::parse::Script;

/// The generated library root, in the package's folder. A name that no script's folder has.
pub const GENERATED: &str = "__rustimport.rs";

/// Holds a copy of the script, where one is needed, below the package's folder.
pub const COPY_FOLDER: &str = "copy";

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The unique name of an entry's package and library. Two packages of one name in one target folder
/// silently give each other's artifacts. The script's name comes first: log filters match prefixes.
pub fn package_name(entry: &str) -> String {
    // In lower case and without double underscores, since rustc has opinions about the names of crates.
    let letters = entry.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let name: String = letters.collect();
    let parts: Vec<&str> = name.split('_').filter(|part| !part.is_empty()).collect();
    let name = parts.join("_");
    // Cargo takes no name that begins with a digit.
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("m{name}") } else { name }
}

/// The script's manifest, completed: what the `//:` lines say wins, but the library's name, place and
/// kind are ours.
pub fn cargo_manifest(request: &Request, script: &Script, settings: &BuildSettings, library: &Path) -> Table {
    let mut manifest = script.header.manifest.clone();
    let name = package_name(&request.entry);

    let package = table(&mut manifest, "package");
    default(package, "version", "0.1.0");
    default(package, "edition", "2021");
    package.insert("name".into(), name.clone().into());
    if let Some(Value::String(build)) = package.get_mut("build") {
        *build = absolute(request.folder(), build);
    }

    let lib = table(&mut manifest, "lib");
    lib.insert("name".into(), name.into());
    lib.insert("path".into(), library.display().to_string().into());
    lib.insert("crate-type".into(), Value::Array(vec!["cdylib".into()]));

    anchor_dependencies(&mut manifest, request.folder());
    if script.uses_pyo3() {
        complete_pyo3(table(&mut manifest, "dependencies"), &settings.pyo3);
    }

    declare_features(&mut manifest, &settings.arguments.cargo);
    // The cache is nobody's workspace.
    table(&mut manifest, "workspace");
    add_profiles(table(&mut manifest, "profile"), script.is_long());
    manifest
}

/// What maturin wants to know. `module-name` is the name in Python.
pub fn pyproject(request: &Request) -> String {
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Pyproject<'a> {
        build_system: BuildSystem<'a>,
        project: Project<'a>,
        tool: Tool<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct BuildSystem<'a> {
        requires: [&'a str; 1],
        build_backend: &'a str,
    }
    #[derive(Serialize)]
    struct Project<'a> {
        name: &'a str,
        version: &'a str,
    }
    #[derive(Serialize)]
    struct Tool<'a> {
        maturin: Maturin<'a>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "kebab-case")]
    struct Maturin<'a> {
        module_name: &'a str,
        sbom: Sbom,
    }
    /// Nobody ships the wheel: it is unpacked at once.
    #[derive(Serialize)]
    struct Sbom {
        rust: bool,
    }
    let pyproject = Pyproject {
        build_system: BuildSystem { requires: ["maturin>=1.9.6,<2"], build_backend: "maturin" },
        project: Project { name: &package_name(&request.entry), version: "0.1.0" },
        tool: Tool { maturin: Maturin { module_name: request.stem(), sbom: Sbom { rust: false } } },
    };
    toml::to_string(&pyproject).expect("strings in tables are TOML")
}

/// The table of a name, made if it is not there.
pub fn table<'a>(parent: &'a mut Table, key: &str) -> &'a mut Table {
    let value = parent.entry(key).or_insert_with(|| Table::new().into());
    if !value.is_table() {
        *value = Table::new().into();
    }
    value.as_table_mut().expect("made a table above")
}

/// Gives a key its value, unless it has one.
pub fn default(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.entry(key).or_insert_with(|| value.into());
}

fn absolute(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

/// Declares the features that are asked for, as `maturin_import_hook` does; not those of dependencies.
fn declare_features(manifest: &mut Table, arguments: &[String]) {
    let asked = arguments.iter().zip(arguments.iter().skip(1)).filter(|(option, _)| *option == "--features");
    let names = asked.flat_map(|(_, names)| names.split([',', ' '])).filter(|name| !name.is_empty());
    let names: Vec<&str> = names.filter(|name| !name.contains(['/', ':'])).collect();
    let is_optional = |manifest: &Table, name: &str| {
        let dependency = manifest.get("dependencies").and_then(|found| found.get(name)?.get("optional"));
        dependency == Some(&Value::Boolean(true))
    };
    for name in names {
        if !is_optional(manifest, name) {
            default(table(manifest, "features"), name, Value::Array(Vec::new()));
        }
    }
}

/// Makes every relative `path` of a dependency relative to the script, wherever cargo allows one.
fn anchor_dependencies(table: &mut Table, folder: &Path) {
    for_each_path(table, &mut |path| *path = absolute(folder, path));
}

/// Every `path` of a dependency, wherever cargo allows one.
pub fn for_each_path(table: &mut Table, change: &mut dyn FnMut(&mut String)) {
    fn of(dependencies: &mut Value, change: &mut dyn FnMut(&mut String)) {
        for (_, dependency) in dependencies.as_table_mut().into_iter().flatten() {
            if let Some(Value::String(path)) = dependency.get_mut("path") {
                change(path);
            }
        }
    }
    for name in DEPENDENCY_TABLES {
        table.get_mut(name).into_iter().for_each(|dependencies| of(dependencies, change));
    }
    // [replace], [patch.<registry>], [workspace.dependencies], [target.<cfg>.dependencies]
    table.get_mut("replace").into_iter().for_each(|dependencies| of(dependencies, change));
    for (_, source) in table.get_mut("patch").and_then(Value::as_table_mut).into_iter().flatten() {
        of(source, change);
    }
    if let Some(workspace) = table.get_mut("workspace").and_then(|workspace| workspace.get_mut("dependencies")) {
        of(workspace, change);
    }
    for (_, target) in table.get_mut("target").and_then(Value::as_table_mut).into_iter().flatten() {
        for name in DEPENDENCY_TABLES {
            target.get_mut(name).into_iter().for_each(|dependencies| of(dependencies, change));
        }
    }
}

/// A crate's manifest, completed: a library that can be loaded, and with the template, pyo3. `library` is its root, if
/// that is generated.
pub fn crate_manifest(manifest: &Table, script: &Script, settings: &BuildSettings, library: Option<&Path>) -> Table {
    let mut manifest = manifest.clone();
    let lib = table(&mut manifest, "lib");
    let kinds = lib.entry("crate-type").or_insert_with(|| Value::Array(Vec::new()));
    if let Value::Array(kinds) = kinds
        && !kinds.iter().any(|kind| kind.as_str() == Some("cdylib"))
    {
        kinds.push("cdylib".into());
    }
    if let Some(library) = library {
        lib.insert("path".into(), library.display().to_string().into());
    }
    if script.header.template.is_some() {
        complete_pyo3(table(&mut manifest, "dependencies"), &settings.pyo3);
    }
    manifest
}

/// Adds pyo3, or its version where the script names pyo3 without saying which.
pub fn complete_pyo3(dependencies: &mut Table, version: &str) {
    match dependencies.get_mut("pyo3") {
        None => default(dependencies, "pyo3", version),
        Some(Value::Table(pyo3)) => {
            let says_where = ["version", "path", "git", "workspace"].iter().any(|key| pyo3.contains_key(*key));
            if !says_where {
                default(pyo3, "version", version);
            }
        }
        Some(_) => {}
    }
}

/// `dev` is for the shortest wait after an edit; `fast` and `small` are `release`, taken further.
/// Incremental compilation halves that wait for a long script. For a short one it gains nothing, costs disk,
/// and the first build takes longer.
pub fn add_profiles(profiles: &mut Table, is_long: bool) {
    let dev = table(profiles, "dev");
    // Who asks for debug information wants to keep it.
    let has_debug = has_debug_information(dev);
    default(dev, "debug", 0);
    default(dev, "strip", !has_debug);
    default(dev, "incremental", is_long);
    for (name, settings) in [
        ("release", &[] as &[(&str, Value)]),
        ("fast", &[("lto", "fat".into()), ("codegen-units", 1.into())]),
        ("small", &[("opt-level", "z".into()), ("lto", "fat".into()), ("codegen-units", 1.into())]),
    ] {
        let profile = table(profiles, name);
        if !has_debug_information(profile) {
            default(profile, "strip", "debuginfo");
        }
        if name != "release" {
            default(profile, "inherits", "release");
        }
        for (key, value) in settings {
            default(profile, key, value.clone());
        }
    }
}

/// Whether a profile asks for debug information.
pub fn has_debug_information(profile: &Table) -> bool {
    match profile.get("debug") {
        None | Some(Value::Boolean(false) | Value::Integer(0)) => false,
        Some(value) => value.as_str() != Some("none"),
    }
}

/// What makes a profile of ours, `fast` or `small`, besides what every profile has.
pub fn profile(name: &str) -> Vec<(String, Value)> {
    let mut profiles = Table::new();
    add_profiles(&mut profiles, true);
    match profiles.remove(name) {
        Some(Value::Table(profile)) if ["fast", "small"].contains(&name) => profile.into_iter().collect(),
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fuzz::request;

    fn manifest(source: &str) -> Table {
        let script = Script::parse(Path::new("/s/m.rs"), source.as_bytes()).unwrap();
        let settings = BuildSettings { profile: "dev".into(), pyo3: ">=0.23".into(), ..BuildSettings::default() };
        cargo_manifest(&request(), &script, &settings, Path::new("/l.rs"))
    }

    #[test]
    fn completes_what_the_script_says() {
        let check = |source: &str, pointer: &[&str], expected: Option<&str>| {
            let manifest = Value::Table(manifest(source));
            let found = pointer.iter().try_fold(&manifest, |value, key| value.get(key));
            assert_eq!(found.map(ToString::to_string).as_deref(), expected, "{pointer:?} in {source}");
        };
        let pyo3 = &["dependencies", "pyo3"];
        check("// rustimport:pyo3", pyo3, Some("\">=0.23\""));
        check("use pyo3::prelude::*;", pyo3, Some("\">=0.23\""));
        check("// rustimport", pyo3, None);
        check("// rustimport:pyo3\n//: [dependencies]\n//: pyo3 = '0.29'", pyo3, Some("\"0.29\""));
        let abi3 = "// rustimport:pyo3\n//: [dependencies.pyo3]\n//: features = ['abi3']";
        check(abi3, &["dependencies", "pyo3", "version"], Some("\">=0.23\""));
        let named = "//: [package]\n//: name = 'mine'\n//: version = '3.0.0'\n//: build = 'build.rs'\n//: [lib]\n//: name = 'x'";
        check(named, &["package", "name"], Some("\"m_0123\""));
        check(named, &["package", "version"], Some("\"3.0.0\""));
        check(named, &["package", "build"], Some("\"/s/build.rs\""));
        check(named, &["lib", "name"], Some("\"m_0123\""));
        let path = "//: [target.'cfg(unix)'.dependencies]\n//: helper = { path = '../helper' }\n//: [patch.crates-io]\n//: x = { path = 'x' }";
        check(path, &["target", "cfg(unix)", "dependencies", "helper", "path"], Some("\"/s/../helper\""));
        check(path, &["patch", "crates-io", "x", "path"], Some("\"/s/x\""));
        check("//: [profile.dev]\n//: opt-level = 3", &["profile", "dev", "opt-level"], Some("3"));
        check("//: [profile.dev]\n//: opt-level = 3", &["profile", "dev", "debug"], Some("0"));
    }

    #[test]
    fn names_are_cargo_names() {
        let check = |entry: &str, expected: &str| assert_eq!(package_name(entry), expected);
        check("somecode-12ab", "somecode_12ab");
        check("3d-12ab", "m3d_12ab");
        check("größe-1", "gr_e_1");
        check("_UPPER_-12ab", "upper_12ab");
        assert!(pyproject(&request()).contains("module-name = \"m\""));
    }
}
