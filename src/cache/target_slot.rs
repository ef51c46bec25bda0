//! The folders that cargo builds in. Cargo locks its target folder for as long as it compiles, so one script
//! with heavy new dependencies would keep all others waiting. Hence slots:
//!
//! | slot | who builds there |
//! | --- | --- |
//! | the first | whoever needs dependencies that are not compiled yet, one at a time: so each is compiled once |
//! | the others | who needs nothing new, while the first is busy; what is compiled there is taken over first |
//!
//! What is taken over are finished parts of packages that nobody edits. It is a matter of files: cargo judges
//! them by their fingerprints as if they had been compiled here, and compiles what it does not accept. So it is with the
//! first slot of a shared cache.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::error::Result;
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::lock::{self, FileLock, Holder, Timeout};
use crate::base::process::Priority;
use crate::cache::layout::{Cache, Entry};
use crate::freshness::cargo_layout;
use crate::package::cargo_lock;

/// One target folder, ours alone until dropped.
pub struct TargetSlot {
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

impl TargetSlot {
    /// Takes a slot, waiting if need be. `dependencies` names the compiled dependencies that the build
    /// needs, if that is known; `source` is being built, for those who wait.
    ///
    /// A crate builds in the target folder of its entry (`own`): it keeps its names, and two packages of one name in
    /// one target folder would give each other's artifacts. If it needs new dependencies, it has the first slot's lock
    /// all the same, and leaves there what it compiled.
    pub fn take(
        cache: &Cache,
        own: Option<&Entry>,
        dependencies: Option<&str>,
        source: &Path,
        timeout: Timeout,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        fs::create_private_folder(&cache.slots())?;
        let first = cache.slot(0);
        // Another build may have compiled what this one needs while it waits.
        let is_ready = || dependencies.is_some_and(|key| ready(&first, key).exists());
        let (mut number, mut lock, mut was_waited_for) = (0, None, false);
        if own.is_none() || !is_ready() {
            let count = if own.is_some() { 1 } else { slots() };
            let locks: Vec<PathBuf> = (0..count).map(|number| lock_file(cache, number)).collect();
            let usable = || if is_ready() { locks.len() } else { 1 };
            let holder = || {
                // Of several, the last: in the first the long builds are.
                let last = usable() - 1;
                let other = fs::read_text(occupant(cache, last)).unwrap_or_else(|_| "another source".into());
                let what = shown(Path::new(&other), source);
                let does = if last > 0 { "building" } else { "compiling dependencies for" };
                Holder::of(&locks[last]).is(&format!("{does} {what}"))
            };
            let taken = lock::lock_one_of(&locks, &usable, &holder, timeout, observer)?;
            (number, lock, was_waited_for) = (taken.0, Some(taken.1), taken.2);
            // Only for messages.
            let _ = fs::write(&occupant(cache, number), source.display().to_string().as_bytes());
        }
        let priority = if is_ready() { Priority::Normal } else { Priority::Patient };
        let home = own.map_or_else(|| cache.slot(number), Entry::target);
        fs::create_private_folder(&home)?;
        let mut foreign = cargo_lock::non_local_packages(&cache.common_lock());
        if let Some(entry) = own {
            foreign.extend(cargo_lock::non_local_packages(&entry.package().join("Cargo.lock")));
        }
        let shared = cache.shared().map(|shared| shared.slot(0));
        for compiled in [Some(first), shared].into_iter().flatten().filter(|slot| *slot != home) {
            // What cannot be taken over is compiled again.
            let _ = cargo_layout::copy_units(&compiled, &home, &foreign);
        }
        Ok(Self { home, was_waited_for, priority, is_own: own.is_some(), foreign, lock })
    }

    /// Whether a build that needs these dependencies may run here: new ones are compiled in the first slot.
    pub fn takes(&self, cache: &Cache, dependencies: Option<&str>) -> bool {
        let first = cache.slot(0);
        self.has_first(&first) || dependencies.is_some_and(|key| ready(&first, key).exists())
    }

    /// Whether what new dependencies are compiled by holds the first slot: in it, or in a crate's own folder.
    fn has_first(&self, first: &Path) -> bool {
        self.home == first || (self.is_own && self.lock.is_some())
    }

    /// Of the folder, if others may want it.
    pub fn lock(&self) -> Option<&Path> {
        self.lock.as_ref().map(FileLock::path)
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Notes that dependencies are compiled, by the names of them all, for whoever needs the same. `cache` is where they
    /// are sought.
    pub fn has_compiled<'d>(&self, cache: &Cache, dependencies: impl IntoIterator<Item = &'d String>) {
        let first = cache.slot(0);
        if !self.has_first(&first) {
            return;
        }
        if self.is_own {
            let _ = cargo_layout::copy_units(&self.home, &first, &self.foreign);
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
fn slots() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

fn lock_file(cache: &Cache, number: usize) -> PathBuf {
    cache.slots().join(format!("{number}.lock"))
}

/// Another source as seen from one's own: by its name, if that tells them apart.
fn shown(other: &Path, own: &Path) -> String {
    let is_twin = other != own && other.file_name() == own.file_name();
    other.file_name().filter(|_| !is_twin).unwrap_or(other.as_os_str()).to_string_lossy().into_owned()
}

/// Holds the path of what is being built.
fn occupant(cache: &Cache, number: usize) -> PathBuf {
    cache.slots().join(format!("{number}.source"))
}

/// Lies in the target folder, so that it goes with it.
fn ready(home: &Path, dependencies: &str) -> PathBuf {
    home.join(READY).join(dependencies)
}

/// Removes from a target folder what cargo compiled of other packages than these.
pub fn keep_packages(target: &Path, packages: &BTreeSet<String>) -> Result<()> {
    let has_removed = cargo_layout::keep_packages(target, packages)?;
    // Which dependencies are compiled has to be found out anew.
    if has_removed { fs::remove_tree(&target.join(READY)) } else { Ok(()) }
}

/// Holds a mark for each set of dependencies that is compiled.
const READY: &str = "ready";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_sources_of_one_name() {
        let check = |other: &str, own: &str, expected: &str| {
            assert_eq!(shown(Path::new(other), Path::new(own)), expected);
        };
        check("/a/m.rs", "/a/n.rs", "m.rs");
        check("/a/m.rs", "/b/m.rs", "/a/m.rs");
        check("/a/m.rs", "/a/m.rs", "m.rs");
        check("another source", "/b/m.rs", "another source");
    }
}
