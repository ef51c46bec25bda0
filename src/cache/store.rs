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
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::error::Result;
use crate::base::fs::{self, Stat};
use crate::base::programs;
use crate::base::sealed;
use crate::base::text::is_hex;
use crate::cache::set::{Requirements, Set, canonical};
use crate::env::cargo_config::CargoConfig;
use crate::freshness::inputs::{FileInput, Inputs, Snapshot, Variable};

/// The maximum size of all libraries in bytes. If it is exceeded, the least recently used are removed.
pub const ROOM: u64 = 1 << 30;
/// The maximum number of sets of inputs for one key.
const MAX_SETS: usize = 64;
/// The format of the files. It is part of the keys: after a change, older files are not found.
pub const FORMAT: u32 = 5;
/// Sources with more bytes than this are not searched for the tree's path; their sets are valid only for their place.
const MAX_SEARCHED: u64 = 64 << 20;

pub struct Store {
    home: PathBuf,
}

/// The keys under which sets of inputs are stored.
pub struct Keys {
    pub anywhere: String,
    pub here: String,
    /// In a remote store, for machines with the same toolchain; `None` without a toolchain.
    pub with_toolchain: Option<String>,
    /// In a remote store, for machines without a toolchain.
    pub without_toolchain: String,
}

impl Keys {
    /// `known` is everything that is known about an artifact before it is built, without the source's path and the
    /// toolchain; `place` is the source's path; `abi` is what must be equal on another machine.
    pub fn of(known: &impl std::fmt::Debug, toolchain: Option<&str>, place: &impl std::fmt::Debug, abi: &str) -> Self {
        let hash = |text: String| fs::hash_bytes(text.as_bytes());
        let without_toolchain = hash(format!("{FORMAT} {known:?} {abi}"));
        let Some(toolchain) = toolchain else {
            let (anywhere, here) = (without_toolchain.clone(), without_toolchain.clone());
            return Self { anywhere, here, with_toolchain: None, without_toolchain };
        };
        Self {
            anywhere: hash(format!("{FORMAT} {known:?} {toolchain:?}")),
            here: hash(format!("{FORMAT} {known:?} {toolchain:?} {place:?}")),
            with_toolchain: Some(hash(format!("{FORMAT} {known:?} {abi} {toolchain:?}"))),
            without_toolchain,
        }
    }

    /// The key under which this machine asks a remote store.
    pub fn remote(&self) -> &str {
        self.with_toolchain.as_ref().unwrap_or(&self.without_toolchain)
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
        match name.split('/').collect::<Vec<_>>()[..] {
            ["artifacts", hash] if is_hex(hash, 64) => Some(Self::Artifact(hash.to_owned())),
            ["inputs", key, file] if is_hex(key, 32) => {
                let file = file.strip_suffix(".toml").filter(|file| is_hex(file, 16))?;
                Some(Self::Set { key: key.to_owned(), file: file.to_owned() })
            }
            _ => None,
        }
    }
}

/// The hash of the artifact that a set of inputs names; `None` if the set is damaged or has another name.
pub fn artifact_of(member: &Member, content: &[u8]) -> Option<String> {
    let set: Set = sealed::parse(content, Path::new(&member.name()))?;
    Some(set.artifact().to_owned())
}

/// An artifact that was found in the store.
pub struct Found {
    pub library: Vec<u8>,
    pub set: Set,
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

impl Store {
    pub fn at(home: PathBuf) -> Self {
        Self { home }
    }

    /// The artifact with the current inputs of a source in `folder`, if there is one. Files in `cache` are not inputs.
    /// `accepts` decides on a set before it is compared.
    pub fn find(
        &self,
        keys: &Keys,
        folder: &Path,
        cargo_config: &CargoConfig,
        cache: &Path,
        accepts: &dyn Fn(&Set) -> bool,
    ) -> Option<Found> {
        for (file, set, inputs, snapshot) in self.matches(keys, folder, cargo_config, cache, accepts) {
            let artifact = self.artifact(set.artifact());
            match fs::read(&artifact).ok().filter(|library| fs::hash_bytes(library) == set.artifact()) {
                Some(library) => {
                    fs::touch(&artifact);
                    fs::touch(&file);
                    return Some(Found { library, set, inputs, snapshot });
                }
                None => fs::remove(&file),
            }
        }
        None
    }

    /// Whether there is such an artifact. Unlike `find`, this changes nothing.
    pub fn has(
        &self,
        keys: &Keys,
        folder: &Path,
        cargo_config: &CargoConfig,
        cache: &Path,
        accepts: &dyn Fn(&Set) -> bool,
    ) -> bool {
        let mut matches = self.matches(keys, folder, cargo_config, cache, accepts);
        matches.any(|(_, set, ..)| fs::hash_file(&self.artifact(set.artifact())).as_deref() == Some(set.artifact()))
    }

    /// The accepted sets, with their files, whose inputs are the current ones.
    fn matches<'a>(
        &'a self,
        keys: &'a Keys,
        folder: &'a Path,
        cargo_config: &'a CargoConfig,
        cache: &'a Path,
        accepts: &'a dyn Fn(&Set) -> bool,
    ) -> impl Iterator<Item = (PathBuf, Set, Inputs, Snapshot)> + 'a {
        let mut hashes: HashMap<PathBuf, Option<String>> = HashMap::new();
        let has_toolchain = keys.with_toolchain.is_some();
        let both = std::iter::once(&keys.anywhere).chain((keys.here != keys.anywhere).then_some(&keys.here));
        both.flat_map(|key| self.sets(key)).filter(|(_, set)| accepts(set)).filter_map(move |(file, set)| {
            let mut hash = |path: &Path| hashes.entry(path.to_owned()).or_insert_with(|| fs::hash_file(path)).clone();
            let (inputs, snapshot) = set.compare(folder, cargo_config, cache, has_toolchain, &mut hash)?;
            Some((file, set, inputs, snapshot))
        })
    }

    /// Stores an artifact. `requirements` are those of other machines, or the reason why it must not leave this one.
    /// Errors are ignored, since the store only saves time. Returns the set, unless some input is unknown.
    pub fn put(
        &self,
        keys: &Keys,
        place: &Place,
        inputs: &Inputs,
        library: &[u8],
        requirements: Result<Requirements, String>,
    ) -> Option<Set> {
        let hash = fs::hash_bytes(library);
        let (key, mut set, requirements) = if let Some(set) = portable_set(place, inputs, library) {
            (&keys.anywhere, set, requirements)
        } else {
            let set = Set::absolute(hash, inputs, place.cargo_config)?;
            (&keys.here, set, Err("it contains the path of its folder".into()))
        };
        match requirements {
            Ok(found) => set.requirements = Some(found),
            Err(why) => set.stays = Some(why),
        }
        self.insert(key, &set, library);
        Some(set)
    }

    /// Stores an artifact for its place only.
    pub fn put_here(&self, here: &str, hash: &str, cargo_config: &CargoConfig, inputs: &Inputs, library: &[u8]) {
        let set = Set::absolute(hash.to_owned(), inputs, cargo_config);
        if let Some(set) = set {
            self.insert(here, &set, library);
        }
    }

    /// Stores an artifact with its set of inputs.
    pub fn insert(&self, key: &str, set: &Set, library: &[u8]) {
        let artifact = self.artifact(set.artifact());
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
                if set.is_none_or(|set| !self.artifact(set.artifact()).exists()) {
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

/// The set of an artifact, if that would be the same in any tree with the same content.
pub fn portable_set(place: &Place, inputs: &Inputs, library: &[u8]) -> Option<Set> {
    let set = Set::portable(fs::hash_bytes(library), inputs, place.cargo_config, place.folder)?;
    is_portable(&set, place, inputs, library).then_some(set)
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
        let keys = Keys::of(&"known", Some("rustc 1"), &"here", "abi");
        store.put(&keys, &place, &inputs, library, Err(String::new()));
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
        let keys = |number: u8| Keys::of(&number, Some("rustc 1"), &"here", "abi");
        let inputs = |text: &str| {
            let hash = Some(fs::hash_bytes(text.as_bytes()));
            let files = vec![FileInput { path: root.clone(), hash, stat: Stat::default() }];
            Inputs { files, ..Inputs::default() }
        };
        let mut old = std::time::SystemTime::now() - std::time::Duration::from_secs(1000);
        for number in 0..10 {
            store.put(&keys(number), &place, &inputs(""), &[number; 100], Err(String::new()));
            let artifact = store.artifact(&fs::hash_bytes(&[number; 100]));
            old += std::time::Duration::from_secs(10);
            std::fs::File::options().write(true).open(artifact).unwrap().set_modified(old).unwrap();
        }
        let find = |number: u8| {
            store
                .find(&keys(number), folder.path(), &cargo_config, Path::new("/c"), &|_| true)
                .map(|found| found.library)
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
        let inputs = Inputs { files: vec![unknown], ..Inputs::default() };
        store.put(&keys(9), &place, &inputs, b"x", Err(String::new()));
        assert_eq!(find(9), None);
    }
}
