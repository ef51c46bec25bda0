//! Records that are verified when they are read: TOML that ends in a hash of everything before it. In the cache, the
//! hash also covers the record's place (its file name and the name of its folder), so that a record that was copied to
//! another entry is not accepted. This detects damage and misplaced files; it does not protect against an attacker.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::Result;
use crate::base::fs;

const SEAL: &str = "\n# sha256 ";

/// Reads a record. `None` if it is missing, truncated, damaged, of another type, or written for another place.
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse(&fs::read(path).ok()?, path)
}

/// Writes a record for [`read`].
pub fn write(path: &Path, record: &impl Serialize) -> Result<()> {
    fs::write(path, sealed(record, &place(path)).as_bytes()).map(drop)
}

/// Like [`read`], for content that was read from `path` already.
pub fn parse<T: DeserializeOwned>(content: &[u8], path: &Path) -> Option<T> {
    open(content, &place(path))
}

/// Like [`read`], for a record that may be moved to another place.
pub fn read_portable<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse_portable(&fs::read(path).ok()?)
}

/// Like [`read_portable`], for content that was read already.
pub fn parse_portable<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    open(content, "")
}

/// The text of a record that may be moved, for [`read_portable`].
pub fn portable(record: &impl Serialize) -> String {
    sealed(record, "")
}

fn open<T: DeserializeOwned>(content: &[u8], place: &str) -> Option<T> {
    let (body, seal) = std::str::from_utf8(content).ok()?.rsplit_once(SEAL)?;
    if seal.trim_end() != hash(body, place) {
        return None;
    }
    toml::from_str(body).ok()
}

fn sealed(record: &impl Serialize, place: &str) -> String {
    let body = toml::to_string(record).expect("records consist of tables, lists and text");
    let seal = hash(&body, place);
    format!("{body}{SEAL}{seal}\n")
}

fn hash(body: &str, place: &str) -> String {
    fs::hash_bytes(format!("{body}{place}").as_bytes())
}

/// The record's file name and the name of its folder. The folders above are left out, since the cache may be moved.
fn place(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}", folder.display(), path.file_name().unwrap_or_default().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_valid_only_where_it_was_written() {
        let folder = tempfile::tempdir().unwrap();
        let path = |entry: &str| folder.path().join(entry).join("record.toml");
        std::fs::create_dir(folder.path().join("a")).unwrap();
        std::fs::create_dir(folder.path().join("b")).unwrap();
        write(&path("a"), &[("key", 1)].into_iter().collect::<std::collections::BTreeMap<_, _>>()).unwrap();
        std::fs::copy(path("a"), path("b")).unwrap();
        assert!(read::<toml::Table>(&path("a")).is_some());
        assert!(read::<toml::Table>(&path("b")).is_none());
        assert!(read_portable::<toml::Table>(&path("a")).is_none());
    }
}
