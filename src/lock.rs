//! One lock per entry, held while its source is built; one per lane, held while cargo works there; one for the
//! whole cache, shared by all who use it.
//!
//! The lock is the operating system's: it ends with its holder, however that dies. The cache's file is never removed,
//! since a process could hold the lock of a file that others no longer see. The others go with what they lock, when
//! the cache is cleared or pruned: whoever does that holds the cache's lock alone, and they are taken below that only.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::event::{Event, Host};
use crate::fs;
use crate::own::Own;

const POLL: Duration = Duration::from_millis(5);

/// Held until dropped.
pub struct FileLock(fslock::LockFile, #[allow(dead_code, reason = "held")] Own);

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// The lock of the whole cache, held until dropped.
pub struct CacheLock(File, #[allow(dead_code, reason = "held")] Own);

impl Drop for CacheLock {
    fn drop(&mut self) {
        // A forked child may have the file open as well, for as long as it lives.
        let _ = self.0.unlock();
    }
}

/// Locks an entry. Whoever has to wait says for what, and since every poll asks the host, Ctrl-C ends it.
pub fn lock_entry(path: &Path, what: &str, timeout: Option<Duration>, host: &mut dyn Host) -> Result<FileLock> {
    let paths = [path.to_owned()];
    let holder = || format!("{} to be done with {what}", holder(path));
    lock_one_of(&paths, &|| 1, &holder, timeout, host).map(|(_, lock, _)| lock)
}

/// Locks the first that is free of as many files as `count` says at the moment. `holder` says what a wait is for.
/// Returns which it is, and whether there was a wait.
pub fn lock_one_of(
    paths: &[PathBuf],
    count: &dyn Fn() -> usize,
    holder: &dyn Fn() -> String,
    timeout: Option<Duration>,
    host: &mut dyn Host,
) -> Result<(usize, FileLock, bool)> {
    let failed = |path: &Path, error: &std::io::Error| Error::cache_io("lock", path, error);
    let open = |path: &PathBuf| {
        let file = fslock::LockFile::open(path).map_err(|error| failed(path, &error))?;
        let found = path.metadata().map_err(|error| failed(path, &error))?;
        Ok((file, Own::of(&found)))
    };
    let mut files: Vec<(fslock::LockFile, Own)> = paths.iter().map(open).collect::<Result<_>>()?;
    let mut found = 0;
    let has_waited = wait(holder, timeout, host, || {
        for (index, (file, _)) in files.iter_mut().take(count()).enumerate() {
            if file.try_lock().map_err(|error| failed(&paths[index], &error))? {
                sign(&paths[index]);
                found = index;
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let (file, own) = files.swap_remove(found);
    Ok((found, FileLock(file, own), has_waited))
}

/// Writes down who holds a lock, for who waits. `fslock` would wait for the disk as well.
fn sign(path: &Path) {
    let _ = fs::overwrite(path, &std::process::id().to_string());
}

/// Who holds a lock, as far as the file tells.
pub fn holder(path: &Path) -> String {
    let pid = fs::read_text(path).ok().and_then(|pid| pid.trim().parse::<u32>().ok());
    pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}"))
}

fn open_shared(path: &Path) -> Result<(File, Own)> {
    let file = fs::open_lock(path)?;
    let found = file.metadata().map_err(|error| Error::cache_io("lock", path, &error))?;
    Ok((file, Own::of(&found)))
}

/// Keeps `cache clear` away from whatever is being used.
pub fn share_cache(path: &Path, timeout: Option<Duration>, host: &mut dyn Host) -> Result<CacheLock> {
    let (file, own) = open_shared(path)?;
    let holder = || format!("{} to be done with the cache, which is being cleared", holder(path));
    wait(&holder, timeout, host, || match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::cache_io("lock", path, &error)),
    })?;
    Ok(CacheLock(file, own))
}

/// Waits until nobody uses the cache, and keeps everybody away.
pub fn clear_cache(path: &Path, host: &mut dyn Host) -> Result<CacheLock> {
    let (file, own) = open_shared(path)?;
    wait(&|| "the builds that run".into(), None, host, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::cache_io("lock", path, &error)),
    })?;
    sign(path);
    Ok(CacheLock(file, own))
}

/// Returns whether the first attempt failed.
fn wait(
    holder: &dyn Fn() -> String,
    timeout: Option<Duration>,
    host: &mut dyn Host,
    mut attempt: impl FnMut() -> Result<bool>,
) -> Result<bool> {
    let start = Instant::now();
    let mut announced = false;
    let mut last: Option<(String, Instant)> = None;
    while !attempt()? {
        host.check()?;
        // Each holder has the time that one may take.
        let held_by = holder();
        let since = match &last {
            Some((name, since)) if *name == held_by => *since,
            _ => last.insert((held_by.clone(), Instant::now())).1,
        };
        if timeout.is_some_and(|limit| since.elapsed() >= limit) {
            return Err(Error::Lock {
                message: format!("gave up after waiting {:.0} s for {held_by}", start.elapsed().as_secs_f64()),
                hint: "try again when it has finished, end it if it hangs, or allow more time with \
                       rustimport.install(lock_timeout_seconds=…) (None waits for ever)"
                    .into(),
            });
        }
        if !announced && start.elapsed() > Duration::from_millis(200) {
            announced = true;
            host.event(Event::Waiting { what: held_by });
        }
        std::thread::sleep(POLL);
    }
    Ok(last.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Impatient(u32);

    impl Host for Impatient {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<()> {
            self.0 += 1;
            if self.0 > 3 { Err(Error::Interrupted) } else { Ok(()) }
        }
    }

    #[test]
    fn who_clears_the_cache_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = clear_cache(&path, &mut Impatient(0)).unwrap();
        match share_cache(&path, Some(Duration::ZERO), &mut Impatient(0)) {
            Err(Error::Lock { message, .. }) => assert!(message.contains(&std::process::id().to_string()), "{message}"),
            other => panic!("{:?}", other.err()),
        }
        drop(held);
        share_cache(&path, Some(Duration::ZERO), &mut Impatient(0)).unwrap();
    }

    #[test]
    fn a_wait_ends_by_timeout_interrupt_or_release() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = |timeout| lock_entry(&path, "m.rs", timeout, &mut Impatient(0));
        let held = lock(None).unwrap();
        let pid = std::process::id().to_string();
        match lock(Some(Duration::ZERO)) {
            Err(Error::Lock { message, .. }) => assert!(message.contains(&pid), "{message}"),
            other => panic!("{:?}", other.err()),
        }
        assert!(matches!(lock(None), Err(Error::Interrupted)));
        drop(held);
        lock(Some(Duration::ZERO)).unwrap();
    }
}
