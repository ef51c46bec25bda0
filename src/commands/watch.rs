//! Repeats a check whenever something changes in the watched folders.
//!
//! What changed is found out by the check itself, from stamps; the system's notifications only start it. If there are
//! none (network file systems, folders of a virtual machine's host), the check is repeated at intervals.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;

/// How often a wait checks for an interrupt.
const POLL: Duration = Duration::from_millis(50);
/// A check starts when there were no changes for this time, since editors write files in several steps.
const QUIET: Duration = Duration::from_millis(30);
/// If changes do not stop, a check starts after this time.
const NOISE: Duration = Duration::from_millis(300);
/// Without changes, the pause between two checks is `PAUSE_FACTOR` times the duration of the last one, within these
/// limits. The upper limit is for checks that included a build: the next one is usually short.
const MIN_PAUSE: Duration = Duration::from_secs(2);
const MAX_PAUSE: Duration = Duration::from_secs(10);
const PAUSE_FACTOR: u32 = 50;

/// Calls `check` at once, and again whenever something changes in the folders that it returns. Ends when `check` fails
/// or the observer interrupts.
pub fn watch(check: &mut (dyn FnMut() -> Result<Vec<PathBuf>> + Send), observer: &mut dyn Observer) -> Result<()> {
    let mut watcher = Watcher::new()?;
    loop {
        let start = Instant::now();
        let folders = check()?;
        // If a folder is watched from now on, check again at once: something may have changed before that.
        if !watcher.set_folders(&folders)? {
            watcher.wait(pause(start.elapsed()), observer)?;
        }
    }
}

/// The pause after a check with this duration.
fn pause(check: Duration) -> Duration {
    check.saturating_mul(PAUSE_FACTOR).clamp(MIN_PAUSE, MAX_PAUSE)
}

/// Identifies the folder at a path. A folder that was recreated has another identity, and is not watched yet.
#[derive(PartialEq, Eq)]
struct Identity {
    /// The numbers alone are not enough, since the system reuses them.
    created: Option<SystemTime>,
    #[cfg(unix)]
    number: (u64, u64),
}

impl Identity {
    fn of(folder: &Path) -> Option<Self> {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt;
        let metadata = std::fs::metadata(folder).ok().filter(std::fs::Metadata::is_dir)?;
        Some(Self {
            created: metadata.created().ok(),
            #[cfg(unix)]
            number: (metadata.dev(), metadata.ino()),
        })
    }
}

struct Watcher {
    system: RecommendedWatcher,
    changes: Receiver<()>,
    watched: BTreeMap<PathBuf, Identity>,
}

impl Watcher {
    fn new() -> Result<Self> {
        // One notification is enough, however many changes there are.
        let (wake, changes) = mpsc::sync_channel(1);
        let on_event = move |event: notify::Result<Event>| {
            // Reading files is not a change: the check itself does it.
            if !matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
                let _ = wake.try_send(());
            }
        };
        let system = RecommendedWatcher::new(on_event, Config::default()).map_err(|error| failed(&error))?;
        Ok(Self { system, changes, watched: BTreeMap::new() })
    }

    /// Watches only these folders; for a missing one, its nearest parent. Returns whether one was not watched before.
    fn set_folders(&mut self, folders: &[PathBuf]) -> Result<bool> {
        let nearest =
            |folder: &PathBuf| folder.ancestors().find_map(|folder| Some((folder.to_owned(), Identity::of(folder)?)));
        let wanted: BTreeMap<PathBuf, Identity> = folders.iter().filter_map(nearest).collect();
        self.watched.retain(|folder, identity| {
            let stays = wanted.get(folder) == Some(identity);
            if !stays {
                // Fails if the folder no longer exists; then the system does not watch it any more.
                let _ = self.system.unwatch(folder);
            }
            stays
        });
        let mut has_new = false;
        for (folder, identity) in wanted {
            if !self.watched.contains_key(&folder) {
                match self.system.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => has_new = self.watched.insert(folder, identity).is_none() || has_new,
                    Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => return Err(failed(&error)),
                    // Deleted or unreadable: its sources are still checked at intervals.
                    Err(_) => {}
                }
            }
        }
        Ok(has_new)
    }

    fn wait(&self, at_most: Duration, observer: &mut dyn Observer) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < at_most {
            observer.check()?;
            match self.changes.recv_timeout(POLL) {
                Ok(()) => {
                    let start = Instant::now();
                    while start.elapsed() < NOISE && self.changes.recv_timeout(QUIET).is_ok() {
                        observer.check()?;
                    }
                    return Ok(());
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => std::thread::sleep(POLL),
            }
        }
        Ok(())
    }
}

fn failed(error: &notify::Error) -> Error {
    let hint = match error.kind {
        ErrorKind::MaxFilesWatch => {
            "watch fewer folders, or raise the limit: run `sysctl fs.inotify.max_user_watches=524288` as root"
        }
        _ => "end other programs that watch files, or raise the system's limits for them",
    };
    Error::toolchain(format!("the system does not report file changes: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event;

    /// Interrupts after ten seconds.
    struct Patient(Instant);

    impl Observer for Patient {
        fn event(&mut self, _: event::Event) {}

        fn check(&mut self) -> Result<()> {
            if self.0.elapsed() > Duration::from_secs(10) { Err(Error::Interrupted) } else { Ok(()) }
        }
    }

    #[test]
    fn a_change_ends_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let missing = folder.path().join("a/b");
        let mut watcher = Watcher::new().unwrap();
        let mut check = |change: &dyn Fn()| {
            while watcher.set_folders(std::slice::from_ref(&missing)).unwrap() {}
            while watcher.changes.try_recv().is_ok() {}
            change();
            let start = Instant::now();
            watcher.wait(Duration::from_secs(3600), &mut Patient(start)).unwrap();
        };
        check(&|| std::fs::create_dir_all(&missing).unwrap());
        check(&|| std::fs::write(missing.join("m.rs"), "1").unwrap());
        check(&|| std::fs::write(missing.join("m.rs"), "2").unwrap());
        check(&|| std::fs::rename(missing.join("m.rs"), missing.join("n.rs")).unwrap());
        check(&|| std::fs::remove_dir_all(&missing).unwrap());
        // `git` removes and recreates folders when it switches branches.
        check(&|| std::fs::create_dir_all(&missing).unwrap());
        check(&|| {
            // Wine keeps the name of a folder as long as that is watched; Windows 10 does not.
            if cfg!(not(windows)) {
                std::fs::remove_dir(&missing).unwrap();
                std::fs::create_dir(&missing).unwrap();
            } else {
                std::fs::write(missing.join("m.rs"), "2").unwrap();
            }
        });
        check(&|| std::fs::write(missing.join("m.rs"), "3").unwrap());
    }

    #[test]
    fn a_wait_ends_if_changes_do_not_stop() {
        const LONG: Duration = Duration::from_secs(10);
        let (wake, changes) = mpsc::sync_channel(1);
        let watcher = Watcher { changes, ..Watcher::new().unwrap() };
        let noise = std::thread::spawn(move || {
            let start = Instant::now();
            while start.elapsed() < LONG && wake.send(()).is_ok() {}
            start.elapsed() < LONG
        });
        watcher.wait(LONG * 2, &mut Patient(Instant::now())).unwrap();
        drop(watcher);
        assert!(noise.join().unwrap(), "it waited for the end of the noise");
    }

    #[test]
    fn the_pause_has_limits() {
        assert_eq!(pause(Duration::from_millis(1)), MIN_PAUSE);
        assert_eq!(pause(Duration::from_secs(600)), MAX_PAUSE);
    }

    #[test]
    fn a_failed_check_ends_the_watch() {
        let mut checks = 0;
        let mut check = || {
            checks += 1;
            if checks == 3 { Err(Error::Interrupted) } else { Ok(vec![std::env::temp_dir()]) }
        };
        // The first check returns a new folder, so the second follows at once; the third comes after a pause.
        assert!(matches!(watch(&mut check, &mut Patient(Instant::now())), Err(Error::Interrupted)));
        assert_eq!(checks, 3);
    }
}
