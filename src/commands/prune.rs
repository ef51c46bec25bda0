//! What is in the cache: how much, for which sources, and taking it out again.

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

/// One interpreter's part.
#[derive(Debug)]
pub struct Interpreter {
    pub key: String,
    pub bytes: u64,
    /// What cargo compiled, dependencies included.
    pub slots: u64,
    /// Artifacts kept by their content.
    pub store: u64,
    /// The folders of the environments that have built here.
    pub environments: Vec<PathBuf>,
    pub entries: Vec<Entry>,
}

/// What belongs to one source.
#[derive(Debug)]
pub struct Entry {
    pub name: String,
    /// None if no build of it ever succeeded.
    pub source: Option<PathBuf>,
    pub exists: bool,
    pub bytes: u64,
    /// When it was last imported, built or looked at closely; to the day, since no import writes that down.
    pub used: SystemTime,
}

/// Creates what is missing of an interpreter's part. Returns where it is.
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
            let source = Record::read(&entry.record()).map(|record| record.source);
            let times = [entry.stamp(), entry.record(), entry.lock(), entry.clock()];
            let times = times.iter().filter_map(|path| std::fs::metadata(path).ok()?.modified().ok());
            // An import of what is fresh reads the stamp, and the system takes that down, if it does, once a day.
            let read = std::fs::metadata(entry.stamp()).and_then(|metadata| metadata.accessed()).ok();
            Entry {
                exists: source.as_ref().is_some_and(|source| source.exists()),
                source,
                bytes: fs::size(entry.home()),
                used: times.chain(read).max().unwrap_or(SystemTime::UNIX_EPOCH),
                name,
            }
        })
        .collect();
    entries.sort_by(|a, b| a.source.cmp(&b.source));
    entries
}

/// Lets every user read the cache, and build on what is in it.
pub fn share(root: &Path) -> Result<()> {
    for cache in Cache::all(root) {
        cache.entry_names().iter().try_for_each(|name| stamp::shorten(&cache.entry(name).stamp()))?;
    }
    fs::make_readable(root).map_err(|error| Error::cache_io("open to all users", root, &error))
}

/// Removes everything, or one interpreter's part. Waits until nobody builds. Returns how many bytes are free now.
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

/// What [`prune`] leaves, besides what is of use.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// What was not used for so long goes too.
    pub unused_for: Option<Duration>,
    /// As many bytes may stay, of all interpreters together.
    pub size: Option<u64>,
}

/// Removes what is left of sources that are gone, with the dependencies that no other source has; what was not used for
/// too long, cells in any case; and then, down to the size that is left, what is had again most cheaply, the least
/// recently used first. Returns how many bytes are free now.
pub fn prune(root: &Path, limits: Limits, observer: &mut dyn Observer) -> Result<u64> {
    const DAY: Duration = Duration::from_secs(86_400);
    /// How long a cell may be unused, where nothing else is asked for: nobody ever removes its source.
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
                // A build that failed may be tried again tomorrow.
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

/// Removes, until it `is_enough`: the slots that hold copies, the store, entries, and what cargo compiled.
fn shrink(caches: &[Cache], is_enough: &dyn Fn() -> bool) -> Result<()> {
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
    // Not one by one: each time, everything is measured.
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

/// Removes the texts that cells have left, and no interpreter knows.
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
    fn what_was_read_of_late_is_in_use() {
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
        // Built long ago, and imported so many days ago.
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
        // A text that was brought again waits for its build.
        std::fs::write(cell("c"), "").unwrap();
        set_age(&cell("c"), 100, 1);
        check(None, &["young"], 1);
    }
}
