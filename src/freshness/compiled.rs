//! What cargo compiled last for a source in one slot: of which contents, and into which units.
//!
//! Apart from the record, which may tell of an artifact from the store, or from another slot. Written under the
//! entry's lock, after each build.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::fs;
use crate::base::sealed;
use crate::freshness::cargo_layout;
use crate::freshness::inputs::Inputs;
use crate::freshness::unit::Unit;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Compiled {
    /// A name for everything that decides which units there are.
    plan: String,
    files: Vec<Content>,
    /// The parts that cargo compiled of local packages: where their dep-info is found.
    pub units: Vec<Unit>,
    /// The `out` folders of dependencies' build scripts: where the variables they look at are found.
    pub foreign_outputs: Vec<PathBuf>,
    /// When each unit was compiled, where that is known.
    #[serde(default)]
    began: Vec<i64>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Content {
    #[serde(with = "crate::base::text::path_text")]
    path: PathBuf,
    /// None if nobody knows what was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
}

impl Compiled {
    pub fn new(plan: &str, inputs: &Inputs, units: Vec<Unit>, foreign_outputs: Vec<PathBuf>) -> Self {
        let files = inputs.files.iter();
        let files = files.map(|file| Content { path: file.path.clone(), hash: file.hash.clone() }).collect();
        let began = units.iter().map(|unit| unit.began().unwrap_or_default()).collect();
        Self { plan: plan.to_owned(), files, units, foreign_outputs, began }
    }

    pub fn read(path: &Path) -> Option<Self> {
        sealed::read(path)
    }

    pub fn write(&self, path: &Path) -> Result<()> {
        sealed::write(path, self)
    }

    /// Whether a unit was not compiled since by anybody else.
    pub fn made_by_us(&self, unit: &Unit) -> bool {
        let mut known = self.units.iter().zip(&self.began);
        known.any(|(known, began)| known == unit && unit.began().unwrap_or_default() == *began)
    }

    /// The units of which nobody can tell what they read.
    pub fn unreadable(&self) -> impl Iterator<Item = &Unit> {
        self.units.iter().filter(|unit| unit.dep_info().is_none())
    }

    /// The files that are not what they were.
    pub fn changed_files(&self) -> Vec<&Path> {
        let is_changed = |file: &&Content| file.hash.is_none() || fs::hash_file(&file.path) != file.hash;
        self.files.iter().filter(is_changed).map(|file| file.path.as_path()).collect()
    }

    /// Whether cargo compiles the same units for `plan`, with these files changed: code alone makes no new ones.
    pub fn units_hold(&self, plan: &str, changed: &[&Path]) -> bool {
        let is_code = |path: &&Path| path.extension().is_some_and(|extension| extension == "rs");
        self.plan == plan
            && changed.iter().all(is_code)
            && self.unreadable().next().is_none()
            && self.foreign_outputs.iter().all(|out| cargo_layout::script_run(out).is_some())
    }
}
