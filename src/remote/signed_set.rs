//! A set of inputs, signed: the form in which it is in a remote store.
//!
//! ```text
//! rustimport-set 1 <id of the key> <signature>
//! <the set, as TOML>
//! ```
//!
//! The signature is that of the text without the signature. So it covers the format, the key, the inputs, the hash and
//! the size of the library, the platform, and the keys under which the set is found: none can be exchanged. It is
//! verified before the set is parsed.

use crate::cache::set::Set;
use crate::remote::key::SecretKey;
use crate::remote::trust::Trust;

/// The first words of the text. The number is the format.
const MAGIC: &str = "rustimport-set 1";

/// Why a signed set is not believed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Distrust {
    /// It is not a signed set of this format.
    Unreadable,
    /// No trusted key has this id.
    Unknown(String),
    Revoked(String),
    /// The signature does not match the content.
    Altered,
    /// It was found under a key that it was not signed for.
    Misplaced,
}

impl std::fmt::Display for Distrust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable => f.write_str("it is damaged or of another format"),
            Self::Unknown(id) => write!(f, "the key {id} that signed it is not trusted"),
            Self::Revoked(id) => write!(f, "the key {id} that signed it was revoked"),
            Self::Altered => f.write_str("its signature does not match"),
            Self::Misplaced => f.write_str("it was signed for another source"),
        }
    }
}

/// The signed text of a set.
pub fn seal(set: &Set, key: &SecretKey) -> String {
    let id = key.public().id();
    let body = toml::to_string(set).expect("a set consists of tables, lists and text");
    let signature = key.sign(message(&id, &body).as_bytes());
    format!("{MAGIC} {id} {signature}\n{body}")
}

/// The set in a signed text that was found under `key`, if a trusted key has signed it.
pub fn open(content: &[u8], key: &str, trust: &Trust) -> Result<Set, Distrust> {
    let set = read(content, trust)?;
    let requirements = set.requirements.as_ref().ok_or(Distrust::Unreadable)?;
    if requirements.keys.iter().any(|own| own == key) { Ok(set) } else { Err(Distrust::Misplaced) }
}

/// The same, wherever it was found: only for showing it.
pub fn read(content: &[u8], trust: &Trust) -> Result<Set, Distrust> {
    let text = std::str::from_utf8(content).map_err(|_| Distrust::Unreadable)?;
    let (head, body) = text.split_once('\n').ok_or(Distrust::Unreadable)?;
    let parts = head.strip_prefix(MAGIC).and_then(|rest| rest.strip_prefix(' ')?.split_once(' '));
    let (id, signature) = parts.ok_or(Distrust::Unreadable)?;
    let is_id = id.len() == 16 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if !is_id {
        return Err(Distrust::Unreadable);
    }
    if trust.revokes(id) {
        return Err(Distrust::Revoked(id.to_owned()));
    }
    let signer = trust.key(id).ok_or_else(|| Distrust::Unknown(id.to_owned()))?;
    if !signer.verifies(message(id, body).as_bytes(), signature) {
        return Err(Distrust::Altered);
    }
    let mut set: Set = toml::from_str(body).map_err(|_| Distrust::Unreadable)?;
    set.signer = Some(id.to_owned());
    Ok(set)
}

/// The hash of the library that a signed set names, whoever signed it: for removing what no set names.
pub fn artifact_of(content: &[u8]) -> Option<String> {
    let (_, body) = std::str::from_utf8(content).ok()?.split_once('\n')?;
    Some(toml::from_str::<Set>(body).ok()?.artifact().to_owned())
}

fn message(id: &str, body: &str) -> String {
    format!("{MAGIC} {id}\n{body}")
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::cache::set::Requirements;
    use crate::env::cargo_config::CargoConfig;
    use crate::freshness::inputs::Inputs;

    #[test]
    fn what_is_believed() {
        let (key, other) = (SecretKey::generate().unwrap(), SecretKey::generate().unwrap());
        let requirements = Requirements {
            platform: "x86_64-linux-gnu".into(),
            c_library: Some("2.34".into()),
            size: 7,
            keys: vec!["k1".into(), "k2".into()],
            lock: String::new(),
            variables: vec![],
            layout: None,
        };
        let mut set =
            Set::portable("hash".into(), &Inputs::default(), &CargoConfig::default(), Path::new("/s")).unwrap();
        set.requirements = Some(requirements);
        let text = seal(&set, &key);
        let trust = |keys: &[&SecretKey], revoked: &[&SecretKey]| Trust {
            keys: keys.iter().map(|key| key.public()).collect(),
            revoked: revoked.iter().map(|key| key.public().to_string()).collect(),
        };
        let mut known = set.clone();
        known.signer = Some(key.public().id());
        // Several keys at once, for their rotation.
        assert_eq!(open(text.as_bytes(), "k2", &trust(&[&other, &key], &[])), Ok(known));
        let check = |text: &str, expected: Distrust| {
            assert_eq!(open(text.as_bytes(), "k1", &trust(&[&key], &[&other])), Err(expected), "{text}");
        };
        check(&seal(&set, &other), Distrust::Revoked(other.public().id()));
        let third = SecretKey::generate().unwrap();
        check(&seal(&set, &third), Distrust::Unknown(third.public().id()));
        // Signed by another, in the name of the trusted key.
        check(&seal(&set, &third).replacen(&third.public().id(), &key.public().id(), 1), Distrust::Altered);
        check(&text.replace("2.34", "2.17"), Distrust::Altered);
        check(&text.replace(" 1 ", " 2 "), Distrust::Unreadable);
        check("", Distrust::Unreadable);
        assert_eq!(open(text.as_bytes(), "k3", &trust(&[&key], &[])), Err(Distrust::Misplaced));
        let mut local = set.clone();
        local.requirements = None;
        check(&seal(&local, &key), Distrust::Unreadable);
        for length in 0..text.len() {
            assert!(open(&text.as_bytes()[..length], "k1", &trust(&[&key], &[])).is_err(), "cut at {length}");
        }
        for place in 0..text.len() {
            let mut flipped = text.clone().into_bytes();
            flipped[place] ^= 1;
            assert!(open(&flipped, "k1", &trust(&[&key], &[])).is_err(), "flipped at {place}");
        }
    }
}
