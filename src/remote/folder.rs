//! The objects of a remote store, in a folder. Objects are immutable except for indexes, and written in an order that
//! leaves nothing that refers to a missing object.
//!
//! | object | content |
//! | --- | --- |
//! | `v1/artifacts/<SHA-256>` | a library |
//! | `v1/sets/<SHA-256>` | a signed set of inputs, which names a library |
//! | `v1/index/<key>` | the names of the newest sets for a key; whoever writes last wins, and only hints are lost |
//!
//! The folder may be anybody's: what is read is bounded in size, and nothing is followed but names of this form.

use std::io;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::base::fs;
use crate::base::text::is_hex;

/// The format of the store.
const FORMAT: &str = "v1";
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
        Self(root.join(FORMAT))
    }

    fn artifact(&self, hash: &str) -> PathBuf {
        self.0.join("artifacts").join(hash)
    }

    fn set(&self, name: &str) -> PathBuf {
        self.0.join("sets").join(name)
    }

    fn index(&self, key: &str) -> PathBuf {
        self.0.join("index").join(key)
    }

    /// The names of the sets for a key, the newest first.
    pub fn sets_for(&self, key: &str) -> io::Result<Vec<String>> {
        let content = fs::read_at_most(&self.index(key), MAX_INDEX)?;
        let text = String::from_utf8(content).unwrap_or_default();
        Ok(text.lines().filter(|name| is_hex(name, 64)).map(str::to_owned).take(MAX_SETS).collect())
    }

    /// A signed set.
    pub fn read_set(&self, name: &str) -> io::Result<Vec<u8>> {
        fs::read_at_most(&self.set(name), MAX_SET)
    }

    /// The library with this hash and size.
    pub fn read_artifact(&self, hash: &str, size: u64) -> io::Result<Vec<u8>> {
        let library = fs::read_at_most(&self.artifact(hash), size)?;
        let is_whole = library.len() as u64 == size && fs::hash_bytes(&library) == hash;
        if is_whole { Ok(library) } else { Err(io::Error::new(io::ErrorKind::InvalidData, "it is damaged")) }
    }

    /// Writes a library and its signed set, then the indexes of `keys`. Returns the set's name.
    pub fn write(&self, keys: &[String], set: &str, hash: &str, library: &[u8]) -> io::Result<String> {
        if self.read_artifact(hash, library.len() as u64).is_err() {
            put(&self.artifact(hash), library)?;
        }
        let name = fs::hash_bytes(set.as_bytes());
        put(&self.set(&name), set.as_bytes())?;
        for key in keys {
            let known = self.sets_for(key).unwrap_or_default().into_iter().filter(|known| *known != name);
            let names: Vec<String> = std::iter::once(name.clone()).chain(known).take(MAX_SETS).collect();
            put(&self.index(key), (names.join("\n") + "\n").as_bytes())?;
        }
        Ok(name)
    }

    /// The names of all objects.
    pub fn objects(&self) -> Vec<String> {
        let folders = ["artifacts", "sets", "index"].into_iter();
        let names =
            folders.flat_map(|folder| fs::items(&self.0.join(folder)).map(move |item| (folder, item.file_name())));
        names.map(|(folder, name)| format!("{FORMAT}/{folder}/{}", name.to_string_lossy())).collect()
    }

    /// Writes an object that means nothing.
    pub fn write_check(&self, name: &str) -> io::Result<()> {
        put(&self.0.join("check").join(name), b"rustimport")
    }

    /// Writes and reads an object of its own, and removes it.
    pub fn try_writing(&self) -> io::Result<()> {
        let path = self.0.join(format!("check-{}", std::process::id()));
        put(&path, b"rustimport")?;
        let found = fs::read(&path)?;
        fs::remove_users_file(&path)?;
        if found == b"rustimport" { Ok(()) } else { Err(io::Error::other("it returns other content than was written")) }
    }

    /// Whether there is anything.
    pub fn exists(&self) -> bool {
        self.0.is_dir()
    }

    /// The numbers of sets and of artifacts, and the size of the artifacts in bytes.
    pub fn contents(&self) -> (usize, usize, u64) {
        let artifacts = fs::by_use(&self.0.join("artifacts"));
        (fs::items(&self.0.join("sets")).count(), artifacts.len(), artifacts.iter().map(|(_, size)| size).sum())
    }

    /// Removes the sets that were written before `since`, then the libraries and indexes that no set needs.
    /// `artifact_of` returns the hash in a signed set. Returns the freed bytes.
    pub fn prune(&self, since: SystemTime, artifact_of: impl Fn(&[u8]) -> Option<String>) -> io::Result<u64> {
        let is_old = |path: &Path| std::fs::metadata(path)?.modified().map(|time| time < since);
        let names = |folder: &str| fs::items(&self.0.join(folder)).map(|item| item.path()).collect::<Vec<_>>();
        let mut freed = 0;
        let mut remove = |path: &Path| {
            freed += fs::size(path);
            fs::remove_users_file(path)
        };
        let mut needed = Vec::new();
        for path in names("sets") {
            if is_old(&path)? {
                remove(&path)?;
            } else {
                needed.extend(fs::read_at_most(&path, MAX_SET).ok().and_then(|set| artifact_of(&set)));
            }
        }
        for path in names("artifacts") {
            let is_needed = path.file_name().is_some_and(|name| needed.iter().any(|hash| name == hash.as_str()));
            // A newer one may be waiting for its set.
            if !is_needed && is_old(&path)? {
                remove(&path)?;
            }
        }
        for path in names("index") {
            let key = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let known = self.sets_for(&key).unwrap_or_default();
            if is_old(&path)? && !known.iter().any(|name| self.set(name).exists()) {
                remove(&path)?;
            }
        }
        Ok(freed)
    }
}

fn put(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::create_users_folder(path.parent().unwrap_or(Path::new("")))?;
    fs::put_users_file(path, content)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn indexes_are_bounded_and_contain_names_only() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let keys = ["k".to_owned()];
        let hash = fs::hash_bytes(b"library");
        for number in 0..20 {
            folder.write(&keys, &format!("set {number}"), &hash, b"library").unwrap();
        }
        let names = folder.sets_for("k").unwrap();
        assert_eq!(names.len(), MAX_SETS);
        assert_eq!(folder.read_set(&names[0]).unwrap(), b"set 19");
        assert_eq!(folder.read_artifact(&hash, 7).unwrap(), b"library");
        assert!(folder.read_artifact(&hash, 6).is_err() && folder.read_artifact(&hash, 8).is_err());
        std::fs::write(folder.index("k"), format!("../../etc/passwd\n{}\n\n", names[0])).unwrap();
        assert_eq!(folder.sets_for("k").unwrap(), names[..1]);
        std::fs::write(folder.index("k"), "x".repeat(1 << 20)).unwrap();
        assert!(folder.sets_for("k").is_err());
        std::fs::write(folder.artifact(&hash), "another").unwrap();
        assert!(folder.read_artifact(&hash, 7).is_err());
        // A damaged library is written again.
        folder.write(&keys, "set", &hash, b"library").unwrap();
        assert_eq!(folder.read_artifact(&hash, 7).unwrap(), b"library");
    }

    #[test]
    fn old_sets_are_removed_with_what_only_they_need() {
        let root = tempfile::tempdir().unwrap();
        let folder = Folder::at(root.path());
        let (one, two) = (fs::hash_bytes(b"one"), fs::hash_bytes(b"two"));
        let old = folder.write(&["a".into()], &one, &one, b"one").unwrap();
        folder.write(&["b".into()], &two, &two, b"two").unwrap();
        let before = SystemTime::now() - Duration::from_secs(1000);
        for path in [folder.set(&old), folder.artifact(&one), folder.index("a")] {
            std::fs::File::options().write(true).open(path).unwrap().set_modified(before).unwrap();
        }
        let hash_in = |set: &[u8]| String::from_utf8(set.to_vec()).ok();
        assert!(folder.prune(SystemTime::now() - Duration::from_secs(100), hash_in).unwrap() > 0);
        assert_eq!(folder.contents(), (1, 1, 3));
        assert!(!folder.index("a").exists() && folder.index("b").exists());
    }
}
