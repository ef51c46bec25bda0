//! Looking again whenever something changes.
//!
//! What has changed, whoever looks finds out from stamps. So nothing depends on what the system says of a change: it only
//! wakes up. Where it says nothing (network file systems, folders shared with a virtual machine), a look comes by itself.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use notify::{Config, ErrorKind, Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};

use crate::error::{Error, Result};
use crate::event::Host;

/// How often a wait asks whether to go on.
const POLL: Duration = Duration::from_millis(50);
/// Editors write in several steps: so long must it have been quiet.
const QUIET: Duration = Duration::from_millis(30);
/// A look that nothing has called for comes after so long, and takes at most one part in so many of the time.
const BY_ITSELF: Duration = Duration::from_secs(2);
const SHARE: u32 = 50;

/// Has `look` look, now and whenever something changes in the folders that it returns; it fails, or the host interrupts.
pub fn watch(look: &mut (dyn FnMut() -> Result<Vec<PathBuf>> + Send), host: &mut dyn Host) -> Result<()> {
    let mut watcher = Watcher::new()?;
    loop {
        let start = Instant::now();
        let folders = look()?;
        // What happened in a new folder before it was watched has to be looked for.
        if !watcher.turn_to(&folders)? {
            watcher.wait(BY_ITSELF.max(start.elapsed() * SHARE), host)?;
        }
    }
}

struct Watcher {
    system: RecommendedWatcher,
    woken: Receiver<()>,
    watched: BTreeSet<PathBuf>,
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
        Ok(Self { system, woken, watched: BTreeSet::new() })
    }

    /// Watches these folders and no others; the nearest above, for one that is not there. Returns whether one is new.
    fn turn_to(&mut self, folders: &[PathBuf]) -> Result<bool> {
        let nearest = |folder: &PathBuf| folder.ancestors().find(|folder| folder.is_dir()).map(Path::to_owned);
        let wanted: BTreeSet<PathBuf> = folders.iter().filter_map(nearest).collect();
        for folder in self.watched.difference(&wanted) {
            // One that is gone is not watched any more.
            let _ = self.system.unwatch(folder);
        }
        let mut has_new = false;
        self.watched.retain(|folder| wanted.contains(folder));
        for folder in wanted {
            if !self.watched.contains(&folder) {
                match self.system.watch(&folder, RecursiveMode::NonRecursive) {
                    Ok(()) => has_new = self.watched.insert(folder) || has_new,
                    Err(error) if matches!(error.kind, ErrorKind::MaxFilesWatch) => return Err(failed(&error)),
                    // Gone again, or not to be read: it is looked at, by and by.
                    Err(_) => {}
                }
            }
        }
        Ok(has_new)
    }

    fn wait(&self, at_most: Duration, host: &mut dyn Host) -> Result<()> {
        let start = Instant::now();
        while start.elapsed() < at_most {
            host.check()?;
            match self.woken.recv_timeout(POLL) {
                Ok(()) => {
                    while start.elapsed() < at_most && self.woken.recv_timeout(QUIET).is_ok() {}
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
    use crate::event;

    /// Gives up after ten seconds.
    struct Patient(Instant);

    impl Host for Patient {
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
