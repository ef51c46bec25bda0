//! Lists the content of the cache by source, and removes it: all of it, or only what is no longer used. Also shares a
//! cache with all users. The store's own size limit is enforced in [`crate::cache::store`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::lock;
use crate::cache::layout::Cache;
use crate::cache::target_slot;
use crate::env::interpreter;
use crate::freshness::cargo_layout;
use crate::freshness::record::Record;
use crate::freshness::stamp;
use crate::package::cargo_lock;
use crate::package::manifest;
use crate::sources::cell;

/// The part of the cache for one interpreter.
#[derive(Debug)]
pub struct Interpreter {
    pub key: String,
    pub bytes: u64,
    /// The size of the target slots, which contain compiled dependencies.
    pub slots: u64,
    /// The size of the store of artifacts.
    pub store: u64,
    /// The folders of the environments that have used this part.
    pub environments: Vec<PathBuf>,
    pub entries: Vec<Entry>,
}

/// The entry of one source.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    /// `None` if no build has succeeded.
    pub source: Option<PathBuf>,
    /// The id of the key that signed its artifact, if that came from a remote store.
    pub signer: Option<String>,
    pub exists: bool,
    pub bytes: u64,
    /// When it was last imported, checked or built. Imports are known only to the day, since they do not write to the
    /// cache.
    pub used: SystemTime,
}

/// Creates the missing folders and files of an interpreter's part. Returns its folder.
pub fn create(root: &Path, interpreter: &interpreter::Interpreter) -> Result<PathBuf> {
    let cache = Cache::at(root, &interpreter.key);
    cache.check_private()?;
    cache.create(interpreter)?;
    Ok(cache.home().to_owned())
}

/// Everything in the cache, by interpreter.
pub fn take(root: &Path) -> Vec<Interpreter> {
    Cache::all(root).into_iter().map(|cache| part(&cache)).collect()
}

fn part(cache: &Cache) -> Interpreter {
    let slots: u64 = cache.existing_slots().iter().map(|slot| fs::size(slot)).sum();
    let entries: Vec<Entry> = entries(cache);
    Interpreter {
        key: cache.key(),
        bytes: fs::size(cache.home()),
        slots,
        store: fs::size(cache.store().home()),
        environments: cache.environments(),
        entries,
    }
}

fn entries(cache: &Cache) -> Vec<Entry> {
    let mut entries: Vec<Entry> = cache
        .entry_names()
        .into_iter()
        .map(|name| {
            let entry = cache.entry(&name);
            let (source, signer) = match Record::read(&entry.record()) {
                Some(record) => (Some(record.source), record.signer),
                None => (None, None),
            };
            let times = [entry.stamp(), entry.record(), entry.lock(), entry.clock()];
            let times = times.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
            // An import of a fresh artifact only reads the stamp. Most systems record the access time once a day.
            let read = std::fs::metadata(entry.stamp()).and_then(|metadata| metadata.accessed()).ok();
            let written = || std::fs::metadata(entry.home()).and_then(|metadata| metadata.modified()).ok();
            Entry {
                exists: source.as_ref().is_some_and(|source| source.exists()),
                source,
                signer,
                bytes: fs::size(entry.home()),
                // One that was never built has only what `rust-analyzer` and `test` use.
                used: times.chain(read).max().or_else(written).unwrap_or(SystemTime::UNIX_EPOCH),
                name,
            }
        })
        .collect();
    entries.sort_by(|a, b| a.source.cmp(&b.source));
    entries
}

/// Makes the cache readable for all users, who can then use it as the shared cache.
pub fn share(root: &Path) -> Result<()> {
    for cache in Cache::all(root) {
        cache.entry_names().iter().try_for_each(|name| stamp::shorten(&cache.entry(name).stamp()))?;
    }
    fs::make_readable(root).map_err(|error| Error::cache_io("give all users read access to", root, &error))
}

/// Removes everything, or one interpreter's part. Waits until no process uses the cache. Returns the number of freed
/// bytes.
pub fn clear(root: &Path, key: Option<&str>, observer: &mut dyn Observer) -> Result<u64> {
    let _lock = lock::clear_cache(&Cache::lock_of(root), observer)?;
    let mut freed = 0;
    for cache in Cache::all(root).iter().filter(|cache| key.is_none_or(|key| cache.key() == key)) {
        freed += fs::size(cache.home());
        fs::remove_tree(cache.home())?;
    }
    remove_unused_cells(root)?;
    Ok(freed)
}

/// Limits for [`prune`], in addition to the removal of unused files.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Entries and artifacts that were not used for this time are removed too.
    pub unused_for: Option<Duration>,
    /// The maximum number of bytes for all interpreters together.
    pub size: Option<u64>,
}

/// Removes, in this order: the entries of sources that no longer exist, and dependencies that no other source has; what
/// was not used for too long; and then, until the size limit is met, the parts that are rebuilt fastest, the least
/// recently used first. Unused cells always have a time limit. Returns the number of freed bytes.
pub fn prune(root: &Path, limits: Limits, observer: &mut dyn Observer) -> Result<u64> {
    const DAY: Duration = Duration::from_secs(86_400);
    /// The default time limit for unused cells. Their sources are in the cache, so they always exist.
    const CELL: Duration = Duration::from_secs(30 * 86_400);
    let _lock = lock::clear_cache(&Cache::lock_of(root), observer)?;
    let now = SystemTime::now();
    let age = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let (caches, cells) = (Cache::all(root), Cache::cells_of(root));
    let size = || caches.iter().map(|cache| fs::size(cache.home())).sum::<u64>();
    let before = size();
    for cache in &caches {
        let is_useless = |entry: &Entry| {
            let is_gone = match &entry.source {
                Some(_) => !entry.exists,
                // No build has succeeded yet: keep it for a day, since the user may still be working on it.
                None => age(entry.used) > DAY,
            };
            let is_cell = entry.source.as_ref().is_some_and(|source| source.starts_with(&cells));
            is_gone || limits.unused_for.or(is_cell.then_some(CELL)).is_some_and(|limit| age(entry.used) > limit)
        };
        let entries = entries(cache);
        remove_entries(cache, entries.iter().filter(|entry| is_useless(entry)))?;
        remove_unused_dependencies(cache)?;
        if let Some(limit) = limits.unused_for {
            cache.store().remove_unused(now.checked_sub(limit).unwrap_or(SystemTime::UNIX_EPOCH));
        }
    }
    if let Some(limit) = limits.size {
        shrink(&caches, &|| size() <= limit)?;
    }
    remove_unused_cells(root)?;
    Ok(before.saturating_sub(size()))
}

/// Removes, until it `is_enough`: what rust-analyzer and tests compiled, the slots with copies, artifacts in the store,
/// entries, and the first slot.
fn shrink(caches: &[Cache], is_enough: &dyn Fn() -> bool) -> Result<()> {
    for cache in caches.iter().filter(|_| !is_enough()) {
        fs::remove_tree(&cache.rust_tools_target())?;
    }
    for slot in caches.iter().flat_map(|cache| cache.existing_slots().into_iter().skip(1).rev()) {
        if is_enough() {
            return Ok(());
        }
        fs::remove_tree(&slot)?;
    }
    for part in (0..4).rev() {
        for store in caches.iter().map(Cache::store).filter(|_| !is_enough()) {
            store.make_room(fs::size(store.home()) * part / 4);
        }
    }
    let of_all: Vec<Vec<Entry>> = caches.iter().map(entries).collect();
    let mut times: Vec<SystemTime> = of_all.iter().flatten().map(|entry| entry.used).collect();
    times.sort();
    // In groups, since the size of the cache is measured after each step.
    for some in times.chunks(times.len().div_ceil(16).max(1)) {
        if is_enough() {
            return Ok(());
        }
        for (cache, entries) in caches.iter().zip(&of_all) {
            remove_entries(cache, entries.iter().filter(|entry| some.contains(&entry.used)))?;
            remove_unused_dependencies(cache)?;
        }
    }
    for cache in caches.iter().filter(|_| !is_enough()) {
        fs::remove_tree(&cache.slot(0))?;
    }
    Ok(())
}

fn remove_entries<'a>(cache: &Cache, entries: impl Iterator<Item = &'a Entry>) -> Result<()> {
    let mut packages = Vec::new();
    for entry in entries {
        fs::remove_tree(cache.entry(&entry.name).home())?;
        packages.push(manifest::package_name(&entry.name));
    }
    if packages.is_empty() {
        return Ok(());
    }
    cache.existing_slots().iter().try_for_each(|slot| cargo_layout::remove_packages(slot, &packages))
}

fn remove_unused_dependencies(cache: &Cache) -> Result<()> {
    let locks = cache.entry_names().into_iter().map(|name| cache.entry(&name).package().join("Cargo.lock"));
    let used: BTreeSet<String> = locks.flat_map(|lock| cargo_lock::packages(&lock)).collect();
    cache.existing_slots().iter().try_for_each(|slot| target_slot::keep_packages(slot, &used))
}

/// Removes the texts of cells that have no entry for any interpreter.
fn remove_unused_cells(root: &Path) -> Result<()> {
    let entries: Vec<Entry> = Cache::all(root).iter().flat_map(entries).collect();
    let sources: BTreeSet<&Path> = entries.iter().filter_map(|entry| entry.source.as_deref()).collect();
    cell::remove_unused(root, &|path| sources.contains(path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::tests::Silent;
    use crate::env::interpreter::tests::interpreter;
    use crate::env::settings::BuildSettings;

    #[test]
    fn recently_read_entries_are_kept() {
        const DAY: Duration = Duration::from_secs(86_400);
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("cache");
        let cache = Cache::at(&root, &interpreter().key);
        cache.create(&interpreter()).unwrap();
        std::fs::create_dir(Cache::cells_of(&root)).unwrap();
        let set_age = |path: &Path, written: u32, read: u32| {
            let ago = |days| SystemTime::now() - DAY * days;
            let times = std::fs::FileTimes::new().set_modified(ago(written)).set_accessed(ago(read));
            std::fs::File::options().write(true).open(path).unwrap().set_times(times).unwrap();
        };
        // Built 100 days ago, and imported `read` days ago.
        let add = |name: &str, source: &Path, read: u32| {
            let entry = cache.entry(name);
            entry.create().unwrap();
            Record::new(source, "rustc", &BuildSettings::default()).write(&entry.record()).unwrap();
            std::fs::write(entry.stamp(), "").unwrap();
            std::fs::write(source, "").unwrap();
            set_age(&entry.record(), 100, 0);
            set_age(&entry.stamp(), 100, read);
            set_age(source, 100, read);
        };
        let cell = |digit: &str| Cache::cells_of(&root).join(format!("cell_{}.rs", digit.repeat(16)));
        add("young", &folder.path().join("young.rs"), 1);
        add("old", &folder.path().join("old.rs"), 50);
        add("cell_a", &cell("a"), 20);
        add("cell_b", &cell("b"), 50);
        let check = |unused_for: Option<u32>, names: &[&str], texts: usize| {
            prune(&root, Limits { unused_for: unused_for.map(|days| DAY * days), size: None }, &mut Silent).unwrap();
            assert_eq!(cache.entry_names(), names);
            assert_eq!(std::fs::read_dir(Cache::cells_of(&root)).unwrap().count(), texts);
        };
        check(None, &["cell_a", "old", "young"], 1);
        check(Some(7), &["young"], 0);
        // A text without an entry is kept if it was used recently: its build may follow.
        std::fs::write(cell("c"), "").unwrap();
        set_age(&cell("c"), 100, 1);
        check(None, &["young"], 1);
    }
}
