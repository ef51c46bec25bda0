//! Exports the content of the store to one file, and imports it on another machine with the same interpreter. The
//! content of the members is up to [`crate::cache::store`].
//!
//! | member | content |
//! | --- | --- |
//! | `bundle.toml` | the format, the key of the interpreter, and a hash of all other names; sealed |
//! | `artifacts/<hash>` | libraries, named by the hash of their content |
//! | `inputs/<key>/<name>.toml` | the sets of inputs that the libraries were built from, sealed |
//!
//! The file is a zip archive. An import verifies all of it before it writes anything.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipArchive, ZipWriter};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::lock::{self, Timeout};
use crate::base::sealed;
use crate::cache::layout::Cache;
use crate::cache::store::{self, Member};
use crate::env::interpreter::Interpreter;

const ABOUT: &str = "bundle.toml";

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct About {
    /// The format of the store.
    format: u32,
    interpreter: String,
    /// The C library that the artifacts may need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    c_library: Option<String>,
    /// A hash of the other members' names. It covers the keys of the sets: with another key, a set would be found for
    /// another source.
    names: String,
}

impl About {
    fn new<'m>(interpreter: &Interpreter, members: impl Iterator<Item = &'m Member>) -> Self {
        let (key, c_library) = (interpreter.key.clone(), interpreter.c_library.clone());
        Self { format: store::FORMAT, interpreter: key, c_library, names: hash_of_names(members) }
    }

    /// Whether the artifacts were built with a newer C library than this interpreter's.
    fn is_too_new_for(&self, interpreter: &Interpreter) -> bool {
        let version = |library: &Option<String>| -> Option<semver::Version> {
            let (_, version) = library.as_deref()?.split_once(' ')?;
            semver::Version::parse(&format!("{version}.0")).ok()
        };
        version(&self.c_library).zip(version(&interpreter.c_library)).is_some_and(|(theirs, ours)| theirs > ours)
    }
}

fn hash_of_names<'m>(members: impl Iterator<Item = &'m Member>) -> String {
    let names: BTreeSet<String> = members.map(Member::name).collect();
    fs::hash_bytes(format!("{names:?}").as_bytes())
}

/// The amount of exported or imported artifacts.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    pub artifacts: usize,
    pub bytes: u64,
}

impl Load {
    fn add(&mut self, member: &Member, content: &[u8]) {
        if matches!(member, Member::Artifact(_)) {
            self.artifacts += 1;
            self.bytes += content.len() as u64;
        }
    }
}

/// Writes a bundle of one interpreter's store. An existing file is replaced only if it is a bundle.
pub fn export(root: &Path, interpreter: &Interpreter, file: &Path, observer: &mut dyn Observer) -> Result<Load> {
    let key = &interpreter.key;
    let cache = Cache::at(root, key);
    let store = cache.store();
    if file.exists() && Bundle::open(file).and_then(|mut bundle| bundle.about()).is_err() {
        return Err(Error::cache(
            file,
            format!("{} exists already, and is not an export of a cache", file.display()),
            "choose another name: only an earlier export is replaced",
        ));
    }
    let nothing = || {
        Error::cache(
            root,
            format!("nothing was built for {key} yet in {}", root.display()),
            "import or build something first, or run `python -m rustimport cache warm PATH`",
        )
    };
    // Taking the lock would create a cache if there is none.
    if !store.home().exists() {
        return Err(nothing());
    }
    let _shared = lock::share_cache(&cache.lock(), Timeout::default(), observer)?;
    let members = store.members();
    let mut load = Load::default();
    let mut is_empty = false;
    let write = |out: &mut File| -> std::io::Result<()> {
        let mut archive = ZipWriter::new(out);
        // Compression formats that are fast to read make libraries hardly smaller.
        let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
        let (mut verifier, mut written) = (Verifier::default(), Vec::new());
        for member in &members {
            // Missing and damaged members are skipped: another process may be removing artifacts.
            let content = fs::read(store.home().join(member.name())).unwrap_or_default();
            if verifier.accepts(member, &content) {
                written.push(member);
                archive.start_file(member.name(), options)?;
                archive.write_all(&content)?;
                load.add(member, &content);
            }
        }
        is_empty = load.artifacts == 0;
        if is_empty {
            return Err(std::io::ErrorKind::NotFound.into());
        }
        archive.start_file(ABOUT, options)?;
        archive.write_all(sealed::portable(&About::new(interpreter, written.into_iter())).as_bytes())?;
        archive.finish()?;
        Ok(())
    };
    let written = fs::write_users_file_with(file, write);
    if is_empty {
        return Err(nothing());
    }
    written.map_err(|error| {
        let message = format!("cannot write {}: {error}", file.display());
        Error::cache(file, message, "choose a folder that you can write to, on a disk with room for it")
    })?;
    Ok(load)
}

/// Adds the members of a bundle to the store, where they are found like artifacts that were built here.
pub fn import(root: &Path, interpreter: &Interpreter, file: &Path, observer: &mut dyn Observer) -> Result<Load> {
    let mut bundle = Bundle::open(file)?;
    let about = bundle.about()?;
    if about.interpreter != interpreter.key {
        return Err(Error::cache(
            file,
            format!("{} was exported for {}, and this is {}", file.display(), about.interpreter, interpreter.key),
            "a library works only with the interpreter that it was built for: the same version, in the same place (the \
             key ends in a hash of `sys.base_prefix`); export and import with equal interpreters",
        ));
    }
    if about.format != store::FORMAT {
        return Err(Error::cache(
            file,
            format!("{} was exported by another version of rustimport", file.display()),
            "export and import with the same version",
        ));
    }
    if about.is_too_new_for(interpreter) {
        let [theirs, ours] =
            [&about.c_library, &interpreter.c_library].map(|library| library.as_deref().unwrap_or_default());
        return Err(Error::cache(
            file,
            format!("{} was exported on a system with {theirs}, and this one has {ours}", file.display()),
            "what was built there may not load here: export on a system that is as old as this one",
        ));
    }
    let members = bundle.verified_members(&about)?;
    let cache = Cache::at(root, &interpreter.key);
    cache.check_private()?;
    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), Timeout::default(), observer)?;
    cache.create(interpreter)?;
    let store = cache.store();
    let mut load = Load::default();
    for member in &members {
        observer.check()?;
        let content = bundle.read(&member.name())?;
        store.write_member(member, &content)?;
        load.add(member, &content);
    }
    store.make_room(store::ROOM);
    Ok(load)
}

/// Verifies members, and records the hashes of valid libraries.
#[derive(Default)]
struct Verifier(BTreeSet<String>);

impl Verifier {
    /// Whether the content of a library has the hash in its name, or whether a set names a valid library. Libraries
    /// have to be verified before sets.
    fn accepts(&mut self, member: &Member, content: &[u8]) -> bool {
        match member {
            Member::Artifact(hash) => fs::hash_bytes(content) == *hash && self.0.insert(hash.clone()),
            Member::Set { .. } => store::artifact_of(member, content).is_some_and(|hash| self.0.contains(&hash)),
        }
    }
}

struct Bundle<R> {
    path: PathBuf,
    archive: ZipArchive<R>,
}

impl Bundle<File> {
    fn open(path: &Path) -> Result<Self> {
        let failed = |why: String| {
            let message = format!("{} is not an export of a cache: {why}", path.display());
            Error::cache(path, message, "give a file that `python -m rustimport cache export` wrote")
        };
        let file = fs::open(path).map_err(|error| failed(error.to_string()))?;
        let archive = ZipArchive::new(file).map_err(|error| failed(error.to_string()))?;
        if archive.index_for_name(ABOUT).is_none() {
            return Err(failed(format!("there is no {ABOUT} in it")));
        }
        Ok(Self { path: path.to_owned(), archive })
    }
}

impl<R: Read + Seek> Bundle<R> {
    fn about(&mut self) -> Result<About> {
        let content = self.read(ABOUT)?;
        sealed::parse_portable(&content).ok_or_else(|| self.damaged(ABOUT))
    }

    fn read(&mut self, name: &str) -> Result<Vec<u8>> {
        let mut content = Vec::new();
        let read = self.archive.by_name(name).map_err(std::io::Error::from);
        match read.and_then(|mut member| member.read_to_end(&mut content)) {
            Ok(_) => Ok(content),
            Err(_) => Err(self.damaged(name)),
        }
    }

    /// All members, the libraries first. Fails if a library does not match its name, or if a set has no library.
    fn verified_members(&mut self, about: &About) -> Result<Vec<Member>> {
        let names: Vec<String> = self.archive.file_names().flatten().map(Cow::into_owned).collect();
        let mut members = Vec::new();
        for name in names.into_iter().filter(|name| name != ABOUT) {
            members.push(Member::from_name(&name).ok_or_else(|| self.damaged(&name))?);
        }
        members.sort();
        if about.names != hash_of_names(members.iter()) {
            return Err(self.damaged(ABOUT));
        }
        let mut verifier = Verifier::default();
        for member in &members {
            if !verifier.accepts(member, &self.read(&member.name())?) {
                return Err(self.damaged(&member.name()));
            }
        }
        Ok(members)
    }

    fn damaged(&self, member: &str) -> Error {
        Error::cache(
            &self.path,
            format!("{} is damaged: `{member}` is not what was exported", self.path.display()),
            "nothing was imported: copy the file again, or export it again",
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::Event;
    use crate::base::event::tests::Silent;
    use crate::env::interpreter::tests::interpreter;

    /// A cache with one artifact and its set in the store.
    fn filled(root: &Path) -> Cache {
        let cache = Cache::at(root, &interpreter().key);
        cache.create(&interpreter()).unwrap();
        store::tests::put(&cache.store(), root, b"library");
        cache
    }

    #[test]
    fn bundles_are_imported_completely_or_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (there, here, file) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("x.zip"));
        let cache = filled(&there);
        let load = export(&there, &interpreter(), &file, &mut Silent).unwrap();
        assert_eq!(load, Load { artifacts: 1, bytes: 7 });
        assert_eq!(import(&here, &interpreter(), &file, &mut Silent).unwrap(), load);
        assert_eq!(Cache::at(&here, &cache.key()).store().members(), cache.store().members());
        // An earlier export is replaced.
        export(&there, &interpreter(), &file, &mut Silent).unwrap();

        let other = Interpreter { key: "cpython-312-0".into(), ..interpreter() };
        let refused = import(&here, &other, &file, &mut Silent).unwrap_err().to_string();
        let older = Interpreter { c_library: Some("glibc 2.4".into()), ..interpreter() };
        let too_new = import(&here, &older, &file, &mut Silent).unwrap_err().to_string();
        assert!(too_new.contains("a system with glibc 2.36, and this one has glibc 2.4"), "{too_new}");
        assert!(refused.contains("was exported for cpython-311-x86_64-linux-gnu-0, and this is cpython-312-0"));

        let whole = fs::read(&file).unwrap();
        let elsewhere = folder.path().join("c");
        for place in (0..whole.len()).step_by(11) {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            std::fs::write(&file, &flipped).unwrap();
            let imported = import(&elsewhere, &interpreter(), &file, &mut Silent);
            // Not every byte of an archive matters, but wrong content must never be imported.
            if imported.is_ok() {
                assert_eq!(Cache::at(&elsewhere, &cache.key()).store().members(), cache.store().members(), "{place}");
                std::fs::remove_dir_all(&elsewhere).unwrap();
            }
            assert!(!elsewhere.exists(), "flipped at {place}");
        }
        std::fs::write(&file, &whole[..whole.len() / 2]).unwrap();
        assert!(import(&elsewhere, &interpreter(), &file, &mut Silent).is_err());
    }

    /// Clears the cache at the first check of a wait.
    struct Clearing(PathBuf, Option<lock::CacheLock>);

    impl Observer for Clearing {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<()> {
            if self.1.take().is_some() && self.0.exists() {
                std::fs::remove_dir_all(&self.0).unwrap();
            }
            Ok(())
        }
    }

    #[test]
    fn an_import_succeeds_after_the_cache_was_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let (there, here, file) = (folder.path().join("a"), folder.path().join("b"), folder.path().join("x.zip"));
        filled(&there);
        let load = export(&there, &interpreter(), &file, &mut Silent).unwrap();
        let cache = Cache::at(&here, &interpreter().key);
        cache.create_root().unwrap();
        let lock = lock::clear_cache(&cache.lock(), &mut Silent).unwrap();
        let mut observer = Clearing(cache.home().to_owned(), Some(lock));
        assert_eq!(import(&here, &interpreter(), &file, &mut observer).unwrap(), load);
        assert!(observer.1.is_none() && cache.home().join("interpreter.toml").exists());
    }

    #[test]
    fn a_file_that_is_not_a_bundle_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path().join("a"), folder.path().join("thesis.zip"));
        filled(&root);
        std::fs::write(&file, "precious").unwrap();
        assert!(export(&root, &interpreter(), &file, &mut Silent).is_err());
        assert_eq!(fs::read(&file).unwrap(), b"precious");
        // An archive with an empty member of that name is not a bundle.
        let mut archive = ZipWriter::new(File::create(&file).unwrap());
        archive.start_file(ABOUT, SimpleFileOptions::default()).unwrap();
        archive.finish().unwrap();
        let before = fs::read(&file).unwrap();
        assert!(export(&root, &interpreter(), &file, &mut Silent).is_err());
        assert_eq!(fs::read(&file).unwrap(), before);
    }

    #[test]
    fn damaged_artifacts_are_not_exported() {
        let folder = tempfile::tempdir().unwrap();
        let (root, file) = (folder.path().join("a"), folder.path().join("x.zip"));
        let cache = filled(&root);
        for item in std::fs::read_dir(cache.store().home().join("artifacts")).unwrap() {
            std::fs::write(item.unwrap().path(), "damaged").unwrap();
        }
        let refused = export(&root, &interpreter(), &file, &mut Silent).unwrap_err().to_string();
        assert!(refused.contains("nothing was built for") && !file.exists(), "{refused}");
    }
}
