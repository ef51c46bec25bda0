//! Lists the modules of projects that are installed in editable mode, so that an import of any other module costs one
//! dictionary lookup. It does not check whether a project is fresh.
//!
//! The index is a text that Python reads by itself (`_projects.ProjectFinder`). If any file in it has changed, Python
//! calls [`index`] again.
//!
//! ```text
//! rustimport-projects 3 <name of this file, which identifies the folders>
//! L <mtime> <ctime>\t<site folder>
//! M\t<missing site folder, or missing file that the index would depend on>
//! F <size> <mtime> <ctime>\t<file that the index depends on, or that names or settings were read from>
//! P\t<project>\t<dist-info>\t<name of the extension module>\t<name>\t…
//! R\t<folder of its Python files, if outside the project>
//! <hash of all the above>
//! ```
//!
//! A project's names are those by which an import enters it: the first part that is not a namespace package.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::base::fs::{self, Stat, Watched};
use crate::base::text::escape;
use crate::build::wheel::is_native;
use crate::env::interpreter::Interpreter;
use crate::env::settings::{self, PYPROJECT};
use crate::freshness::stamp::sealed;
use crate::package::krate;
use crate::projects::installation::{Environment, Installation, pyproject_of, uses_maturin};

/// An editable project, and the names by which it is imported.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    pub installation: Installation,
    /// The manifest of the package that is built.
    manifest: PathBuf,
    /// The full name of its extension module, according to its manifests.
    pub module: String,
    pub names: Vec<String>,
}

/// Searches site folders. `automatic`: includes projects that were installed from a folder but not in editable mode.
///
/// `watched` receives the files that the result depends on, each with its stat from before it was read.
fn scan(folders: &[PathBuf], automatic: bool, watched: &mut Vec<Watched>) -> Vec<Entry> {
    let mut newest: BTreeMap<PathBuf, (Option<Stat>, Installation)> = BTreeMap::new();
    for folder in folders {
        for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = item.path();
            if path.extension().is_none_or(|kind| kind != "dist-info") {
                continue;
            }
            watched.extend(Installation::decisive_files(&path).iter().map(|file| fs::watch(file)));
            let Some(found) = Installation::read(&path).filter(|found| found.is_editable || automatic) else {
                continue;
            };
            // A project that was renamed may have left its old name behind.
            let stat = Stat::of(&path.join("direct_url.json"));
            let time = |stat: &Option<Stat>| stat.map_or(0, |stat| stat.mtime);
            match newest.get(&found.project) {
                Some((known, other)) if other.site() != found.site() || time(known) >= time(&stat) => {}
                _ => drop(newest.insert(found.project.clone(), (stat, found))),
            }
        }
    }
    newest.into_values().map(|(_, installation)| entry(installation)).collect()
}

/// Makes the entry of a project. It has no names if the project disables rustimport.
fn entry(installation: Installation) -> Entry {
    let pyproject = pyproject_of(&installation.project);
    let maturin = maturin_of(&pyproject);
    let manifest = manifest_of(&installation.project, &maturin);
    // Developers of rustimport build it themselves with `maturin develop`.
    if settings::is_disabled(&installation.project) || installation.name == "rustimport" {
        return Entry { installation, manifest, module: String::new(), names: Vec::new() };
    }
    let cargo = krate::manifest_in(manifest.parent().unwrap_or(Path::new("/")));
    let module = module_of(&installation.name, &pyproject, &cargo);
    let packages = maturin.get("python-packages").and_then(Value::as_array).into_iter().flatten();
    let mut declared: Vec<String> = packages.filter_map(Value::as_str).map(str::to_owned).collect();
    declared.insert(0, module.clone());
    let mut names = Vec::new();
    // RECORD lists the files that are installed in the site folder.
    let site = installation.site();
    for file in installation.files.iter().filter_map(|file| file.strip_prefix(site).ok()) {
        let Some(first) = file.components().next().and_then(|part| part.as_os_str().to_str()) else { continue };
        let is_file = file.components().count() == 1;
        let kind = Path::new(first);
        if is_file && !is_native(kind) && kind.extension().is_none_or(|kind| kind != "py") {
            continue;
        }
        let first = if is_file { first.split('.').next().unwrap_or_default() } else { first };
        if !first.contains('.') && first != "__pycache__" {
            names.push(way_in(site, first, &declared));
        }
    }
    for root in &installation.roots {
        names.extend(declared.iter().map(|name| way_in(root, name, &declared)));
    }
    let distribution = installation.name.replace('-', "_");
    let is_there = |root: &PathBuf| root.join(&distribution).is_dir();
    if installation.dist_info.exists() && (names.is_empty() || installation.roots.iter().any(is_there)) {
        names.push(distribution);
    }
    if names.is_empty() {
        names.push(module.split('.').next().unwrap_or_default().to_owned());
    }
    names.sort();
    names.dedup();
    Entry { installation, manifest, module, names }
}

/// The full name of a project's extension module, according to its manifests; `distribution` is the name of the
/// installed distribution.
pub fn module_of(distribution: &str, pyproject: &Table, manifest: &Table) -> String {
    let text = |table: Option<&Value>, key: &str| Some(table?.get(key)?.as_str()?.replace('-', "_"));
    let maturin = pyproject.get("tool").and_then(|tool| tool.get("maturin"));
    text(maturin, "module-name")
        .or_else(|| text(manifest.get("lib"), "name"))
        .or_else(|| text(pyproject.get("project"), "name"))
        .or_else(|| text(manifest.get("package"), "name"))
        .unwrap_or_else(|| distribution.replace('-', "_"))
}

/// The part of a name by which an import enters the project: the namespace packages before it may contain modules of
/// other projects.
fn way_in(root: &Path, name: &str, declared: &[String]) -> String {
    let longest =
        declared.iter().filter(|other| other.starts_with(&format!("{name}."))).max_by_key(|other| other.len());
    let mut parts = longest.map_or(name, String::as_str).split('.');
    let mut way = parts.next().unwrap_or_default().to_owned();
    let mut folder = root.join(&way);
    while folder.is_dir() && !folder.join("__init__.py").exists() {
        let Some(part) = parts.next() else { break };
        way = format!("{way}.{part}");
        folder.push(part);
    }
    way
}

/// The table `[tool.maturin]` of a pyproject.toml.
pub fn maturin_of(pyproject: &Table) -> Table {
    pyproject.get("tool").and_then(|tool| tool.get("maturin")?.as_table()).cloned().unwrap_or_default()
}

/// The manifest that maturin uses for a project; `maturin` is its table in pyproject.toml.
pub fn manifest_of(project: &Path, maturin: &Table) -> PathBuf {
    let named = maturin.get("manifest-path").and_then(Value::as_str).map(|path| project.join(path));
    let usual = [project.join("Cargo.toml"), project.join("rust").join("Cargo.toml")];
    named.or_else(|| usual.iter().find(|path| path.is_file()).cloned()).unwrap_or_else(|| project.join("Cargo.toml"))
}

/// Makes the index of all projects that could be installed: also those that were installed from a folder but not in
/// editable mode, and those in a parent folder of one of `entries` of `sys.path`. It is not written to a file, since it
/// is valid for this process only.
pub fn index_all(folders: &[PathBuf], entries: &[PathBuf]) -> String {
    let mut found = scan(folders, true, &mut Vec::new());
    let is_own = |folder: &&PathBuf| Environment::around(folder).is_some();
    let site = folders.iter().find(is_own).or(folders.first()).map_or(Path::new("/"), PathBuf::as_path);
    for folder in entries.iter().flat_map(|entry| entry.ancestors()) {
        let is_known = found.iter().any(|entry| entry.installation.project == folder);
        if !is_known && uses_maturin(folder) {
            found.push(entry(Installation::missing(site, folder)));
        }
    }
    lines_of(&found)
}

/// Makes the index of some site folders, and writes it to `file` if that can be written.
pub fn index(folders: &[PathBuf], file: &Path, interpreter: &Interpreter) -> String {
    // Before anything is read, so that later changes are detected.
    let watched: Vec<Watched> = folders.iter().map(|folder| fs::watch(folder)).collect();
    let mut decisive = Vec::new();
    let entries = scan(folders, false, &mut decisive);
    let name = file.file_name().unwrap_or_default().display();
    let mut text = format!("rustimport-projects 3 {name}\n");
    for (folder, stat) in &watched {
        let _ = match stat {
            Some(stat) => writeln!(text, "L {} {}\t{}", stat.mtime, stat.ctime, escape(folder)),
            None if folder.exists() => writeln!(text, "L -\t{}", escape(folder)),
            None => writeln!(text, "M\t{}", escape(folder)),
        };
    }
    let of_projects = entries.iter().flat_map(|Entry { installation, manifest, .. }| {
        let files = [installation.project.join(PYPROJECT), manifest.clone()];
        // An import of the project reports a missing file.
        files.into_iter().filter(|path| path.exists())
    });
    for (path, stat) in decisive.into_iter().chain(of_projects.map(|path| fs::watch(&path))) {
        let _ = match stat {
            Some(stat) => writeln!(text, "F {} {} {}\t{}", stat.size, stat.mtime, stat.ctime, escape(&path)),
            // It changed while it was being read.
            None if path.exists() => writeln!(text, "F -\t{}", escape(&path)),
            None => writeln!(text, "M\t{}", escape(&path)),
        };
    }
    text += &lines_of(&entries);
    let text = sealed(text, interpreter);
    // An error is ignored, since the file only saves time.
    if file.is_absolute() && file.parent().is_some_and(|folder| fs::create_private_folder(folder).is_ok()) {
        let _ = fs::write(file, text.as_bytes());
    }
    text
}

fn lines_of(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { installation, module, names, .. } in entries.iter().filter(|entry| !entry.names.is_empty()) {
        let (project, dist_info) = (escape(&installation.project), escape(&installation.dist_info));
        let _ = writeln!(text, "P\t{project}\t{dist_info}\t{module}\t{}", names.join("\t"));
        for root in installation.roots.iter().filter(|root| !root.starts_with(&installation.project)) {
            let _ = writeln!(text, "R\t{}", escape(root));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        let folder = tempfile::tempdir().unwrap();
        let (site, project) = (folder.path().join("site-packages"), folder.path().join("a project"));
        let dist_info = site.join("the_dist-1.0.dist-info");
        let check = |manifest: &str, pyproject: &str, record: &str, files: &[&str], expected: &[&str]| {
            let _ = std::fs::remove_dir_all(folder.path().join("site-packages"));
            let _ = std::fs::remove_dir_all(&project);
            let write = |path: PathBuf, text: &str| {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            };
            let url = crate::base::paths::url_of(&project);
            let direct = format!(r#"{{"url": "{url}", "dir_info": {{"editable": true}}}}"#);
            write(dist_info.join("direct_url.json"), &direct);
            write(dist_info.join("WHEEL"), "Generator: maturin (1.16.0)\n");
            write(dist_info.join("RECORD"), record);
            write(site.join("the_dist.pth"), &project.join("python").display().to_string());
            write(project.join("Cargo.toml"), manifest);
            write(project.join(PYPROJECT), pyproject);
            for file in files {
                write(project.join(file), "");
            }
            let found = scan(std::slice::from_ref(&site), false, &mut Vec::new());
            let names: Vec<&str> = found.iter().flat_map(|entry| &entry.names).map(String::as_str).collect();
            assert_eq!(names, expected, "{manifest} {pyproject} {record}");
        };
        let package = "[package]\nname = 'my-crate'\n";
        let pth = "the_dist.pth,,\n";
        check(package, "", "my_crate/__init__.py,,\nmy_crate/my_crate.so,,\n", &[], &["my_crate"]);
        check(package, "", "my_crate.cpython-311.so,,\n../../../bin/x,,\n", &[], &["my_crate"]);
        check(package, "", pth, &["python/my_crate/__init__.py", "python/other/__init__.py"], &["my_crate"]);
        check(
            "[lib]\nname = 'l'",
            "",
            pth,
            &["python/l/__init__.py", "python/the_dist/__init__.py"],
            &["l", "the_dist"],
        );
        let named = "[tool.maturin]\nmodule-name = 'ns.pkg._lib'\npython-packages = ['ns', 'extra']";
        check(package, named, pth, &["python/ns/pkg/__init__.py", "python/extra/__init__.py"], &["extra", "ns.pkg"]);
        check(package, "[tool.maturin]\nmodule-name = 'ns._lib'", pth, &["python/ns/x.txt"], &["ns._lib"]);
        check("broken [", "broken [", pth, &[], &["the_dist"]);
        check(package, "[tool.rustimport]\nenabled = false", pth, &[], &[]);
    }
}
