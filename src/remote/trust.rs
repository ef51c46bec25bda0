//! Whom this machine believes: keys, revoked keys, and the checkouts whose configuration counts.
//!
//! What is written in a checkout has no effect until `python -m rustimport remote trust` was run for it: a repository
//! must not choose where your machine connects to, nor whose libraries it runs. The decision is about one folder and
//! these exact values; with other values it has to be made again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::text::is_hex;
use crate::remote::key::PublicKey;

/// The keys that may sign.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    pub keys: Vec<PublicKey>,
    /// Keys, or their ids.
    pub revoked: Vec<String>,
}

impl Trust {
    /// The trusted key with this id.
    pub fn key(&self, id: &str) -> Option<&PublicKey> {
        self.keys.iter().find(|key| key.id() == id)
    }

    pub fn revokes(&self, id: &str) -> bool {
        self.revoked.iter().any(|revoked| id_of(revoked).is_none_or(|revoked| revoked == id))
    }
}

/// The id in an entry of a list of revoked keys: a key, with or without its prefix, or an id; in any case.
pub fn id_of(text: &str) -> Option<String> {
    let text = text.trim().to_lowercase();
    let digits = text.strip_prefix("ed25519:").unwrap_or(&text);
    (is_hex(digits, 16) || is_hex(digits, 64)).then(|| digits[..16].to_owned())
}

/// The values of a checkout that count only if its user trusts them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The folder of the `pyproject.toml`.
    #[serde(with = "crate::base::text::path_text")]
    pub folder: PathBuf,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote: Option<String>,
    pub trust: Vec<String>,
}

/// The decisions of the user, in the user's configuration folder.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Decisions {
    #[serde(default)]
    checkout: Vec<Claim>,
}

/// The file with the decisions.
fn file(configuration: &Path) -> PathBuf {
    configuration.join("trusted-checkouts.toml")
}

/// Whether the user trusts a claim. Decisions that someone else could have written do not count.
pub fn is_trusted(configuration: &Path, claim: &Claim) -> bool {
    !configuration.as_os_str().is_empty() && read(configuration).checkout.contains(claim)
}

fn read(configuration: &Path) -> Decisions {
    let path = file(configuration);
    let is_ours = |path: &Path| std::fs::metadata(path).is_ok_and(|metadata| fs::is_private(&metadata));
    if !is_ours(&path) || !is_ours(configuration) {
        return Decisions::default();
    }
    fs::read_text(path).ok().and_then(|text| toml::from_str(&text).ok()).unwrap_or_default()
}

/// Fails if it is not known where the user's configuration is.
pub fn check_known(configuration: &Path) -> Result<()> {
    if !configuration.as_os_str().is_empty() {
        return Ok(());
    }
    let message = "it is not known where this user's configuration is";
    Err(Error::cache(configuration, message, "set HOME, or RUSTIMPORT_CONFIG_DIR to an absolute path"))
}

/// Records the decision to trust a claim instead of earlier ones about its folder, or only forgets those.
pub fn decide(configuration: &Path, claim: &Claim, is_trusted: bool) -> Result<()> {
    check_known(configuration)?;
    let mut decisions = read(configuration);
    decisions.checkout.retain(|other| other.folder != claim.folder);
    if is_trusted {
        decisions.checkout.push(claim.clone());
    }
    let path = file(configuration);
    let text = toml::to_string(&decisions).expect("decisions consist of tables, lists and text");
    let text = format!("# Written by `python -m rustimport remote trust`.\n{text}");
    fs::create_private_folder(configuration)?;
    fs::write(&path, text.as_bytes()).map(drop)?;
    if is_trusted && !read(configuration).checkout.contains(claim) {
        let message = format!("other users can write to {}", configuration.display());
        return Err(Error::cache(configuration, message, "make the folder and its files writable for you only"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_about_exact_values() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().join("configuration");
        let claim = |folder: &str, remote: &str, trust: &[&str]| Claim {
            folder: folder.into(),
            remote: Some(remote.into()),
            trust: trust.iter().map(ToString::to_string).collect(),
        };
        let mine = claim("/a", "s3://x", &["k"]);
        assert!(!is_trusted(&home, &mine));
        decide(&home, &mine, true).unwrap();
        decide(&home, &claim("/b", "s3://b", &[]), true).unwrap();
        assert!(is_trusted(&home, &mine));
        for other in [claim("/c", "s3://x", &["k"]), claim("/a", "s3://y", &["k"]), claim("/a", "s3://x", &["k", "l"])]
        {
            assert!(!is_trusted(&home, &other), "{other:?}");
        }
        let path = file(&home);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o666)).unwrap();
            assert!(!is_trusted(&home, &mine));
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        decide(&home, &mine, false).unwrap();
        assert!(!is_trusted(&home, &mine) && is_trusted(&home, &claim("/b", "s3://b", &[])));
        std::fs::write(&path, "nonsense [").unwrap();
        assert!(!is_trusted(&home, &mine));
    }
}
