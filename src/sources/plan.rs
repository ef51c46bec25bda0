//! What is to be built: the package is written, and what decides how cargo compiles it has names.

use std::path::{Path, PathBuf};

use toml::Table;

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::build::compile;
use crate::build::script_job::Builder;
use crate::env::toolchain::Toolchain;
use crate::package::cargo_lock::{self, Closure};
use crate::package::krate::Crate;
use crate::package::manifest;
use crate::script::c_header;
use crate::script::parse::Root;
use crate::sources::source::Source;

/// The newest Python that rust-cpython supports.
const LAST_OF_CPYTHON: (u8, u8) = (3, 11);

/// What is to be built.
pub struct Plan {
    /// The folder of the package, and its name.
    pub package: PathBuf,
    pub name: String,
    /// The crate's.
    pub workspace: Option<PathBuf>,
    /// Names everything that decides which units cargo compiles.
    pub units: String,
    pub builder: Builder,
    pub has_cpython: bool,
    /// Whether debug information names the user's files, for debuggers to find them.
    pub names_files: bool,
    /// Names the dependencies as they will be compiled.
    pub dependencies: Option<String>,
    /// The manifest, with absolute paths.
    pub table: Table,
}

impl Source<'_> {
    /// Writes the package that maturin builds, as far as it is not there already.
    pub fn plan(&self, observer: &mut dyn Observer) -> Result<Plan> {
        self.script.check_module(&self.library, self.request.stem())?;
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        toolchain.check_age()?;
        let mirror = self.entry.package();
        let (table, package, name, workspace) = match &self.krate {
            None => {
                let name = manifest::package_name(&self.request.entry);
                (self.write_package(&mirror)?, mirror.clone(), name, None)
            }
            Some(krate) => {
                self.script.check_may_be_a_crate(&self.library)?;
                let workspace = toolchain.workspace_of(&krate.folder, observer)?;
                let (table, package) = self.write_mirror(krate, &mirror, &workspace)?;
                (table, package, krate.name.clone(), Some(workspace))
            }
        };
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

    /// Whether the chosen profile has debug information.
    fn names_files(&self, manifest: &Table) -> bool {
        let profile = manifest.get("profile").and_then(|profiles| profiles.get(&self.settings.profile)?.as_table());
        self.krate.is_none() && profile.is_some_and(manifest::has_debug_information)
    }

    /// The name of the dependencies as the lock file has them now: after a build, with what cargo resolved.
    pub fn resolved_dependencies(&self, toolchain: &Toolchain, plan: &Plan) -> Option<String> {
        let closure = cargo_lock::closure(&self.entry.package().join("Cargo.lock"), &plan.table)?;
        Some(self.dependencies(toolchain, plan, &closure))
    }

    /// A name for everything that decides how the dependencies are compiled.
    fn dependencies(&self, toolchain: &Toolchain, plan: &Plan, closure: &Closure) -> String {
        let mut asked = self.krate.as_ref().map_or(&self.script.header.manifest, |krate| &krate.manifest).clone();
        asked.remove("lib");
        asked.remove("package");
        let edition = plan.table.get("package").and_then(|package| package.get("edition"));
        // Profiles and patches are those of the workspace, where that is more than the crate itself.
        let workspace = plan.workspace.as_ref().filter(|root| **root != self.request.root);
        let workspace = workspace.and_then(|root| fs::hash_file(&root.join("Cargo.toml")));
        self.key(toolchain, &(closure, asked, edition, workspace))
    }

    /// A name for a plan, with all around it that cargo looks at.
    fn key(&self, toolchain: &Toolchain, plan: &impl std::fmt::Debug) -> String {
        compile::key(&self.cargo_config, toolchain, &self.settings, plan)
    }

    /// The library's root, if it is generated; `package` is where.
    fn write_root(&self, package: &Path) -> Result<Option<PathBuf>> {
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

    /// Mirrors a crate. Returns its manifest, and where the package is.
    fn write_mirror(&self, krate: &Crate, mirror: &Path, workspace: &Path) -> Result<(Table, PathBuf)> {
        let package = krate.package(mirror, workspace);
        krate.mirror(mirror, workspace)?;
        let root = self.write_root(&package)?;
        let table = manifest::crate_manifest(&krate.manifest, &self.script, &self.settings, root.as_deref());
        krate.write_manifests(mirror, workspace, table.clone())?;
        krate.lock(mirror, workspace, &self.cache.common_lock())?;
        if !krate.folder.join("pyproject.toml").exists() {
            fs::write(&package.join("pyproject.toml"), manifest::pyproject(self.request).as_bytes())?;
        }
        // Relative to where it stands, so that the lock file's other packages are found by their own paths.
        let mut anchored = table;
        manifest::for_each_path(&mut anchored, &mut |path| *path = krate.folder.join(&*path).display().to_string());
        Ok((anchored, package))
    }

    /// Returns the manifest.
    fn write_package(&self, package: &Path) -> Result<Table> {
        let library = self.write_root(package)?.unwrap_or_else(|| self.library.clone());
        let table = manifest::cargo_manifest(self.request, &self.script, &self.settings, &library);
        let lock = package.join("Cargo.lock");
        let changed = fs::write(&package.join("Cargo.toml"), table.to_string().as_bytes())?
            | fs::write(&package.join("pyproject.toml"), manifest::pyproject(self.request).as_bytes())?;
        let is_resolved = || cargo_lock::local_packages(&lock).contains(&manifest::package_name(&self.request.entry));
        if changed || !is_resolved() {
            cargo_lock::seed(&lock, &self.cache.common_lock(), &table)?;
        }
        Ok(table)
    }
}
