//! One lock per entry, held while its source is built; one for the whole cache, shared by all who use it.
//!
//! The lock is the operating system's: it ends with its holder, however that dies. The files are never
//! removed, since a process could hold the lock of a file that others no longer see.

use std::fs::File;
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{Error, Result};
use crate::event::{Event, Host};
use crate::fs;

const POLL: Duration = Duration::from_millis(20);

/// Held until dropped.
pub struct EntryLock(fslock::LockFile);

impl Drop for EntryLock {
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

/// Locks an entry. Whoever has to wait says for what, and since every poll asks the host, Ctrl-C ends it.
pub fn lock_entry(path: &Path, what: &str, timeout: Option<Duration>, host: &mut dyn Host) -> Result<EntryLock> {
    let failed = |error: std::io::Error| Error::cache_io("lock", path, &error);
    let mut file = fslock::LockFile::open(path).map_err(failed)?;
    let holder = || std::fs::read_to_string(path).ok().and_then(|pid| pid.trim().parse::<u32>().ok());
    wait(what, timeout, &holder, host, || file.try_lock_with_pid().map_err(failed))?;
    Ok(EntryLock(file))
}

/// Keeps `cache clear` away from whatever is being used.
pub fn share_cache(path: &Path, timeout: Option<Duration>, host: &mut dyn Host) -> Result<File> {
    let file = fs::open_lock(path)?;
    wait("the cache, which is being cleared", timeout, &|| None, host, || match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(std::fs::TryLockError::WouldBlock) => Ok(false),
        Err(std::fs::TryLockError::Error(error)) => Err(Error::cache_io("lock", path, &error)),
    })?;
    Ok(file)
}

fn wait(
    what: &str,
    timeout: Option<Duration>,
    holder: &dyn Fn() -> Option<u32>,
    host: &mut dyn Host,
    mut attempt: impl FnMut() -> Result<bool>,
) -> Result<()> {
    let start = Instant::now();
    let mut announced = false;
    while !attempt()? {
        host.check()?;
        let process = || holder().map_or_else(|| "another process".into(), |pid| format!("process {pid}"));
        if timeout.is_some_and(|limit| start.elapsed() >= limit) {
            return Err(Error::Lock {
                message: format!(
                    "gave up after waiting {:.0} s for {} to be done with {what}",
                    start.elapsed().as_secs_f64(),
                    process()
                ),
                hint: "try again when it has finished, end it if it hangs, or allow more time with \
                       rustimport.install(lock_timeout_seconds=…) (None waits for ever)"
                    .into(),
            });
        }
        if !announced && start.elapsed() > Duration::from_millis(200) {
            announced = true;
            host.event(Event::Waiting { what: format!("{} to be done with {what}", process()) });
        }
        std::thread::sleep(POLL);
    }
    Ok(())
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
