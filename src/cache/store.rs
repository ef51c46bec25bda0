//! Stores artifacts, indexed by the content of their inputs. So an artifact is not built again after an undo, in a
//! copied tree, in another environment, or after a setting was changed and changed back.
//!
//! All inputs are known only after a build, so there are two levels:
//!
//! | level | found by | contains |
//! | --- | --- | --- |
//! | `inputs/<key>/` | the [`Keys`]: hashes of what is known before a build | the sets of inputs of earlier builds |
//! | `artifacts/<hash>` | the hash in a set, if all inputs in the set are unchanged | the library |
//!
//! A set is valid for any tree with equal content ([`Keys::anywhere`]), with paths relative to the source's folder,
//! unless the tree's path occurs in a source, in a variable, in a value of `env!` or in the library itself. Otherwise
//! it is valid only for this place ([`Keys::here`]).
//!
//! Libraries are not loaded from the store but copied and verified, since two sources that load one file would have the
//! same statics.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::fs::{self, Stat};
use crate::base::programs;
use crate::base::sealed;
use crate::env::cargo_config::CargoConfig;
use crate::freshness::inputs::{FileInput, Inputs, Snapshot, Variable};

/// The maximum size of all libraries in bytes. If it is exceeded, the least recently used are removed.
pub const ROOM: u64 = 1 << 30;
/// The maximum number of sets of inputs for one key.
const MAX_SETS: usize = 64;
/// The format of the files. It is part of the keys: after a change, older files are not found.
pub const FORMAT: u32 = 4;
/// Sources with more bytes than this are not searched for the tree's path; their sets are valid only for their place.
const MAX_SEARCHED: u64 = 64 << 20;

pub struct Store {
    home: PathBuf,
}

/// The keys under which sets of inputs are stored.
pub struct Keys {
    pub anywhere: String,
    pub here: String,
}

impl Keys {
    /// `known` is everything that is known about an artifact before it is built, without the source's path; `place` is
    /// the source's path.
    pub fn of(known: &impl std::fmt::Debug, place: &impl std::fmt::Debug) -> Self {
        Self {
            anywhere: fs::hash_bytes(format!("{FORMAT} {known:?}").as_bytes()),
            here: fs::hash_bytes(format!("{FORMAT} {known:?} {place:?}").as_bytes()),
        }
    }
}

/// A file of the store. Libraries are sorted before the sets that name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    Artifact(String),
    Set { key: String, file: String },
}

impl Member {
    /// The path relative to the store.
    pub fn name(&self) -> String {
        match self {
            Self::Artifact(hash) => format!("artifacts/{hash}"),
            Self::Set { key, file } => format!("inputs/{key}/{file}.toml"),
        }
    }

    /// `None` if this cannot be the name of a file in the store, such as a path that leads out of it.
    pub fn from_name(name: &str) -> Option<Self> {
        let is_hash = |text: &str, digits: usize| {
            text.len() == digits && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        };
        match name.split('/').collect::<Vec<_>>()[..] {
            ["artifacts", hash] if is_hash(hash, 64) => Some(Self::Artifact(hash.to_owned())),
            ["inputs", key, file] if is_hash(key, 32) => {
                let file = file.strip_suffix(".toml").filter(|file| is_hash(file, 16))?;
                Some(Self::Set { key: key.to_owned(), file: file.to_owned() })
            }
            _ => None,
        }
    }
}

/// The hash of the artifact that a set of inputs names; `None` if the set is damaged or has another name.
pub fn artifact_of(member: &Member, content: &[u8]) -> Option<String> {
    let set: Set = sealed::parse(content, Path::new(&member.name()))?;
    Some(set.artifact)
}

/// An artifact that was found in the store.
pub struct Found {
    pub library: Vec<u8>,
    /// The library's hash.
    pub hash: String,
    pub inputs: Inputs,
    pub snapshot: Snapshot,
}

/// Values that were passed to the compiler, and that the library may contain.
#[derive(Debug, Default)]
pub struct Told {
    /// The values of `env!`.
    pub values: Vec<String>,
    /// The package's name, if it is generated from the entry's.
    pub package: Option<String>,
    /// Folders that only this entry uses.
    pub folders: Vec<String>,
}

/// A source's place, and the values that may contain its path.
pub struct Place<'a> {
    /// The source's folder.
    pub folder: &'a Path,
    pub cargo_config: &'a CargoConfig,
    pub told: &'a Told,
}

/// A set of inputs, and the artifact that was built from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    artifact: String,
    /// Cargo's configuration files, the nearest first. Paths in a file are relative to it, so its location matters.
    configuration: Vec<Content>,
    files: Vec<Content>,
    absent: Vec<Location>,
    patterns: Vec<Location>,
    variables: Vec<Variable>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    location: Location,
    hash: String,
}

/// A path relative to the source's folder, or an absolute path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Location {
    /// The number of folders above the source's folder; `None` if the path is not relative to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<usize>,
    #[serde(with = "crate::base::text::path_text")]
    path: PathBuf,
}

impl Location {
    fn absolute(path: &Path) -> Self {
        Self { up: None, path: path.to_owned() }
    }

    fn from(folder: &Path, path: &Path) -> Option<Self> {
        let mut ancestors = folder.ancestors().enumerate();
        ancestors.find_map(|(up, parent)| Some(Self { up: Some(up), path: path.strip_prefix(parent).ok()?.to_owned() }))
    }

    fn of_pattern(folder: &Path, pattern: &str) -> Option<Self> {
        let mut ancestors = folder.ancestors().enumerate();
        ancestors.find_map(|(up, parent)| {
            let escaped = glob::Pattern::escape(parent.to_str()?);
            let rest = pattern.strip_prefix(escaped.trim_end_matches('/'))?.strip_prefix('/')?;
            Some(Self { up: Some(up), path: rest.into() })
        })
    }

    /// The number of folders above the source's folder that it leads to.
    fn height(&self) -> usize {
        let ups = self.path.components().filter(|part| *part == Component::ParentDir).count();
        self.up.unwrap_or_default() + ups
    }

    fn seen_from(&self, folder: &Path) -> Option<PathBuf> {
        match self.up {
            None => Some(self.path.clone()),
            Some(up) => Some(folder.ancestors().nth(up)?.join(&self.path)),
        }
    }

    fn pattern_seen_from(&self, folder: &Path) -> Option<String> {
        let path = self.path.to_str()?;
        match self.up {
            None => Some(path.to_owned()),
            Some(up) => {
                let parent = glob::Pattern::escape(folder.ancestors().nth(up)?.to_str()?);
                Some(format!("{}/{path}", parent.trim_end_matches('/')))
            }
        }
    }
}

impl Set {
    /// `None` if the content of a file is unknown, or if it is unknown which variables are inputs.
    fn of(
        artifact: String,
        inputs: &Inputs,
        cargo_config: &CargoConfig,
        locate: impl Fn(&Path) -> Option<Location>,
        locate_pattern: impl Fn(&str) -> Option<Location>,
    ) -> Option<Self> {
        if inputs.environment.is_some() {
            return None;
        }
        let configuration = cargo_config.files.iter().map(|path| {
            let known = inputs.files.iter().find(|file| file.path == *path)?;
            Some(Content { location: locate_configuration(path, &locate)?, hash: known.hash.clone()? })
        });
        let files = inputs.files.iter().filter(|file| !cargo_config.files.contains(&file.path));
        Some(Self {
            artifact,
            configuration: configuration.collect::<Option<_>>()?,
            files: files
                .map(|file| Some(Content { location: locate(&file.path)?, hash: file.hash.clone()? }))
                .collect::<Option<_>>()?,
            absent: inputs.absent.iter().map(|path| locate(path)).collect::<Option<_>>()?,
            patterns: inputs.patterns.iter().map(|pattern| locate_pattern(pattern)).collect::<Option<_>>()?,
            variables: inputs.variables.clone(),
        })
    }

    /// The inputs with paths relative to the source's folder. Whether they contain the tree's path is not checked.
    pub fn relative(artifact: String, inputs: &Inputs, cargo_config: &CargoConfig, folder: &Path) -> Option<Self> {
        let depth = folder.ancestors().count() - 1;
        // A path that has only the file system's root in common with the source stays absolute.
        let is_near = |location: &Location| location.up.is_some_and(|up| up < depth);
        let locate =
            |path: &Path| Some(Location::from(folder, path).filter(is_near).unwrap_or(Location::absolute(path)));
        let pattern = |pattern: &str| {
            let near = Location::of_pattern(folder, pattern).filter(is_near);
            Some(near.unwrap_or(Location::absolute(Path::new(pattern))))
        };
        Self::of(artifact, inputs, cargo_config, locate, pattern)
    }

    /// The hash of the artifact.
    pub fn artifact(&self) -> &str {
        &self.artifact
    }

    /// The cargo configuration that applies to a source, as inputs; `None` if it has changed.
    pub fn configuration(&self, folder: &Path, cargo_config: &CargoConfig) -> Option<Vec<FileInput>> {
        let found = self.configuration.iter().map(|content| {
            let path = match &content.location {
                Location { up: None, path } if !path.is_absolute() => programs::cargo_home()?.join(path),
                location => location.seen_from(&canonical(folder))?,
            };
            let hash = fs::hash_file(&path).filter(|hash| *hash == content.hash)?;
            Some(FileInput { path, hash: Some(hash), stat: Stat::default() })
        });
        let found: Vec<FileInput> = found.collect::<Option<_>>()?;
        found.iter().map(|file| &file.path).eq(&cargo_config.files).then_some(found)
    }

    /// The inputs for a source in `folder`, without cargo's configuration.
    pub fn inputs(&self, folder: &Path) -> Option<Inputs> {
        let files = self.files.iter().map(|content| {
            let path = content.location.seen_from(folder)?;
            Some(FileInput { path, hash: Some(content.hash.clone()), stat: Stat::default() })
        });
        Some(Inputs {
            files: files.collect::<Option<_>>()?,
            variables: self.variables.clone(),
            patterns: self.patterns.iter().map(|pattern| pattern.pattern_seen_from(folder)).collect::<Option<_>>()?,
            absent: self.absent.iter().map(|path| path.seen_from(folder)).collect::<Option<_>>()?,
            environment: None,
        })
    }

    /// The number of folders above the source's folder that the inputs reach.
    fn height(&self) -> usize {
        let files = self.files.iter().chain(&self.configuration).map(|content| &content.location);
        files.chain(&self.absent).chain(&self.patterns).map(Location::height).max().unwrap_or_default()
    }
}

impl Store {
    pub fn at(home: PathBuf) -> Self {
        Self { home }
    }

    /// The artifact with the current inputs of a source in `folder`, if there is one. Files in `cache` are not inputs.
    pub fn find(&self, keys: &Keys, folder: &Path, cargo_config: &CargoConfig, cache: &Path) -> Option<Found> {
        let mut hashes: HashMap<PathBuf, Option<String>> = HashMap::new();
        for (file, set) in [&keys.anywhere, &keys.here].into_iter().flat_map(|key| self.sets(key)) {
            let Some(configuration) = set.configuration(folder, cargo_config) else { continue };
            let Some(mut inputs) = set.inputs(folder) else { continue };
            let mut hash = |path: &Path| hashes.entry(path.to_owned()).or_insert_with(|| fs::hash_file(path)).clone();
            if !inputs.files.iter().all(|file| hash(&file.path) == file.hash) {
                continue;
            }
            inputs.files.extend(configuration);
            let snapshot = inputs.compare(cargo_config, cache);
            if !snapshot.changes.is_empty() {
                continue;
            }
            let artifact = self.artifact(&set.artifact);
            match fs::read(&artifact).ok().filter(|library| fs::hash_bytes(library) == set.artifact) {
                Some(library) => {
                    for (file, (_, stat)) in inputs.files.iter_mut().zip(&snapshot.files) {
                        file.stat = stat.unwrap_or_default();
                    }
                    fs::touch(&artifact);
                    fs::touch(&file);
                    return Some(Found { library, hash: set.artifact, inputs, snapshot });
                }
                None => fs::remove(&file),
            }
        }
        None
    }

    /// Stores an artifact. Errors are ignored, since the store only saves time.
    pub fn put(&self, keys: &Keys, place: &Place, inputs: &Inputs, library: &[u8]) {
        let hash = fs::hash_bytes(library);
        let portable = || {
            let locate = |path: &Path| Location::from(place.folder, path);
            let pattern = |pattern: &str| Location::of_pattern(place.folder, pattern);
            let set = Set::of(hash.clone(), inputs, place.cargo_config, locate, pattern)?;
            is_portable(&set, place, inputs, library).then_some((&keys.anywhere, set))
        };
        match portable() {
            Some((key, set)) => self.insert(key, &set, library),
            None => self.put_here(&keys.here, &hash, place.cargo_config, inputs, library),
        }
    }

    /// Stores an artifact for its place only.
    pub fn put_here(&self, here: &str, hash: &str, cargo_config: &CargoConfig, inputs: &Inputs, library: &[u8]) {
        let pattern = |pattern: &str| Some(Location::absolute(Path::new(pattern)));
        let locate = |path: &Path| Some(Location::absolute(path));
        if let Some(set) = Set::of(hash.to_owned(), inputs, cargo_config, locate, pattern) {
            self.insert(here, &set, library);
        }
    }

    fn insert(&self, key: &str, set: &Set, library: &[u8]) {
        let artifact = self.artifact(&set.artifact);
        let folder = self.sets_of(key);
        let file = folder.join(format!("{}.toml", &fs::hash_bytes(sealed::portable(set).as_bytes())[..16]));
        let result = fs::create_private_folder(&self.home.join("artifacts"))
            .and_then(|()| fs::write(&artifact, library))
            .and_then(|_| fs::create_private_folder(&folder))
            .and_then(|()| sealed::write(&file, set));
        if result.is_err() {
            return;
        }
        fs::touch(&artifact);
        let sets = fs::by_use(&folder);
        for (path, _) in sets.iter().take(sets.len().saturating_sub(MAX_SETS)) {
            fs::remove(path);
        }
        self.make_room(ROOM);
    }

    /// If the libraries have more than `room` bytes, removes the least recently used ones.
    pub fn make_room(&self, room: u64) {
        let artifacts = self.artifacts();
        let mut size: u64 = artifacts.iter().map(|(_, size)| size).sum();
        if size <= room {
            return;
        }
        // Remove more than necessary, so that the next build does not have to do this again.
        for (path, bytes) in artifacts {
            if size <= room - room / 8 {
                break;
            }
            fs::remove(&path);
            size -= bytes;
        }
        self.drop_orphans();
    }

    /// The libraries with their sizes, the least recently used first.
    fn artifacts(&self) -> Vec<(PathBuf, u64)> {
        if fs::is_folder(&self.home) { fs::by_use(&self.home.join("artifacts")) } else { Vec::new() }
    }

    /// Removes the sets that name a missing artifact.
    fn drop_orphans(&self) {
        if !fs::is_folder(&self.home) {
            return;
        }
        for key in fs::items(&self.home.join("inputs")) {
            for (file, _) in fs::by_use(&key.path()) {
                let set: Option<Set> = sealed::read(&file);
                if set.is_none_or(|set| !self.artifact(&set.artifact).exists()) {
                    fs::remove(&file);
                }
            }
            fs::remove_empty(&key.path());
        }
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// All files of the store, the libraries first.
    pub fn members(&self) -> Vec<Member> {
        let names = |folder: &Path| {
            fs::items(folder).map(|item| item.file_name().to_string_lossy().into_owned()).collect::<Vec<_>>()
        };
        let artifacts = names(&self.home.join("artifacts")).into_iter().map(|hash| format!("artifacts/{hash}"));
        let inputs = self.home.join("inputs");
        let sets = names(&inputs).into_iter().flat_map(|key| {
            let files = names(&inputs.join(&key)).into_iter();
            files.map(move |file| format!("inputs/{key}/{file}")).collect::<Vec<_>>()
        });
        // Temporary files have other names and are skipped.
        let mut members: Vec<_> = artifacts.chain(sets).filter_map(|name| Member::from_name(&name)).collect();
        members.sort();
        members
    }

    /// Writes a member. The caller has verified that the content matches the name.
    pub fn write_member(&self, member: &Member, content: &[u8]) -> Result<()> {
        let path = self.home.join(member.name());
        fs::create_private_folder(path.parent().unwrap_or(&self.home))?;
        fs::write(&path, content)?;
        fs::touch(&path);
        Ok(())
    }

    /// Removes the artifacts that were not used since a time.
    pub fn remove_unused(&self, since: SystemTime) {
        for (artifact, _) in self.artifacts() {
            if std::fs::metadata(&artifact).and_then(|metadata| metadata.modified()).is_ok_and(|time| time < since) {
                fs::remove(&artifact);
            }
        }
        self.drop_orphans();
    }

    /// The sets for a key, the most recently used first.
    fn sets(&self, key: &str) -> impl Iterator<Item = (PathBuf, Set)> {
        let files = fs::by_use(&self.sets_of(key)).into_iter().rev();
        files.filter_map(|(path, _)| sealed::read(&path).map(|set| (path, set)))
    }

    fn sets_of(&self, key: &str) -> PathBuf {
        self.home.join("inputs").join(&key[..32])
    }

    fn artifact(&self, hash: &str) -> PathBuf {
        self.home.join("artifacts").join(hash)
    }
}

/// The location of a configuration file: relative to cargo's home, or else relative to the source's folder with links
/// resolved, as cargo does.
fn locate_configuration(path: &Path, locate: &impl Fn(&Path) -> Option<Location>) -> Option<Location> {
    let home = programs::cargo_home().map(|home| canonical(&home));
    match home.and_then(|home| Some(path.strip_prefix(home).ok()?.to_owned())) {
        Some(path) => Some(Location { up: None, path }),
        None => locate(path),
    }
}

fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

/// Whether the artifact would be the same in any tree with the same content: neither the library nor an input contains
/// this tree's path, and no variable is the path of a folder above it.
fn is_portable(set: &Set, place: &Place, inputs: &Inputs, library: &[u8]) -> bool {
    let height = set.height();
    // A tree that contains the user's home, or everything below the root, is not copied as a whole.
    let is_tree = |tree: &&Path| {
        let holds_home = height > 0 && programs::home().is_some_and(|home| home.starts_with(tree));
        tree.file_name().is_some() && !holds_home
    };
    let Some(tree) = place.folder.ancestors().nth(height).filter(is_tree) else { return false };
    // A path may occur as it was given, or with its links resolved.
    let trees =
        [tree.to_owned(), canonical(tree), canonical(place.folder).ancestors().nth(height).unwrap_or(tree).into()];
    let mut names: Vec<String> = Vec::new();
    for tree in &trees {
        let Some(tree) = tree.to_str() else { return false };
        names.push(tree.to_owned());
        if cfg!(windows) {
            names.extend([tree.replace('\\', "/"), tree.replace('\\', "\\\\")]);
        }
    }
    // The library also contains paths of registry packages, which do not depend on the tree.
    let registry = programs::cargo_home().map(|home| home.display().to_string()).unwrap_or_default();
    let names_tree = |bytes: &[u8]| {
        names.iter().any(|name| {
            let mut found = memchr::memmem::find_iter(bytes, name.as_bytes());
            found.any(|start| registry.is_empty() || !bytes[start..].starts_with(registry.as_bytes()))
        })
    };
    let contains = |bytes: &[u8], name: &str| memchr::memmem::find(bytes, name.as_bytes()).is_some();
    let names_entry = |bytes: &[u8]| place.told.folders.iter().any(|folder| contains(bytes, folder));
    let leads_here = |value: &str| {
        let path = Path::new(value);
        path.is_absolute() && path.parent().is_some() && trees.iter().any(|tree| tree.starts_with(path))
    };
    // The value that the build read is unknown if the variable has changed since.
    let Ok(variables) = inputs.variables.iter().map(Variable::value).collect::<Result<Vec<_>, _>>() else {
        return false;
    };
    let mut values = variables.iter().flatten().chain(&place.told.values);
    let names_place = |value: &String| {
        let bytes = value.as_bytes();
        names_tree(bytes)
            || names_entry(bytes)
            || leads_here(value)
            || place.told.package.as_ref().is_some_and(|name| contains(bytes, name))
    };
    let has_no_path = |file: &FileInput| {
        let content = fs::read(&file.path).ok();
        content.is_some_and(|content| Some(fs::hash_bytes(&content)) == file.hash && !names_tree(&content))
    };
    let size: u64 = inputs.files.iter().filter_map(|file| Stat::of(&file.path)).map(|stat| stat.size).sum();
    !values.any(names_place)
        && !names_entry(library)
        && !names_tree(library)
        && size <= MAX_SEARCHED
        && inputs.files.iter().all(has_no_path)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Stores one library, built from one file in `folder`.
    pub fn put(store: &Store, folder: &Path, library: &[u8]) {
        let (told, cargo_config) = (Told::default(), CargoConfig::default());
        let root = folder.join("m.rs");
        std::fs::write(&root, "").unwrap();
        let file = FileInput { path: root, hash: Some(fs::hash_bytes(b"")), stat: Stat::default() };
        let place = Place { folder, cargo_config: &cargo_config, told: &told };
        let inputs = Inputs { files: vec![file], ..Inputs::default() };
        store.put(&Keys::of(&"known", &"here"), &place, &inputs, library);
    }

    #[test]
    fn locations_are_relative_to_the_source() {
        let check = |path: &str, seen: Option<&str>, height: usize| {
            let location = Location::from(Path::new("/a/b/s"), Path::new(path)).unwrap();
            let found = location.seen_from(Path::new("/x/y"));
            assert_eq!((found.as_deref(), location.height()), (seen.map(Path::new), height), "{path}");
        };
        check("/a/b/s/m.rs", Some("/x/y/m.rs"), 0);
        check("/a/b/s/../t/m.rs", Some("/x/y/../t/m.rs"), 1);
        check("/a/b/t/m.rs", Some("/x/t/m.rs"), 1);
        check("/etc/x", None, 3);
        let check = |pattern: &str, seen: Option<&str>| {
            let location = Location::of_pattern(Path::new("/a/[b]"), pattern);
            let found = location.and_then(|location| location.pattern_seen_from(Path::new("/x/[y]")));
            assert_eq!(found.as_deref(), seen, "{pattern}");
        };
        check("/a/[[]b[]]/**/*.json", Some("/x/[[]y[]]/**/*.json"));
        check("/a/*.json", Some("/x/*.json"));
    }

    #[test]
    fn the_least_recently_used_is_removed_first() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::at(folder.path().join("store"));
        let cargo_config = CargoConfig::default();
        let root = folder.path().join("m.rs");
        std::fs::write(&root, "").unwrap();
        let told = Told { package: Some("m_1".into()), ..Told::default() };
        let place = Place { folder: folder.path(), cargo_config: &cargo_config, told: &told };
        let keys = |number: u8| Keys::of(&number, &"here");
        let inputs = |text: &str| {
            let hash = Some(fs::hash_bytes(text.as_bytes()));
            let files = vec![FileInput { path: root.clone(), hash, stat: Stat::default() }];
            Inputs { files, ..Inputs::default() }
        };
        let mut old = std::time::SystemTime::now() - std::time::Duration::from_secs(1000);
        for number in 0..10 {
            store.put(&keys(number), &place, &inputs(""), &[number; 100]);
            let artifact = store.artifact(&fs::hash_bytes(&[number; 100]));
            old += std::time::Duration::from_secs(10);
            std::fs::File::options().write(true).open(artifact).unwrap().set_modified(old).unwrap();
        }
        let find = |number: u8| {
            store.find(&keys(number), folder.path(), &cargo_config, Path::new("/c")).map(|found| found.library)
        };
        assert_eq!(find(1), Some(vec![1; 100]));
        store.make_room(500);
        let left: Vec<u8> = (0..10).filter(|number| find(*number).is_some()).collect();
        assert_eq!(left, [1, 7, 8, 9]);
        assert_eq!(std::fs::read_dir(store.home.join("inputs")).unwrap().count(), 4);
        std::fs::write(&root, "changed").unwrap();
        assert_eq!(find(9), None);
        // An artifact is not stored if a file changed during its build.
        let unknown = FileInput { path: root.clone(), hash: None, stat: Stat::default() };
        store.put(&keys(9), &place, &Inputs { files: vec![unknown], ..Inputs::default() }, b"x");
        assert_eq!(find(9), None);
    }
}
