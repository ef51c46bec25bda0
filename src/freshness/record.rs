//! The record of a source's last successful build, and the check whether that build is still fresh. It is written only
//! by the holder of the entry's lock.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::fs::{self, Stat};
use crate::base::sealed;
use crate::env::cargo_config::CargoConfig;
use crate::env::request::Request;
use crate::env::settings::BuildSettings;
use crate::env::toolchain::Toolchain;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{Inputs, Snapshot};

/// The format of the record. A record with another format is ignored.
const FORMAT: u32 = 3;

/// The version of the generated packages. A change rebuilds everything once.
pub const GENERATOR: u32 = 2;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    format: u32,
    pub generator: u32,
    pub source: PathBuf,
    /// The artifact, relative to the entry.
    pub artifact: PathBuf,
    pub artifact_hash: String,
    /// The output of `rustc -vV`.
    pub rustc: String,
    /// Why it was built; `None` if it was not built in this place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    pub settings: BuildSettings,
    /// The id of the key that signed the artifact, if it came from a remote store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// Only for a project.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub project: Option<OfProject>,
    pub inputs: Inputs,
}

/// Additional fields for projects.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OfProject {
    /// The profile of the artifact, which may differ from the settings.
    pub profile: String,
    /// A hash of the part of pyproject.toml that affects a build.
    pub pyproject: String,
    /// The stat of the artifact when it was installed.
    pub stat: Stat,
    /// Whether the user built it with maturin. Then it is not known with which flags.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub adopted: bool,
    /// The arguments that select the features that the user chose on maturin's command line, if any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub features: Vec<String>,
    /// What identifies its profile and flags for cargo, if known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flags: Option<String>,
    /// Whether the library contains what type stubs are made from.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub typed: bool,
    /// What its wheel installs besides modules; `None` if that was not checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub data: Option<String>,
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
            reason: None,
            settings: settings.clone(),
            signer: None,
            project: None,
            inputs: Inputs::default(),
        }
    }

    /// Reads a record. `None` if it is missing, damaged, or of another format.
    pub fn read(path: &Path) -> Option<Self> {
        sealed::read(path).filter(|record: &Self| record.format == FORMAT)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        sealed::write(path, self)
    }

    /// Checks whether the artifact is fresh, and returns the reasons if it is not. `artifact` is the built library;
    /// `changes` are reasons that are known already.
    pub fn compare(
        &self,
        artifact: &Path,
        mut changes: Vec<DirtyReason>,
        cargo_config: &CargoConfig,
        request: &Request,
    ) -> Result<Snapshot, Vec<DirtyReason>> {
        let mut snapshot = self.inputs.compare(cargo_config, &request.cache);
        if self.generator != GENERATOR {
            changes.insert(0, DirtyReason::GeneratorChanged);
        }
        changes.append(&mut snapshot.changes);
        let is_known = self.project.as_ref().is_some_and(|own| Stat::of(artifact) == Some(own.stat));
        if changes.is_empty() && !is_known && fs::hash_file(artifact).as_ref() != Some(&self.artifact_hash) {
            changes.push(DirtyReason::ArtifactLost);
        }
        // Only the cache is private. Elsewhere the artifact has the owner and permissions of its environment.
        if artifact.starts_with(&request.cache) && std::fs::metadata(artifact).is_ok_and(|file| !fs::is_private(&file))
        {
            changes.insert(0, DirtyReason::ArtifactExposed);
        }
        if request.force {
            changes.insert(0, if request.wheels.is_some() { DirtyReason::ForWheel } else { DirtyReason::Forced });
        }
        if changes.is_empty() { Ok(snapshot) } else { Err(changes) }
    }

    /// The changes of the toolchain, and of those settings for which `matters` returns true.
    pub fn changed_conditions(
        &self,
        settings: &BuildSettings,
        toolchain: Option<&Toolchain>,
        matters: impl Fn(&str) -> bool,
    ) -> Vec<DirtyReason> {
        let mut changes = Vec::new();
        if let Some(toolchain) = toolchain
            && toolchain.version != self.rustc
        {
            changes.push(DirtyReason::toolchain_changed(&self.rustc, &toolchain.version));
        }
        let (old, new) = (&self.settings, settings);
        let arguments = |settings: &BuildSettings| settings.arguments.to_string();
        for (name, from, to) in [
            ("profile", old.profile.clone(), new.profile.clone()),
            ("pyo3", old.pyo3.clone(), new.pyo3.clone()),
            ("arguments", arguments(old), arguments(new)),
        ] {
            if from != to && matters(name) {
                changes.push(DirtyReason::SettingChanged { name, from, to });
            }
        }
        changes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::freshness::inputs::{FileInput, Variable};

    #[test]
    fn a_damaged_record_is_not_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("record.toml");
        let settings = BuildSettings { profile: "dev".into(), pyo3: "0.30".into(), ..BuildSettings::default() };
        let mut record = Record::new(Path::new("/s/m.rs"), "rustc 1\nhost: x", &settings);
        record.inputs = Inputs {
            files: vec![FileInput {
                path: "/s/m.rs".into(),
                hash: None,
                stat: fs::Stat { size: 1, mtime: -2, ctime: 3 },
            }],
            variables: vec![Variable::new("A", Some("x\"\n")), Variable::new("B", None)],
            patterns: vec!["/s/*".into()],
            configuration: vec!["/s/.cargo/config.toml".into()],
            absent: vec!["/s/build.rs".into()],
            environment: Some("0123".into()),
        };
        record.write(&path).unwrap();
        assert_eq!(Record::read(&path).as_ref(), Some(&record));
        let whole = fs::read(&path).unwrap();
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
