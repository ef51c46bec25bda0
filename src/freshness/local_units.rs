//! Records from which content the local dependencies in a target slot were compiled. Several sources use them, and cargo
//! compares only times: a folder that was renamed has the times of long ago.
//!
//! It is read and written by the holder of the slot's lock.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::Result;
use crate::base::sealed;
use crate::freshness::compiled::Content;
use crate::freshness::inputs::Inputs;
use crate::freshness::unit::Unit;

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalUnits {
    #[serde(default)]
    units: Vec<Known>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    unit: Unit,
    began: i64,
    files: Vec<Content>,
}

impl LocalUnits {
    pub fn read(path: &Path) -> Self {
        sealed::read(path).unwrap_or_default()
    }

    /// Whether a unit is known to be compiled from the present content of its files.
    pub fn has(&self, unit: &Unit) -> bool {
        self.units.iter().any(|known| {
            known.unit == *unit && unit.began() == Some(known.began) && !known.files.iter().any(Content::is_changed)
        })
    }

    /// Records units that were compiled from `inputs`. `users_file` maps a file that was read to the user's.
    pub fn record(
        path: &Path,
        units: &[&Unit],
        inputs: &Inputs,
        users_file: &dyn Fn(&Path) -> Option<PathBuf>,
    ) -> Result<()> {
        let mut all = Self::read(path);
        // Those that were compiled again are known no longer.
        all.units.retain(|known| !units.contains(&&known.unit) && known.unit.began() == Some(known.began));
        for unit in units {
            let (Some(began), Some(mut read)) = (unit.began(), unit.read()) else { continue };
            read.push(unit.manifest.clone());
            let read: Vec<PathBuf> = read.iter().filter_map(|path| users_file(path)).collect();
            let files = inputs.files.iter().filter(|file| read.iter().any(|path| file.path.starts_with(path)));
            all.units.push(Known { unit: (*unit).clone(), began, files: files.map(Content::of).collect() });
        }
        sealed::write(path, &all)
    }
}
