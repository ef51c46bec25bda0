//! What is remembered of the last good build of a source. Written under the entry's lock only.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::error::Result;
use crate::inputs::Inputs;
use crate::sealed;
use crate::settings::BuildSettings;

/// Of this file. Other formats are as good as no record.
const FORMAT: u32 = 2;

/// Of the generated packages: a change here rebuilds everything once.
pub const GENERATOR: u32 = 1;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    pub generator: u32,
    pub source: PathBuf,
    /// The artifact, relative to the entry.
    pub artifact: PathBuf,
    pub artifact_hash: String,
    /// What `rustc -vV` printed.
    pub rustc: String,
    pub settings: BuildSettings,
    pub inputs: Inputs,
}

impl Record {
    pub fn new(source: &Path, rustc: &str, settings: &BuildSettings) -> Self {
        Self {
            format: FORMAT,
            generator: GENERATOR,
            source: source.to_owned(),
            artifact: PathBuf::new(),
            artifact_hash: String::new(),
            rustc: rustc.to_owned(),
            settings: settings.clone(),
            inputs: Inputs::default(),
        }
    }

    /// `None` for what is missing, damaged, or of another format.
    pub fn read(path: &Path) -> Option<Self> {
        sealed::read(path).filter(|record: &Self| record.format == FORMAT)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        sealed::write(path, self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fs;
    use crate::inputs::{FileInput, Variable};

    #[test]
    fn a_damaged_record_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.toml");
        let settings = BuildSettings { profile: "dev".into(), pyo3: "0.30".into() };
        let mut record = Record::new(Path::new("/s/m.rs"), "rustc 1\nhost: x", &settings);
        record.inputs = Inputs {
            files: vec![FileInput {
                path: "/s/m.rs".into(),
                hash: None,
                stat: fs::Stat { size: 1, mtime: -2, ctime: 3 },
            }],
            variables: vec![
                Variable { name: "A".into(), value: Some("x\"\n".into()) },
                Variable { name: "B".into(), value: None },
            ],
            patterns: vec!["/s/*".into()],
            absent: vec!["/s/build.rs".into()],
        };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).as_ref(), Some(&record));
        let whole = std::fs::read(&path).unwrap();
        for length in 0..whole.len() - 1 {
            std::fs::write(&path, &whole[..length]).unwrap();
            assert_eq!(Record::read(&path), None, "cut at {length}");
        }
        for place in (0..whole.len() - 1).step_by(7) {
            let mut flipped = whole.clone();
            flipped[place] ^= 4;
            std::fs::write(&path, &flipped).unwrap();
            assert_eq!(Record::read(&path), None, "flipped at {place}");
        }
    }
}
