//! A remote store: finds an artifact there that was built from the current inputs of a source, and adds those that were
//! built here. It never fails an import: what cannot be used is as good as absent, and reported in one line.

use std::io;

use crate::base::event::{Event, Observer};
use crate::base::paths;
use crate::cache::set::{Requirements, Set};
use crate::env::interpreter::{self, Interpreter};
use crate::env::settings::RemoteSettings;
use crate::remote::configuration::Configuration;
use crate::remote::folder::Folder;
use crate::remote::linkage::version;
use crate::remote::signed_set::{self, Distrust};
use crate::remote::trust::Trust;

pub struct RemoteStore {
    pub configuration: Configuration,
    pub folder: Folder,
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

impl RemoteStore {
    /// The remote store for a source in `folder`; `None` if there is none.
    ///
    /// # Errors
    /// It cannot be used. The text says why.
    pub fn open(settings: &RemoteSettings, folder: &std::path::Path) -> Result<Option<Self>, String> {
        let Some(configuration) = Configuration::of(settings, folder)? else { return Ok(None) };
        let Some(root) = paths::folder_of_url(&configuration.url) else {
            return Err(format!("{} is not the URL of a folder, such as file:///srv/rust", configuration.shown()));
        };
        Ok(Some(Self { configuration, folder: Folder::at(&root) }))
    }

    /// Like [`Self::open`], for an import: reports an error in one line.
    pub fn for_import(
        settings: &RemoteSettings,
        folder: &std::path::Path,
        observer: &mut dyn Observer,
    ) -> Option<Self> {
        Self::open(settings, folder).unwrap_or_else(|why| {
            observer.event(Event::Notice { message: format!("the remote store is not used: {why}") });
            None
        })
    }

    /// The set, signed by a trusted key, for which `fits` returns true, and its library.
    pub fn fetch(
        &self,
        key: &str,
        interpreter: &Interpreter,
        fits: &mut dyn FnMut(&Set) -> bool,
        observer: &mut dyn Observer,
    ) -> Option<(Set, Vec<u8>)> {
        let url = self.configuration.shown();
        let names = match self.folder.sets_for(key) {
            Ok(names) => names,
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && (self.folder.exists() || self.configuration.is_writable) =>
            {
                return None;
            }
            Err(error) => {
                let message = format!("the remote store {url} is not used: {}", problem(&error));
                observer.event(Event::Notice { message });
                return None;
            }
        };
        let mut doubt = None;
        for name in names {
            let Ok(content) = self.folder.read_set(&name) else { continue };
            let set = match signed_set::open(&content, key, &self.configuration.trust) {
                Ok(set) => set,
                Err(distrust) => {
                    doubt = doubt.or(Some(distrust.to_string()));
                    continue;
                }
            };
            let Some(requirements) = &set.requirements else { continue };
            if let Err(why) = are_met(requirements, interpreter) {
                observer.event(Event::Log { message: format!("an artifact in {url} cannot be used here: {why}") });
                continue;
            }
            if !fits(&set) {
                continue;
            }
            match self.folder.read_artifact(set.artifact(), requirements.size) {
                Ok(library) => return Some((set, library)),
                Err(error) => doubt = doubt.or(Some(format!("its library: {error}"))),
            }
        }
        if let Some(why) = doubt {
            let message = format!("an artifact in the remote store {url} is not used: {why}");
            observer.event(Event::Notice { message });
        }
        None
    }

    /// Writes an artifact with its set of inputs, signed.
    ///
    /// # Errors
    /// It cannot be signed or written. The text says why.
    pub fn push(&self, set: &Set, library: &[u8]) -> Result<Pushed, String> {
        let Some(requirements) = &set.requirements else {
            return Ok(Pushed::Stays(set.stays.clone().unwrap_or_default()));
        };
        let is_named = |name: &&String| self.configuration.variables.contains(name);
        if let Some(name) = requirements.variables.iter().find(|name| !is_named(name)) {
            return Ok(Pushed::Stays(format!(
                "it may contain the value of {name}, which is not in remote-variables (RUSTIMPORT_REMOTE_VARIABLES)"
            )));
        }
        let key = self.configuration.secret()?;
        let own = Trust { keys: vec![key.public()], revoked: self.configuration.trust.revoked.clone() };
        if own.revokes(&key.public().id()) {
            return Err(Distrust::Revoked(key.public().id()).to_string());
        }
        let first = requirements.keys.first().map(String::as_str).unwrap_or_default();
        let is_present = |name: &String| {
            let known = signed_set::open(&self.folder.read_set(name).ok()?, first, &own).ok()?;
            let size = known.requirements.as_ref()?.size;
            (known.has_inputs_of(set) && self.folder.read_artifact(known.artifact(), size).is_ok()).then_some(())
        };
        if self.folder.sets_for(first).is_ok_and(|names| names.iter().any(|name| is_present(name).is_some())) {
            return Ok(Pushed::Present);
        }
        let mut unsigned = set.clone();
        unsigned.signer = None;
        let text = signed_set::seal(&unsigned, &key);
        let written = self.folder.write(&requirements.keys, &text, set.artifact(), library);
        written.map_err(|error| problem(&error))?;
        Ok(Pushed::Written)
    }
}

fn problem(error: &io::Error) -> String {
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
    use std::path::Path;

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
                variables: vec![],
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
        let open = |settings: &RemoteSettings| RemoteStore::open(settings, Path::new("/")).unwrap().unwrap();
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
                variables: variable.iter().map(ToString::to_string).collect(),
            };
            set.requirements = Some(requirements);
            set
        };
        let own = open(&settings(vec![key.public().to_string()], &["NAMED"]));
        assert_eq!(own.push(&set(None), library), Ok(Pushed::Written));
        assert_eq!(own.push(&set(None), library), Ok(Pushed::Present));
        assert_eq!(own.push(&set(Some("NAMED")), library), Ok(Pushed::Written));
        assert!(matches!(own.push(&set(Some("OTHER")), library), Ok(Pushed::Stays(_))));
        let mut local = set(None);
        local.requirements = None;
        assert!(matches!(own.push(&local, library), Ok(Pushed::Stays(_))));
        let fetch = |store: &RemoteStore, key: char, fits: bool| {
            let key = key.to_string().repeat(64);
            store.fetch(&key, &interpreter(), &mut |_| fits, &mut Silent).map(|(_, library)| library)
        };
        assert_eq!(fetch(&own, 'a', true), Some(library.to_vec()));
        assert_eq!(fetch(&own, 'b', true), Some(library.to_vec()));
        assert_eq!(fetch(&own, 'c', true), None);
        assert_eq!(fetch(&own, 'a', false), None);
        assert_eq!(fetch(&open(&settings(vec![], &[])), 'a', true), None);
        std::fs::remove_dir_all(store.join("v1/artifacts")).unwrap();
        assert_eq!(fetch(&own, 'a', true), None);
        assert_eq!(own.push(&set(None), library), Ok(Pushed::Written));
        assert_eq!(fetch(&own, 'a', true), Some(library.to_vec()));
    }
}
