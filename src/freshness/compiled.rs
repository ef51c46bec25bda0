//! Records what cargo compiled last for a source in one target slot: the content of its files, and its units.
//!
//! This is separate from the record, since that may describe an artifact from the store or from another slot. It is
//! written after each build, by the holder of the entry's lock.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::fs;
use crate::base::sealed;
use crate::freshness::cargo_layout;
use crate::freshness::inputs::{FileInput, Inputs};
use crate::freshness::unit::Unit;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// Identifies everything that determines which units there are. Empty if the units were found after a build of the
    /// user's.
    plan: String,
    files: Vec<Content>,
    /// The units of local packages, to find their dep-info.
    pub units: Vec<Unit>,
    /// The `out` folders of the build scripts of non-local packages, to find the variables that they read.
    pub foreign_outputs: Vec<PathBuf>,
    /// The units of registry packages whose code reads variables.
    #[serde(default)]
    pub readers: Vec<Unit>,
    /// When each unit was compiled; 0 if unknown.
    #[serde(default)]
    began: Vec<i64>,
}

/// The content of a file that was compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    #[serde(with = "crate::base::text::path_text")]
    path: PathBuf,
    /// `None` if it is unknown which content was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Content {
    pub fn of(file: &FileInput) -> Self {
        Self { path: file.path.clone(), hash: file.hash.clone() }
    }

    /// Whether the file has other content now, or may have been compiled from other content.
    pub fn is_changed(&self) -> bool {
        self.hash.is_none() || fs::hash_file(&self.path) != self.hash
    }
}

impl Compiled {
    pub fn new(
        plan: &str,
        inputs: &Inputs,
        units: Vec<Unit>,
        readers: Vec<Unit>,
        foreign_outputs: Vec<PathBuf>,
    ) -> Self {
        let files = inputs.files.iter().map(Content::of).collect();
        let began = units.iter().map(|unit| unit.began().unwrap_or_default()).collect();
        Self { plan: plan.to_owned(), files, units, foreign_outputs, readers, began }
    }

    /// Units that the user's own build compiled, of which it is not known which others there are.
    pub fn of_users(inputs: &Inputs, units: Vec<Unit>) -> Self {
        Self::new("", inputs, units, Vec::new(), Vec::new())
    }

    pub fn read(path: &Path) -> Option<Self> {
        sealed::read(path)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        sealed::write(path, self)
    }

    /// Whether a unit is the one in this record, and was not compiled again since.
    pub fn has(&self, unit: &Unit) -> bool {
        let is_same = |known: &Unit| known.package == unit.package && known.kind == unit.kind;
        let mut known = self.units.iter().zip(&self.began);
        known.any(|(known, began)| is_same(known) && unit.began().unwrap_or_default() == *began)
    }

    /// Whether it is about a build of ours, and so knows every unit.
    pub fn is_complete(&self) -> bool {
        !self.plan.is_empty()
    }

    /// The units without usable dep-info.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.dep_info().is_none())
    }

    /// The files with changed or unknown content.
    pub fn changed_files(&self) -> Vec<&Path> {
        self.files.iter().filter(|file| file.is_changed()).map(|file| file.path.as_path()).collect()
    }

    pub fn has_read(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Whether cargo compiles the same units for `plan` after these files changed. Only changes to `.rs` files are
    /// certain to add no units.
    pub fn units_hold(&self, plan: &str, changed: &[&Path]) -> bool {
        let is_code = |path: &&Path| path.extension().is_some_and(|extension| extension == "rs");
        self.plan == plan
            && changed.iter().all(is_code)
            && self.unreadable().next().is_none()
            && self.foreign_outputs.iter().all(|out| cargo_layout::script_run(out).is_some())
    }
}
