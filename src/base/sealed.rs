//! Records that prove to be whole, and to be where they belong: TOML that ends in a hash of all before it. In the
//! cache, the hash covers the record's place too: in another place it would speak of something else.

use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::base::error::Result;
use crate::base::fs;

const SEAL: &str = "\n# sha256 ";

/// `None` for what is missing, cut, damaged, of another shape, or another place's.
pub fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse(&fs::read(path).ok()?, path)
}

/// Writes what [`read`] reads.
pub fn write(path: &Path, record: &impl Serialize) -> Result<()> {
    fs::write(path, sealed(record, &place(path)).as_bytes()).map(drop)
}

/// The same of content that belongs at `path`.
pub fn parse<T: DeserializeOwned>(content: &[u8], path: &Path) -> Option<T> {
    open(content, &place(path))
}

/// The same for a record that may be moved.
pub fn read_portable<T: DeserializeOwned>(path: &Path) -> Option<T> {
    parse_portable(&fs::read(path).ok()?)
}

/// The same of its content.
pub fn parse_portable<T: DeserializeOwned>(content: &[u8]) -> Option<T> {
    open(content, "")
}

/// A record that may be moved, as [`read_portable`] reads it.
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
    let body = toml::to_string(record).expect("records are made of tables, lists and text");
    let seal = hash(&body, place);
    format!("{body}{SEAL}{seal}\n")
}

fn hash(body: &str, place: &str) -> String {
    fs::hash_bytes(format!("{body}{place}").as_bytes())
}

/// The record's name and its folder's, which names what it is about; the cache itself may be moved.
fn place(path: &Path) -> String {
    let folder = path.parent().and_then(Path::file_name).unwrap_or_default();
    format!("{}/{}", folder.display(), path.file_name().unwrap_or_default().display())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_where_it_was_written() {
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
