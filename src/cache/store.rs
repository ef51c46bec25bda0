//! Artifacts by the content of what they were made of: what was built once is not built again, not after an
//! undo, in a copied tree, in another environment, or with a setting flipped and flipped back.
//!
//! Inputs are known only after a build, so there are two levels:
//!
//! | level | found by | holds |
//! | --- | --- | --- |
//! | `inputs/<key>/` | the [`Keys`]: a hash of what is known before a build | the sets of inputs that were seen with it |
//! | `artifacts/<hash>` | what a set names, whose every input is as it was | the library |
//!
//! A set holds for any tree of equal content ([`Keys::anywhere`]), with paths relative to the source's folder,
//! if nothing names the tree: no source, no variable, nothing that `env!` gave the compiler, and not the library
//! itself. Otherwise it holds for this one place ([`Keys::here`]).
//!
//! Nothing is loaded from here: two links to one library would share its statics. What leaves is verified.

use std::collections::HashMap;
use std::path::{Component, Path, PathBuf};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::fs::{self, Stat};
use crate::base::programs;
use crate::base::sealed;
use crate::env::cargo_config::CargoConfig;
use crate::freshness::inputs::{FileInput, Inputs, Look, Variable};

/// Bytes of libraries that are kept. Beyond it, the least recently used go.
pub const ROOM: u64 = 1 << 30;
/// How many sets of inputs are kept for one key.
const KEPT_SETS: usize = 64;
/// Of the files below. A change makes everything unknown once.
pub const FORMAT: u32 = 4;
/// Sources with more than this are not searched for the tree's name, and so belong to their place.
const SEARCHED: u64 = 64 << 20;

pub struct Store {
    home: PathBuf,
}

/// By what sets of inputs are found.
pub struct Keys {
    pub anywhere: String,
    pub here: String,
}

impl Keys {
    /// `known` is everything that is known of an artifact before it is built, wherever its source stands;
    /// `place` is where it stands.
    pub fn of(known: &impl std::fmt::Debug, place: &impl std::fmt::Debug) -> Self {
        Self {
            anywhere: fs::hash_bytes(format!("{FORMAT} {known:?}").as_bytes()),
            here: fs::hash_bytes(format!("{FORMAT} {known:?} {place:?}").as_bytes()),
        }
    }
}

/// A file of the store. Libraries come before the sets that name them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Member {
    Artifact(String),
    Set { key: String, file: String },
}

impl Member {
    /// Relative to the store.
    pub fn name(&self) -> String {
        match self {
            Self::Artifact(hash) => format!("artifacts/{hash}"),
            Self::Set { key, file } => format!("inputs/{key}/{file}.toml"),
        }
    }

    /// `None` for what is none of the store's files, such as a name that leads out of it.
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

/// The hash of the artifact that a set of inputs leads to; `None` if it is damaged, or another member's.
pub fn artifact_of(member: &Member, content: &[u8]) -> Option<String> {
    let set: Set = sealed::parse(content, Path::new(&member.name()))?;
    Some(set.artifact)
}

/// What the store has for a source.
pub struct Found {
    pub library: Vec<u8>,
    /// The library's.
    pub hash: String,
    pub inputs: Inputs,
    pub look: Look,
}

/// What the compiler was told, and may have put into the library.
#[derive(Debug, Default)]
pub struct Told {
    /// Values of `env!`.
    pub values: Vec<String>,
    /// The entry's name as a package, if that is generated.
    pub package: Option<String>,
    /// Folders that belong to this entry alone.
    pub folders: Vec<String>,
}

/// A source's place, and what could name it.
pub struct Place<'a> {
    /// The source's folder.
    pub folder: &'a Path,
    pub cargo_config: &'a CargoConfig,
    pub told: &'a Told,
}

/// One set of inputs, and the artifact that was made of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    artifact: String,
    /// Cargo's configuration, the nearest first. What it says of paths is relative to where it stands.
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

/// A path as seen from the source's folder, or as it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Location {
    /// How many folders up; none for a path that is absolute.
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<usize>,
    #[serde(with = "crate::base::text::path_text")]
    path: PathBuf,
}

impl Location {
    fn fixed(path: &Path) -> Self {
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

    /// How far above the source's folder it leads.
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
    /// `None` if some content, or which variables matter, is not known.
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

    /// The inputs as seen from the source's folder, whatever names the tree.
    pub fn relative(artifact: String, inputs: &Inputs, cargo_config: &CargoConfig, folder: &Path) -> Option<Self> {
        let depth = folder.ancestors().count() - 1;
        // What has nothing but the root in common with the source stays where it is.
        let is_near = |location: &Location| location.up.is_some_and(|up| up < depth);
        let locate = |path: &Path| Some(Location::from(folder, path).filter(is_near).unwrap_or(Location::fixed(path)));
        let pattern = |pattern: &str| {
            let near = Location::of_pattern(folder, pattern).filter(is_near);
            Some(near.unwrap_or(Location::fixed(Path::new(pattern))))
        };
        Self::of(artifact, inputs, cargo_config, locate, pattern)
    }

    /// The hash of the artifact.
    pub fn artifact(&self) -> &str {
        &self.artifact
    }

    /// Cargo's configuration around a source as inputs; `None` if it is not what it was.
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

    /// The inputs as they would stand around `folder`, without cargo's configuration.
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

    /// How far up the tree reaches that the set speaks of.
    fn height(&self) -> usize {
        let files = self.files.iter().chain(&self.configuration).map(|content| &content.location);
        files.chain(&self.absent).chain(&self.patterns).map(Location::height).max().unwrap_or_default()
    }
}

impl Store {
    pub fn at(home: PathBuf) -> Self {
        Self { home }
    }

    /// The artifact that was made of what stands around `folder` now, if there is one. `cache` is nobody's input.
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
            let look = inputs.look(cargo_config, cache);
            if !look.changes.is_empty() {
                continue;
            }
            let artifact = self.artifact(&set.artifact);
            match fs::read(&artifact).ok().filter(|library| fs::hash_bytes(library) == set.artifact) {
                Some(library) => {
                    for (file, (_, stat)) in inputs.files.iter_mut().zip(&look.files) {
                        file.stat = stat.unwrap_or_default();
                    }
                    fs::touch(&artifact);
                    fs::touch(&file);
                    return Some(Found { library, hash: set.artifact, inputs, look });
                }
                None => fs::remove(&file),
            }
        }
        None
    }

    /// Remembers an artifact. Only saves time later: whatever fails is left undone.
    pub fn put(&self, keys: &Keys, place: &Place, inputs: &Inputs, library: &[u8]) {
        let hash = fs::hash_bytes(library);
        let portable = || {
            let locate = |path: &Path| Location::from(place.folder, path);
            let pattern = |pattern: &str| Location::of_pattern(place.folder, pattern);
            let set = Set::of(hash.clone(), inputs, place.cargo_config, locate, pattern)?;
            is_portable(&set, place, inputs, library).then_some((&keys.anywhere, set))
        };
        match portable() {
            Some((key, set)) => self.keep(key, &set, library),
            None => self.put_here(&keys.here, &hash, place.cargo_config, inputs, library),
        }
    }

    /// The same for an artifact that belongs to its place in any case.
    pub fn put_here(&self, here: &str, hash: &str, cargo_config: &CargoConfig, inputs: &Inputs, library: &[u8]) {
        let pattern = |pattern: &str| Some(Location::fixed(Path::new(pattern)));
        let locate = |path: &Path| Some(Location::fixed(path));
        if let Some(set) = Set::of(hash.to_owned(), inputs, cargo_config, locate, pattern) {
            self.keep(here, &set, library);
        }
    }

    fn keep(&self, key: &str, set: &Set, library: &[u8]) {
        let artifact = self.artifact(&set.artifact);
        let folder = self.sets_of(key);
        let file = folder.join(format!("{}.toml", &fs::hash_bytes(sealed::portable(set).as_bytes())[..16]));
        let written = fs::create_private_folder(&self.home.join("artifacts"))
            .and_then(|()| fs::write(&artifact, library))
            .and_then(|_| fs::create_private_folder(&folder))
            .and_then(|()| sealed::write(&file, set));
        if written.is_err() {
            return;
        }
        fs::touch(&artifact);
        let sets = fs::by_use(&folder);
        for (path, _) in sets.iter().take(sets.len().saturating_sub(KEPT_SETS)) {
            fs::remove(path);
        }
        self.make_room(ROOM);
    }

    /// Removes what was not used for longest, until no more than `room` bytes of libraries are left.
    pub fn make_room(&self, room: u64) {
        let artifacts = self.artifacts();
        let mut size: u64 = artifacts.iter().map(|(_, size)| size).sum();
        if size <= room {
            return;
        }
        // More than need be: the next build shall not have to do this again.
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

    /// Removes the sets whose artifact is gone.
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

    /// Everything in it, the libraries first.
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
        // What is only half written has another name.
        let mut members: Vec<_> = artifacts.chain(sets).filter_map(|name| Member::from_name(&name)).collect();
        members.sort();
        members
    }

    /// Writes a member that is known to be what its name says.
    pub fn write_member(&self, member: &Member, content: &[u8]) -> Result<()> {
        let path = self.home.join(member.name());
        fs::create_private_folder(path.parent().unwrap_or(&self.home))?;
        fs::write(&path, content)?;
        fs::touch(&path);
        Ok(())
    }

    /// Removes what was not used since then.
    pub fn forget(&self, since: SystemTime) {
        for (artifact, _) in self.artifacts() {
            if std::fs::metadata(&artifact).and_then(|metadata| metadata.modified()).is_ok_and(|time| time < since) {
                fs::remove(&artifact);
            }
        }
        self.drop_orphans();
    }

    /// The sets under a key, the last used first.
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

/// Where a configuration file stands: below cargo's home (a relative path), or as seen from the source's folder, whose
/// links cargo resolves.
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

/// Whether the artifact would be the same in any tree of the same content: neither the library nor anything
/// that led to it names this one, or leads into it from above.
fn is_portable(set: &Set, place: &Place, inputs: &Inputs, library: &[u8]) -> bool {
    let height = set.height();
    // What lies beyond, a home with everything in it, is no tree that moves.
    let is_tree = |tree: &&Path| {
        let holds_home = height > 0 && programs::home().is_some_and(|home| home.starts_with(tree));
        tree.file_name().is_some() && !holds_home
    };
    let Some(tree) = place.folder.ancestors().nth(height).filter(is_tree) else { return false };
    // A path may be written as it was given, or with its links resolved.
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
    // Packages of the registry have their paths in the library too; they are the same for all.
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
    // One that changed during the build had nobody knows which value.
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
    let is_quiet = |file: &FileInput| {
        let content = fs::read(&file.path).ok();
        content.is_some_and(|content| Some(fs::hash_bytes(&content)) == file.hash && !names_tree(&content))
    };
    let size: u64 = inputs.files.iter().filter_map(|file| Stat::of(&file.path)).map(|stat| stat.size).sum();
    !values.any(names_place)
        && !names_entry(library)
        && !names_tree(library)
        && size <= SEARCHED
        && inputs.files.iter().all(is_quiet)
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// Puts one library, made of one file in `folder`.
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
    fn locations_move_with_the_source() {
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
    fn the_least_recently_used_goes_first() {
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
        // What changed during its build is not known, and not kept.
        let unknown = FileInput { path: root.clone(), hash: None, stat: Stat::default() };
        store.put(&keys(9), &place, &Inputs { files: vec![unknown], ..Inputs::default() }, b"x");
        assert_eq!(find(9), None);
    }
}
