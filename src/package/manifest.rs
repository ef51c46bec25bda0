//! Generates the `Cargo.toml` and the `pyproject.toml` of the package that maturin builds for a script, and completes
//! the `Cargo.toml` of a crate. Nothing is written here.

use std::path::Path;

use semver::{Version, VersionReq};
use serde::Serialize;
use toml::{Table, Value};

use crate::env::request::Request;
use crate::env::settings::BuildSettings;
use crate::script::header::Template;
use crate::script::parse::Script;

/// The name of the generated library root in the package's folder. Scripts do not use this name.
pub const GENERATED: &str = "__rustimport.rs";

/// The subfolder of the package's folder for a copy of the script, if one is needed.
pub const COPY_FOLDER: &str = "copy";

const DEPENDENCY_TABLES: [&str; 3] = ["dependencies", "dev-dependencies", "build-dependencies"];

/// The unique name of an entry's package and library. If two packages in one target folder had the same name, cargo
/// could silently return the artifact of the other. The script's name comes first, since log filters match prefixes.
pub fn package_name(entry: &str) -> String {
    // rustc warns about crate names that are not in snake case.
    let letters = entry.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' });
    let name: String = letters.collect();
    let parts: Vec<&str> = name.split('_').filter(|part| !part.is_empty()).collect();
    let name = parts.join("_");
    // Cargo does not accept names that begin with a digit.
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("m{name}") } else { name }
}

/// The completed manifest of a script. The `//:` lines take precedence over defaults, but not over the package's name
/// and the library's name, path and crate type.
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
    // An empty table, so that cargo does not search for a workspace in the folders above.
    table(&mut manifest, "workspace");
    add_profiles(table(&mut manifest, "profile"), script.is_long());
    manifest
}

/// The `pyproject.toml` for maturin. `module-name` is the name in Python.
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
    /// Disabled, since the wheel is not distributed but unpacked.
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

/// The table with a name, created if it is missing.
pub fn table<'a>(parent: &'a mut Table, key: &str) -> &'a mut Table {
    let value = parent.entry(key).or_insert_with(|| Table::new().into());
    if !value.is_table() {
        *value = Table::new().into();
    }
    value.as_table_mut().expect("a table was created above")
}

/// Sets a key, unless it has a value.
pub fn default(table: &mut Table, key: &str, value: impl Into<Value>) {
    table.entry(key).or_insert_with(|| value.into());
}

fn absolute(folder: &Path, path: &str) -> String {
    folder.join(path).display().to_string()
}

/// Declares the features in `--features`, as `maturin_import_hook` does, except those of dependencies.
fn declare_features(manifest: &mut Table, arguments: &[String]) {
    let values = arguments.iter().zip(arguments.iter().skip(1)).filter(|(option, _)| *option == "--features");
    let names = values.flat_map(|(_, names)| names.split([',', ' '])).filter(|name| !name.is_empty());
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

/// Makes every `path` of a dependency absolute. In the script it is relative to the script's folder.
fn anchor_dependencies(table: &mut Table, folder: &Path) {
    for_each_path(table, &mut |path| *path = absolute(folder, path));
}

/// Calls `change` with every `path` of a dependency, in all tables in which cargo allows one.
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

/// The completed manifest of a crate: with a dynamic library, and with pyo3 if the crate uses the template. `library`
/// is the library root, if it is generated.
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
    if script.header.template.is_some_and(Template::uses_pyo3) {
        complete_pyo3(table(&mut manifest, "dependencies"), &settings.pyo3);
    }
    manifest
}

/// Adds pyo3, or its version if the manifest names pyo3 without a version or source.
pub fn complete_pyo3(dependencies: &mut Table, version: &str) {
    match dependencies.get_mut("pyo3") {
        None => default(dependencies, "pyo3", version),
        Some(Value::Table(pyo3)) => {
            let has_source = ["version", "path", "git", "workspace"].iter().any(|key| pyo3.contains_key(*key));
            if !has_source {
                default(pyo3, "version", version);
            }
        }
        Some(_) => {}
    }
}

/// The feature with which pyo3 describes the module in its library, for `--features`; `None` without pyo3, or with one
/// that is too old. `open` is the version of a pyo3 that the manifest does not name.
pub fn introspection_feature(manifest: &Table, open: Option<&str>) -> Option<String> {
    // The first pyo3 that writes the present format is 0.28.
    let is_new = |version: &str| {
        let allows =
            |required: &VersionReq, minor| (0..30).any(|patch| required.matches(&Version::new(0, minor, patch)));
        let later = |required: VersionReq| (28..100).any(|minor| allows(&required, minor));
        VersionReq::parse(version).is_ok_and(later)
    };
    let dependencies = manifest.get("dependencies").and_then(Value::as_table);
    let is_pyo3 =
        |(name, value): &(&String, &Value)| value.get("package").and_then(Value::as_str).unwrap_or(name) == "pyo3";
    let Some((name, value)) = dependencies.and_then(|found| found.iter().find(is_pyo3)) else {
        return open.filter(|version| is_new(version)).map(|_| "pyo3/experimental-inspect".into());
    };
    let version = value.as_str().or_else(|| value.get("version")?.as_str()).or(open);
    let is_optional = value.get("optional") == Some(&Value::Boolean(true));
    (version.is_none_or(is_new) && !is_optional).then(|| format!("{name}/experimental-inspect"))
}

/// Adds the default profiles. `dev` is for short builds after an edit; `fast` and `small` inherit from `release`.
///
/// Incremental compilation halves the time of such a build for a long script. For a short one it is not faster, uses
/// disk space, and makes the first build longer.
pub fn add_profiles(profiles: &mut Table, is_long: bool) {
    let dev = table(profiles, "dev");
    // Do not strip debug information that the user enabled.
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

/// Whether a profile enables debug information.
pub fn has_debug_information(profile: &Table) -> bool {
    match profile.get("debug") {
        None | Some(Value::Boolean(false) | Value::Integer(0)) => false,
        Some(value) => value.as_str() != Some("none"),
    }
}

/// The settings of our profile `fast` or `small`; empty for other profiles.
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
    fn script_manifests_are_completed() {
        let check = |source: &str, pointer: &[&str], expected: Option<&str>| {
            let manifest = Value::Table(manifest(source));
            let found = pointer.iter().try_fold(&manifest, |value, key| value.get(key));
            let mut found = found.map(ToString::to_string);
            if cfg!(windows) {
                found = found.map(|value| value.replace('\\', "/").replace('\'', "\""));
            }
            assert_eq!(found.as_deref(), expected, "{pointer:?} in {source}");
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
    fn package_names_are_valid_for_cargo() {
        let check = |entry: &str, expected: &str| assert_eq!(package_name(entry), expected);
        check("somecode-12ab", "somecode_12ab");
        check("3d-12ab", "m3d_12ab");
        check("größe-1", "gr_e_1");
        check("_UPPER_-12ab", "upper_12ab");
        assert!(pyproject(&request()).contains("module-name = \"m\""));
    }
}
