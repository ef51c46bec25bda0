//! File locks between processes. Which folders are locked, and in which order, is up to the callers. There are three
//! kinds:
//!
//! | lock | held |
//! | --- | --- |
//! | of an entry | while its source is built |
//! | of a target slot | while cargo builds in it |
//! | of the whole cache | as a read lock while a process uses it; exclusively while it is cleared or pruned |
//!
//! The locks are those of the operating system, which releases them when the holder ends, even if it is killed. The
//! file of the cache's lock is never removed, since a process could hold the lock of a file that other processes no
//! longer see. The other lock files are removed with what they lock, when the cache is cleared or pruned. This is safe
//! since they are taken only under the cache's read lock, and clearing and pruning hold that lock exclusively.
//!
//! A lock file also contains the process id of the holder and its progress, for the messages of waiting processes.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fork_guard::ForkGuard;
use crate::base::fs::{self, Stat};

const POLL: Duration = Duration::from_millis(5);

/// How often the holder of a lock updates the lock file, to show that it is alive.
const PULSE: Duration = Duration::from_secs(1);

/// How often the message of a wait is repeated.
const REMINDER: Duration = Duration::from_secs(30);

/// How long to wait for another process.
#[derive(Debug, Clone, Copy, Default)]
pub struct Timeout {
    /// No limit if `None`.
    pub limit: Option<Duration>,
    /// Whether the time counts from the holder's last update of the lock file, not from the beginning of the wait.
    pub from_life: bool,
}

/// Held until dropped.
pub struct FileLock {
    file: fslock::LockFile,
    path: PathBuf,
    #[allow(dead_code, reason = "held")]
    own: ForkGuard,
}

impl FileLock {
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        let _ = self.file.unlock();
    }
}

/// The lock of the whole cache, held until dropped.
pub struct CacheLock(File, #[allow(dead_code, reason = "held")] ForkGuard);

impl Drop for CacheLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a forked child may have it open too.
        let _ = self.0.unlock();
    }
}

/// Locks an entry. A wait is reported to the observer, which can also interrupt it. `what` is being built.
pub fn lock_entry(path: &Path, what: &str, timeout: Timeout, observer: &mut dyn Observer) -> Result<FileLock> {
    let paths = [path.to_owned()];
    let holder = || Holder::of(path).is(&format!("building {what}"));
    lock_one_of(&paths, &|| 1, &holder, timeout, observer).map(|(_, lock, _)| lock)
}

/// Locks the first free file among the first `count()` of `paths`; the count may change while this waits. `holder`
/// describes the process to wait for. Returns the index of the file, its lock, and whether there was a wait.
pub fn lock_one_of(
    paths: &[PathBuf],
    count: &dyn Fn() -> usize,
    holder: &dyn Fn() -> Wait,
    timeout: Timeout,
    observer: &mut dyn Observer,
) -> Result<(usize, FileLock, bool)> {
    let failed = |path: &Path, error: &std::io::Error| Error::cache_io("lock", path, error);
    let open = |path: &PathBuf| {
        let file = fslock::LockFile::open(path).map_err(|error| failed(path, &error))?;
        let found = path.metadata().map_err(|error| failed(path, &error))?;
        Ok((file, ForkGuard::of(&found)))
    };
    let mut files: Vec<(fslock::LockFile, ForkGuard)> = paths.iter().map(open).collect::<Result<_>>()?;
    let mut found = 0;
    let has_waited = wait(holder, timeout, observer, || {
        for (index, (file, _)) in files.iter_mut().take(count()).enumerate() {
            if file.try_lock().map_err(|error| failed(&paths[index], &error))? {
                write_holder(&paths[index], "");
                found = index;
                return Ok(true);
            }
        }
        Ok(false)
    })?;
    let (file, own) = files.swap_remove(found);
    Ok((found, FileLock { file, path: paths[found].clone(), own }, has_waited))
}

/// Writes the holder's process id and progress to a lock file, for processes that wait. `fslock` can write the id too,
/// but it waits for the disk.
fn write_holder(path: &Path, doing: &str) {
    let _ = fs::overwrite(path, &format!("{}\n{doing}", std::process::id()));
}

const UNKNOWN: &str = "another process";

/// The holder of a lock, as its file describes it.
pub struct Holder {
    who: String,
    /// Its progress.
    doing: String,
    /// Changes with each update of the lock file.
    life: Option<Stat>,
}

impl Holder {
    pub fn of(path: &Path) -> Self {
        let life = Stat::of(path);
        let text = fs::read_text(path).unwrap_or_default();
        let (pid, doing) = text.split_once('\n').unwrap_or((&text, ""));
        let who = match pid.trim().parse::<u32>() {
            Ok(pid) if pid == std::process::id() => "another thread of this process".into(),
            Ok(pid) => format!("process {pid}"),
            Err(_) => UNKNOWN.into(),
        };
        Self { who, doing: doing.trim().to_owned(), life }
    }

    /// The description of a wait for this holder, which is `doing` something.
    pub fn is(self, doing: &str) -> Wait {
        let details = if self.doing.is_empty() { String::new() } else { format!(" ({})", self.doing) };
        Wait { what: format!("{}, which is {doing}{details}", self.who), who: self.who, life: self.life }
    }
}

/// Describes what a wait is for.
pub struct Wait {
    what: String,
    who: String,
    life: Option<Stat>,
}

impl Wait {
    pub fn new(what: &str) -> Self {
        Self { what: what.to_owned(), who: what.to_owned(), life: None }
    }
}

/// Updates the files of held locks, so that waiting processes see that the holder is alive, and its progress. It wraps
/// an observer, since every long operation calls that often.
pub struct Pulse<'a> {
    observer: &'a mut dyn Observer,
    locks: Vec<PathBuf>,
    shown: Instant,
    start: Instant,
    doing: String,
    /// When the build started whose end was not reported yet.
    building: Option<Instant>,
}

impl<'a> Pulse<'a> {
    pub fn new(observer: &'a mut dyn Observer) -> Self {
        let now = Instant::now();
        Self { observer, locks: Vec::new(), shown: now, start: now, doing: String::new(), building: None }
    }

    /// Reports the end of a build whose start was reported, if that has not happened yet.
    pub fn conclude(&mut self, succeeded: bool) {
        let Some(start) = self.building else { return };
        let seconds = start.elapsed().as_secs_f64();
        self.event(if succeeded { Event::Finished { seconds } } else { Event::Failed { seconds } });
    }

    /// Updates the file of this lock too, from now on.
    pub fn hold(&mut self, lock: &Path) {
        if !self.locks.iter().any(|known| known == lock) {
            self.locks.push(lock.to_owned());
        }
    }

    /// Stops updating the file of this lock: another process may hold it.
    pub fn release(&mut self, lock: &Path) {
        self.locks.retain(|known| known != lock);
    }

    fn show(&mut self) {
        if self.shown.elapsed() < PULSE {
            return;
        }
        self.shown = Instant::now();
        let seconds = self.start.elapsed().as_secs();
        let doing = if self.doing.is_empty() { format!("{seconds} s") } else { format!("{}, {seconds} s", self.doing) };
        self.locks.iter().for_each(|lock| write_holder(lock, &doing));
    }
}

impl Observer for Pulse<'_> {
    fn event(&mut self, event: Event) {
        match &event {
            Event::Progress { done, total, what } if *total > 0 => self.doing = format!("{what}, {done} of {total}"),
            Event::Progress { what, .. } => self.doing.clone_from(what),
            Event::Started { .. } => {
                self.doing.clear();
                self.building.get_or_insert_with(Instant::now);
            }
            Event::Finished { .. } | Event::Failed { .. } | Event::Fetched { .. } => self.building = None,
            Event::Waiting { what } => self.doing = format!("waiting for {what}"),
            _ => {}
        }
        self.show();
        self.observer.event(event);
    }

    fn check(&mut self) -> Result<()> {
        self.show();
        self.observer.check()
    }
}

fn open_shared(path: &Path) -> Result<(File, ForkGuard)> {
    let file = fs::open_lock(path)?;
    let found = file.metadata().map_err(|error| Error::cache_io("lock", path, &error))?;
    Ok((file, ForkGuard::of(&found)))
}

/// Takes the cache's read lock, which prevents `cache clear` and `cache prune` from removing files in use.
pub fn share_cache(path: &Path, timeout: Timeout, observer: &mut dyn Observer) -> Result<CacheLock> {
    let (file, own) = open_shared(path)?;
    let holder = || Holder::of(path).is("clearing the cache");
    wait(&holder, timeout, observer, || match file.try_lock_shared() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::cache_io("lock", path, &error)),
    })?;
    Ok(CacheLock(file, own))
}

/// Takes the cache's lock exclusively: waits until no process uses the cache, and blocks others until it is dropped.
pub fn clear_cache(path: &Path, observer: &mut dyn Observer) -> Result<CacheLock> {
    let (file, own) = open_shared(path)?;
    wait(&|| Wait::new("running builds to finish"), Timeout::default(), observer, || match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(Error::cache_io("lock", path, &error)),
    })?;
    write_holder(path, "");
    Ok(CacheLock(file, own))
}

/// Repeats `attempt` until it succeeds. Returns whether the first one failed.
fn wait(
    holder: &dyn Fn() -> Wait,
    timeout: Timeout,
    observer: &mut dyn Observer,
    mut attempt: impl FnMut() -> Result<bool>,
) -> Result<bool> {
    let start = Instant::now();
    let mut announced: Option<Instant> = None;
    let mut shown = start;
    let mut last: Option<(String, Option<Stat>, Instant)> = None;
    while !attempt()? {
        observer.check()?;
        let now = holder();
        // The time limit applies to each holder separately, and starts again with each sign of life if it is
        // `from_life`.
        let since = match &last {
            // The holder is unknown for a moment while the file is being written.
            Some((who, life, since))
                if (*who == now.who || now.who == UNKNOWN) && (!timeout.from_life || *life == now.life) =>
            {
                *since
            }
            _ => last.insert((now.who.clone(), now.life, Instant::now())).2,
        };
        if timeout.limit.is_some_and(|limit| since.elapsed() >= limit) {
            return Err(Error::Lock {
                message: format!("gave up after waiting {:.0} s for {}", start.elapsed().as_secs_f64(), now.what),
                hint: "try again when it has finished, end it if it hangs, or allow more time with \
                       rustimport.install(lock_timeout_seconds=…) (None waits for ever)"
                    .into(),
            });
        }
        let patience = if announced.is_some() { REMINDER } else { Duration::from_millis(200) };
        if announced.unwrap_or(start).elapsed() > patience {
            announced = Some(Instant::now());
            observer.event(Event::Waiting { what: now.what });
        } else if announced.is_some() && shown.elapsed() > PULSE {
            shown = Instant::now();
            observer.event(Event::Progress { done: 0, total: 0, what: format!("waiting for {}", now.what) });
        }
        std::thread::sleep(POLL);
    }
    Ok(last.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT_ONCE: Timeout = Timeout { limit: Some(Duration::ZERO), from_life: false };

    struct Impatient(u32);

    impl Observer for Impatient {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<()> {
            self.0 += 1;
            if self.0 > 3 { Err(Error::Interrupted) } else { Ok(()) }
        }
    }

    #[test]
    fn a_wait_names_the_process_that_clears_the_cache() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = clear_cache(&path, &mut Impatient(0)).unwrap();
        match share_cache(&path, AT_ONCE, &mut Impatient(0)) {
            Err(Error::Lock { message, .. }) => {
                assert!(message.ends_with("another thread of this process, which is clearing the cache"), "{message}");
            }
            other => panic!("{:?}", other.err()),
        }
        drop(held);
        share_cache(&path, AT_ONCE, &mut Impatient(0)).unwrap();
    }

    #[test]
    fn a_wait_ends_on_timeout_interrupt_or_release() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let lock = |timeout| lock_entry(&path, "m.rs", timeout, &mut Impatient(0));
        let held = lock(Timeout::default()).unwrap();
        match lock(AT_ONCE) {
            Err(Error::Lock { message, .. }) => {
                assert!(message.ends_with("another thread of this process, which is building m.rs"), "{message}");
            }
            other => panic!("{:?}", other.err()),
        }
        assert!(matches!(lock(Timeout::default()), Err(Error::Interrupted)));
        drop(held);
        lock(AT_ONCE).unwrap();
    }

    /// Updates the lock file at each of a hundred checks, for five times as long as the timeout.
    struct Alive<'a>(&'a Path, u32);
    impl Observer for Alive<'_> {
        fn event(&mut self, _: Event) {}

        fn check(&mut self) -> Result<()> {
            self.1 += 1;
            if self.1 < 100 {
                write_holder(self.0, &format!("serde, {} of 100", self.1));
            }
            Ok(())
        }
    }

    #[test]
    fn the_timeout_counts_from_the_last_sign_of_life() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lock");
        let held = lock_entry(&path, "m.rs", AT_ONCE, &mut Impatient(0)).unwrap();
        for (from_life, least) in [(true, 100), (false, 1)] {
            let limit = Some(Duration::from_millis(100));
            let mut observer = Alive(&path, 0);
            match lock_entry(&path, "m.rs", Timeout { limit, from_life }, &mut observer) {
                Err(Error::Lock { message, .. }) => assert!(message.contains("m.rs (serde, "), "{message}"),
                other => panic!("{:?}", other.err()),
            }
            assert!(observer.1 >= least && (observer.1 >= 100) == from_life, "{}", observer.1);
        }
        drop(held);
    }
}
