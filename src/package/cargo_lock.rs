//! Reads and merges Cargo's lock files. The lock file of a new script is seeded from a common lock file in the cache,
//! so that all scripts use the same versions and dependencies are compiled once for all of them. Cargo resolves
//! versions; here they are only copied.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use toml::{Table, Value};

use crate::base::error::Result;
use crate::base::fs;

type Id = (String, String, String);

/// Adds every locked version to the lock file at `lock` that the common lock file has and `lock` lacks. If a dependency
/// in the manifest allows several locked versions, only the newest is kept: cargo would use any of them.
pub fn seed(lock: &Path, common: &Path, manifest: &Table) -> Result<()> {
    let Some(common) = read(common) else {
        // Cargo does not replace a lock file that it cannot read.
        if lock.exists() && read(lock).is_none() {
            fs::remove_tree(lock)?;
        }
        return Ok(());
    };
    let mut seeded = merge(read(lock).unwrap_or_default(), common);
    for (name, requirement, _) in dependencies(manifest) {
        let Some(requirement) = requirement else { continue };
        let version =
            |id: &Id| Version::parse(&id.1).ok().filter(|version| id.0 == name && requirement.matches(version));
        let newest = seeded.keys().filter_map(version).max();
        seeded.retain(|id, _| version(id).is_none_or(|version| Some(version) == newest));
    }
    fs::write(lock, render(&seeded).as_bytes()).map(drop)
}

const DEPENDENCIES: [&str; 2] = ["dependencies", "build-dependencies"];

fn tables(manifest: &Table) -> impl Iterator<Item = &Table> {
    DEPENDENCIES.into_iter().filter_map(|name| manifest.get(name)?.as_table())
}

/// The direct dependencies with their package names, the required version, and whether they are local.
pub fn dependencies(manifest: &Table) -> impl Iterator<Item = (&str, Option<VersionReq>, bool)> {
    tables(manifest).flatten().map(|(name, value)| {
        let version = value.as_str().or_else(|| value.get("version")?.as_str());
        let name = value.get("package").and_then(Value::as_str).unwrap_or(name);
        (name, version.and_then(|version| VersionReq::parse(version).ok()), value.get("path").is_some())
    })
}

/// All direct and indirect dependencies of a manifest, with their versions; and the manifests of the local ones, and of
/// the folders above them, which may be workspaces.
pub type Closure = (BTreeSet<String>, BTreeMap<PathBuf, String>);

/// The closure of a manifest's dependencies; `None` if one of them is not in the lock file.
pub fn closure(lock: &Path, manifest: &Table) -> Option<Closure> {
    let packages = read(lock)?;
    let mut found = BTreeSet::new();
    let mut manifests = BTreeMap::new();
    let mut local = vec![manifest.clone()];
    while let Some(manifest) = local.pop() {
        follow(&packages, &manifest, &mut found)?;
        for folder in local_dependencies(&manifest) {
            let text = fs::read_text(folder.join("Cargo.toml")).ok()?;
            let mut table: Table = text.parse().ok()?;
            anchor_paths(&mut table, &folder);
            for parent in folder.ancestors().skip(1).map(|parent| parent.join("Cargo.toml")) {
                if let Ok(text) = fs::read_text(&parent) {
                    manifests.insert(parent, text);
                }
            }
            if manifests.insert(folder, text).is_none() {
                local.push(table);
            }
        }
    }
    Some((found, manifests))
}

/// Adds the non-local dependencies of a manifest, direct and indirect, to `found`.
fn follow(packages: &BTreeMap<Id, Table>, manifest: &Table, found: &mut BTreeSet<String>) -> Option<()> {
    let non_local = dependencies(manifest).filter(|(_, _, is_local)| !is_local);
    let direct = non_local.map(|(name, requirement, _)| {
        let versions = packages.keys().filter(|id| id.0 == name);
        let matching = versions.filter(|id| match &requirement {
            Some(requirement) => Version::parse(&id.1).is_ok_and(|version| requirement.matches(&version)),
            None => true,
        });
        matching.max_by_key(|id| Version::parse(&id.1).ok())
    });
    let mut todo: Vec<&Id> = direct.collect::<Option<_>>()?;
    while let Some(id) = todo.pop() {
        if !found.insert(format!("{} {}", id.0, id.1)) {
            continue;
        }
        let names = packages[id].get("dependencies").and_then(Value::as_array).into_iter().flatten();
        for name in names.filter_map(Value::as_str) {
            todo.extend(packages.keys().find(|(n, version, _)| {
                let mut words = name.split(' ');
                words.next() == Some(n) && words.next() == Some(version)
            }));
        }
    }
    Some(())
}

/// The folders of a manifest's path dependencies. The paths are absolute already.
fn local_dependencies(manifest: &Table) -> Vec<PathBuf> {
    let paths = tables(manifest).flatten().filter_map(|(_, value)| value.get("path")?.as_str());
    paths.map(PathBuf::from).collect()
}

/// Makes the paths of dependencies absolute.
fn anchor_paths(manifest: &mut Table, folder: &Path) {
    for name in DEPENDENCIES {
        let table = manifest.get_mut(name).and_then(Value::as_table_mut);
        for (_, dependency) in table.into_iter().flatten() {
            if let Some(Value::String(path)) = dependency.get_mut("path") {
                *path = folder.join(&*path).display().to_string();
            }
        }
    }
}

/// The names of all packages in a lock file.
pub fn packages(lock: &Path) -> BTreeSet<String> {
    read(lock).unwrap_or_default().into_keys().map(|(name, ..)| name).collect()
}

/// The names of all packages that are not local: their sources do not change.
pub fn non_local_packages(lock: &Path) -> BTreeSet<String> {
    let packages = read(lock).unwrap_or_default().into_keys();
    packages.filter(|(_, _, source)| !source.is_empty()).map(|(name, ..)| name).collect()
}

/// Adds the versions that a build resolved to the common lock file.
pub fn share(lock: &Path, common: &Path) -> Result<()> {
    let Some(resolved) = non_local(lock) else { return Ok(()) };
    fs::write(common, render(&merge(read(common).unwrap_or_default(), resolved)).as_bytes()).map(drop)
}

/// The same, in place of compatible versions that the common lock file has.
pub fn share_first(lock: &Path, common: &Path) -> Result<()> {
    let Some(resolved) = non_local(lock) else { return Ok(()) };
    fs::write(common, render(&merge(resolved, read(common).unwrap_or_default())).as_bytes()).map(drop)
}

/// The packages that are not local. One without a source is the script itself, or a path dependency.
fn non_local(lock: &Path) -> Option<BTreeMap<Id, Table>> {
    let mut packages = read(lock)?;
    packages.retain(|(_, _, source), _| !source.is_empty());
    Some(packages)
}

/// The version of each non-local package, with the commit if it is from git.
pub fn versions(lock: &Path) -> BTreeSet<(String, String)> {
    let version = |version: String, source: &str| match source.split_once('#') {
        Some((_, commit)) => format!("{version} ({})", commit.get(..8).unwrap_or(commit)),
        None => version,
    };
    let packages = non_local(lock).unwrap_or_default().into_keys();
    packages.map(|(name, found, source)| (name, version(found, &source))).collect()
}

/// The differences between two sets of versions, one line for each package.
pub fn moved(before: &BTreeSet<(String, String)>, after: &BTreeSet<(String, String)>) -> Vec<String> {
    let of = |name: &str, here: &BTreeSet<(String, String)>, there: &BTreeSet<(String, String)>| {
        let own: Vec<String> = here.difference(there).filter(|(own, _)| own == name).map(|(_, v)| v.clone()).collect();
        own.join(", ")
    };
    let names: BTreeSet<&str> = before.symmetric_difference(after).map(|(name, _)| name.as_str()).collect();
    let line = |name: &str| match (of(name, before, after), of(name, after, before)) {
        (old, new) if old.is_empty() => format!("{name}: added {new}"),
        (old, new) if new.is_empty() => format!("{name}: removed {old}"),
        (old, new) => format!("{name}: {old} -> {new}"),
    };
    names.into_iter().map(line).collect()
}

/// The names of all local packages in a lock file: the root, and path dependencies.
pub fn local_packages(lock: &Path) -> Vec<String> {
    let packages = read(lock).unwrap_or_default();
    packages.into_keys().filter(|(_, _, source)| source.is_empty()).map(|(name, ..)| name).collect()
}

/// All packages in `first`, and those in `second` that are not compatible versions of one in `first`.
fn merge(first: BTreeMap<Id, Table>, second: BTreeMap<Id, Table>) -> BTreeMap<Id, Table> {
    let ids: Vec<Id> = first.keys().cloned().collect();
    let mut merged = first;
    for (id, package) in second {
        // Of a git repository, there is one commit for each branch or tag.
        let place = |source: &str| source.split('#').next().map(str::to_owned);
        let rival = |(name, version, source): &Id| {
            *name == id.0 && place(source) == place(&id.2) && compatible(version) == compatible(&id.1)
        };
        if !ids.iter().any(rival) {
            merged.insert(id, package);
        }
    }
    merged
}

/// The part of a version that determines compatibility: cargo uses one version for all that agree in it.
fn compatible(version: &str) -> &str {
    let mut end = 0;
    for part in version.split(['.', '-', '+']) {
        end += part.len();
        if part != "0" {
            break;
        }
        end += 1;
    }
    &version[..end.min(version.len())]
}

/// The packages of a lock file, with the full form of their dependencies. A lock file may have only the name if there
/// is one package of that name, but a merged one can have several.
fn read(path: &Path) -> Option<BTreeMap<Id, Table>> {
    let mut lock: Table = std::str::from_utf8(&fs::read(path).ok()?).ok()?.parse().ok()?;
    let Some(Value::Array(packages)) = lock.remove("package") else { return Some(BTreeMap::new()) };
    let mut by_id = BTreeMap::new();
    for package in packages {
        let Value::Table(package) = package else { continue };
        by_id.insert(id(&package)?, package);
    }
    let ids: Vec<Id> = by_id.keys().cloned().collect();
    for package in by_id.values_mut() {
        if let Some(Value::Array(dependencies)) = package.get_mut("dependencies") {
            for dependency in dependencies {
                *dependency = in_full(dependency.as_str()?, &ids).into();
            }
        }
    }
    Some(by_id)
}

fn id(package: &Table) -> Option<Id> {
    let text = |key: &str| package.get(key).and_then(Value::as_str).map(str::to_owned);
    Some((text("name")?, text("version")?, text("source").unwrap_or_default()))
}

fn in_full(dependency: &str, ids: &[Id]) -> String {
    let mut words = dependency.splitn(3, ' ');
    let (name, version, source) = (words.next(), words.next(), words.next());
    let found = ids.iter().find(|(n, v, s)| {
        name == Some(n)
            && version.is_none_or(|version| version == v)
            && source.is_none_or(|source| source == format!("({s})"))
    });
    match found {
        Some((name, version, source)) if source.is_empty() => format!("{name} {version}"),
        Some((name, version, source)) => format!("{name} {version} ({source})"),
        None => dependency.to_owned(),
    }
}

fn render(packages: &BTreeMap<Id, Table>) -> String {
    let mut lock = Table::new();
    // Every supported cargo reads format 3 and keeps it. Format 4 only differs in the encoding of some git URLs.
    lock.insert("version".into(), 3.into());
    lock.insert("package".into(), packages.values().cloned().map(Value::Table).collect::<Vec<_>>().into());
    lock.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

    fn lock(packages: &[(&str, &str, &[&str])]) -> String {
        let mut text = String::from("version = 4\n");
        for (name, version, dependencies) in packages {
            text.push_str(&format!(
                "[[package]]\nname = '{name}'\nversion = '{version}'\nsource = '{REGISTRY}'\ndependencies = {dependencies:?}\n"
            ));
        }
        text
    }

    #[test]
    fn merging_keeps_versions_and_unambiguous_names() {
        let folder = tempfile::tempdir().unwrap();
        let (own, common) = (folder.path().join("own"), folder.path().join("common"));
        std::fs::write(&common, lock(&[("rand", "0.8.5", &["libc"]), ("libc", "0.2.1", &[])])).unwrap();
        let newer = lock(&[("rand", "0.8.9", &[]), ("rand", "0.9.0", &["libc"]), ("libc", "0.2.1", &[])]);
        let local = "[[package]]\nname = 'm_1'\nversion = '0.1.0'\ndependencies = ['rand 0.9.0']\n";
        std::fs::write(&own, newer + local).unwrap();
        assert_eq!(local_packages(&own), ["m_1"]);
        share(&own, &common).unwrap();
        let names: Vec<String> = read(&common).unwrap().into_keys().map(|(n, v, _)| format!("{n} {v}")).collect();
        assert_eq!(names, ["libc 0.2.1", "rand 0.8.5", "rand 0.9.0"]);
        assert!(fs::read_text(&common).unwrap().contains(&format!("libc 0.2.1 ({REGISTRY})")));
        std::fs::remove_file(&own).unwrap();
        seed(&own, &common, &Table::new()).unwrap();
        assert_eq!(fs::read(&own).unwrap(), fs::read(&common).unwrap());
    }

    #[test]
    fn the_newest_of_several_versions_is_seeded() {
        let folder = tempfile::tempdir().unwrap();
        let (own, common) = (folder.path().join("own"), folder.path().join("common"));
        std::fs::write(&common, lock(&[("pyo3", "0.29.3", &[]), ("pyo3", "0.30.1", &[]), ("libc", "0.2.1", &[])]))
            .unwrap();
        let check = |requirement: &str, expected: &[&str]| {
            let _ = std::fs::remove_file(&own);
            let manifest = format!("[dependencies]\npyo3 = {{ version = '{requirement}' }}").parse().unwrap();
            seed(&own, &common, &manifest).unwrap();
            let versions: Vec<String> = read(&own).unwrap().into_keys().map(|(_, version, _)| version).collect();
            assert_eq!(versions, expected, "{requirement}");
        };
        check(">=0.23, <0.31", &["0.2.1", "0.30.1"]);
        check("0.29", &["0.2.1", "0.29.3", "0.30.1"]);
        check("0.23", &["0.2.1", "0.29.3", "0.30.1"]);
    }

    #[test]
    fn what_moved() {
        let set =
            |versions: &[(&str, &str)]| versions.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
        let before: BTreeSet<_> = set(&[("a", "1.0.0"), ("b", "1.0.0"), ("b", "2.0.0"), ("c", "1.0.0 (0123abcd)")]);
        let after = set(&[("b", "1.0.0"), ("b", "2.0.1"), ("c", "1.0.0 (4567abcd)"), ("d", "1.0.0")]);
        let expected =
            ["a: removed 1.0.0", "b: 2.0.0 -> 2.0.1", "c: 1.0.0 (0123abcd) -> 1.0.0 (4567abcd)", "d: added 1.0.0"];
        assert_eq!(moved(&before, &after), expected);
        assert!(moved(&before, &before).is_empty());
    }

    #[test]
    fn compatible_versions() {
        let check = |version: &str, expected: &str| assert_eq!(compatible(version), expected);
        check("1.2.3", "1");
        check("0.8.5", "0.8");
        check("0.0.3", "0.0.3");
        check("2.0.0-rc.1", "2");
        check("0.0.0", "0.0.0");
    }
}
