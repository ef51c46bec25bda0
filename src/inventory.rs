//! What is in the cache: how much, for which sources, and taking it out again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::cache::Cache;
use crate::error::Result;
use crate::event::Host;
use crate::fs;
use crate::lock;
use crate::manifest;
use crate::record::Record;

/// One interpreter's part.
#[derive(Debug)]
pub struct Interpreter {
    pub key: String,
    pub bytes: u64,
    /// What cargo compiled, dependencies included.
    pub lanes: u64,
    /// Artifacts kept by their content.
    pub store: u64,
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
    /// When it was last built or looked at closely.
    pub used: SystemTime,
}

/// Everything in the cache, by interpreter.
pub fn take(root: &Path) -> Vec<Interpreter> {
    Cache::all(root).into_iter().map(|cache| interpreter(&cache)).collect()
}

fn interpreter(cache: &Cache) -> Interpreter {
    let lanes: u64 = cache.existing_lanes().iter().map(|lane| fs::size(lane)).sum();
    let entries: Vec<Entry> = entries(cache);
    Interpreter {
        key: cache.key(),
        bytes: fs::size(cache.home()),
        lanes,
        store: fs::size(cache.store().home()),
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
            Entry {
                exists: source.as_ref().is_some_and(|source| source.exists()),
                source,
                bytes: fs::size(entry.home()),
                used: times.max().unwrap_or(SystemTime::UNIX_EPOCH),
                name,
            }
        })
        .collect();
    entries.sort_by(|a, b| a.source.cmp(&b.source));
    entries
}

/// Removes everything, or one interpreter's part. Waits until nobody builds. Returns how many bytes are free now.
pub fn clear(root: &Path, key: Option<&str>, host: &mut dyn Host) -> Result<u64> {
    let _lock = lock::clear_cache(&Cache::lock_of(root), host)?;
    let mut freed = 0;
    for cache in Cache::all(root).iter().filter(|cache| key.is_none_or(|key| cache.key() == key)) {
        freed += fs::size(cache.home());
        fs::remove_tree(cache.home())?;
    }
    Ok(freed)
}

/// Removes what is left of sources that are gone; of what was not used for so long; and from the store what was not
/// asked for in that time. Returns how many bytes are free now.
pub fn prune(root: &Path, unused_for: Option<Duration>, host: &mut dyn Host) -> Result<u64> {
    const DAY: Duration = Duration::from_secs(86_400);
    let _lock = lock::clear_cache(&Cache::lock_of(root), host)?;
    let now = SystemTime::now();
    let age = |time: SystemTime| now.duration_since(time).unwrap_or_default();
    let mut freed = 0;
    for cache in Cache::all(root) {
        let before = fs::size(cache.home());
        for entry in entries(&cache) {
            let is_gone = match &entry.source {
                Some(_) => !entry.exists,
                // A build that failed may be tried again tomorrow.
                None => age(entry.used) > DAY,
            };
            if is_gone || unused_for.is_some_and(|limit| age(entry.used) > limit) {
                fs::remove_tree(cache.entry(&entry.name).home())?;
                let package = manifest::package_name(&entry.name);
                for lane in cache.existing_lanes() {
                    remove_package(&lane, &package)?;
                }
            }
        }
        if let Some(limit) = unused_for {
            cache.store().forget(now - limit);
        }
        freed += before.saturating_sub(fs::size(cache.home()));
    }
    Ok(freed)
}

/// Removes from a target folder what cargo compiled of a package.
fn remove_package(folder: &Path, package: &str) -> Result<()> {
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = item.file_name().to_string_lossy().into_owned();
        let name = name.strip_prefix(std::env::consts::DLL_PREFIX).unwrap_or(&name);
        let is_its = name.strip_prefix(package).is_some_and(|rest| rest.is_empty() || rest.starts_with(['-', '.']));
        if is_its {
            fs::remove_tree(&item.path())?;
        } else if item.file_type().is_ok_and(|kind| kind.is_dir()) && name != "out" {
            remove_package(&item.path(), package)?;
        }
    }
    Ok(())
}
