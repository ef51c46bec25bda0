//! Asks a remote store for the artifact of a source. A store on the network is asked while the source is built: whatever is
//! there first counts. Usually that is the artifact from the store, and asking in vain delays nothing.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::cache::set::Set;
use crate::cache::store::{Found, Keys, Store};
use crate::env::cargo_config::CargoConfig;
use crate::env::request::{Origin, Request};
use crate::remote::remote_store::{Lazy, RemoteStore};
use crate::sources::source::Source;

/// The question which artifact of a remote store was built from the current inputs of a source.
pub struct Query<'a> {
    request: &'a Request,
    cargo_config: &'a CargoConfig,
    keys: Keys,
    /// What is fetched is added to this user's store.
    store: Store,
}

impl<'a> Query<'a> {
    pub fn new(request: &'a Request, cargo_config: &'a CargoConfig, keys: Keys, store: Store) -> Self {
        Self { request, cargo_config, keys, store }
    }

    /// Asks before a build. A store on the network is asked only if nothing can be built: else while it is built, in
    /// [`race`], or with `at_once`.
    pub fn ask_first(
        &self,
        remote: &Lazy,
        at_once: bool,
        accepts: &dyn Fn(&Set) -> bool,
        observer: &mut dyn Observer,
    ) -> Option<Found> {
        let can_build = self.keys.with_toolchain.is_some() && self.request.may_build && !at_once;
        let remote = remote.get(self.request, observer).filter(|remote| !(can_build && remote.is_on_network()))?;
        let found = self.ask(remote, accepts, observer)?;
        self.keep(&found);
        Some(found)
    }

    fn keep(&self, found: &Found) {
        self.store.insert(&self.keys.anywhere, &found.set, &found.library);
    }

    /// `accepts` decides on a set before it is compared.
    fn ask(&self, remote: &RemoteStore, accepts: &dyn Fn(&Set) -> bool, observer: &mut dyn Observer) -> Option<Found> {
        let (request, folder, start) = (self.request, self.request.folder(), Instant::now());
        let has_toolchain = self.keys.with_toolchain.is_some();
        let mut hashes: HashMap<PathBuf, Option<String>> = HashMap::new();
        let mut hash = |path: &Path| hashes.entry(path.to_owned()).or_insert_with(|| fs::hash_file(path)).clone();
        let mut current = None;
        let mut fits = |set: &Set| {
            // Nothing of a set that was compared before may be left.
            current = None;
            if accepts(set) {
                current = set.compare(folder, self.cargo_config, &request.cache, has_toolchain, &mut hash);
            }
            current.is_some()
        };
        let found = remote.fetch(self.keys.remote(), has_toolchain, &request.interpreter, &mut fits, observer);
        let from = remote.configuration.shown();
        let is_told = has_toolchain || found == Err(true);
        let Some(((set, library), (inputs, snapshot))) = found.ok().zip(current) else {
            let message = format!("the remote store {from} has no artifact for this content");
            // Nothing can be built: a second line, the error, says so. What was found and refused has been reported.
            observer.event(if is_told { Event::Log { message } } else { Event::Notice { message } });
            return None;
        };
        observer.event(Event::Fetched { from, seconds: start.elapsed().as_secs_f64() });
        Some(Found { library, set, inputs, snapshot })
    }
}

/// What was there first.
pub enum First<T, F = Box<Found>> {
    Built(T),
    Fetched(F),
}

/// Calls `build`, and ends it if the remote store, which is on the network, has the artifact.
pub fn race<T>(
    query: &Query,
    remote: &RemoteStore,
    accepts: &(dyn Fn(&Set) -> bool + Sync),
    observer: &mut dyn Observer,
    build: impl FnOnce(&mut dyn Observer) -> Result<T>,
) -> Result<First<T>> {
    let (is_found, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let ask = || {
        let mut asking = Asking { is_over: &is_over, events: Vec::new() };
        let found = query.ask(remote, accepts, &mut asking);
        is_found.store(found.is_some(), Ordering::Release);
        (found, asking.events)
    };
    let (result, answer) = thread::scope(|scope| {
        // Without another thread, nothing is asked.
        let asking = thread::Builder::new().spawn_scoped(scope, ask).ok();
        let result = build(&mut Building { observer, is_found: &is_found });
        is_over.store(true, Ordering::Release);
        (result, asking.and_then(|asking| asking.join().ok()))
    });
    let (found, events) = answer.unwrap_or_default();
    // Only a build that was ended by it leaves the artifact to be used.
    let found = found.filter(|_| matches!(result, Err(Error::Interrupted)) && observer.check().is_ok());
    let is_true = |event: &Event| found.is_some() || !matches!(event, Event::Fetched { .. });
    events.into_iter().filter(is_true).for_each(|event| observer.event(event));
    match found {
        Some(found) => {
            query.keep(&found);
            Ok(First::Fetched(Box::new(found)))
        }
        None => Ok(First::Built(result?)),
    }
}

impl Source<'_> {
    pub fn query(&self) -> Query<'_> {
        Query::new(self.request, &self.cargo_config, self.keys(), self.cache.store())
    }

    /// Calls `build`, unless a remote store on the network has the artifact first.
    pub fn race(
        &self,
        observer: &mut dyn Observer,
        build: impl FnOnce(&mut dyn Observer) -> Result<PathBuf>,
    ) -> Result<(PathBuf, Origin)> {
        let Some(remote) = self.remote.on_network(self.request, observer) else {
            return Ok((build(observer)?, Origin::Built));
        };
        match race(&self.query(), remote, &|_| true, observer, build)? {
            First::Built(artifact) => Ok((artifact, Origin::Built)),
            First::Fetched(found) => Ok((self.take(*found)?, Origin::Fetched)),
        }
    }
}

/// The build's observer: it is interrupted when the artifact is found.
struct Building<'a> {
    observer: &'a mut dyn Observer,
    is_found: &'a AtomicBool,
}

impl Observer for Building<'_> {
    fn event(&mut self, event: Event) {
        self.observer.event(event);
    }

    fn check(&mut self) -> Result<()> {
        self.observer.check()?;
        if self.is_found.load(Ordering::Acquire) { Err(Error::Interrupted) } else { Ok(()) }
    }
}

/// The observer of the other thread: it keeps events for later, and is interrupted when the build is over.
struct Asking<'a> {
    is_over: &'a AtomicBool,
    events: Vec<Event>,
}

impl Observer for Asking<'_> {
    fn event(&mut self, event: Event) {
        self.events.push(event);
    }

    fn check(&mut self) -> Result<()> {
        if self.is_over.load(Ordering::Acquire) { Err(Error::Interrupted) } else { Ok(()) }
    }
}
