//! Records that prove to be whole: TOML that ends in a hash of all before it.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::error::Result;
use crate::fs;

const SEAL: &str = "\n# sha256 ";

/// `None` for what is missing, cut, damaged, or of another shape.
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse(&std::fs::read_to_string(path).ok()?)
}

/// The same of a text.
pub fn parse<T: DeserializeOwned>(text: &str) -> Option<T> {
    let (body, seal) = text.rsplit_once(SEAL)?;
    if fs::hash_bytes(body.as_bytes()) != seal.trim_end() {
        return None;
    }
    toml::from_str(body).ok()
}

/// Writes what [`read`] reads.
pub fn write(path: &Path, record: &impl Serialize) -> Result<()> {
    fs::write(path, text(record).as_bytes()).map(drop)
}

/// A record as it is written.
pub fn text(record: &impl Serialize) -> String {
    let body = toml::to_string(record).expect("records are made of tables, lists and text");
    let seal = fs::hash_bytes(body.as_bytes());
    format!("{body}{SEAL}{seal}\n")
}
