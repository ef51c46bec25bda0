//! The objects of a remote store, in a folder. Objects are immutable except for indexes, and written in an order that
//! leaves nothing that refers to a missing object.
//!
//! | object | content |
//! | --- | --- |
//! | `v1/artifacts/<SHA-256>` | a library |
//! | `v1/sets/<SHA-256>` | a signed set of inputs, which names a library |
//! | `v1/index/<key>` | the names of the newest sets for a key; whoever writes last wins, and only hints are lost |
//!
//! The folder may be anybody's: what is read is bounded in size, no link is followed, and only names of this form count.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::folder::{self, Item};
use crate::base::fs;
use crate::base::text::is_hex;

/// The format of the store.
const FORMAT: &str = "v1";
const ARTIFACTS: &str = "artifacts";
const SETS: &str = "sets";
const INDEX: &str = "index";
const CHECK: &str = "check";
/// The number of sets for one key.
pub const MAX_SETS: usize = 16;
/// The size of a name in an index, with its line end.
const NAME: u64 = 65;
/// The size of an index.
pub const MAX_INDEX: u64 = MAX_SETS as u64 * NAME;
/// The size of a signed set.
pub const MAX_SET: u64 = 1 << 20;

#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    pub fn at(root: &Path) -> Self {
        Self(root.to_owned())
    }

    /// The folder of one kind of objects.
    fn objects_of(&self, kind: &str) -> io::Result<folder::Folder> {
        folder::Folder::open(&self.0)?.below(FORMAT)?.below(kind)
    }

    /// The same; it is created if it does not exist.
    fn new_objects_of(&self, kind: &str) -> io::Result<folder::Folder> {
        self.create()?.below_or_new(kind)
    }

    fn create(&self) -> io::Result<folder::Folder> {
        fs::create_users_folder(&self.0)?;
        folder::Folder::open(&self.0)?.below_or_new(FORMAT)
    }

    /// The names of the sets for a key, the newest first.
    pub fn sets_for(&self, key: &str) -> io::Result<Vec<String>> {
        names_in(&self.objects_of(INDEX)?, key)
    }

    /// A signed set.
    pub fn read_set(&self, name: &str) -> io::Result<Vec<u8>> {
        self.objects_of(SETS)?.read_at_most(name, MAX_SET)
    }

    /// The library with this hash and size.
    pub fn read_artifact(&self, hash: &str, size: u64) -> io::Result<Vec<u8>> {
        let library = self.objects_of(ARTIFACTS)?.read_at_most(hash, size)?;
        let is_whole = library.len() as u64 == size && fs::hash_bytes(&library) == hash;
        if is_whole { Ok(library) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")) }
    }

    /// Writes a library and its signed set, then the indexes of `keys`. Returns the set's name.
    pub fn write(&self, keys: &[String], set: &str, hash: &str, library: &[u8]) -> io::Result<String> {
        let artifacts = self.new_objects_of(ARTIFACTS)?;
        if self.read_artifact(hash, library.len() as u64).is_err() {
            artifacts.put(hash, library)?;
        } else {
            artifacts.touch(hash);
        }
        let name = fs::hash_bytes(set.as_bytes());
        self.new_objects_of(SETS)?.put(&name, set.as_bytes())?;
        let index = self.new_objects_of(INDEX)?;
        for key in keys {
            let known = names_in(&index, key).unwrap_or_default().into_iter().filter(|known| *known != name);
            let names: Vec<String> = std::iter::once(name.clone()).chain(known).take(MAX_SETS).collect();
            index.put(key, (names.join("\n") + "\n").as_bytes())?;
        }
        Ok(name)
    }

    /// Makes a set, and what it needs, as young as if it had been written now.
    pub fn refresh(&self, keys: &[String], name: &str, hash: &str) {
        for (kind, names) in [(ARTIFACTS, &[hash.to_owned()][..]), (SETS, &[name.to_owned()]), (INDEX, keys)] {
            if let Ok(objects) = self.objects_of(kind) {
                for name in names {
                    objects.touch(name);
                }
            }
        }
    }

    /// The names of all objects.
    pub fn objects(&self) -> Vec<String> {
        let kinds = [ARTIFACTS, SETS, INDEX].into_iter();
        let names = kinds.flat_map(|kind| {
            let files = self.objects_of(kind).and_then(|objects| objects.files()).unwrap_or_default();
            files.into_iter().map(move |file| format!("{FORMAT}/{kind}/{}", file.name))
        });
        names.collect()
    }

    /// Writes an object that means nothing.
    pub fn write_check(&self, name: &str) -> io::Result<()> {
        self.new_objects_of(CHECK)?.put(name, b"rustimport")
    }

    /// Writes and reads an object of its own, and removes it.
    pub fn try_writing(&self) -> io::Result<()> {
        let (home, name) = (self.create()?, format!("check-{}", std::process::id()));
        home.put(&name, b"rustimport")?;
        let found = home.read_at_most(&name, MAX_SET)?;
        home.remove(&name)?;
        if found == b"rustimport" { Ok(()) } else { Err(io::Error::other("it returns other content than was written")) }
    }

    /// Whether there is anything.
    pub fn exists(&self) -> bool {
        self.0.join(FORMAT).is_dir()
    }

    /// The objects of one kind; files with other names are not the store's.
    fn items(&self, kind: &str) -> Vec<Item> {
        let files = self.objects_of(kind).and_then(|objects| objects.files()).unwrap_or_default();
        files.into_iter().filter(|file| is_hex(&file.name, 64)).collect()
    }

    /// The numbers of sets and of artifacts, and the size of the artifacts in bytes.
    pub fn contents(&self) -> (usize, usize, u64) {
        let artifacts = self.items(ARTIFACTS);
        (self.items(SETS).len(), artifacts.len(), artifacts.iter().map(|file| file.size).sum())
    }

    /// The sets that were written last, the newest first.
    pub fn newest_sets(&self, count: usize) -> Vec<Vec<u8>> {
        let mut sets = self.items(SETS);
        sets.sort_by_key(|file| std::cmp::Reverse(file.modified));
        sets.iter().filter_map(|file| self.read_set(&file.name).ok()).take(count).collect()
    }

    /// Removes the sets that were written before `since`, then the libraries and indexes that no set needs.
    /// `artifact_of` returns the hash in a signed set. Returns the freed bytes.
    pub fn prune(&self, since: SystemTime, artifact_of: impl Fn(&[u8]) -> Option<String>) -> io::Result<u64> {
        let mut freed = 0;
        let mut needed = Vec::new();
        let mut sets = Vec::new();
        for kind in [SETS, ARTIFACTS, INDEX] {
            let objects = match self.objects_of(kind) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?,
            };
            for Item { name, size, modified } in objects.files()? {
                // A newer library may be waiting for its set.
                let is_old = modified < since;
                let is_unneeded = match kind {
                    // What was killed while it wrote.
                    _ if name.starts_with(folder::TEMPORARY) => true,
                    _ if !is_hex(&name, 64) => false,
                    ARTIFACTS => !needed.contains(&name),
                    INDEX => !names_in(&objects, &name).unwrap_or_default().iter().any(|set| sets.contains(set)),
                    _ => true,
                };
                if is_old && is_unneeded {
                    objects.remove(&name)?;
                    freed += size;
                } else if kind == SETS {
                    needed.extend(objects.read_at_most(&name, MAX_SET).ok().and_then(|set| artifact_of(&set)));
                    sets.push(name);
                }
            }
        }
        Ok(freed)
    }
}

fn names_in(index: &folder::Folder, key: &str) -> io::Result<Vec<String>> {
    let text = String::from_utf8(index.read_at_most(key, MAX_INDEX)?).unwrap_or_default();
    Ok(text.lines().filter(|name| is_hex(name, 64)).map(str::to_owned).take(MAX_SETS).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn indexes_are_bounded_and_contain_names_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let path = |kind: &str, name: &str| root.path().join(FORMAT).join(kind).join(name);
        let keys = ["5".repeat(64)];
        let hash = fs::hash_bytes(b"library");
        for number in 0..20 {
            folder.write(&keys, &format!("set {number}"), &hash, b"library").unwrap();
        }
        let names = folder.sets_for(&keys[0]).unwrap();
        assert_eq!(names.len(), MAX_SETS);
        assert_eq!(folder.read_set(&names[0]).unwrap(), b"set 19");
        assert_eq!(folder.read_artifact(&hash, 7).unwrap(), b"library");
        assert!(folder.read_artifact(&hash, 6).is_err() && folder.read_artifact(&hash, 8).is_err());
        std::fs::write(path("index", &keys[0]), format!("../../etc/passwd\n{}\n\n", names[0])).unwrap();
        assert_eq!(folder.sets_for(&keys[0]).unwrap(), names[..1]);
        std::fs::write(path("index", &keys[0]), "x".repeat(1 << 20)).unwrap();
        assert!(folder.sets_for(&keys[0]).is_err());
        std::fs::write(path("artifacts", &hash), "another").unwrap();
        assert!(folder.read_artifact(&hash, 7).is_err());
        // A damaged library is written again.
        folder.write(&keys, "set", &hash, b"library").unwrap();
        assert_eq!(folder.read_artifact(&hash, 7).unwrap(), b"library");
    }

    #[test]
    fn old_sets_are_removed_with_what_only_they_need() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let path = |kind: &str, name: &str| root.path().join(FORMAT).join(kind).join(name);
        let (one, two) = (fs::hash_bytes(b"one"), fs::hash_bytes(b"two"));
        let [a, b] = ["a".repeat(64), "b".repeat(64)];
        let old = folder.write(std::slice::from_ref(&a), &one, &one, b"one").unwrap();
        folder.write(std::slice::from_ref(&b), &two, &two, b"two").unwrap();
        let before = SystemTime::now() - Duration::from_secs(1000);
        for path in [path("sets", &old), path("artifacts", &one), path("index", &a)] {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }
        let hash_in = |set: &[u8]| String::from_utf8(set.to_vec()).ok();
        assert!(folder.prune(SystemTime::now() - Duration::from_secs(100), hash_in).unwrap() > 0);
        assert_eq!(folder.contents(), (1, 1, 3));
        assert!(!path("index", &a).exists() && path("index", &b).exists());
    }
}
