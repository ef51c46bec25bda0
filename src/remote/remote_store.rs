//! A remote store: finds an artifact there that was built from the current inputs of a source, and adds those that were
//! built here. It never fails an import: what cannot be used is as good as absent, and reported in one line.

use std::cmp::Reverse;
use std::io;
use std::path::Path;
use std::sync::OnceLock;

use crate::base::env_vars;
use crate::base::event::{Event, Observer};
use crate::base::paths;
use crate::cache::set::{Published, Requirements, Set};
use crate::env::interpreter::{self, Interpreter};
use crate::env::request::Request;
use crate::env::settings::RemoteSettings;
use crate::remote::configuration::Configuration;
use crate::remote::folder::Folder;
use crate::remote::linkage::version;
use crate::remote::network::{Mirror, Network};
use crate::remote::portability;
use crate::remote::serials::Serials;
use crate::remote::signed_set::{self, Distrust};
use crate::remote::trust::Trust;

/// What is said where a store is needed.
pub const NONE: &str = "no remote store is configured: set RUSTIMPORT_REMOTE to a URL";

pub struct RemoteStore {
    pub configuration: Configuration,
    pub place: Place,
}

/// Where a remote store is.
pub enum Place {
    Folder(Folder),
    Network(Network),
}

/// What became of an artifact that should be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pushed {
    Written,
    /// Somebody else has written it.
    Present,
    /// It must not leave this machine, with the reason.
    Stays(String),
}

/// The remote store of a source, opened when it is needed. What is wrong with it is reported once.
#[derive(Default)]
pub struct Lazy(OnceLock<Option<RemoteStore>>);

impl Lazy {
    pub fn get(&self, request: &Request, observer: &mut dyn Observer) -> Option<&RemoteStore> {
        let open =
            || RemoteStore::for_import(&request.settings.remote, &request.interpreter, request.folder(), observer);
        self.0.get_or_init(open).as_ref()
    }

    /// Like [`Self::get`], if it is on the network and may be asked while the source is built.
    pub fn on_network(&self, request: &Request, observer: &mut dyn Observer) -> Option<&RemoteStore> {
        if request.force { None } else { self.get(request, observer).filter(|remote| remote.is_on_network()) }
    }

    /// Like [`Self::get`], if what is built here is written to it.
    pub fn writable(&self, request: &Request, observer: &mut dyn Observer) -> Option<&RemoteStore> {
        self.get(request, observer).filter(|remote| remote.configuration.is_writable)
    }
}

impl RemoteStore {
    /// The remote store for a source in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be used. The text says why.
    pub fn open(settings: &RemoteSettings, interpreter: &Interpreter, folder: &Path) -> Result<Option<Self>, String> {
        let Some(configuration) = Configuration::of(settings, folder)? else { return Ok(None) };
        let Configuration { url, options, .. } = &configuration;
        let place = match paths::folder_of_url(url) {
            Some(root) => Place::Folder(Folder::at(&root)),
            None if url.contains("://") && !url.starts_with("file:") => {
                Place::Network(Network::new(url, options.clone(), &settings.client, interpreter))
            }
            None => return Err(format!("{} is not a URL such as file:///srv/rust", configuration.shown())),
        };
        Ok(Some(Self { configuration, place }))
    }

    /// Like [`Self::open`], for an import: reports an error in one line.
    pub fn for_import(
        settings: &RemoteSettings,
        interpreter: &Interpreter,
        folder: &Path,
        observer: &mut dyn Observer,
    ) -> Option<Self> {
        Self::open(settings, interpreter, folder).unwrap_or_else(|why| {
            observer.event(Event::Notice { message: format!("the remote store is not used: {why}") });
            None
        })
    }

    /// Like [`Self::open`], for a command that writes.
    ///
    /// # Errors
    /// Also if there is none, or if it is only read.
    pub fn for_writing(settings: &RemoteSettings, interpreter: &Interpreter, folder: &Path) -> Result<Self, String> {
        let remote = Self::open(settings, interpreter, folder)?.ok_or(NONE)?;
        if remote.configuration.is_writable {
            return Ok(remote);
        }
        Err("the remote store is only read: set RUSTIMPORT_REMOTE_MODE=read-write".into())
    }

    pub fn is_on_network(&self) -> bool {
        matches!(self.place, Place::Network(_))
    }

    /// The set, signed by a trusted key, for which `fits` returns true, and its library. If nothing can be built instead
    /// (`can_build`), it is said why an artifact cannot be used. The error says whether a reason was reported.
    pub fn fetch(
        &self,
        key: &str,
        can_build: bool,
        interpreter: &Interpreter,
        fits: &mut dyn FnMut(&Set) -> bool,
        observer: &mut dyn Observer,
    ) -> Result<(Set, Vec<u8>), bool> {
        let url = self.configuration.shown();
        let unused = |why: &str| Event::Notice { message: format!("the remote store {url} is not used: {why}") };
        let mirror = match &self.place {
            Place::Folder(_) => None,
            Place::Network(network) => match network.sets_for(key, observer) {
                Ok(mirror) => Some((network, mirror)),
                Err(why) => {
                    let is_told = why.is_some();
                    if let Some(why) = why {
                        observer.event(unused(&why));
                    }
                    return Err(is_told);
                }
            },
        };
        let folder = match (&self.place, &mirror) {
            (_, Some((_, mirror))) => &mirror.folder,
            (Place::Folder(folder), _) => folder,
            (Place::Network(_), None) => return Err(false),
        };
        let names = match folder.sets_for(key) {
            Ok(names) => names,
            // Nobody has written for this key.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.is_there(folder) => return Err(false),
            Err(error) => {
                observer.event(unused(&problem(&error)));
                return Err(true);
            }
        };
        let mut doubt = None;
        let mut sets = Vec::new();
        for name in names {
            let Ok(content) = folder.read_set(&name) else { continue };
            match signed_set::open(&content, key, &self.configuration.trust) {
                Ok(set) => sets.push((Serials::id(set.signer.as_deref().unwrap_or_default(), key, &set), set)),
                Err(distrust) => doubt = doubt.or(Some(distrust.to_string())),
            }
        }
        let serials = self.configuration.serials();
        for (id, set) in latest_first(sets) {
            let Some(requirements) = &set.requirements else { continue };
            if let Err(why) = are_met(requirements, interpreter) {
                let message = format!("an artifact in the remote store {url} cannot be used here: {why}");
                observer.event(if can_build { Event::Log { message } } else { Event::Notice { message } });
                continue;
            }
            if !fits(&set) {
                continue;
            }
            let seen = serials.highest(&id);
            if set.serial() < seen {
                doubt = doubt.or(Some(format!(
                    "it is build {} of this content, and build {seen} was seen here: whoever can write to the store \
                     may have brought back an old one",
                    set.serial()
                )));
                continue;
            }
            let brought = mirror
                .as_ref()
                .map_or(Ok(()), |(network, mirror)| network.add(mirror, set.artifact(), requirements.size, observer));
            let read = || folder.read_artifact(set.artifact(), requirements.size).map_err(|error| problem(&error));
            match brought.and_then(|()| read()) {
                Ok(library) => {
                    serials.record(&id, set.serial());
                    let (by, build) = (set.signer.as_deref().unwrap_or_default(), set.published.as_ref());
                    let build = build.map(ToString::to_string).unwrap_or_default();
                    observer.event(Event::Log { message: format!("signed by {by}: {build}") });
                    return Ok((set, library));
                }
                Err(why) => doubt = doubt.or(Some(format!("its library: {why}"))),
            }
        }
        let is_told = doubt.is_some();
        if let Some(why) = doubt {
            let message = format!("an artifact in the remote store {url} is not used: {why}");
            observer.event(Event::Notice { message });
        }
        Err(is_told)
    }

    /// Whether the store exists, as far as is known. One that is written appears with the first object.
    fn is_there(&self, folder: &Folder) -> bool {
        self.is_on_network() || self.configuration.is_writable || folder.exists()
    }

    /// Writes an artifact that an import has built. Reports what became of it; an error is only that.
    pub fn offer(&self, name: &Path, artifact: Result<(&Set, &[u8]), String>, observer: &mut dyn Observer) {
        let (name, to) = (name.display(), self.configuration.shown());
        let pushed = match artifact {
            Ok((set, library)) => self.push(set, library, true, observer),
            Err(why) => Ok(Pushed::Stays(why)),
        };
        observer.event(match pushed {
            Ok(Pushed::Written) => Event::Log { message: format!("{name}: written to the remote store {to}") },
            Ok(Pushed::Present) => Event::Log { message: format!("{name}: already in the remote store {to}") },
            Ok(Pushed::Stays(why)) => Event::Log { message: format!("{name} stays on this machine: {why}") },
            Err(why) => Event::Notice { message: format!("it was not written to the remote store {to}: {why}") },
        });
    }

    /// Writes an artifact with its set of inputs, signed. With `is_later`, a store on the network is written by a process
    /// that outlives this one, and is not asked whether the artifact is there already.
    ///
    /// # Errors
    /// It cannot be signed or written. The text says why.
    pub fn push(
        &self,
        set: &Set,
        library: &[u8],
        is_later: bool,
        observer: &mut dyn Observer,
    ) -> Result<Pushed, String> {
        let Some(requirements) = &set.requirements else {
            return Ok(Pushed::Stays(set.stays.clone().unwrap_or_default()));
        };
        let is_named = |name: &&String| self.configuration.variables.contains(name);
        // A build script may have read a variable without a word.
        let contained = portability::contained_variables(library);
        if let Some(name) = requirements.variables.iter().chain(&contained).find(|name| !is_named(name)) {
            return Ok(Pushed::Stays(format!(
                "it may contain the value of {name}, which is not in remote-variables (RUSTIMPORT_REMOTE_VARIABLES)"
            )));
        }
        let key = self.configuration.secret()?;
        let id = key.public().id();
        if self.configuration.trust.revokes(&id) {
            return Err(Distrust::Revoked(id).to_string());
        }
        let own = Trust { keys: vec![key.public()], revoked: Vec::new() };
        let first = requirements.keys.first().map(String::as_str).unwrap_or_default();
        let (serials, counted) = (self.configuration.serials(), Serials::id(&id, first, set));
        let seen = serials.highest(&counted);
        // `before`: what the store has already.
        let write = |folder: &Folder, before: Option<&Folder>| {
            let serial = 1 + seen.max(before.map_or(0, |before| highest(before, first, &own)));
            let mut unsigned = set.clone();
            unsigned.signer = None;
            unsigned.published = Some(Published { serial, ..published_here() });
            let text = signed_set::seal(&unsigned, &key);
            let written = folder.write(&requirements.keys, &text, set.artifact(), library);
            written.map_err(|error| problem(&error))?;
            requirements.keys.iter().for_each(|index| serials.record(&Serials::id(&id, index, set), serial));
            Ok::<_, String>(())
        };
        match &self.place {
            Place::Folder(folder) => {
                let found = find_equal(folder, set, requirements, &own, &mut |_, _| Ok(()));
                if let Some((name, known)) = found.filter(|(_, known)| known.serial() >= seen) {
                    // It is not removed as old while it is pushed again and again.
                    folder.refresh(&requirements.keys, &name, known.artifact());
                    return Ok(Pushed::Present);
                }
                write(folder, Some(folder))?;
            }
            Place::Network(network) if is_later => {
                let mirror = Mirror::new()?;
                write(&mirror.folder, None)?;
                network.write_later(mirror)?;
            }
            Place::Network(network) => {
                let known = network.ask(first, observer)?;
                let mut bring = |hash: &str, size| network.add(&known, hash, size, observer);
                let found = find_equal(&known.folder, set, requirements, &own, &mut bring);
                if let Some((name, equal)) = found.filter(|(_, known)| known.serial() >= seen) {
                    network.refresh(&known, &requirements.keys, &name, equal.artifact(), observer)?;
                    return Ok(Pushed::Present);
                }
                let mirror = Mirror::new()?;
                write(&mirror.folder, Some(&known.folder))?;
                network.write(&mirror, observer)?;
            }
        }
        Ok(Pushed::Written)
    }
}

/// Sets with what is counted, in their order, but of equal ones that with the highest number first: whoever can write to
/// the store can put an old one first.
fn latest_first(mut sets: Vec<(String, Set)>) -> Vec<(String, Set)> {
    let ids: Vec<String> = sets.iter().map(|(id, _)| id.clone()).collect();
    sets.sort_by_key(|(id, set)| (ids.iter().position(|known| known == id), Reverse(set.serial())));
    sets
}

/// The highest number in an index of a key of `trust`.
fn highest(folder: &Folder, key: &str, trust: &Trust) -> u64 {
    let names = folder.sets_for(key).unwrap_or_default().into_iter();
    let sets = names.filter_map(|name| signed_set::open(&folder.read_set(&name).ok()?, key, trust).ok());
    sets.map(|set| set.serial()).max().unwrap_or_default()
}

/// The commit and the CI job that this process works for.
fn published_here() -> Published {
    let known = |name: &str| {
        let value = env_vars::get_text(name)?.chars().filter(char::is_ascii_graphic).take(200).collect::<String>();
        (!value.is_empty()).then_some(value)
    };
    let on_github = || {
        let [server, repository, run] =
            [env_vars::GITHUB_SERVER_URL, env_vars::GITHUB_REPOSITORY, env_vars::GITHUB_RUN_ID].map(known);
        Some(format!("{}/{}/actions/runs/{}", server?, repository?, run?))
    };
    let commit = known(env_vars::GITHUB_SHA).or_else(|| known(env_vars::CI_COMMIT_SHA));
    Published { serial: 0, commit, job: on_github().or_else(|| known(env_vars::CI_JOB_URL)) }
}

/// The name and the content of a set in a folder that has the inputs of `set`, signed by a key of `trust`, with its
/// library. `bring` copies a library to the folder.
fn find_equal(
    folder: &Folder,
    set: &Set,
    requirements: &Requirements,
    trust: &Trust,
    bring: &mut dyn FnMut(&str, u64) -> Result<(), String>,
) -> Option<(String, Set)> {
    let key = requirements.keys.first().map(String::as_str).unwrap_or_default();
    folder.sets_for(key).ok()?.into_iter().find_map(|name| {
        let known = signed_set::open(&folder.read_set(&name).ok()?, key, trust).ok()?;
        let size = known.requirements.as_ref()?.size;
        known.has_inputs_of(set).then_some(())?;
        bring(known.artifact(), size).ok()?;
        folder.read_artifact(known.artifact(), size).ok()?;
        Some((name, known))
    })
}

/// What is wrong, for messages.
pub fn problem(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "there is no such folder, or nothing was written to it yet".into(),
        _ => error.to_string(),
    }
}

/// Whether this machine has what an artifact needs.
fn are_met(requirements: &Requirements, interpreter: &Interpreter) -> Result<(), String> {
    let platform = interpreter::platform();
    if requirements.platform != platform {
        return Err(format!("it is for {}, and this is {platform}", requirements.platform));
    }
    let Some(needed) = &requirements.c_library else { return Ok(()) };
    let own = interpreter.c_library.as_ref().and_then(|library| Some(library.split_once(' ')?.1.to_owned()));
    match (version(needed), own.as_deref().and_then(version)) {
        (Some(needed), Some(own)) if needed <= own => Ok(()),
        _ => {
            Err(format!("it needs glibc {needed}, and this system has {}", own.unwrap_or_else(|| "another one".into())))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::event::tests::Silent;
    use crate::base::fs;
    use crate::env::cargo_config::CargoConfig;
    use crate::env::interpreter::tests::interpreter;
    use crate::freshness::inputs::{Inputs, Variable};
    use crate::remote::configuration::key_file;
    use crate::remote::key::SecretKey;

    #[test]
    fn requirements() {
        let check = |platform: &str, c_library: Option<&str>, own: Option<&str>, expected: bool| {
            let requirements = Requirements {
                platform: platform.replace("HERE", &interpreter::platform()),
                c_library: c_library.map(str::to_owned),
                size: 0,
                keys: vec![],
                lock: String::new(),
                variables: vec![],
                layout: None,
            };
            let interpreter = Interpreter { c_library: own.map(str::to_owned), ..interpreter() };
            assert_eq!(are_met(&requirements, &interpreter).is_ok(), expected, "{platform} {c_library:?} {own:?}");
        };
        check("HERE", None, None, true);
        check("HERE", Some("2.34"), Some("glibc 2.36"), true);
        check("HERE", Some("2.34"), Some("glibc 2.4"), false);
        check("HERE", Some("2.34"), None, false);
        check("elsewhere", None, None, false);
    }

    #[test]
    fn what_is_written_is_found_once_it_is_trusted() {
        let root = tempfile::tempdir().unwrap();
        let (home, store) = (root.path().join("home"), root.path().join("store"));
        let key = SecretKey::generate().unwrap();
        fs::create_private_folder(&home).unwrap();
        fs::write(&key_file(&home), key.text().as_bytes()).unwrap();
        let settings = |trust: Vec<String>, variables: &[&str]| RemoteSettings {
            url: Some(paths::url_of(&store)),
            mode: Some("read-write".into()),
            trust: Some(trust),
            variables: Some(variables.iter().map(ToString::to_string).collect()),
            configuration: home.clone(),
            ..RemoteSettings::default()
        };
        let open =
            |settings: &RemoteSettings| RemoteStore::open(settings, &interpreter(), Path::new("/")).unwrap().unwrap();
        let library = b"library".as_slice();
        let set = |variable: Option<&str>| {
            let variables = variable.iter().map(|name| Variable::new(name, Some("1"))).collect();
            let inputs = Inputs { variables, ..Inputs::default() };
            let hash = fs::hash_bytes(library);
            let mut set = Set::portable(hash, &inputs, &CargoConfig::default(), Path::new("/s")).unwrap();
            let requirements = Requirements {
                platform: interpreter::platform(),
                c_library: None,
                size: 7,
                keys: vec!["a".repeat(64), "b".repeat(64)],
                lock: String::new(),
                variables: variable.iter().map(ToString::to_string).collect(),
                layout: None,
            };
            set.requirements = Some(requirements);
            set
        };
        let own = open(&settings(vec![key.public().to_string()], &["NAMED"]));
        assert_eq!(own.push(&set(None), library, false, &mut Silent), Ok(Pushed::Written));
        assert_eq!(own.push(&set(None), library, false, &mut Silent), Ok(Pushed::Present));
        assert_eq!(own.push(&set(Some("NAMED")), library, false, &mut Silent), Ok(Pushed::Written));
        assert!(matches!(own.push(&set(Some("OTHER")), library, false, &mut Silent), Ok(Pushed::Stays(_))));
        let mut local = set(None);
        local.requirements = None;
        assert!(matches!(own.push(&local, library, false, &mut Silent), Ok(Pushed::Stays(_))));
        let fetch = |store: &RemoteStore, key: char, fits: bool| {
            let key = key.to_string().repeat(64);
            store.fetch(&key, true, &interpreter(), &mut |_| fits, &mut Silent).map(|(_, library)| library).ok()
        };
        assert_eq!(fetch(&own, 'a', true), Some(library.to_vec()));
        assert_eq!(fetch(&own, 'b', true), Some(library.to_vec()));
        assert_eq!(fetch(&own, 'c', true), None);
        assert_eq!(fetch(&own, 'a', false), None);
        assert_eq!(fetch(&open(&settings(vec![], &[])), 'a', true), None);
        std::fs::remove_dir_all(store.join("v1/artifacts")).unwrap();
        assert_eq!(fetch(&own, 'a', true), None);
        assert_eq!(own.push(&set(None), library, false, &mut Silent), Ok(Pushed::Written));
        assert_eq!(fetch(&own, 'a', true), Some(library.to_vec()));
    }
}
