//! Locates files in cargo's build directory, in both of its layouts. No other module depends on these layouts. The
//! content of dep-info and build script output is parsed in [`super::dep_info`].
//!
//! Cargo documents its artifact directory and its JSON messages, and those are preferred. The build directory is
//! internal to cargo and may change with any version, so this module only uses paths for which there is no public
//! source:
//!
//! | what | flat layout | nested layout (cargo 1.100, nightly before) | why it is read |
//! | --- | --- | --- | --- |
//! | a unit's folder | – | `build/<package>/<hash>/` | |
//! | rustc's dep-info | `deps/<crate>[-<hash>].d` | `<unit>/out/<crate>[-<hash>].d` | `env!` variables; files of units |
//! | fingerprint | `.fingerprint/<package>-<hash>/` | `<unit>/fingerprint/` | set to 1970 to force a compilation |
//! | start of the compiler | `invoked.timestamp` in it | the same | detects edits during a build |
//! | features and flags | `lib-<crate>.json` in it | the same | what the user chose on maturin's command line |
//! | build script's output | `build/<package>-<hash>/output` | `<unit>/run/stdout` | variables that it depends on |
//! | its `OUT_DIR` | `build/<package>-<hash>/out` | `<unit>/run/out` (first nightlies: `<unit>/out`) | in cargo's messages |
//!
//! All paths are relative to `<build-dir>/[<triple>/]<profile>/`, the *profile folder*. It may contain both layouts if
//! cargo was updated. If a file is found in neither, the functions here return `None`, and the callers assume that any
//! file of the package may have been read ([`crate::build::compile::Compilation`]).

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::base::fs::{self, Stat};

/// The folders that cargo writes to: `target` for final artifacts, `build` for intermediate files. They are usually the
/// same.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Directories {
    pub target: PathBuf,
    pub build: PathBuf,
}

impl Directories {
    pub fn both(folder: &Path) -> Self {
        Self { target: folder.to_owned(), build: folder.to_owned() }
    }

    /// The profile folder of an artifact.
    pub fn profile_of(&self, artifact: &Path) -> PathBuf {
        let folder = artifact.parent().unwrap_or(artifact);
        folder.strip_prefix(&self.target).map_or_else(|_| folder.to_owned(), |inside| self.build.join(inside))
    }

    pub fn contain(&self, path: &Path) -> bool {
        path.starts_with(&self.target) || path.starts_with(&self.build)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    Flat,
    Nested,
}

/// The files that cargo keeps for one unit: a compiled library, program or build script, or the run of a build script.
#[derive(Debug, Clone, PartialEq, Eq)]
struct UnitFolder {
    layout: Layout,
    profile: PathBuf,
    package: String,
    hash: String,
}

impl UnitFolder {
    fn new(layout: Layout, profile: &Path, package: &str, hash: &str) -> Self {
        Self { layout, profile: profile.to_owned(), package: package.to_owned(), hash: hash.to_owned() }
    }

    fn name(&self) -> String {
        format!("{}-{}", self.package, self.hash)
    }

    /// The unit's folder in the nested layout.
    fn home(&self) -> PathBuf {
        self.profile.join(BUILD).join(&self.package).join(&self.hash)
    }

    fn fingerprint(&self) -> PathBuf {
        match self.layout {
            Layout::Flat => self.profile.join(FINGERPRINTS).join(self.name()),
            Layout::Nested => self.home().join("fingerprint"),
        }
    }

    /// The folder that the compiler writes to.
    fn compiled(&self) -> PathBuf {
        match self.layout {
            Layout::Flat => self.profile.join(DEPS),
            Layout::Nested => self.home().join("out"),
        }
    }

    /// The output of a build script, if it ran.
    fn script_output(&self) -> PathBuf {
        match self.layout {
            Layout::Flat => self.profile.join(BUILD).join(self.name()).join("output"),
            Layout::Nested => self.home().join("run").join("stdout"),
        }
    }

    /// The `OUT_DIR` of a build script that ran.
    fn script_out(&self) -> PathBuf {
        let sibling = self.script_output().with_file_name("out");
        match self.layout {
            Layout::Nested if !sibling.exists() => self.home().join("out"),
            _ => sibling,
        }
    }

    fn fingerprint_files(&self, start: &str) -> Vec<PathBuf> {
        let files = fs::items(&self.fingerprint()).filter(|file| file.file_name().to_string_lossy().starts_with(start));
        files.map(|file| file.path()).collect()
    }

    /// Whether cargo has finished it. Then the fingerprint contains a file with a hash of 16 digits.
    fn is_finished(&self) -> bool {
        fs::items(&self.fingerprint()).any(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            let is_hash = !name.contains('.') && !["dep-", "output-"].iter().any(|start| name.starts_with(start));
            is_hash && file.metadata().is_ok_and(|metadata| metadata.len() == 16)
        })
    }
}

const FINGERPRINTS: &str = ".fingerprint";
const DEPS: &str = "deps";
const BUILD: &str = "build";

/// Cargo writes this file when it starts the compiler or a build script.
const INVOKED: &str = "invoked.timestamp";

/// Cargo's cache of queries to rustc.
pub const RUSTC_INFO: &str = ".rustc_info.json";

fn time(path: &Path) -> Option<i64> {
    Stat::of(path).map(|stat| stat.mtime)
}

fn name_of(path: &Path) -> &str {
    path.file_name().and_then(OsStr::to_str).unwrap_or_default()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> + use<> {
    fs::items(folder).filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir())).map(|item| item.path())
}

/// All units in a profile folder.
fn units(profile: &Path) -> Vec<UnitFolder> {
    let packages = subfolders(&profile.join(BUILD));
    let nested = packages.flat_map(|package| nested_units(profile, name_of(&package)));
    flat_units(profile).into_iter().chain(nested).collect()
}

/// All units of one package.
fn units_of(profile: &Path, package: &str) -> Vec<UnitFolder> {
    let flat = flat_units(profile).into_iter().filter(|unit| unit.package == package);
    flat.chain(nested_units(profile, package)).collect()
}

fn flat_units(profile: &Path) -> Vec<UnitFolder> {
    let folders = subfolders(&profile.join(FINGERPRINTS));
    let unit = |folder: PathBuf| {
        let (package, hash) = name_of(&folder).rsplit_once('-')?;
        Some(UnitFolder::new(Layout::Flat, profile, package, hash))
    };
    folders.filter_map(unit).collect()
}

fn nested_units(profile: &Path, package: &str) -> Vec<UnitFolder> {
    let homes = subfolders(&profile.join(BUILD).join(package));
    let homes = homes.filter(|home| home.join("fingerprint").is_dir());
    homes.map(|home| UnitFolder::new(Layout::Nested, profile, package, name_of(&home))).collect()
}

/// The profile folders in a build directory, including those below a target triple.
pub fn profile_folders(build: &Path) -> Vec<PathBuf> {
    let is_nested = |folder: &Path| {
        subfolders(&folder.join(BUILD)).any(|package| !nested_units(folder, name_of(&package)).is_empty())
    };
    let is_profile = |folder: &PathBuf| folder.join(FINGERPRINTS).is_dir() || is_nested(folder);
    // Links are followed: users link these folders to faster disks.
    let folders = |parent: &Path| {
        let listing = std::fs::read_dir(parent).into_iter().flatten().flatten();
        listing.map(|item| item.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
    };
    let inside = folders(build).into_iter().flat_map(|folder| {
        if is_profile(&folder) { vec![folder] } else { folders(&folder).into_iter().filter(is_profile).collect() }
    });
    inside.collect()
}

/// Cargo's files about a compiled unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompiledUnit {
    pub dep_info: PathBuf,
    /// When cargo started the compiler, if known.
    pub began: Option<i64>,
    /// The folder of its fingerprint, if known.
    fingerprint: Option<PathBuf>,
}

/// What was chosen for a compiled unit, according to cargo's fingerprint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choices {
    /// The features of its package, with those that they enable.
    pub features: BTreeSet<String>,
    /// Identifies profile and flags: equal if they are, and readable by cargo alone.
    pub flags: String,
}

impl CompiledUnit {
    /// `None` if the fingerprint is not found or not understood.
    pub fn choices(&self) -> Option<Choices> {
        let is_compiled = |file: &PathBuf| {
            let name = name_of(file);
            file.extension().is_some_and(|kind| kind == "json")
                && (name.starts_with("lib-") || name.starts_with("bin-"))
        };
        let file = fs::items(self.fingerprint.as_ref()?).map(|item| item.path()).find(is_compiled)?;
        let known: serde_json::Value = serde_json::from_slice(&fs::read(file).ok()?).ok()?;
        // A list of strings as Rust's `{:?}` prints it, which JSON can read.
        let features = serde_json::from_str(known.get("features")?.as_str()?).ok()?;
        Some(Choices { features, flags: format!("{} {}", known.get("profile")?, known.get("rustflags")?) })
    }
}

/// Finds cargo's files about the unit that produced `artifact`, which cargo's messages name. The path of a library or
/// build script in the build directory identifies the unit. A final artifact is a hard link or copy from one of the
/// package's units in the `profile` folder.
pub fn compiled_unit(artifact: &Path, package: &str, profile: &Path) -> Option<CompiledUnit> {
    let folder = artifact.parent()?;
    let crate_name = crate_of(artifact)?;
    let hash = |name: &str| name.rsplit_once('-').map(|(_, hash)| hash.to_owned());
    let known = |layout, profile: &Path, hash: String, dep_info: PathBuf| {
        let fingerprint = UnitFolder::new(layout, profile, package, &hash).fingerprint();
        CompiledUnit { dep_info, began: time(&fingerprint.join(INVOKED)), fingerprint: Some(fingerprint) }
    };
    let above = folder.parent()?;
    if folder.ends_with(DEPS) {
        return match hash(&crate_name) {
            Some(hash) => Some(known(Layout::Flat, above, hash, folder.join(format!("{crate_name}.d")))),
            // The library's file name has no hash if its crate types include a dynamic library.
            None => linked_unit(artifact, &crate_name, package, above),
        };
    }
    // The second condition is for target folders that are named `build`.
    if above.ends_with(BUILD) && name_of(folder).strip_prefix(package).is_some_and(|rest| rest.starts_with('-')) {
        let (profile, hash) = (above.parent()?, hash(name_of(folder))?);
        let dep_info = folder.join(format!("{}-{hash}.d", crate_name.replace('-', "_")));
        return Some(known(Layout::Flat, profile, hash, dep_info));
    }
    if let Some(build) = above.parent().and_then(Path::parent).filter(|build| build.ends_with(BUILD))
        && folder.ends_with("out")
    {
        let dep_info = dep_info_in(folder, &crate_name)?;
        return Some(known(Layout::Nested, build.parent()?, name_of(above).to_owned(), dep_info));
    }
    linked_unit(artifact, &crate_name, package, profile)
}

/// The crate's name in `lib<crate>.so`, `<crate>.exe` or `lib<crate>-<hash>.rlib`; in the last case with the hash.
fn crate_of(artifact: &Path) -> Option<String> {
    let stem = artifact.file_stem()?.to_str()?;
    let is_rust_library = artifact.extension().is_some_and(|extension| extension == "rlib" || extension == "rmeta");
    let is_library =
        is_rust_library || artifact.extension().is_some_and(|kind| kind == std::env::consts::DLL_EXTENSION);
    let prefix = if is_rust_library { "lib" } else { std::env::consts::DLL_PREFIX };
    Some(if is_library { stem.strip_prefix(prefix).unwrap_or(stem) } else { stem }.to_owned())
}

/// The dep-info of a crate in a folder. If there is none with exactly this name, the last one written for this crate,
/// with any hash or none.
fn dep_info_in(folder: &Path, crate_name: &str) -> Option<PathBuf> {
    let exact = folder.join(format!("{crate_name}.d"));
    if exact.exists() {
        return Some(exact);
    }
    let name = crate_name.replace('-', "_");
    let is_its = |path: &PathBuf| {
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let of = stem.rsplit_once('-').map_or(stem, |(known, _)| known);
        path.extension().is_some_and(|kind| kind == "d") && (of == name || stem == name)
    };
    fs::items(folder).map(|item| item.path()).filter(is_its).max_by_key(|path| time(path))
}

/// The unit from which cargo linked or copied a final library or program. Its name has no hash: among several units
/// this is the one with the same file, or otherwise the last one that was compiled.
fn linked_unit(artifact: &Path, crate_name: &str, package: &str, profile: &Path) -> Option<CompiledUnit> {
    struct Candidate {
        dep_info: PathBuf,
        unit: Option<UnitFolder>,
    }
    let mut candidates: Vec<Candidate> = dep_info_in(&profile.join(DEPS), crate_name)
        .map(|dep_info| Candidate { dep_info, unit: None })
        .into_iter()
        .collect();
    for unit in units_of(profile, package).into_iter().filter(|unit| unit.layout == Layout::Nested) {
        let dep_info = dep_info_in(&unit.compiled(), crate_name);
        candidates.extend(dep_info.map(|dep_info| Candidate { dep_info, unit: Some(unit) }));
    }
    let is_same = |candidate: &Candidate| {
        let folder = candidate.dep_info.parent().unwrap_or(profile);
        // A program in the unit has the same hash in its name as the dep-info.
        let named = candidate.dep_info.with_extension(artifact.extension().unwrap_or_default());
        [folder.join(name_of(artifact)), named].iter().any(|file| fs::is_same(file, artifact))
    };
    let at = match candidates.len() {
        0 => return None,
        1 => 0,
        _ => candidates
            .iter()
            .position(is_same)
            .or_else(|| (0..candidates.len()).max_by_key(|&at| time(&candidates[at].dep_info)))?,
    };
    let Candidate { dep_info, unit } = candidates.swap_remove(at);
    // A compiler that started later did not produce this library: `cargo check` has a separate unit, and a compiler may
    // have been killed after it wrote its dep-info, which it does before it writes the library.
    let until = time(&dep_info).zip(time(artifact)).map(|(read, artifact)| read.min(artifact));
    let units = unit.map_or_else(|| units_of(profile, package), |unit| vec![unit]);
    let folders = units.iter().map(UnitFolder::fingerprint);
    let began = folders.filter_map(|folder| Some((time(&folder.join(INVOKED))?, folder)));
    let last = began.filter(|(time, _)| until.is_some_and(|until| *time <= until)).max();
    let (began, fingerprint) = last.unzip();
    Some(CompiledUnit { dep_info, began, fingerprint })
}

/// Cargo's files about the run of a build script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptRun {
    /// The file with its output.
    pub output: PathBuf,
    fingerprint: PathBuf,
}

/// Finds cargo's files about the build script with this `OUT_DIR`.
pub fn script_run(out: &Path) -> Option<ScriptRun> {
    let folder = out.parent()?;
    let nested = if folder.ends_with("run") { folder.to_owned() } else { folder.join("run") };
    let run = match Some(nested).filter(|run| run.join("stdout").exists()) {
        Some(run) => ScriptRun { fingerprint: run.with_file_name("fingerprint"), output: run.join("stdout") },
        None => ScriptRun {
            fingerprint: folder.parent()?.parent()?.join(FINGERPRINTS).join(folder.file_name()?),
            output: folder.join("output"),
        },
    };
    run.output.exists().then_some(run)
}

impl ScriptRun {
    /// When cargo started it.
    pub fn began(&self) -> Option<i64> {
        time(&self.output.with_file_name(INVOKED))
    }

    /// The variables that it named in `rerun-if-env-changed`, with the values that they had.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        let is_run = |path: &PathBuf| {
            name_of(path).starts_with("run-build-script-") && path.extension().is_some_and(|kind| kind == "json")
        };
        let files = fs::items(&self.fingerprint).map(|item| item.path()).filter(is_run);
        let mut found = Vec::new();
        for text in files.filter_map(|path| fs::read(path).ok()) {
            let value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
            for local in value.get("local").and_then(serde_json::Value::as_array).into_iter().flatten() {
                let Some(variable) = local.get("RerunIfEnvChanged") else { continue };
                let text = |key: &str| variable.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
                found.extend(text("var").map(|name| (name, text("val"))));
            }
        }
        found
    }
}

/// Makes cargo compile a package again: sets those files to 1970 with which cargo compares the times of the sources.
pub fn make_stale(profile: &Path, package: &str) {
    for unit in units_of(profile, package) {
        for file in unit.fingerprint_files("dep-").into_iter().chain([unit.script_output()]) {
            let _ = fs::set_epoch(&file);
        }
    }
}

/// When a library of the package was last compiled, in nanoseconds; `None` if unknown.
pub fn last_compiled(profile: &Path, package: &str) -> Option<i64> {
    let files = units_of(profile, package).into_iter().flat_map(|unit| unit.fingerprint_files("dep-lib-"));
    files.filter_map(|file| time(&file)).max()
}

/// The libraries of a package's crates in a profile folder, of all its units.
pub fn libraries_of(profile: &Path, package: &str, crates: &[String]) -> Vec<PathBuf> {
    let is_library = |path: &PathBuf| {
        let kind = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let stem = stem.strip_prefix("lib").unwrap_or(stem);
        ["rlib", "rmeta", std::env::consts::DLL_EXTENSION].contains(&kind)
            // The name may have no hash if the crate types include a dynamic library.
            && crates.iter().any(|known| known == stem || stem.rsplit_once('-').is_some_and(|(name, _)| known == name))
    };
    let nested = units_of(profile, package).into_iter().filter(|unit| unit.layout == Layout::Nested);
    let folders = nested.map(|unit| unit.compiled()).chain([profile.join(DEPS)]);
    folders
        .flat_map(|folder| fs::items(&folder).map(|item| item.path()).filter(is_library).collect::<Vec<_>>())
        .collect()
}

/// The `OUT_DIR`s of a package's build scripts in a profile folder, of those that ran.
pub fn build_scripts_of(profile: &Path, package: &str) -> Vec<PathBuf> {
    units_of(profile, package).iter().filter(|unit| unit.script_output().exists()).map(UnitFolder::script_out).collect()
}

/// The same for every package, with the package's name.
pub fn all_build_scripts(profile: &Path) -> Vec<(String, PathBuf)> {
    let runs = units(profile).into_iter().filter(|unit| unit.script_output().exists());
    runs.map(|unit| (unit.package.clone(), unit.script_out())).collect()
}

/// Copies every finished unit of the named packages that is missing in `to` from the build directory `from`. Cargo
/// checks its fingerprint as if the unit had been compiled there, and compiles it again if it is not fresh. The
/// fingerprint is copied last: if this is interrupted, cargo ignores the unit.
pub fn copy_units(from: &Path, to: &Path, packages: &BTreeSet<String>) -> std::io::Result<()> {
    if !to.join(RUSTC_INFO).exists() {
        let _ = fs::duplicate(&from.join(RUSTC_INFO), &to.join(RUSTC_INFO));
    }
    for source in profile_folders(from) {
        let Ok(inside) = source.strip_prefix(from) else { continue };
        let profile = to.join(inside);
        let wanted = |unit: &UnitFolder| packages.contains(&unit.package);
        let missing: Vec<(UnitFolder, UnitFolder)> = units(&source)
            .into_iter()
            .filter(wanted)
            .map(|unit| (UnitFolder { profile: profile.clone(), ..unit.clone() }, unit))
            .filter(|(new, old)| !new.fingerprint().exists() && old.is_finished())
            .collect();
        let flat: BTreeSet<&str> =
            missing.iter().filter(|(_, old)| old.layout == Layout::Flat).map(|(_, old)| old.hash.as_str()).collect();
        if !flat.is_empty() {
            for file in fs::items(&source.join(DEPS)).filter(|file| has_hash(&file.file_name(), &flat)) {
                fs::hard_link_or_copy(&file.path(), &profile.join(DEPS).join(file.file_name()))?;
            }
        }
        for (new, old) in &missing {
            match old.layout {
                Layout::Flat => {
                    let place = |unit: &UnitFolder| unit.profile.join(BUILD).join(unit.name());
                    if place(old).is_dir() {
                        // Not as hard links: a build script may overwrite its files in place.
                        fs::duplicate(&place(old), &place(new))?;
                    }
                }
                Layout::Nested => {
                    let has_run = old.script_output().exists();
                    for item in fs::items(&old.home()).filter(|item| item.file_name() != "fingerprint") {
                        let to = new.home().join(item.file_name());
                        if !has_run && item.path().is_dir() {
                            for file in fs::items(&item.path()) {
                                fs::hard_link_or_copy(&file.path(), &to.join(file.file_name()))?;
                            }
                        } else {
                            fs::duplicate(&item.path(), &to)?;
                        }
                    }
                }
            }
        }
        for (new, old) in &missing {
            fs::duplicate(&old.fingerprint(), &new.fingerprint())?;
        }
    }
    Ok(())
}

/// Whether the name of a file in `deps` ends in one of these hashes.
fn has_hash(name: &OsStr, hashes: &BTreeSet<&str>) -> bool {
    let stem = name.to_str().unwrap_or_default().split('.').next().unwrap_or_default();
    stem.rsplit_once('-').is_some_and(|(_, hash)| hashes.contains(hash))
}

/// Removes the units of all other packages from a build directory. Returns whether there were any.
pub fn keep_packages(build: &Path, packages: &BTreeSet<String>) -> crate::base::error::Result<bool> {
    let mut has_removed = false;
    // A folder behind a link may be outside the cache.
    let is_own = |profile: &PathBuf| {
        fs::is_folder(build) && profile.ancestors().take_while(|folder| folder != &build).all(fs::is_folder)
    };
    for profile in profile_folders(build).into_iter().filter(is_own) {
        let unused: Vec<UnitFolder> =
            units(&profile).into_iter().filter(|unit| !packages.contains(&unit.package)).collect();
        has_removed |= !unused.is_empty();
        let has_build = fs::is_folder(&profile.join(BUILD));
        for unit in &unused {
            // The fingerprint is removed first: if this is interrupted, cargo ignores the unit.
            if unit.layout == Layout::Flat || has_build {
                fs::remove_tree(&unit.fingerprint())?;
            }
            let home = match unit.layout {
                Layout::Flat => profile.join(BUILD).join(unit.name()),
                Layout::Nested => unit.home(),
            };
            if has_build {
                fs::remove_tree(&home)?;
            }
            if unit.layout == Layout::Nested {
                fs::remove_empty(&profile.join(BUILD).join(&unit.package));
            }
        }
        let hashes = unused.iter().filter(|unit| unit.layout == Layout::Flat).map(|unit| unit.hash.as_str()).collect();
        for file in fs::items(&profile.join(DEPS)).filter(|file| has_hash(&file.file_name(), &hashes)) {
            fs::remove_tree(&file.path())?;
        }
    }
    Ok(has_removed)
}

/// Removes all files and folders of these packages, by their names, from a build directory.
pub fn remove_packages(folder: &Path, packages: &[String]) -> crate::base::error::Result<()> {
    for item in fs::items(folder) {
        let name = item.file_name().to_string_lossy().into_owned();
        let name = name.strip_prefix(std::env::consts::DLL_PREFIX).unwrap_or(&name);
        let is_of = |package: &String| {
            name.strip_prefix(package.as_str()).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']))
        };
        if packages.iter().any(is_of) {
            fs::remove_tree(&item.path())?;
        } else if item.file_type().is_ok_and(|kind| kind.is_dir()) && name != "out" {
            remove_packages(&item.path(), packages)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(path: &Path, text: &str) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn compiled_units_are_found() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("debug");
        for file in [
            "deps/m_1.d",
            ".fingerprint/both-0123/invoked.timestamp",
            "deps/both.d",
            "deps/libboth.so",
            "deps/helper-0123.d",
            ".fingerprint/helper-0123/invoked.timestamp",
            "build/m_1-0123/build_script_build-0123.d",
            "build/n_1/89ab/out/n_1.d",
            "build/n_1/89ab/out/libn_1.so",
            "build/n_1/89ab/fingerprint/invoked.timestamp",
            "build/n_1/cdef/out/n_1.d",
            "build/n_1/cdef/out/build_script_build.d",
            "build/n_1/cdef/fingerprint/invoked.timestamp",
            "build/part/0123/out/part-0123.d",
            "build/my-tool/0123/out/my_tool-0123.d",
            "build/my-tool/0123/out/my_tool-0123",
            "build/my-tool/0123/fingerprint/invoked.timestamp",
        ] {
            write(&profile.join(file), "");
        }
        let check = |artifact: &str, package: &str, expected: Option<(&str, bool)>| {
            let found = compiled_unit(&profile.join(artifact), package, &profile);
            let found = found.as_ref().map(|found| (found.dep_info.as_path(), found.began.is_some()));
            let expected = expected.map(|(path, known)| (profile.join(path), known));
            assert_eq!(found, expected.as_ref().map(|(path, known)| (path.as_path(), *known)), "{artifact}");
        };
        check("libm_1.so", "m_1", Some(("deps/m_1.d", false)));
        check("deps/libhelper-0123.rlib", "helper", Some(("deps/helper-0123.d", true)));
        check("deps/libmacros-0123.so", "macros", Some(("deps/macros-0123.d", false)));
        check("deps/libboth.so", "both", Some(("deps/both.d", true)));
        let script = "build/m_1-0123/build_script_build-0123.d";
        check("build/m_1-0123/build-script-build", "m_1", Some((script, false)));
        check("build/part/0123/out/libpart-0123.rlib", "part", Some(("build/part/0123/out/part-0123.d", false)));
        let script = "build/n_1/cdef/out/build_script_build.d";
        check("build/n_1/cdef/out/build-script-build", "n_1", Some((script, true)));
        check("build/part/4567/out/libpart-4567.rlib", "part", None);
        check("libgone.so", "gone", None);
        // The library is a hard link from one of two units.
        std::fs::hard_link(profile.join("build/n_1/89ab/out/libn_1.so"), profile.join("libn_1.so")).unwrap();
        check("libn_1.so", "n_1", Some(("build/n_1/89ab/out/n_1.d", false)));
        std::fs::hard_link(profile.join("build/my-tool/0123/out/my_tool-0123"), profile.join("my-tool")).unwrap();
        check("my-tool", "my-tool", Some(("build/my-tool/0123/out/my_tool-0123.d", false)));
    }

    #[test]
    fn build_script_runs_are_found_in_each_layout() {
        let folder = tempfile::tempdir().unwrap();
        let profile = folder.path().join("t").join("debug");
        let check = |out: &str, output: &str, fingerprint: &str| {
            let fingerprint = profile.join(fingerprint);
            write(&profile.join(output), "cargo:rerun-if-env-changed=A");
            write(
                &fingerprint.join("run-build-script-build-script-build.json"),
                r#"{"local": [{"RerunIfEnvChanged": {"var": "A", "val": "1"}}]}"#,
            );
            let run = script_run(&profile.join(out)).unwrap();
            assert_eq!(run.output, profile.join(output));
            assert_eq!(run.environment(), [("A".to_owned(), Some("1".to_owned()))]);
            std::fs::create_dir_all(profile.join(out)).unwrap();
        };
        check("build/a-01/out", "build/a-01/output", ".fingerprint/a-01");
        check("build/b/02/run/out", "build/b/02/run/stdout", "build/b/02/fingerprint");
        check("build/c/03/out", "build/c/03/run/stdout", "build/c/03/fingerprint");
        assert_eq!(script_run(&profile.join("elsewhere/out")), None);
        let all = [("a", "build/a-01/out"), ("b", "build/b/02/run/out"), ("c", "build/c/03/out")];
        let mut found = all_build_scripts(&profile);
        found.sort();
        assert_eq!(found, all.map(|(name, out)| (name.to_owned(), profile.join(out))));
        assert_eq!(profile_folders(folder.path()), std::slice::from_ref(&profile));
    }

    #[test]
    fn finished_units_of_named_packages_are_copied() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        let add = |path: &str, text: &str| write(&from.join("t/debug").join(path), text);
        let digits = "0123456789abcdef";
        for (package, hash, digits) in [("libc", "01", digits), ("rand", "02", ""), ("m_1", "03", digits)] {
            add(&format!(".fingerprint/{package}-{hash}/lib-{package}"), digits);
            add(&format!(".fingerprint/{package}-{hash}/lib-{package}.json"), "{0123456789abc}");
            add(&format!("deps/lib{package}-{hash}.rlib"), package);
            add(&format!("build/{package}-{hash}/out/x.rs"), package);
            for unit in [format!("build/{package}/{hash}0"), format!("build/{package}/{hash}1")] {
                add(&format!("{unit}/fingerprint/lib-{package}"), digits);
                add(&format!("{unit}/out/lib{package}-{hash}.rlib"), package);
            }
            add(&format!("build/{package}/{hash}1/run/stdout"), "");
            add(&format!("build/{package}/{hash}1/run/out/x.rs"), package);
        }
        let packages = ["libc", "rand"].into_iter().map(str::to_owned).collect();
        copy_units(&from, &to, &packages).unwrap();
        let check = |path: &str, expected: bool| assert_eq!(to.join("t/debug").join(path).exists(), expected, "{path}");
        check(".fingerprint/libc-01/lib-libc", true);
        check("deps/liblibc-01.rlib", true);
        check("build/libc-01/out/x.rs", true);
        check(".fingerprint/rand-02", false);
        check("deps/librand-02.rlib", false);
        check(".fingerprint/m_1-03", false);
        check("build/libc/010/out/liblibc-01.rlib", true);
        check("build/libc/010/fingerprint/lib-libc", true);
        check("build/libc/011/run/out/x.rs", true);
        check("build/rand/020", false);
        check("build/m_1", false);
        let time = |home: &Path| std::fs::metadata(home.join("t/debug/build/libc-01/out/x.rs")).unwrap().modified();
        assert_eq!(time(&from).unwrap(), time(&to).unwrap());
        // A build script overwrites its files in place; the copy must not change.
        for path in ["build/libc-01/out/x.rs", "build/libc/011/run/out/x.rs"] {
            add(path, &"new".repeat(100_000));
            assert_eq!(fs::read_text(to.join("t/debug").join(path)).unwrap(), "libc");
        }
        assert!(keep_packages(&from, &packages).unwrap());
        assert!(!keep_packages(&from, &packages).unwrap());
        let left =
            |path: &str, expected: bool| assert_eq!(from.join("t/debug").join(path).exists(), expected, "{path}");
        left(".fingerprint/libc-01", true);
        left("build/libc/011/run/stdout", true);
        left("deps/libm_1-03.rlib", false);
        left("build/m_1-03", false);
        left("build/m_1", false);
    }
}
