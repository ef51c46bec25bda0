//! Which remote store a source uses, and how. The order of precedence is: assigned settings and the environment, the
//! user's `remote.toml`, then `[tool.rustimport]` of a checkout that the user trusts. Writing, keys that sign and
//! variables that may leave are never up to a checkout.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::base::env_vars;
use crate::base::fs;
use crate::env::settings::{RemoteClaim, RemoteSettings, remote_claim};
use crate::freshness::inputs::{Inputs, Snapshot};
use crate::remote::key::{PublicKey, SecretKey};
use crate::remote::serials::Serials;
use crate::remote::trust::{self, Claim, Trust};

/// Where a value comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    Settings,
    User,
    Checkout,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Settings => "the settings or the environment",
            Self::User => "remote.toml of the user",
            Self::Checkout => "pyproject.toml, which is trusted",
        })
    }
}

/// A remote store, and how it is used.
#[derive(Debug, Clone)]
pub struct Configuration {
    pub url: String,
    pub origin: Origin,
    /// Whether artifacts that are built here are written to it.
    pub is_writable: bool,
    pub trust: Trust,
    /// Variables whose values may leave this machine.
    pub variables: Vec<String>,
    /// Options for the client library, such as an endpoint.
    pub options: BTreeMap<String, String>,
    /// The user's configuration folder.
    folder: PathBuf,
}

/// `remote.toml` in the user's configuration folder.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct UsersFile {
    remote: Option<String>,
    mode: Option<String>,
    trust: Option<Vec<String>>,
    #[serde(default)]
    revoked: Vec<String>,
    variables: Option<Vec<String>>,
    #[serde(default)]
    options: BTreeMap<String, String>,
}

/// The claim that a user can trust, if what a checkout says contains one.
pub fn claim(said: &RemoteClaim) -> Option<Claim> {
    let RemoteClaim { folder, remote, trust, .. } = said.clone();
    let folder = std::fs::canonicalize(&folder).unwrap_or(folder);
    (remote.is_some() || !trust.is_empty()).then_some(Claim { folder, remote, trust })
}

impl Configuration {
    /// The configuration for a source in `folder`; `None` if there is no remote store.
    ///
    /// # Errors
    /// It cannot be used. The text says why, and what to do.
    pub fn of(settings: &RemoteSettings, folder: &Path) -> Result<Option<Self>, String> {
        // Empty: none, whatever is configured elsewhere.
        if settings.url.as_ref().is_some_and(String::is_empty) {
            return Ok(None);
        }
        let home = &settings.configuration;
        let of_user = users_file(home)?;
        let of_checkout = remote_claim(folder).unwrap_or_default();
        let claim = claim(&of_checkout);
        let trusted = claim.as_ref().filter(|claim| trust::is_trusted(home, claim));
        let urls = [
            (Origin::Settings, settings.url.as_ref()),
            (Origin::User, of_user.remote.as_ref()),
            (Origin::Checkout, trusted.and_then(|claim| claim.remote.as_ref())),
        ];
        let found = urls.into_iter().find_map(|(origin, url)| Some((origin, url?.clone())));
        let Some((origin, url)) = found else {
            return match claim.and_then(|claim| claim.remote) {
                Some(url) => Err(format!(
                    "pyproject.toml names {}; to use it, run `python -m rustimport remote trust` in its folder",
                    without_password(&url)
                )),
                None => Ok(None),
            };
        };
        let keys = settings.trust.as_ref().or(of_user.trust.as_ref()).or(trusted.map(|claim| &claim.trust));
        let keys = keys.into_iter().flatten().map(|text| {
            let wrong =
                || format!("`{text}` in remote-trust is not a public key, such as `ed25519:…` (`remote keygen`)");
            PublicKey::parse(text).ok_or_else(wrong)
        });
        if origin == Origin::Checkout && url.contains(['?', '#', '@']) {
            return Err(format!(
                "pyproject.toml names {}, with options or a password, which belong into remote.toml of the user",
                without_password(&url)
            ));
        }
        let is_writable = match settings.mode.as_ref().or(of_user.mode.as_ref()).map(String::as_str) {
            None | Some("read") => false,
            Some("read-write") => true,
            Some(other) => return Err(format!("remote-mode is {other:?}: write \"read\" or \"read-write\"")),
        };
        let revoked = revoked(settings, &of_user, &of_checkout);
        if let Some(text) = revoked.iter().find(|text| trust::id_of(text).is_none()) {
            return Err(format!("`{text}` in remote-revoked is neither a public key nor the id of one"));
        }
        Ok(Some(Self {
            url,
            origin,
            is_writable,
            trust: Trust { keys: keys.collect::<Result<_, _>>()?, revoked },
            variables: settings.variables.clone().or(of_user.variables).unwrap_or_default(),
            // Passwords of the user's own store are for that store.
            options: if origin == Origin::Checkout { BTreeMap::new() } else { of_user.options },
            folder: home.clone(),
        }))
    }

    /// The store's URL for messages.
    pub fn shown(&self) -> String {
        without_password(&self.url)
    }

    /// The numbers of sets that this machine saw.
    pub fn serials(&self) -> Serials {
        Serials::of(&self.folder)
    }

    /// The key that signs what this machine writes; see [`secret`].
    pub fn secret(&self) -> Result<SecretKey, String> {
        secret(&self.folder)
    }
}

/// The key that signs what a machine with this configuration folder writes.
///
/// # Errors
/// There is none, or it cannot be used. The text says why.
pub fn secret(folder: &Path) -> Result<SecretKey, String> {
    let named = env_vars::get_text(env_vars::REMOTE_KEY).filter(|value| !value.is_empty());
    if let Some(key) = named.as_deref().and_then(SecretKey::parse) {
        return Ok(key);
    }
    let is_unknown = named.is_none() && folder.as_os_str().is_empty();
    let path = named.map_or_else(|| key_file(folder), PathBuf::from);
    if is_unknown {
        return Err("there is no key to sign with: it is not known where this user's configuration is".into());
    }
    let metadata = std::fs::metadata(&path).map_err(|error| {
        format!("there is no key to sign with ({}: {error}): run `python -m rustimport remote keygen`", path.display())
    })?;
    if !fs::is_secret(&metadata) {
        return Err(format!("other users can read {}: run `chmod 600` on it", path.display()));
    }
    let key = fs::read_text(&path).ok().as_deref().and_then(SecretKey::parse);
    key.ok_or_else(|| format!("{} is not a key that `python -m rustimport remote keygen` made", path.display()))
}

/// Whether a key is revoked. Anybody may say so, also a checkout that is not trusted. If the user's configuration cannot be
/// read, or has an entry that is not understood, every key is.
pub fn revokes(settings: &RemoteSettings, folder: &Path, id: &str) -> bool {
    let Ok(of_user) = users_file(&settings.configuration) else { return true };
    let revoked = revoked(settings, &of_user, &remote_claim(folder).unwrap_or_default());
    Trust { keys: Vec::new(), revoked }.revokes(id)
}

fn revoked(settings: &RemoteSettings, of_user: &UsersFile, of_checkout: &RemoteClaim) -> Vec<String> {
    settings.revoked.iter().chain(&of_user.revoked).chain(&of_checkout.revoked).cloned().collect()
}

/// The file of the key that signs.
pub fn key_file(configuration: &Path) -> PathBuf {
    configuration.join("remote.key")
}

/// The files that decide which keys are trusted.
fn files(settings: &RemoteSettings) -> [PathBuf; 2] {
    [settings.configuration.join("remote.toml"), settings.configuration.join("trusted-checkouts.toml")]
}

/// The inputs of an artifact for a stamp. If a key of a remote store signed it: with the files that may revoke the key.
pub fn with_revocations<'a>(
    settings: &RemoteSettings,
    signer: Option<&str>,
    inputs: &'a Inputs,
    snapshot: &'a Snapshot,
) -> (Cow<'a, Inputs>, Cow<'a, Snapshot>) {
    let (mut inputs, mut snapshot) = (Cow::Borrowed(inputs), Cow::Borrowed(snapshot));
    for file in signer.iter().flat_map(|_| files(settings)) {
        if file.exists() { snapshot.to_mut().files.push(fs::watch(&file)) } else { inputs.to_mut().absent.push(file) }
    }
    (inputs, snapshot)
}

fn users_file(configuration: &Path) -> Result<UsersFile, String> {
    if configuration.as_os_str().is_empty() {
        return Ok(UsersFile::default());
    }
    let path = configuration.join("remote.toml");
    let Ok(metadata) = std::fs::metadata(&path) else { return Ok(UsersFile::default()) };
    if !fs::is_private(&metadata) {
        return Err(format!("other users can write to {}: run `chmod go-w` on it", path.display()));
    }
    let text = fs::read_text(&path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
    toml::from_str(&text).map_err(|error| {
        format!(
            "{}: {} (its keys are remote, mode, trust, revoked, variables and options)",
            path.display(),
            error.message()
        )
    })
}

/// A URL without what may be a password in it, and without what moves a terminal's cursor.
pub fn without_password(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let (scheme, rest) = url.split_once(':').unwrap_or(("", url));
    let slashes = rest.len() - rest.trim_start_matches('/').len();
    let shown = match rest.rsplit_once('@') {
        Some((_, host)) => format!("{scheme}:{}{host}", &rest[..slashes]),
        None => url.to_owned(),
    };
    shown.escape_debug().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_checkout_says_is_inert_until_it_is_trusted() {
        let root = tempfile::tempdir().unwrap();
        let (home, checkout) = (root.path().join("home"), root.path().join("checkout"));
        std::fs::create_dir_all(&checkout).unwrap();
        for (url, shown) in [
            ("s3://bucket?access_key_id=AK&secret=1", "s3://bucket"),
            ("redis://:pa/ssw0rd@host/0", "redis://host/0"),
            ("s3://bucket/x#tok=1", "s3://bucket/x"),
            ("s3:/user:pw@host/x", "s3:/host/x"),
            ("user:pw@host", "user:host"),
            ("file:///srv/rust", "file:///srv/rust"),
            ("x\u{1b}[2K", "x\\u{1b}[2K"),
        ] {
            assert_eq!(without_password(url), shown);
        }
        let mut key = SecretKey::generate().unwrap().public();
        let write = |url: &str, key: &PublicKey| {
            let text = format!("[tool.rustimport]\nremote = '{url}'\nremote-trust = ['{key}']\n");
            std::fs::write(checkout.join("pyproject.toml"), text).unwrap();
        };
        let settings = RemoteSettings { configuration: home.clone(), ..RemoteSettings::default() };
        let of = |settings: &RemoteSettings| Configuration::of(settings, &checkout);
        assert!(of(&settings).unwrap().is_none());
        write("s3://user:secret@bucket/prefix?token=secret", &key);
        let why = of(&settings).unwrap_err();
        assert!(why.contains("names s3://bucket/prefix; to use it") && !why.contains("secret"), "{why}");
        // Options and passwords come from the user alone, whatever is trusted.
        trust::decide(&home, &claim(&remote_claim(&checkout).unwrap()).unwrap(), true).unwrap();
        assert!(of(&settings).unwrap_err().contains("with options or a password"));
        write("s3://bucket/prefix", &key);
        trust::decide(&home, &claim(&remote_claim(&checkout).unwrap()).unwrap(), true).unwrap();
        let found = of(&settings).unwrap().unwrap();
        assert_eq!((found.origin, found.is_writable, &found.trust.keys[0]), (Origin::Checkout, false, &key));
        assert_eq!(found.shown(), "s3://bucket/prefix");
        // Other values have to be trusted again.
        write("s3://other", &key);
        assert!(of(&settings).is_err());
        key = SecretKey::generate().unwrap().public();
        write("s3://bucket/prefix", &key);
        assert!(of(&settings).is_err());
        // Revoked keys are understood, or nothing is used.
        let revoked = |text: &str| RemoteSettings { revoked: vec![text.into()], ..settings.clone() };
        let (id, text) = (key.id(), key.to_string());
        for text in [text.clone(), text.to_uppercase(), text[8..].into(), id.clone(), "?".into()] {
            assert!(revokes(&revoked(&text), &checkout, &id), "{text}");
        }
        assert!(!revokes(&revoked(&"0".repeat(16)), &checkout, &id));
        // The caller's own configuration comes first, and the checkout adds no key to it.
        let own = RemoteSettings { url: Some("file:///x".into()), mode: Some("read-write".into()), ..settings.clone() };
        let found = of(&own).unwrap().unwrap();
        assert_eq!((found.origin, found.is_writable, found.trust.keys.len()), (Origin::Settings, true, 0));
        for (mode, trust) in [(Some("write"), None), (None, Some(vec!["ed25519:1".to_owned()]))] {
            assert!(of(&RemoteSettings { mode: mode.map(str::to_owned), trust, ..own.clone() }).is_err());
        }
    }
}
