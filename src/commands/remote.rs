//! What the command `remote` does besides building: keys, trust, and a look at the store.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::cache::set::Published;
use crate::env::interpreter::Interpreter;
use crate::env::settings::{self, RemoteSettings};
use crate::remote::configuration::{self, Configuration};
use crate::remote::key::SecretKey;
use crate::remote::remote_store::{NONE, Place, RemoteStore, problem};
use crate::remote::signed_set;
use crate::remote::trust::{self, Claim};

/// Makes a key that signs, and writes it to the user's configuration folder. Returns the public key and the file.
pub fn keygen(configuration: &Path) -> Result<(String, PathBuf)> {
    trust::check_known(configuration)?;
    let path = configuration::key_file(configuration);
    if path.exists() {
        return Err(Error::cache(
            &path,
            format!("{} exists already", path.display()),
            "move it away if you want another key; `python -m rustimport remote info` shows its public key",
        ));
    }
    let failed = |why: &str| Error::cache(&path, format!("cannot write {}: {why}", path.display()), "make it writable");
    let key = SecretKey::generate().ok_or_else(|| failed("the system has no random numbers"))?;
    fs::create_private_folder(configuration)?;
    fs::write(&path, format!("{}\n", key.text()).as_bytes())?;
    Ok((key.public().to_string(), path))
}

/// What the `pyproject.toml` of `folder` says of a remote store.
pub fn claim(folder: &Path) -> Result<Claim> {
    // A broken file is an error here, not no claim.
    let said = settings::remote_claim(folder)?;
    configuration::claim(&said).ok_or_else(|| {
        Error::project(
            folder,
            format!("no pyproject.toml in {} or above names a remote store or keys", folder.display()),
            "write `remote = \"file:///…\"` and `remote-trust = [\"ed25519:…\"]` below [tool.rustimport] there",
        )
    })
}

/// What is configured, without secrets, and what is wrong with it.
#[derive(Debug, Default)]
pub struct Description {
    pub url: Option<String>,
    /// Where the URL comes from.
    pub origin: Option<String>,
    pub is_writable: bool,
    pub trusted: Vec<String>,
    pub revoked: Vec<String>,
    pub variables: Vec<String>,
    /// The public key of the key that signs here.
    pub signs_with: Option<String>,
    /// Numbers of sets and artifacts, and bytes.
    pub contents: Option<(usize, usize, u64)>,
    /// The newest sets in a folder that a trusted key signed.
    pub builds: Vec<Build>,
    pub problems: Vec<String>,
}

/// What a signer says of one build.
#[derive(Debug)]
pub struct Build {
    pub signer: String,
    pub serial: u64,
    pub commit: Option<String>,
    pub job: Option<String>,
}

/// The number of builds in a [`Description`].
const BUILDS: usize = 5;

/// Describes the remote store for sources in `folder`. With `is_tried`, it is also read and, if it is writable, written.
pub fn describe(
    settings: &RemoteSettings,
    interpreter: &Interpreter,
    folder: &Path,
    is_tried: bool,
    observer: &mut dyn Observer,
) -> Description {
    let secret = configuration::secret(&settings.configuration);
    let signs_with = secret.as_ref().ok().map(|key| key.public().to_string());
    let mut found = Description { signs_with, ..Description::default() };
    let remote = match RemoteStore::open(settings, interpreter, folder) {
        Ok(Some(remote)) => remote,
        Ok(None) => {
            found.problems.push(NONE.into());
            return found;
        }
        Err(why) => {
            found.problems.push(why);
            return found;
        }
    };
    let Configuration { origin, is_writable, trust, variables, .. } = &remote.configuration;
    found.url = Some(remote.configuration.shown());
    found.origin = Some(origin.to_string());
    found.is_writable = *is_writable;
    found.trusted = trust.keys.iter().map(ToString::to_string).collect();
    found.revoked.clone_from(&trust.revoked);
    found.variables.clone_from(variables);
    if trust.keys.iter().all(|key| trust.revokes(&key.id())) {
        found.problems.push("no key is trusted, so nothing is used: set RUSTIMPORT_REMOTE_TRUST to public keys".into());
    }
    match secret {
        Ok(key) => {
            let public = key.public();
            if *is_writable && (trust.key(&public.id()).is_none() || trust.revokes(&public.id())) {
                found.problems.push(format!("the key that signs here is not trusted: {public}"));
            }
        }
        Err(why) if *is_writable => found.problems.push(why),
        Err(_) => {}
    }
    if let Place::Folder(folder) = &remote.place
        && folder.exists()
    {
        found.contents = Some(folder.contents());
        let sets = folder.newest_sets(BUILDS).into_iter().filter_map(|content| signed_set::read(&content, trust).ok());
        found.builds = sets
            .map(|set| {
                let Published { serial, commit, job } = set.published.unwrap_or_default();
                Build { signer: set.signer.unwrap_or_default(), serial, commit, job }
            })
            .collect();
    }
    if is_tried {
        found.problems.extend(attempt(&remote, observer).err());
    }
    found
}

/// Reads a remote store and, if it is writable, writes it. The error is what is wrong.
fn attempt(remote: &RemoteStore, observer: &mut dyn Observer) -> Result<(), String> {
    let is_writable = remote.configuration.is_writable;
    let unwritable = |why: String| format!("it cannot be written: {why}");
    match &remote.place {
        Place::Folder(folder) if is_writable => folder.try_writing().map_err(|error| unwritable(error.to_string())),
        Place::Folder(folder) if folder.exists() => Ok(()),
        Place::Folder(_) => Err(problem(&std::io::ErrorKind::NotFound.into())),
        Place::Network(network) => {
            network.try_reading(observer).map_err(|why| format!("it cannot be read: {why}"))?;
            if is_writable { network.try_writing(observer).map_err(unwritable) } else { Ok(()) }
        }
    }
}

/// Removes what was written more than `age` ago. Returns the freed bytes.
pub fn prune(settings: &RemoteSettings, interpreter: &Interpreter, folder: &Path, age: Duration) -> Result<u64> {
    let failed = |why: String| Error::project(folder, why, "see `python -m rustimport remote check`");
    let remote = RemoteStore::for_writing(settings, interpreter, folder).map_err(failed)?;
    let Place::Folder(folder) = &remote.place else {
        return Err(failed("a store on the network is pruned by its own rules for the age of objects".into()));
    };
    let since = SystemTime::now().checked_sub(age).unwrap_or(SystemTime::UNIX_EPOCH);
    let pruned = folder.prune(since, signed_set::artifact_of);
    pruned.map_err(|error| failed(format!("cannot remove from {}: {error}", remote.configuration.shown())))
}
