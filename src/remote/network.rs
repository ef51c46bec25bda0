//! A remote store on the network. Its objects are copied from and to a temporary folder by a child process
//! (`python/rustimport/_remote_child.py`, with the client library opendal), which is killed when it is late. So nothing
//! can hang or break the importing process, and everything is verified in one place, [`super::folder`].

use std::cell::Cell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant, SystemTime};

use serde::Serialize;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::process::{self, Priority};
use crate::env::interpreter::Interpreter;
use crate::env::settings::Client;
use crate::remote::folder::{Folder, MAX_INDEX, MAX_SET, MAX_SETS};

/// How long the child may take to load the client library, to get the first answer, and to do all that follows: for sets,
/// for a library, and to write.
const START: Duration = Duration::from_secs(10);
const CONNECT: Duration = Duration::from_secs(1);
const SETS: Duration = Duration::from_secs(10);
const LIBRARY: Duration = Duration::from_secs(60);
const WRITE: Duration = Duration::from_secs(300);
/// A store that could not be reached is not tried again for this time.
const PAUSE: Duration = Duration::from_secs(60);

/// The stores that this process could not reach.
static UNREACHABLE: Mutex<BTreeMap<String, Instant>> = Mutex::new(BTreeMap::new());

#[derive(Debug, Clone)]
pub struct Network {
    url: String,
    options: BTreeMap<String, String>,
    client: Client,
    python: Option<PathBuf>,
}

/// What the child is asked to do.
#[derive(Serialize)]
struct Task<'a> {
    url: &'a str,
    options: &'a BTreeMap<String, String>,
    /// `sys.path`, to find the client library.
    path: &'a [String],
    folder: &'a Path,
    get: Vec<String>,
    put: Vec<String>,
    delete: Vec<String>,
    limits: BTreeMap<&'static str, u64>,
    /// Whether the child removes the folder.
    own: bool,
    /// Whether only objects are written that have been in the store for more than a day.
    only_old: bool,
}

/// Some of the store's objects, in a temporary folder.
pub struct Mirror {
    home: tempfile::TempDir,
    pub folder: Folder,
}

impl Mirror {
    pub fn new() -> Result<Self, String> {
        let home = fs::temporary_home("rustimport-remote").map_err(|error| error.to_string())?;
        let folder = Folder::at(home.path());
        Ok(Self { home, folder })
    }
}

impl Network {
    pub fn new(url: &str, options: BTreeMap<String, String>, client: &Client, interpreter: &Interpreter) -> Self {
        let base = Some(interpreter.base_executable()).filter(|python| python.is_file());
        let python = interpreter.python_of(&interpreter.prefix).or(base);
        Self { url: url.to_owned(), options, client: client.clone(), python }
    }

    /// Copies the index of a key and the sets that it names, for an import. Artifacts are copied by [`Self::add`].
    ///
    /// # Errors
    /// The store cannot be used. The text says why, and is `None` if that was said before or the caller was interrupted.
    pub fn sets_for(&self, key: &str, observer: &mut dyn Observer) -> Result<Mirror, Option<String>> {
        if self.is_paused() {
            return Err(None);
        }
        self.copy_sets(key, observer).inspect_err(|why| {
            if why.is_some() {
                self.pause();
            }
        })
    }

    /// Like [`Self::sets_for`], also if the store could not be reached a moment ago.
    pub fn ask(&self, key: &str, observer: &mut dyn Observer) -> Result<Mirror, String> {
        self.copy_sets(key, observer).map_err(Option::unwrap_or_default)
    }

    fn copy_sets(&self, key: &str, observer: &mut dyn Observer) -> Result<Mirror, Option<String>> {
        let mirror = Mirror::new().map_err(Some)?;
        self.run(&mirror, SETS, |task| task.get.push(format!("v1/index/{key}")), observer)?;
        Ok(mirror)
    }

    /// Adds an artifact to a mirror.
    pub fn add(&self, mirror: &Mirror, hash: &str, size: u64, observer: &mut dyn Observer) -> Result<(), String> {
        let get = |task: &mut Task| {
            task.get.push(format!("v1/artifacts/{hash}"));
            task.limits.insert("artifacts", size);
        };
        self.run(mirror, LIBRARY, get, observer).map_err(Option::unwrap_or_default)
    }

    /// Writes the objects of a mirror to the store, and waits for it.
    pub fn write(&self, mirror: &Mirror, observer: &mut dyn Observer) -> Result<(), String> {
        let put = mirror.folder.objects();
        self.run(mirror, WRITE, |task| task.put = put, observer).map_err(Option::unwrap_or_default)
    }

    /// Writes objects of a mirror again that the store has had for long, so that its rules do not remove them as old.
    pub fn refresh(
        &self,
        mirror: &Mirror,
        keys: &[String],
        set: &str,
        artifact: &str,
        observer: &mut dyn Observer,
    ) -> Result<(), String> {
        let again = |task: &mut Task| {
            task.put = vec![format!("v1/artifacts/{artifact}"), format!("v1/sets/{set}")];
            task.put.extend(keys.iter().map(|key| format!("v1/index/{key}")));
            task.only_old = true;
        };
        self.run(mirror, WRITE, again, observer).map_err(Option::unwrap_or_default)
    }

    /// The same in a process that outlives this one.
    pub fn write_later(&self, mirror: Mirror) -> Result<(), String> {
        if self.is_paused() {
            return Err("it could not be reached a moment ago".into());
        }
        let put = mirror.folder.objects();
        let command = self.command(&mirror, |task| {
            task.put = put;
            task.own = true;
        })?;
        process::spawn_detached(&command).map_err(|error| error.to_string())?;
        let _ = mirror.home.keep();
        Ok(())
    }

    /// Writes an object, and removes it.
    pub fn try_writing(&self, observer: &mut dyn Observer) -> Result<(), String> {
        let mirror = Mirror::new()?;
        let own = std::process::id().to_string();
        mirror.folder.write_check(&own).map_err(|error| error.to_string())?;
        let name = format!("v1/check/{own}");
        let attempt = |task: &mut Task| {
            task.put.push(name.clone());
            task.delete.push(name.clone());
        };
        self.run(&mirror, SETS, attempt, observer).map_err(Option::unwrap_or_default)
    }

    /// Reads an object that need not exist.
    pub fn try_reading(&self, observer: &mut dyn Observer) -> Result<(), String> {
        let read = |task: &mut Task| task.get.push("v1/index/none".into());
        self.run(&Mirror::new()?, SETS, read, observer).map_err(Option::unwrap_or_default)
    }

    fn command(&self, mirror: &Mirror, fill: impl FnOnce(&mut Task)) -> Result<Command, String> {
        let python = self.python.as_ref().ok_or("there is no Python that can run its client library")?;
        let limits = [("index", MAX_INDEX), ("sets", MAX_SET), ("artifacts", 0), ("names", MAX_SETS as u64)];
        let mut task = Task {
            url: &self.url,
            options: &self.options,
            path: &self.client.path,
            folder: mirror.home.path(),
            get: Vec::new(),
            put: Vec::new(),
            delete: Vec::new(),
            limits: limits.into_iter().collect(),
            own: false,
            only_old: false,
        };
        fill(&mut task);
        let text = serde_json::to_string(&task).expect("a task is plain values");
        let task_file = mirror.home.path().join("task.json");
        // In a private folder: the URL may have a password, which arguments would show to other users.
        fs::write(&task_file, text.as_bytes()).map_err(|error| error.to_string())?;
        let mut command = process::command(python);
        command.arg("-I").arg(&self.client.script).arg(task_file);
        Ok(command)
    }

    /// Runs the child. The error is `None` if the caller was interrupted.
    fn run(
        &self,
        mirror: &Mirror,
        patience: Duration,
        fill: impl FnOnce(&mut Task),
        observer: &mut dyn Observer,
    ) -> Result<(), Option<String>> {
        let command = self.command(mirror, fill).map_err(Some)?;
        let running = process::spawn_bound(&command, Priority::Normal).map_err(|error| Some(error.to_string()))?;
        let phase = Cell::new(("load its client library", Instant::now() + START));
        let mut deadline = Deadline { observer, phase: &phase, is_late: false };
        let mut failure = None;
        let finished = running.finish(&mut deadline, |line, _| match line {
            "started" => phase.set(("connect", Instant::now() + CONNECT)),
            "connected" if phase.get().0 == "connect" => phase.set(("transfer", Instant::now() + patience)),
            "connected" => {}
            line => failure = line.strip_prefix("failed: ").map(str::to_owned).or(failure.take()),
        });
        let is_late = deadline.is_late;
        match finished {
            Ok(finished) if finished.status.success() => Ok(()),
            Ok(finished) => Err(Some(failure.unwrap_or_else(|| {
                format!("its client library failed, perhaps for lack of memory: {}", finished.complaint("").0)
            }))),
            Err(_) if is_late => Err(Some(format!("it took too long to {}", phase.get().0))),
            Err(_) => Err(None),
        }
    }

    fn pause_file(&self) -> PathBuf {
        self.client.cache.join(format!("unreachable-{}", &fs::hash_bytes(self.url.as_bytes())[..16]))
    }

    /// Whether this process, or another one a moment ago, could not reach the store.
    fn is_paused(&self) -> bool {
        let here =
            UNREACHABLE.lock().is_ok_and(|known| known.get(&self.url).is_some_and(|since| since.elapsed() < PAUSE));
        let modified = std::fs::metadata(self.pause_file()).and_then(|metadata| metadata.modified());
        let age = modified.ok().and_then(|time| SystemTime::now().duration_since(time).ok());
        here || age.is_some_and(|age| age < PAUSE)
    }

    fn pause(&self) {
        if let Ok(mut known) = UNREACHABLE.lock() {
            known.insert(self.url.clone(), Instant::now());
        }
        // Errors are ignored: then each process finds out for itself.
        let file = self.pause_file();
        fs::remove(&file);
        let _ = fs::write(&file, b"");
    }
}

/// Ends a wait that takes too long.
struct Deadline<'a> {
    observer: &'a mut dyn Observer,
    phase: &'a Cell<(&'static str, Instant)>,
    is_late: bool,
}

impl Observer for Deadline<'_> {
    fn event(&mut self, event: Event) {
        self.observer.event(event);
    }

    fn check(&mut self) -> Result<()> {
        self.observer.check()?;
        self.is_late = Instant::now() > self.phase.get().1;
        if self.is_late { Err(Error::Interrupted) } else { Ok(()) }
    }
}
