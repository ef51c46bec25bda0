//! Plans a build of a script or a crate: writes the package, and computes hashes of everything that determines how
//! cargo compiles it. It does not run a build.

use std::path::{Path, PathBuf};

use semver::{Version, VersionReq};
use toml::Table;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::build::compile;
use crate::build::script_job::Builder;
use crate::env::toolchain::Toolchain;
use crate::package::cargo_lock::{self, Closure};
use crate::package::krate::{Crate, LOCK_ORIGIN};
use crate::package::manifest;
use crate::package::script_lock;
use crate::script::c_header;
use crate::script::header::Template;
use crate::script::parse::Root;
use crate::sources::script_versions::Versions;
use crate::sources::source::Source;

/// The newest Python that rust-cpython supports.
const LAST_OF_CPYTHON: (u8, u8) = (3, 11);

/// A package to build.
pub struct Plan {
    /// The folder of the package, and its name.
    pub package: PathBuf,
    pub name: String,
    /// The root of the crate's workspace; `None` for a script.
    pub workspace: Option<PathBuf>,
    /// A hash of everything that determines which units cargo compiles.
    pub units: String,
    pub builder: Builder,
    pub has_cpython: bool,
    /// Whether debug information contains the paths of the user's files, so that debuggers find them.
    pub names_files: bool,
    /// A hash of everything that determines how the dependencies are compiled.
    pub dependencies: Option<String>,
    /// The manifest, with absolute paths.
    pub table: Table,
}

/// The feature with which pyo3 0.21 accepts the generated module.
const DECLARATIVE: &str = "experimental-declarative-modules";

/// Whether a requirement allows 0.`minor` or later. One that names a pre-release is left to cargo.
fn may_be_at_least(requirement: &VersionReq, minor: u64) -> bool {
    let is_allowed = |minor: u64| (0..30).any(|patch| requirement.matches(&Version::new(0, minor, patch)));
    requirement.comparators.iter().any(|comparator| !comparator.pre.is_empty())
        || (minor..minor + 100).any(is_allowed)
        || requirement.matches(&Version::new(1, 0, 0))
}

impl Source<'_> {
    /// Writes the package that is built. Files that are up to date are not written again.
    pub fn plan(&self, observer: &mut dyn Observer) -> Result<Plan> {
        self.script.check_module(&self.library, self.request.stem())?;
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        toolchain.check_age()?;
        let mirror = self.entry.package();
        let (table, package, name, workspace) = match &self.krate {
            None => {
                let name = manifest::package_name(&self.request.entry);
                (self.write_package(&mirror, observer)?, mirror.clone(), name, None)
            }
            Some(krate) => {
                self.script.check_may_be_a_crate(&self.library)?;
                let workspace = toolchain.workspace_of(&krate.folder, observer)?;
                let (table, package) = self.write_mirror(krate, &mirror, &workspace)?;
                (table, package, krate.name.clone(), Some(workspace))
            }
        };
        self.check_pyo3(&table)?;
        let closure = cargo_lock::closure(&mirror.join("Cargo.lock"), &table);
        let has = |names: &[&str]| {
            let locked =
                closure.iter().flat_map(|(packages, _)| packages).filter_map(|package| package.split(' ').next());
            cargo_lock::dependencies(&table).map(|(name, ..)| name).chain(locked).any(|name| names.contains(&name))
        };
        let has_cpython = has(&["cpython", "python3-sys"]);
        let (major, minor) = self.request.interpreter.version;
        if has_cpython && (major, minor) > LAST_OF_CPYTHON {
            return Err(Error::project(
                &self.request.root,
                format!(
                    "{} uses rust-cpython (the crate `cpython`), which supports Python up to {}.{}; this is {major}.{minor}",
                    self.request.root.display(),
                    LAST_OF_CPYTHON.0,
                    LAST_OF_CPYTHON.1,
                ),
                "rust-cpython is no longer developed: port the script to pyo3, its successor, or use an older Python",
            ));
        }
        let mut plan = Plan {
            package,
            name,
            workspace,
            units: self.key(toolchain, &table),
            builder: if has(&["pyo3", "pyo3-ffi"]) { Builder::Maturin } else { Builder::Cargo },
            has_cpython,
            names_files: self.names_files(&table),
            dependencies: None,
            table,
        };
        plan.dependencies = closure.map(|closure| self.dependencies(toolchain, &plan, &closure));
        Ok(plan)
    }

    /// Fails if the source requires a pyo3 that does not accept the module that the template generates.
    fn check_pyo3(&self, table: &Table) -> Result<()> {
        let stem = self.request.stem();
        let Some(template) = self.script.generates_module(stem) else { return Ok(()) };
        let oldest = template.oldest_pyo3();
        let features = table.get("dependencies").and_then(|found| found.get("pyo3")?.get("features")?.as_array());
        if features.is_some_and(|features| features.iter().any(|name| name.as_str() == Some(DECLARATIVE))) {
            return Ok(());
        }
        let requirement = cargo_lock::dependencies(table).find(|(name, ..)| *name == "pyo3").and_then(|found| found.1);
        let Some(requirement) = requirement.filter(|requirement| !may_be_at_least(requirement, oldest)) else {
            return Ok(());
        };
        let root = &self.request.root;
        let keep = match template {
            Template::Cffi => String::new(),
            Template::Pyo3 => format!(
                ", or 0.22 with its older interface, `{{ version = \"0.22\", features = [\"gil-refs\"] }}`; or keep the \
                 version, and declare the module yourself: `#[pymodule] fn {stem}(_py: Python<'_>, m: &PyModule) -> \
                 PyResult<()> {{ m.add_function(wrap_pyfunction!(NAME, m)?)?; Ok(()) }}`"
            ),
        };
        Err(Error::project(
            root,
            format!(
                "{} requires pyo3 {requirement}, and what the template `rustimport:{}` generates needs 0.{oldest} or later",
                root.display(),
                template.name()
            ),
            format!("require a newer version, such as `pyo3 = \"0.{oldest}\"`{keep}"),
        ))
    }

    /// Whether the chosen profile has debug information.
    fn names_files(&self, manifest: &Table) -> bool {
        let profile = manifest.get("profile").and_then(|profiles| profiles.get(&self.settings.profile)?.as_table());
        self.krate.is_none() && profile.is_some_and(manifest::has_debug_information)
    }

    /// The hash of the dependencies according to the current lock file, which cargo may have updated in a build.
    pub fn resolved_dependencies(&self, toolchain: &Toolchain, plan: &Plan) -> Option<String> {
        let closure = cargo_lock::closure(&self.entry.package().join("Cargo.lock"), &plan.table)?;
        Some(self.dependencies(toolchain, plan, &closure))
    }

    /// A hash of everything that determines how the dependencies are compiled.
    fn dependencies(&self, toolchain: &Toolchain, plan: &Plan, closure: &Closure) -> String {
        let mut declared = self.krate.as_ref().map_or(&self.script.header.manifest, |krate| &krate.manifest).clone();
        declared.remove("lib");
        declared.remove("package");
        let edition = plan.table.get("package").and_then(|package| package.get("edition"));
        // Profiles and patches come from the workspace, if it is not the crate itself.
        let workspace = plan.workspace.as_ref().filter(|root| **root != self.request.root);
        let workspace = workspace.and_then(|root| fs::hash_file(&root.join("Cargo.toml")));
        self.key(toolchain, &(closure, declared, edition, workspace))
    }

    /// A hash of a plan and of everything else that determines how cargo compiles it.
    fn key(&self, toolchain: &Toolchain, plan: &impl std::fmt::Debug) -> String {
        compile::key(&self.cargo_config, toolchain, &self.settings, plan)
    }

    /// Writes the library's root into `package` and returns its path; `None` if the user's file is the root.
    pub fn write_root(&self, package: &Path) -> Result<Option<PathBuf>> {
        let cell = self.request.cell.as_ref().map(|cell| cell.folder.as_path());
        let c_module = || c_header::module(&self.library, self.request.stem());
        let (path, code) = match self.script.root(&self.library, self.request.stem(), cell, &c_module)? {
            Root::Direct => return Ok(None),
            Root::Wrapped(code) => (package.join(manifest::GENERATED), code),
            Root::Copied(code) => {
                let folder = package.join(manifest::COPY_FOLDER);
                fs::create_private_folder(&folder)?;
                (folder.join(self.library.file_name().unwrap_or_default()), code)
            }
        };
        fs::write(&path, code.as_bytes())?;
        Ok(Some(path))
    }

    /// Mirrors a crate. Returns its manifest, and the folder of the package.
    fn write_mirror(&self, krate: &Crate, mirror: &Path, workspace: &Path) -> Result<(Table, PathBuf)> {
        let package = krate.package(mirror, workspace);
        krate.mirror(mirror, workspace)?;
        let root = self.write_root(&package)?;
        let table = manifest::crate_manifest(&krate.manifest, &self.script, &self.settings, root.as_deref());
        krate.write_manifests(mirror, workspace, table.clone())?;
        krate.lock(mirror, workspace, &self.cache.common_lock(), &table)?;
        if !krate.folder.join("pyproject.toml").exists() {
            fs::write(&package.join("pyproject.toml"), manifest::pyproject(self.request).as_bytes())?;
        }
        // Paths are relative to the user's crate. In the plan they are absolute, as in the lock file.
        let mut anchored = table;
        manifest::for_each_path(&mut anchored, &mut |path| *path = krate.folder.join(&*path).display().to_string());
        Ok((anchored, package))
    }

    /// Writes a script's package. Returns its manifest.
    fn write_package(&self, package: &Path, observer: &mut dyn Observer) -> Result<Table> {
        let library = self.write_root(package)?.unwrap_or_else(|| self.library.clone());
        let table = manifest::cargo_manifest(self.request, &self.script, &self.settings, &library);
        self.refresh_for_rust_tools()?;
        let lock = package.join("Cargo.lock");
        let changed = fs::write(&package.join("Cargo.toml"), table.to_string().as_bytes())?
            | fs::write(&package.join("pyproject.toml"), manifest::pyproject(self.request).as_bytes())?;
        let is_resolved = || cargo_lock::local_packages(&lock).contains(&manifest::package_name(&self.request.entry));
        let origin = package.join(LOCK_ORIGIN);
        if let Some(text) = self.cargo_lock_of(&table) {
            let hash = fs::hash_bytes(text.as_bytes());
            // Cargo may have completed the copy: replace it only if the user's file has changed.
            if !lock.exists() || fs::read_text(&origin).ok().as_deref() != Some(&hash) {
                fs::write(&lock, text.as_bytes())?;
                fs::write(&origin, hash.as_bytes())?;
            }
            return Ok(table);
        }
        if origin.exists() {
            fs::remove(&origin);
            fs::remove(&lock);
        }
        if self.request.newest {
            match self.resolve(Versions::Newest, observer) {
                Ok(text) => return fs::write(&lock, text.as_bytes()).map(|_| table),
                Err(Error::Interrupted) => return Err(Error::Interrupted),
                Err(error) => {
                    let message = format!("{error}; built with the versions that are known here");
                    observer.event(Event::Notice { message });
                }
            }
        }
        if changed || !is_resolved() {
            cargo_lock::seed(&lock, &self.cache.common_lock(), &table)?;
        }
        Ok(table)
    }

    /// The script's lock file as that of the package with this manifest.
    pub fn cargo_lock_of(&self, table: &Table) -> Option<String> {
        let version = table.get("package").and_then(|package| package.get("version")?.as_str()).unwrap_or_default();
        Some(script_lock::for_package(self.lock.as_ref()?, &manifest::package_name(&self.request.entry), version))
    }
}
