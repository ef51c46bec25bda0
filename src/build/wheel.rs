//! Reads a wheel that maturin built: its libraries, its other files and its metadata. It installs nothing.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use zip::{CompressionMethod, ZipArchive};

use crate::base::fs;

pub struct Wheel {
    pub path: PathBuf,
    archive: ZipArchive<File>,
    /// The names of all files in it.
    names: Vec<String>,
    /// The libraries that were read.
    libraries: HashMap<String, Vec<u8>>,
    /// The temporary folder of the wheel, if any.
    _folder: Option<tempfile::TempDir>,
}

impl Wheel {
    /// Opens the wheel in a folder; `None` if there is none, or it cannot be read.
    pub fn open(folder: &Path) -> Option<Self> {
        let files = std::fs::read_dir(folder).ok()?.filter_map(|item| Some(item.ok()?.path()));
        let wheel = files.filter(|path| path.extension().is_some_and(|kind| kind == "whl")).last()?;
        let archive = ZipArchive::new(File::open(&wheel).ok()?).ok()?;
        let names = archive.file_names().flatten().map(Cow::into_owned).filter(|name| !name.ends_with('/'));
        Some(Self { path: wheel, names: names.collect(), archive, libraries: HashMap::new(), _folder: None })
    }

    /// Keeps the wheel's folder until the wheel is dropped.
    #[must_use]
    pub fn in_folder(self, folder: tempfile::TempDir) -> Self {
        Self { _folder: Some(folder), ..self }
    }

    /// The library, if the wheel contains one.
    pub fn library(&mut self) -> Option<Vec<u8>> {
        let native = self.natives().into_iter().next()?;
        self.read(&native)
    }

    pub fn read(&mut self, name: &str) -> Option<Vec<u8>> {
        let index = self.archive.index_for_name(name)?;
        let mut raw = self.archive.by_index_raw(index).ok()?;
        let mut content = vec![0; usize::try_from(raw.size()).ok()?];
        // maturin has just written it: in a library of 8 MB, a checksum costs as much as reading it.
        if raw.compression() == CompressionMethod::Stored {
            raw.read_exact(&mut content).ok()?;
        } else {
            drop(raw);
            self.archive.by_index(index).ok()?.read_exact(&mut content).ok()?;
        }
        Some(content)
    }

    /// A library, which is kept in memory.
    pub fn native(&mut self, name: &str) -> Option<&[u8]> {
        if !self.libraries.contains_key(name) {
            let library = self.read(name)?;
            self.libraries.insert(name.to_owned(), library);
        }
        self.libraries.get(name).map(Vec::as_slice)
    }

    /// The files that are installed into site-packages.
    pub fn modules(&self) -> impl Iterator<Item = &String> {
        self.names.iter().filter(|name| !is_beside(name))
    }

    /// The extension modules, and the libraries of cffi and uniffi; without bundled libraries.
    pub fn natives(&self) -> Vec<String> {
        let natives = self.modules().filter(|name| is_native(Path::new(name)) && !name.contains(".libs/"));
        natives.cloned().collect()
    }

    /// An identifier for the data and scripts, which are installed outside of site-packages.
    pub fn data(&mut self) -> String {
        let names: Vec<String> = self.names.iter().filter(|name| name.contains(".data/")).cloned().collect();
        let checksums = names.iter().map(|name| (name, self.archive.by_name(name).map(|file| file.crc32()).ok()));
        format!("{:?}", checksums.collect::<Vec<_>>())
    }

    /// A file of the dist-info folder.
    pub fn metadata(&mut self, file: &str) -> Option<Vec<u8>> {
        let folder = self.dist_info()?;
        self.read(&format!("{folder}/{file}"))
    }

    /// The name of the dist-info folder.
    pub fn dist_info(&self) -> Option<String> {
        let mut folders = self.names.iter().filter_map(|name| name.split_once('/'));
        folders.find(|(folder, _)| folder.ends_with(".dist-info")).map(|(folder, _)| folder.to_owned())
    }

    /// The content of a member, if the file at `place` differs from it.
    pub fn read_if_new(&mut self, name: &str, place: &Path) -> Option<Vec<u8>> {
        self.read(name).filter(|content| !fs::has_content(place, content))
    }
}

/// Whether a file is a library, by its extension.
pub fn is_native(path: &Path) -> bool {
    path.extension().is_some_and(|kind| ["so", "pyd", "dll", "dylib"].iter().any(|native| kind == *native))
}

/// Whether a library contains a symbol, and not only one that begins with its name.
pub fn has_symbol(library: &[u8], symbol: &str) -> bool {
    let is_whole = |start: usize| {
        let next = library.get(start + symbol.len());
        !next.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_' || !byte.is_ascii())
    };
    memchr::memmem::find_iter(library, symbol.as_bytes()).any(is_whole)
}

/// Whether a file of a wheel is not installed into site-packages proper: metadata, scripts, data.
fn is_beside(name: &str) -> bool {
    let first = name.split('/').next().unwrap_or_default();
    Path::new(first).extension().is_some_and(|kind| kind == "dist-info" || kind == "data")
}

/// The lines of METADATA that contain the distribution's name, version and requirements.
pub fn headers(metadata: &[u8]) -> Vec<String> {
    const KEYS: [&str; 5] = ["Name:", "Version:", "Requires-Dist:", "Requires-Python:", "Provides-Extra:"];
    let text = String::from_utf8_lossy(metadata);
    let headers = text.lines().take_while(|line| !line.trim().is_empty());
    headers.filter(|line| KEYS.iter().any(|key| line.starts_with(key))).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_of_metadata() {
        let check = |text: &str, expected: &[&str]| assert_eq!(headers(text.as_bytes()), expected);
        check(
            "Metadata-Version: 2.4\nName: x\nVersion: 1\nSummary: s\n\nName: in the description\n",
            &["Name: x", "Version: 1"],
        );
        check(
            "Requires-Dist: a ; extra == 'b'\r\nProvides-Extra: b\r\n",
            &["Requires-Dist: a ; extra == 'b'", "Provides-Extra: b"],
        );
    }
}
