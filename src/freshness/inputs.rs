//! The inputs of an artifact: the content of files, the values of variables, and the absence of files. Collects them
//! during a build, and compares them later. Which files the compiler read is found out in [`super::unit`].
//!
//! An artifact is stale if the content of a file changed. The stat of a file is recorded next to its hash only to avoid
//! reading the file again, and only if the stat was old enough to prove something ([`Stat::is_unsettled`]).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::base::env_vars;
use crate::base::error::Result;
use crate::base::fs::{self, Stat, Watched};
use crate::env::cargo_config::CargoConfig;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::git;
use crate::freshness::patterns;
use crate::freshness::unit::UnitKind;
use crate::package::krate;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileInput {
    #[serde(with = "crate::base::text::path_text")]
    pub path: PathBuf,
    /// SHA-256; `None` if the file changed while the compiler ran, so that it is unknown which content it read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// All zero if an equal stat would prove nothing.
    pub stat: Stat,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Variable {
    pub name: String,
    /// SHA-256 of its value, since the value may be a secret; `None` if it is not set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
}

impl Variable {
    pub fn new(name: &str, value: Option<&str>) -> Self {
        Self { name: name.to_owned(), hash: value.map(|value| fs::hash_bytes(value.as_bytes())) }
    }

    /// Its value, or an error if the value has changed.
    pub fn value(&self) -> Result<Option<String>, DirtyReason> {
        let now = env_vars::get_text(&self.name);
        let is_same = Self::new(&self.name, now.as_deref()) == *self;
        if is_same { Ok(now) } else { Err(DirtyReason::VariableChanged(self.name.clone())) }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inputs {
    #[serde(default)]
    pub files: Vec<FileInput>,
    #[serde(default)]
    pub variables: Vec<Variable>,
    /// Absolute globs, from `//d:`. The files that they match are in `files`.
    #[serde(default)]
    pub patterns: Vec<String>,
    /// The configuration files that applied. They are among `files`.
    #[serde(default)]
    pub configuration: Vec<PathBuf>,
    /// Files that do not exist, and that cargo would use if they did.
    #[serde(default)]
    pub absent: Vec<PathBuf>,
    /// A hash of all variables, if it is unknown which of them are inputs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<String>,
}

/// The result of a check of the inputs.
#[derive(Debug, Clone, Default)]
pub struct Snapshot {
    /// Everything that changed, the most informative reason first.
    pub changes: Vec<DirtyReason>,
    /// The files, each with the stat that it had when its content was found unchanged.
    pub files: Vec<Watched>,
    /// The folders that are listed to match the patterns.
    pub folders: Vec<Watched>,
}

impl Inputs {
    /// Checks the inputs for changes. Files in `cache` that a pattern matches are not inputs.
    pub fn compare(&self, cargo_config: &CargoConfig, cache: &Path) -> Snapshot {
        let mut changes = Vec::new();
        let mut files = Vec::new();
        for file in &self.files {
            let (path, stat) = fs::watch(&file.path);
            match &file.hash {
                None => changes.push(DirtyReason::ChangedDuringBuild(path.clone())),
                Some(_) if stat == Some(file.stat) => {}
                Some(hash) => match fs::hash_file(&path) {
                    None => changes.push(DirtyReason::FileRemoved(path.clone())),
                    Some(now) if now == *hash => {}
                    Some(_) => changes.push(DirtyReason::FileChanged(path.clone())),
                },
            }
            files.push((path, stat));
        }
        let folders = self.patterns.iter().flat_map(|pattern| patterns::listed_folders(pattern)).collect();
        let known: BTreeSet<&Path> = self.files.iter().map(|file| file.path.as_path()).collect();
        let matched = self.patterns.iter().flat_map(|pattern| patterns::matches_besides(pattern, &known));
        let matched = matched.filter(|path| !path.starts_with(cache));
        let appeared = cargo_config.files.iter().cloned().chain(matched).filter(|path| !known.contains(path.as_path()));
        changes.extend(appeared.map(DirtyReason::FileAppeared));
        // For example, cargo's home is another folder now. A file that is gone has been reported already.
        let left = self.configuration.iter().filter(|path| !cargo_config.files.contains(path) && path.exists());
        changes.extend(left.map(|_| DirtyReason::ConfigurationChanged));
        changes.extend(self.absent.iter().filter(|path| path.exists()).cloned().map(DirtyReason::FileAppeared));

        changes.extend(self.variables.iter().filter_map(|variable| variable.value().err()));
        for name in env_vars::set_build_variables() {
            if !self.variables.iter().any(|variable| variable.name == name) {
                changes.push(DirtyReason::VariableChanged(name));
            }
        }
        if self.environment.as_ref().is_some_and(|known| *known != hash_environment(&env_vars::all())) {
            changes.push(DirtyReason::EnvironmentChanged);
        }
        Snapshot { changes, files, folders }
    }

    /// The same result right after the build that recorded these inputs, without checking them again.
    pub fn as_built(&self) -> Snapshot {
        let settled = |file: &FileInput| (file.path.clone(), (file.stat != Stat::default()).then_some(file.stat));
        Snapshot {
            changes: Vec::new(),
            files: self.files.iter().map(settled).collect(),
            // Without stats, so that the folders are listed again: files may have appeared during the build.
            folders: self
                .patterns
                .iter()
                .flat_map(|pattern| patterns::listed_folders(pattern))
                .map(|(path, _)| (path, None))
                .collect(),
        }
    }
}

fn hash_environment(variables: &HashMap<String, String>) -> String {
    let sorted: BTreeMap<_, _> = variables.iter().collect();
    fs::hash_bytes(format!("{sorted:?}").as_bytes())
}

/// Collects the inputs of a build. It hashes known inputs before the build, and is given the files that were read after
/// it.
pub struct Collector {
    before: HashMap<PathBuf, FileState>,
    variables_before: HashMap<String, String>,
    files: BTreeMap<PathBuf, FileInput>,
    variables: BTreeSet<String>,
    patterns: BTreeSet<String>,
    configuration: Vec<PathBuf>,
    absent: BTreeSet<PathBuf>,
    environment: Option<String>,
}

#[derive(Clone)]
struct FileState {
    stat: Stat,
    hash: Option<String>,
    settled: bool,
}

impl FileState {
    fn read(path: &Path) -> Option<Self> {
        let now = fs::nanoseconds(SystemTime::now());
        let stat = Stat::of(path)?;
        Some(Self { stat, hash: Some(fs::hash_file(path)?), settled: !stat.is_unsettled(now) })
    }

    fn into_input(self, path: &Path) -> FileInput {
        let stat = if self.settled { self.stat } else { Stat::default() };
        FileInput { path: path.to_owned(), hash: self.hash, stat }
    }
}

impl Collector {
    /// To be called before the build. `paths` are the inputs that are known already.
    pub fn before<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Self {
        let read = |path: &Path| Some((path.to_owned(), FileState::read(path)?));
        Self {
            before: paths.into_iter().filter_map(read).collect(),
            variables_before: env_vars::all(),
            files: BTreeMap::new(),
            variables: env_vars::set_build_variables().into_iter().collect(),
            patterns: BTreeSet::new(),
            configuration: Vec::new(),
            absent: BTreeSet::new(),
            environment: None,
        }
    }

    /// Adds the script itself. The artifact was built from the content with this hash, even if the file has changed
    /// since, unless it was edited after the build began (`since`) and put back.
    pub fn add_source(&mut self, path: &Path, hash: &str, since: i64) {
        let now = FileState::read(path).filter(|now| now.hash.as_deref() == Some(hash));
        let was_edited = |now: &FileState| {
            now.stat.mtime.max(now.stat.ctime) >= since
                && self.before.get(path).is_none_or(|known| known.stat != now.stat)
        };
        let input = match now {
            Some(now) if was_edited(&now) => unknown(path),
            Some(now) => now.into_input(path),
            None => FileInput { hash: Some(hash.to_owned()), ..unknown(path) },
        };
        self.files.insert(path.to_owned(), input);
    }

    /// Adds the configuration files that apply.
    pub fn add_configuration(&mut self, cargo_config: &CargoConfig, read_from: i64) {
        for path in &cargo_config.files {
            self.add_file(path, read_from);
        }
        self.configuration.clone_from(&cargo_config.files);
    }

    /// Adds a folder from which any file may have been read.
    pub fn add_folder(&mut self, folder: &Path, read_from: i64) {
        self.add_pattern(patterns::absolute(folder, "**"), read_from);
    }

    /// Adds the files that a pattern matches, and those that appear later.
    fn add_pattern(&mut self, pattern: Option<String>, read_from: i64) {
        let Some(pattern) = pattern else { return };
        for file in patterns::matches(&pattern) {
            self.add_file(&file, read_from);
        }
        self.patterns.insert(pattern);
    }

    /// Adds a package from which any file may have been read, except caches such as `target`, hidden files and, like cargo,
    /// what git ignores. If the package contains one of the folders with Python modules (`python`), Python's files are
    /// excluded too.
    pub fn add_package(&mut self, folder: &Path, python: &[PathBuf], read_from: i64) {
        let includes =
            krate::manifest_in(folder).get("package").is_some_and(|package| package.get("include").is_some());
        let is_tracked = git::tracks(folder, includes);
        let pattern = |folder: &Path, pattern: &str| {
            let pattern = patterns::absolute(folder, pattern)?;
            Some(if is_tracked { patterns::unless_ignored(&pattern) } else { pattern })
        };
        let is_mixed = python.iter().any(|root| root.starts_with(folder));
        if !is_mixed {
            // Files and folders that appear later count, too.
            self.add_pattern(pattern(folder, "[!.]*"), read_from);
            self.add_pattern(pattern(folder, "[!.]*/**"), read_from);
            return;
        }
        let mut files = Vec::new();
        for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            let (name, path) = (item.file_name(), item.path());
            if name == "target" || name.to_string_lossy().starts_with('.') || belongs_to_python(&path) {
                continue;
            }
            if path.is_dir() { self.add_pattern(pattern(&path, "**"), read_from) } else { files.push(path) }
        }
        if is_tracked {
            git::remove_ignored(folder, &mut files);
        }
        for file in &files {
            self.add_file(file, read_from);
        }
    }

    /// Adds a path that cargo lists as an input: a file or folder, which need not exist if a build script named it.
    pub fn add_listed(&mut self, path: &Path, read_from: i64) {
        if self.files.contains_key(path) || self.absent.contains(path) {
            return;
        }
        if path.is_dir() {
            let is_known = patterns::absolute(path, "**").is_some_and(|pattern| self.patterns.contains(&pattern));
            if !is_known {
                self.add_folder(path, read_from);
            }
        } else if path.exists() {
            self.add_file(path, read_from);
        } else {
            self.add_absent(path);
        }
    }

    /// Adds all variables: any may have been read.
    pub fn add_environment(&mut self) {
        self.environment = Some(hash_environment(&self.variables_before));
    }

    /// Adds a file with unknown content: the artifact is stale at every check.
    pub fn add_unknown(&mut self, path: &Path) {
        self.files.insert(path.to_owned(), unknown(path));
    }

    /// Adds a file that was read and no longer exists.
    pub fn add_missing(&mut self, path: &Path) {
        let known = self.before.get(path).and_then(|known| known.hash.clone());
        self.files.insert(path.to_owned(), FileInput { hash: known, ..unknown(path) });
    }

    /// Adds a file that does not exist, and that would be read if it did.
    pub fn add_absent(&mut self, path: &Path) {
        self.absent.insert(path.to_owned());
    }

    /// Adds a file that the build read, at `read_from` or later (in nanoseconds, on the file system's clock).
    pub fn add_file(&mut self, path: &Path, read_from: i64) {
        if self.files.contains_key(path) {
            return;
        }
        let known = self.before.get(path);
        let input = match (known, Stat::of(path)) {
            (Some(known), Some(stat)) if known.settled && known.stat == stat => known.clone().into_input(path),
            (known, Some(stat)) => {
                let Some(now) = FileState::read(path) else { return };
                let changed_before_it_was_read = stat.mtime.max(stat.ctime) < read_from;
                match known {
                    _ if changed_before_it_was_read => now.into_input(path),
                    Some(known) if known.hash == now.hash && known.stat == stat => now.into_input(path),
                    // It was edited and put back: the compiler may have read either.
                    Some(known) if known.hash == now.hash => unknown(path),
                    // It may have been read before the edit: with the old hash, the next check reports it as changed.
                    Some(known) => FileInput { hash: known.hash.clone(), ..unknown(path) },
                    None => unknown(path),
                }
            }
            (Some(known), None) => FileInput { hash: known.hash.clone(), ..unknown(path) },
            (None, None) => return,
        };
        self.files.insert(path.to_owned(), input);
    }

    /// Adds a variable that was read, with its value before the build.
    pub fn add_variable(&mut self, name: &str, by: UnitKind) {
        if env_vars::is_users(name) && (by == UnitKind::Compiled || !env_vars::is_set_for_build_scripts(name)) {
            self.variables.insert(name.to_owned());
        }
    }

    /// The collected inputs. `patterns` are those of the script's header.
    pub fn finish(self, patterns: Vec<String>) -> Inputs {
        let variable = |name: &String| Variable::new(name, self.variables_before.get(name).map(String::as_str));
        Inputs {
            files: self.files.into_values().collect(),
            variables: self.variables.iter().map(variable).collect(),
            patterns: self.patterns.into_iter().chain(patterns).collect(),
            configuration: self.configuration,
            absent: self.absent.into_iter().collect(),
            environment: self.environment,
        }
    }
}

/// Whether a file or folder next to a manifest belongs to Python. Such folders contain modules or an environment,
/// directly or in a subfolder.
fn belongs_to_python(path: &Path) -> bool {
    const KINDS: [&str; 7] = ["py", "pyi", "pyc", "so", "pyd", "coverage", "ipynb"];
    let is_kind = |path: &Path| path.extension().is_some_and(|kind| KINDS.iter().any(|known| kind == *known));
    let names = |folder: &Path| std::fs::read_dir(folder).into_iter().flatten().flatten().map(|item| item.path());
    let is_code = |path: &Path| {
        path.extension().is_some_and(|kind| ["py", "pyi", "cfg"].iter().any(|known| kind == *known))
            || path.ends_with("__pycache__")
    };
    if !path.is_dir() {
        return is_kind(path);
    }
    names(path).any(|path| is_code(&path) || (path.is_dir() && names(&path).any(|path| is_code(&path))))
}

fn unknown(path: &Path) -> FileInput {
    FileInput { path: path.to_owned(), hash: None, stat: Stat::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edit_during_a_build_counts_if_it_came_after_reading() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.rs");
        let hash = |text: &str| Some(fs::hash_bytes(text.as_bytes()));
        // Whether the file was known before the build, whether it was edited, whether the compiler read it after that.
        let check = |known: bool, edited: bool, read_later: bool, expected: Option<String>| {
            std::fs::write(&file, "old").unwrap();
            let paths = if known { vec![file.as_path()] } else { vec![] };
            let mut collector = Collector::before(paths);
            if edited {
                std::fs::write(&file, "new").unwrap();
            }
            collector.add_file(&file, if read_later { i64::MAX } else { 0 });
            let inputs = collector.finish(vec![]);
            assert_eq!(inputs.files[0].hash, expected, "{known} {edited} {read_later}");
        };
        check(true, false, false, hash("old"));
        check(true, false, true, hash("old"));
        check(true, true, false, hash("old"));
        check(true, true, true, hash("new"));
        check(false, true, false, None);
        check(false, true, true, hash("new"));
    }

    #[test]
    fn staleness_depends_on_content() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("a.rs");
        let data = folder.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::fs::write(&file, "one").unwrap();
        let mut collector = Collector::before([file.as_path()]);
        collector.add_file(&file, 0);
        collector.add_variable("CARGO_PKG_NAME", UnitKind::Compiled);
        collector.add_variable("PROFILE", UnitKind::Ran);
        collector.add_variable("RUSTIMPORT_TEST_UNSET", UnitKind::Compiled);
        collector.add_absent(&folder.path().join("build.rs"));
        let pattern = patterns::absolute(folder.path(), "./data/**/*.json").unwrap();
        let inputs = collector.finish(vec![pattern]);
        assert_eq!(inputs.variables.iter().filter(|v| !env_vars::is_build_variable(&v.name)).count(), 1);
        let check = |expected: &[DirtyReason]| {
            assert_eq!(inputs.compare(&CargoConfig::default(), Path::new("/c")).changes, expected);
        };
        check(&[]);
        File::touch(&file);
        check(&[]);
        std::fs::write(&file, "two").unwrap();
        check(&[DirtyReason::FileChanged(file.clone())]);
        std::fs::remove_file(&file).unwrap();
        check(&[DirtyReason::FileRemoved(file.clone())]);
        std::fs::write(&file, "one").unwrap();
        let json = data.join("x.json");
        std::fs::write(&json, "{}").unwrap();
        std::fs::write(folder.path().join("build.rs"), "").unwrap();
        check(&[DirtyReason::FileAppeared(json), DirtyReason::FileAppeared(folder.path().join("build.rs"))]);
    }

    #[test]
    fn configuration_that_no_longer_applies_is_a_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("config.toml");
        std::fs::write(&file, "").unwrap();
        let mut applies = CargoConfig::default();
        applies.files.push(file);
        let mut collector = Collector::before([]);
        collector.add_configuration(&applies, i64::MAX);
        let inputs = collector.finish(vec![]);
        assert_eq!(inputs.compare(&applies, Path::new("/c")).changes, []);
        let changes = inputs.compare(&CargoConfig::default(), Path::new("/c")).changes;
        assert_eq!(changes, [DirtyReason::ConfigurationChanged]);
    }

    struct File;

    impl File {
        fn touch(path: &Path) {
            let file = std::fs::File::options().write(true).open(path).unwrap();
            file.set_modified(SystemTime::now() + std::time::Duration::from_secs(5)).unwrap();
        }
    }
}
