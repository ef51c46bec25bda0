//! Looking again whenever something changes.
//!
//! What has changed, whoever looks finds out from stamps. So nothing depends on what the system says of a change: it only
//! wakes up. Where it says nothing (network file systems, folders shared with a virtual machine), a look comes by itself.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant, SystemTime};

use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;

/// How often a wait asks whether to go on.
const POLL: Duration = Duration::from_millis(50);
/// Editors write in several steps: so long must it have been quiet.
const QUIET: Duration = Duration::from_millis(30);
/// Where it is never quiet, a look comes after so long.
const NOISE: Duration = Duration::from_millis(300);
/// A look that nothing has called for comes after so long, and takes at most one part in so many of the time; but it
/// may have built, which says nothing of the next one.
const BY_ITSELF: Duration = Duration::from_secs(2);
const AT_LAST: Duration = Duration::from_secs(10);
const SHARE: u32 = 50;

/// Has `look` look, now and whenever something changes in the folders that it returns; it fails, or the observer interrupts.
pub fn watch(look: &mut (dyn FnMut() -> Result<Vec<PathBuf>> + Send), observer: &mut dyn Observer) -> Result<()> {
    let mut watcher = Watcher::new()?;
    loop {
        let start = Instant::now();
        let folders = look()?;
        // What happened in a new folder before it was watched has to be looked for.
        if !watcher.turn_to(&folders)? {
            watcher.wait(pause(start.elapsed()), observer)?;
        }
    }
}

/// How long to wait after a look that took so long.
fn pause(look: Duration) -> Duration {
    look.saturating_mul(SHARE).clamp(BY_ITSELF, AT_LAST)
}

/// Which folder it is that stands at a path: one that is made anew is another, and is not watched yet.
#[derive(PartialEq, Eq)]
struct Identity {
    /// Numbers are given again.
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
    woken: Receiver<()>,
    watched: BTreeMap<PathBuf, Identity>,
}

impl Watcher {
    fn new() -> Result<Self> {
        // One is as good as many.
        let (wake, woken) = mpsc::sync_channel(1);
        let on_event = move |event: notify::Result<Event>| {
            // To look is to open.
            if !matches!(event, Ok(Event { kind: EventKind::Access(_), .. })) {
                let _ = wake.try_send(());
            }
        };
        let system = RecommendedWatcher::new(on_event, Config::default()).map_err(|error| failed(&error))?;
        Ok(Self { system, woken, watched: BTreeMap::new() })
    }

    /// Watches these folders and no others; the nearest above, for one that is not there. Returns whether one is new.
    fn turn_to(&mut self, folders: &[PathBuf]) -> Result<bool> {
        let nearest =
            |folder: &PathBuf| folder.ancestors().find_map(|folder| Some((folder.to_owned(), Identity::of(folder)?)));
        let wanted: BTreeMap<PathBuf, Identity> = folders.iter().filter_map(nearest).collect();
        self.watched.retain(|folder, identity| {
            let stays = wanted.get(folder) == Some(identity);
            if !stays {
                // One that is gone is not watched any more.
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
                    // Gone again, or not to be read: it is looked at, by and by.
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
            match self.woken.recv_timeout(POLL) {
                Ok(()) => {
                    let start = Instant::now();
                    while start.elapsed() < NOISE && self.woken.recv_timeout(QUIET).is_ok() {
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
            "watch fewer folders, or raise the limit: `sysctl fs.inotify.max_user_watches=524288`, as root"
        }
        _ => "end other programs that watch files, or raise the system's limits for them",
    };
    Error::toolchain(format!("the system does not tell about changes: {error}"), hint)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event;

    /// Gives up after ten seconds.
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
            while watcher.turn_to(std::slice::from_ref(&missing)).unwrap() {}
            while watcher.woken.try_recv().is_ok() {}
            change();
            let start = Instant::now();
            watcher.wait(Duration::from_secs(3600), &mut Patient(start)).unwrap();
        };
        check(&|| std::fs::create_dir_all(&missing).unwrap());
        check(&|| std::fs::write(missing.join("m.rs"), "1").unwrap());
        check(&|| std::fs::write(missing.join("m.rs"), "2").unwrap());
        check(&|| std::fs::rename(missing.join("m.rs"), missing.join("n.rs")).unwrap());
        check(&|| std::fs::remove_dir_all(&missing).unwrap());
        // As `git` does when it switches branches.
        check(&|| std::fs::create_dir_all(&missing).unwrap());
        check(&|| {
            std::fs::remove_dir(&missing).unwrap();
            std::fs::create_dir(&missing).unwrap();
        });
        check(&|| std::fs::write(missing.join("m.rs"), "3").unwrap());
    }

    #[test]
    fn a_wait_ends_where_it_is_never_quiet() {
        const LONG: Duration = Duration::from_secs(10);
        let (wake, woken) = mpsc::sync_channel(1);
        let watcher = Watcher { woken, ..Watcher::new().unwrap() };
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
    fn a_build_does_not_put_off_the_next_look() {
        assert_eq!(pause(Duration::from_millis(1)), BY_ITSELF);
        assert_eq!(pause(Duration::from_secs(600)), AT_LAST);
    }

    #[test]
    fn who_looks_may_end_it() {
        let mut looks = 0;
        let mut look = || {
            looks += 1;
            if looks == 3 { Err(Error::Interrupted) } else { Ok(vec![std::env::temp_dir()]) }
        };
        // The first sees a new folder and is followed by another at once; the last comes by itself.
        assert!(matches!(watch(&mut look, &mut Patient(Instant::now())), Err(Error::Interrupted)));
        assert_eq!(looks, 3);
    }
}
