//! The folders that cargo builds in. Cargo locks its target folder for as long as it compiles, so one script
//! with heavy new dependencies would keep all others waiting. Hence lanes:
//!
//! | lane | who builds there |
//! | --- | --- |
//! | the first | whoever needs dependencies that are not compiled yet, one at a time: so each is compiled once |
//! | the others | who needs nothing new, while the first is busy; what is compiled there is taken over first |
//!
//! What is taken over are finished parts of packages that nobody edits. It is a matter of files: cargo judges
//! them by their fingerprints as if they had been compiled here, and compiles what it does not accept. So it is with the
//! first lane of a shared cache.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cache::{Cache, Entry};
use crate::cargo_lock;
use crate::error::Result;
use crate::event::Host;
use crate::fs;
use crate::lock::{self, FileLock};
use crate::process::Priority;

/// One target folder, ours alone until dropped.
pub struct Lane {
    home: PathBuf,
    /// Whether it was somebody else's for a while.
    pub was_waited_for: bool,
    /// Of whoever works here: who compiles dependencies has a long way before it.
    pub priority: Priority,
    /// Whether it is a crate's own folder.
    is_own: bool,
    /// The packages that nobody edits.
    foreign: BTreeSet<String>,
    lock: Option<FileLock>,
}

impl Lane {
    /// Takes a lane, waiting if need be. `dependencies` names the compiled dependencies that the build
    /// needs, if that is known; `what` is being built, for those who wait.
    ///
    /// A crate builds in the target folder of its entry (`own`): it keeps its names, and two packages of one name in
    /// one target folder would give each other's artifacts. If it needs new dependencies, it has the first lane's lock
    /// all the same, and leaves there what it compiled.
    pub fn take(
        cache: &Cache,
        own: Option<&Entry>,
        dependencies: Option<&str>,
        what: &str,
        timeout: Option<Duration>,
        host: &mut dyn Host,
    ) -> Result<Self> {
        fs::create_private_folder(&cache.lanes())?;
        let first = cache.lane(0);
        // Another build may have compiled what this one needs while it waits.
        let is_ready = || dependencies.is_some_and(|key| ready(&first, key).exists());
        let (mut number, mut lock, mut was_waited_for) = (0, None, false);
        if own.is_none() || !is_ready() {
            let count = if own.is_some() { 1 } else { lanes() };
            let locks: Vec<PathBuf> = (0..count).map(|number| lock_file(cache, number)).collect();
            let usable = || if is_ready() { locks.len() } else { 1 };
            let holder = || {
                // Of several, the last: in the first the long builds are.
                let last = usable() - 1;
                let what = fs::read_text(occupant(cache, last)).unwrap_or_else(|_| "a build".into());
                let why = if last > 0 { "" } else { ": dependencies are compiled one build at a time" };
                format!("{} to be done with {what}{why}", lock::holder(&locks[last]))
            };
            let taken = lock::lock_one_of(&locks, &usable, &holder, timeout, host)?;
            (number, lock, was_waited_for) = (taken.0, Some(taken.1), taken.2);
            // Only for messages.
            let _ = fs::write(&occupant(cache, number), what.as_bytes());
        }
        let priority = if is_ready() { Priority::Normal } else { Priority::Patient };
        let home = own.map_or_else(|| cache.lane(number), Entry::target);
        fs::create_private_folder(&home)?;
        let mut foreign = cargo_lock::foreign_packages(&cache.common_lock());
        if let Some(entry) = own {
            foreign.extend(cargo_lock::foreign_packages(&entry.package().join("Cargo.lock")));
        }
        let shared = cache.shared().map(|shared| shared.lane(0));
        for compiled in [Some(first), shared].into_iter().flatten().filter(|lane| *lane != home) {
            // What cannot be taken over is compiled again.
            let _ = take_over(&compiled, &home, &foreign);
        }
        Ok(Self { home, was_waited_for, priority, is_own: own.is_some(), foreign, lock })
    }

    /// Whether a build that needs these dependencies may run here: new ones are compiled in the first lane.
    pub fn takes(&self, cache: &Cache, dependencies: Option<&str>) -> bool {
        let first = cache.lane(0);
        self.has_first(&first) || dependencies.is_some_and(|key| ready(&first, key).exists())
    }

    /// Whether what new dependencies are compiled by holds the first lane: in it, or in a crate's own folder.
    fn has_first(&self, first: &Path) -> bool {
        self.home == first || (self.is_own && self.lock.is_some())
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Notes that dependencies are compiled, by the names of them all, for whoever needs the same. `cache` is where they
    /// are sought.
    pub fn has_compiled<'d>(&self, cache: &Cache, dependencies: impl IntoIterator<Item = &'d String>) {
        let first = cache.lane(0);
        if !self.has_first(&first) {
            return;
        }
        if self.is_own {
            let _ = take_over(&self.home, &first, &self.foreign);
        }
        for name in dependencies {
            let mark = ready(&first, name);
            // Only saves a wait.
            let _ = mark.parent().map(fs::create_private_folder);
            let _ = fs::write(&mark, b"");
        }
    }
}

/// As many as can work at once; a few, since each holds its own copy of what is compiled for scripts.
fn lanes() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

fn lock_file(cache: &Cache, number: usize) -> PathBuf {
    cache.lanes().join(format!("{number}.lock"))
}

/// Holds the name of what is being built.
fn occupant(cache: &Cache, number: usize) -> PathBuf {
    cache.lanes().join(format!("{number}.source"))
}

/// Lies in the target folder, so that it goes with it.
fn ready(home: &Path, dependencies: &str) -> PathBuf {
    home.join(READY).join(dependencies)
}

/// Takes over every finished part of the named packages that is not there yet. What cargo knows of a part, its
/// fingerprint, comes last: what is cut short is no part.
fn take_over(from: &Path, to: &Path, packages: &BTreeSet<String>) -> std::io::Result<()> {
    if !to.join(RUSTC_INFO).exists() {
        let _ = fs::duplicate(&from.join(RUSTC_INFO), &to.join(RUSTC_INFO));
    }
    for profile in profile_folders(from) {
        let (source, target) = (from.join(&profile), to.join(&profile));
        let missing: BTreeMap<String, PathBuf> = subfolders(&source.join(FINGERPRINTS))
            .filter_map(|folder| {
                let name = folder.file_name()?.to_str()?;
                let (package, hash) = name.rsplit_once('-')?;
                let wanted = packages.contains(package) && !target.join(FINGERPRINTS).join(name).exists();
                (wanted && is_finished(&folder)).then(|| (hash.to_owned(), PathBuf::from(name)))
            })
            .collect();
        if missing.is_empty() {
            continue;
        }
        for file in std::fs::read_dir(source.join("deps")).into_iter().flatten().flatten() {
            let name = file.file_name();
            let stem = name.to_str().unwrap_or_default().split('.').next().unwrap_or_default();
            if stem.rsplit_once('-').is_some_and(|(_, hash)| missing.contains_key(hash)) {
                fs::share(&file.path(), &target.join("deps").join(&name))?;
            }
        }
        for folder in missing.values().map(|name| PathBuf::from("build").join(name)) {
            if source.join(&folder).is_dir() {
                // What a build script wrote it may write again, into the same files.
                fs::duplicate(&source.join(&folder), &target.join(&folder))?;
            }
        }
        for name in missing.values() {
            fs::duplicate(&source.join(FINGERPRINTS).join(name), &target.join(FINGERPRINTS).join(name))?;
        }
    }
    Ok(())
}

/// Removes from a target folder what cargo compiled of other packages than these.
pub fn keep_packages(target: &Path, packages: &BTreeSet<String>) -> Result<()> {
    let mut is_whole = true;
    for profile in profile_folders(target).into_iter().map(|profile| target.join(profile)) {
        let unused: BTreeMap<String, PathBuf> = subfolders(&profile.join(FINGERPRINTS))
            .filter_map(|folder| {
                let name = folder.file_name()?.to_str()?;
                let (package, hash) = name.rsplit_once('-')?;
                (!packages.contains(package)).then(|| (hash.to_owned(), PathBuf::from(name)))
            })
            .collect();
        is_whole &= unused.is_empty();
        // What cargo knows of a part goes first: what is cut short is no part.
        for name in unused.values() {
            fs::remove_tree(&profile.join(FINGERPRINTS).join(name))?;
            // A link to a folder leads to anybody's.
            if fs::is_folder(&profile.join("build")) {
                fs::remove_tree(&profile.join("build").join(name))?;
            }
        }
        for file in fs::items(&profile.join("deps")) {
            let name = file.file_name();
            let stem = name.to_str().unwrap_or_default().split('.').next().unwrap_or_default();
            if stem.rsplit_once('-').is_some_and(|(_, hash)| unused.contains_key(hash)) {
                fs::remove_tree(&file.path())?;
            }
        }
    }
    // Which dependencies are compiled has to be found out anew.
    if is_whole { Ok(()) } else { fs::remove_tree(&target.join(READY)) }
}

/// Holds a mark for each set of dependencies that is compiled.
const READY: &str = "ready";

const FINGERPRINTS: &str = ".fingerprint";

/// What cargo remembers of rustc, so as not to ask it again.
const RUSTC_INFO: &str = ".rustc_info.json";

/// `<profile>` and `<triple>/<profile>`, wherever there are fingerprints.
fn profile_folders(target: &Path) -> Vec<PathBuf> {
    let all = subfolders(target).flat_map(|folder| subfolders(&folder).chain([folder.clone()]).collect::<Vec<_>>());
    let profiles = all.filter(|folder| folder.join(FINGERPRINTS).is_dir());
    profiles.filter_map(|folder| Some(folder.strip_prefix(target).ok()?.to_owned())).collect()
}

fn subfolders(folder: &Path) -> impl Iterator<Item = PathBuf> {
    fs::items(folder).filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir())).map(|item| item.path())
}

/// Whether cargo is done with a part: then it has written its hash, 16 digits, under a name of its own.
fn is_finished(fingerprint: &Path) -> bool {
    std::fs::read_dir(fingerprint).into_iter().flatten().flatten().any(|file| {
        let name = file.file_name().to_string_lossy().into_owned();
        let is_hash = !name.contains('.') && !["dep-", "output-"].iter().any(|start| name.starts_with(start));
        is_hash && file.metadata().is_ok_and(|metadata| metadata.len() == 16)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finished_parts_of_other_peoples_packages_are_taken_over() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("a"), folder.path().join("b"));
        let write = |path: &str, text: &str| {
            let path = from.join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        for (package, hash, digits) in
            [("libc", "01", "0123456789abcdef"), ("rand", "02", ""), ("m_1", "03", "0123456789abcdef")]
        {
            write(&format!("t/debug/.fingerprint/{package}-{hash}/lib-{package}"), digits);
            write(&format!("t/debug/.fingerprint/{package}-{hash}/lib-{package}.json"), "{0123456789abc}");
            write(&format!("t/debug/deps/lib{package}-{hash}.rlib"), package);
            write(&format!("t/debug/build/{package}-{hash}/out/x.rs"), package);
        }
        let packages = ["libc", "rand"].into_iter().map(str::to_owned).collect();
        take_over(&from, &to, &packages).unwrap();
        let check = |path: &str, expected: bool| assert_eq!(to.join("t/debug").join(path).exists(), expected, "{path}");
        check(".fingerprint/libc-01/lib-libc", true);
        check("deps/liblibc-01.rlib", true);
        check("build/libc-01/out/x.rs", true);
        check(".fingerprint/rand-02", false);
        check("deps/librand-02.rlib", false);
        check(".fingerprint/m_1-03", false);
        let time = |home: &Path| std::fs::metadata(home.join("t/debug/build/libc-01/out/x.rs")).unwrap().modified();
        assert_eq!(time(&from).unwrap(), time(&to).unwrap());
        // A build script writes into its files again, whatever their size; the copy is another file.
        write("t/debug/build/libc-01/out/x.rs", &"new".repeat(100_000));
        assert_eq!(fs::read_text(to.join("t/debug/build/libc-01/out/x.rs")).unwrap(), "libc");
    }
}
