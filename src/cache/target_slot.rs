//! Selects and locks the target folder for a build. Cargo locks its target folder while it compiles, so with a single
//! one, a script with many new dependencies would block all other builds. Therefore there are several target slots:
//!
//! | slot | builds |
//! | --- | --- |
//! | the first | builds that need dependencies that are not compiled yet, one at a time: each is compiled once |
//! | the others | builds without new dependencies while the first slot is in use |
//!
//! Before a build in another slot, the finished units of non-local packages are copied from the first slot, and from
//! the first slot of the shared cache. Cargo checks their fingerprints as if they had been compiled there, and compiles
//! again what is not fresh. How units are copied is up to [`cargo_layout`].

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

/// One target folder, locked until dropped.
pub struct TargetSlot {
    home: PathBuf,
    /// Whether another process had locked it.
    pub was_waited_for: bool,
    /// The priority of the build. It is low for builds that compile dependencies, since those take long.
    pub priority: Priority,
    /// Whether it is the target folder of a crate's entry.
    is_own: bool,
    /// The names of non-local packages: their units can be copied, since their sources do not change.
    non_local: BTreeSet<String>,
    lock: Option<FileLock>,
}

impl TargetSlot {
    /// Locks a slot, and waits if none is free. `dependencies` identifies the compiled dependencies that the build
    /// needs, if known; `source` is being built, for the messages of waiting processes.
    ///
    /// A crate is built in the target folder of its entry (`own`): its package keeps the user's name, and if two
    /// packages in one target folder had the same name, cargo could return the artifact of the other. If it needs new
    /// dependencies, it also locks the first slot, and copies what it compiled there.
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
        // Evaluated again during the wait: another build may compile the dependencies that this one needs.
        let is_ready = || dependencies.is_some_and(|key| ready(&first, key).exists());
        let (mut number, mut lock, mut was_waited_for) = (0, None, false);
        if own.is_none() || !is_ready() {
            let count = if own.is_some() { 1 } else { slots() };
            let locks: Vec<PathBuf> = (0..count).map(|number| lock_file(cache, number)).collect();
            let usable = || if is_ready() { locks.len() } else { 1 };
            let holder = || {
                // Name the holder of the last slot: builds in the first slot take longest.
                let last = usable() - 1;
                let other = fs::read_text(occupant(cache, last)).unwrap_or_else(|_| "another source".into());
                let what = shown(Path::new(&other), source);
                let does = if last > 0 { "building" } else { "compiling dependencies for" };
                Holder::of(&locks[last]).is(&format!("{does} {what}"))
            };
            let taken = lock::lock_one_of(&locks, &usable, &holder, timeout, observer)?;
            (number, lock, was_waited_for) = (taken.0, Some(taken.1), taken.2);
            // Best effort, since the file is only used in messages.
            let _ = fs::write(&occupant(cache, number), source.display().to_string().as_bytes());
        }
        let priority = if is_ready() { Priority::Normal } else { Priority::Patient };
        let home = own.map_or_else(|| cache.slot(number), Entry::target);
        fs::create_private_folder(&home)?;
        let mut non_local = cargo_lock::non_local_packages(&cache.common_lock());
        if let Some(entry) = own {
            non_local.extend(cargo_lock::non_local_packages(&entry.package().join("Cargo.lock")));
        }
        let shared = cache.shared().map(|shared| shared.slot(0));
        for compiled in [Some(first), shared].into_iter().flatten().filter(|slot| *slot != home) {
            // Errors are ignored: cargo compiles units again that were not copied.
            let _ = cargo_layout::copy_units(&compiled, &home, &non_local);
        }
        Ok(Self { home, was_waited_for, priority, is_own: own.is_some(), non_local, lock })
    }

    /// Whether a build with these dependencies may run here. New dependencies are compiled only in the first slot.
    pub fn takes(&self, cache: &Cache, dependencies: Option<&str>) -> bool {
        let first = cache.slot(0);
        self.has_first(&first) || dependencies.is_some_and(|key| ready(&first, key).exists())
    }

    /// Whether this holds the lock of the first slot, either to build in it or in a crate's own target folder.
    fn has_first(&self, first: &Path) -> bool {
        self.home == first || (self.is_own && self.lock.is_some())
    }

    /// The path of the slot's lock file; `None` for the target folder of a crate without new dependencies.
    pub fn lock(&self) -> Option<&Path> {
        self.lock.as_ref().map(FileLock::path)
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// Records that these sets of dependencies are compiled, so that other builds need not wait for the first slot of
    /// `cache`.
    pub fn has_compiled<'d>(&self, cache: &Cache, dependencies: impl IntoIterator<Item = &'d String>) {
        let first = cache.slot(0);
        if !self.has_first(&first) {
            return;
        }
        if self.is_own {
            let _ = cargo_layout::copy_units(&self.home, &first, &self.non_local);
        }
        for name in dependencies {
            let mark = ready(&first, name);
            // Best effort, since the mark only avoids waits.
            let _ = mark.parent().map(fs::create_private_folder);
            let _ = fs::write(&mark, b"");
        }
    }
}

/// The number of slots: one for each processor, but at most 4, since each has its own copy of the scripts' units.
fn slots() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 4)
}

fn lock_file(cache: &Cache, number: usize) -> PathBuf {
    cache.slots().join(format!("{number}.lock"))
}

/// The name of another source in messages about `own`: its file name, or its path if the file names are equal.
fn shown(other: &Path, own: &Path) -> String {
    let is_twin = other != own && other.file_name() == own.file_name();
    other.file_name().filter(|_| !is_twin).unwrap_or(other.as_os_str()).to_string_lossy().into_owned()
}

/// The file with the path of the source that is being built in a slot.
fn occupant(cache: &Cache, number: usize) -> PathBuf {
    cache.slots().join(format!("{number}.source"))
}

/// The mark for a set of dependencies. It is in the target folder, so that both are removed together.
fn ready(home: &Path, dependencies: &str) -> PathBuf {
    home.join(READY).join(dependencies)
}

/// Removes the units of all other packages from a target folder.
pub fn keep_packages(target: &Path, packages: &BTreeSet<String>) -> Result<()> {
    let has_removed = cargo_layout::keep_packages(target, packages)?;
    // The marks may name removed packages.
    if has_removed { fs::remove_tree(&target.join(READY)) } else { Ok(()) }
}

/// The folder with a mark for each set of dependencies that is compiled.
const READY: &str = "ready";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sources_with_equal_names_are_shown_by_path() {
        let check = |other: &str, own: &str, expected: &str| {
            assert_eq!(shown(Path::new(other), Path::new(own)), expected);
        };
        check("/a/m.rs", "/a/n.rs", "m.rs");
        check("/a/m.rs", "/b/m.rs", "/a/m.rs");
        check("/a/m.rs", "/a/m.rs", "m.rs");
        check("another source", "/b/m.rs", "another source");
    }
}
