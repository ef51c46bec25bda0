//! What each part of a build read, as the compiler and the build scripts say themselves. Which parts there are is asked of
//! cargo (its JSON messages name them), never guessed; where they leave what they say, [`crate::freshness::cargo_layout`] knows.

use std::path::{Path, PathBuf};

use crate::base::fs::{self, Stat};
use crate::freshness::cargo_layout;
use crate::freshness::dep_info::{self, DepInfo};

/// One compiled part of a local package, as cargo's messages name it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub package: String,
    pub manifest: PathBuf,
    /// The first file that the compiler read; none for a build script that was run.
    pub root: Option<PathBuf>,
    /// What was made: a library or a program, or a build script's `OUT_DIR`.
    pub made: PathBuf,
    /// The folder of its profile in cargo's build directory.
    pub profile: PathBuf,
    pub kind: UnitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    Compiled,
    /// A build script that was run.
    Ran,
}

impl Unit {
    /// What the compiler, or the build script, read. `None` where that cannot be found, or cannot be all: the compiler
    /// always reads the root.
    pub fn dep_info(&self) -> Option<DepInfo> {
        match self.kind {
            UnitKind::Compiled => {
                let path = cargo_layout::compiled_unit(&self.made, &self.package, &self.profile)?.dep_info;
                let text = fs::read(path).ok()?;
                let info = dep_info::parse_dep_info(&String::from_utf8_lossy(&text), self.folder());
                let has = |root: &PathBuf| {
                    info.files.contains(root) || info.files.iter().any(|file| is_same_path(file, root))
                };
                self.root.as_ref().is_none_or(has).then_some(info)
            }
            UnitKind::Ran => build_script_output(&self.made, self.folder()),
        }
    }

    /// Whether something that it reads changed after it was made, and before `until`: then it was made of
    /// something else, whatever cargo says, and whoever made it. Renaming and copying move the change time.
    pub fn is_outdated(&self, until: i64) -> bool {
        let Some(began) = self.began() else { return false };
        let info = self.dep_info().unwrap_or_default();
        let mut files = info.files.iter().chain([&self.manifest]).filter_map(|path| Stat::of(path));
        files.any(|stat| (began..until).contains(&stat.mtime.max(stat.ctime)))
    }

    /// The package's folder.
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// When the compiler, or the build script, began with it, in the file system's time; `None` where that
    /// is not known.
    pub fn began(&self) -> Option<i64> {
        match self.kind {
            UnitKind::Compiled => cargo_layout::compiled_unit(&self.made, &self.package, &self.profile)?.began,
            UnitKind::Ran => cargo_layout::script_run(&self.made)?.began(),
        }
    }

    /// The variables that were looked at, with the values that they had then.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        match self.kind {
            UnitKind::Compiled => self.dep_info().unwrap_or_default().environment,
            UnitKind::Ran => environment_of(&self.made),
        }
    }
}

/// Whether two paths lead to one file.
pub fn is_same_path(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    one == other || real(one) == real(other)
}

/// The variables that the build script with this `OUT_DIR` asked to be run again for, with their values.
pub fn environment_of(out: &Path) -> Vec<(String, Option<String>)> {
    cargo_layout::script_run(out).map(|run| run.environment()).unwrap_or_default()
}

/// What the build script with this `OUT_DIR` printed, if that can be found; `package` is its package's folder.
pub fn build_script_output(out: &Path, package: &Path) -> Option<DepInfo> {
    let text = fs::read(cargo_layout::script_run(out)?.output).ok()?;
    Some(dep_info::parse_build_script_output(&String::from_utf8_lossy(&text), package))
}
