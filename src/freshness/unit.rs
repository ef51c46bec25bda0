//! Finds out which files and variables each unit of a build read. The units come from cargo's JSON messages, and what
//! they read from rustc's dep-info and from the build scripts' output. [`crate::freshness::cargo_layout`] locates those
//! files, and [`crate::freshness::dep_info`] parses them.

use std::env::consts::DLL_EXTENSION;
use std::path::{Path, PathBuf};

use crate::base::fs::{self, Stat};
use crate::freshness::cargo_layout::{self, Choices};
use crate::freshness::dep_info::{self, DepInfo};

/// One unit of a local package, as named in cargo's messages.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub package: String,
    pub manifest: PathBuf,
    /// The first file that the compiler read; `None` for the run of a build script.
    pub root: Option<PathBuf>,
    /// The output: a library, a program, or a build script's `OUT_DIR`.
    pub made: PathBuf,
    /// The profile folder in cargo's build directory.
    pub profile: PathBuf,
    pub kind: UnitKind,
    /// Whether it is of a registry package in a folder of the user's (`cargo vendor`). Cargo compiles such a package again
    /// only if its version changes.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub vendored: bool,
}

/// Cargo's list of the files of a vendored package, with their hashes.
const CHECKSUMS: &str = ".cargo-checksum.json";

/// Whether a registry package with this manifest is in a folder of the user's.
pub fn is_vendored(manifest: &Path) -> bool {
    manifest.with_file_name(CHECKSUMS).is_file()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    Compiled,
    /// The run of a build script.
    Ran,
}

impl Unit {
    /// What the compiler or the build script read. `None` if that is not found or is incomplete: the compiler always
    /// reads the root.
    pub fn dep_info(&self) -> Option<DepInfo> {
        let mut info = self.all_dep_info()?;
        // As cargo does, we believe the list: cargo refuses to compile a package that differs from it.
        if let Some(checksums) = self.checksums() {
            info.files = vec![checksums];
        }
        Some(info)
    }

    /// The list of files of a vendored package. Without any file, it says nothing: that is how packages are patched.
    fn checksums(&self) -> Option<PathBuf> {
        let path = self.manifest.with_file_name(CHECKSUMS);
        let list: serde_json::Value = serde_json::from_slice(&fs::read(&path).ok().filter(|_| self.vendored)?).ok()?;
        list.get("files")?.as_object().is_some_and(|files| !files.is_empty()).then_some(path)
    }

    fn all_dep_info(&self) -> Option<DepInfo> {
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

    /// Whether it may have read every file of its package: like cargo, we assume that of a build script without
    /// `rerun-if` lines.
    pub fn reads_package(&self, info: &DepInfo) -> bool {
        self.kind == UnitKind::Ran && info.files.is_empty() && info.variables.is_empty() && !self.vendored
    }

    /// What it read: files, and folders in which it may have read any file.
    pub fn read(&self) -> Option<Vec<PathBuf>> {
        let info = self.dep_info()?;
        Some(if self.reads_package(&info) { vec![self.folder().to_owned()] } else { info.files })
    }

    /// Whether a file that it reads changed after the compiler started and before `until`. Then it was built from other
    /// content, even if cargo considers it fresh. The change time is compared too, since renaming and copying may keep
    /// the modification time.
    pub fn is_outdated(&self, until: i64) -> bool {
        let Some(began) = self.began() else { return false };
        let info = self.dep_info().unwrap_or_default();
        // Cargo itself orders what it generates.
        let files = info.files.iter().filter(|path| !path.starts_with(&self.profile));
        let mut files = files.chain([&self.manifest]).filter_map(|path| Stat::of(path));
        files.any(|stat| (began..until).contains(&stat.mtime.max(stat.ctime)))
    }

    /// Whether it is known to come from the workspace in this folder: debug information contains the folder in which the
    /// compiler ran. What a build script generates does not.
    pub fn is_from(&self, workspace: &Path) -> bool {
        let rlib = self.made.with_extension("rlib");
        let made = if rlib.exists() && !self.is_dynamic() { &rlib } else { &self.made };
        let folder = format!("\0{}\0", workspace.display());
        self.kind == UnitKind::Compiled
            && fs::read(made).is_ok_and(|bytes| memchr::memmem::find(&bytes, folder.as_bytes()).is_some())
    }

    /// The features and flags that it was compiled with; `None` if unknown.
    pub fn choices(&self) -> Option<Choices> {
        cargo_layout::compiled_unit(&self.made, &self.package, &self.profile)?.choices()
    }

    /// Whether it is a dynamic library.
    pub fn is_dynamic(&self) -> bool {
        self.kind == UnitKind::Compiled && self.made.extension() == Some(DLL_EXTENSION.as_ref())
    }

    /// The package's folder.
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// When the compiler or the build script started, on the file system's clock; `None` if unknown.
    pub fn began(&self) -> Option<i64> {
        match self.kind {
            UnitKind::Compiled => cargo_layout::compiled_unit(&self.made, &self.package, &self.profile)?.began,
            UnitKind::Ran => cargo_layout::script_run(&self.made)?.began(),
        }
    }

    /// The variables that were read, with the values that they had then.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        match self.kind {
            UnitKind::Compiled => self.dep_info().unwrap_or_default().environment,
            UnitKind::Ran => environment_of(&self.made),
        }
    }
}

/// Whether two paths lead to the same file.
pub fn is_same_path(one: &Path, other: &Path) -> bool {
    let real = |path: &Path| std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
    one == other || real(one) == real(other)
}

/// The variables that the build script with this `OUT_DIR` named in `rerun-if-env-changed`, with their values.
pub fn environment_of(out: &Path) -> Vec<(String, Option<String>)> {
    cargo_layout::script_run(out).map(|run| run.environment()).unwrap_or_default()
}

/// The output of the build script with this `OUT_DIR`, if it is found; `package` is its package's folder.
pub fn build_script_output(out: &Path, package: &Path) -> Option<DepInfo> {
    let text = fs::read(cargo_layout::script_run(out)?.output).ok()?;
    Some(dep_info::parse_build_script_output(&String::from_utf8_lossy(&text), package))
}
