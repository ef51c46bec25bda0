//! Queries `cargo metadata` for a project, and finds the outputs of earlier builds in the project's target folder. It
//! builds nothing.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata as CargoMetadata, NodeDep, Package, TargetKind};
use serde::{Deserialize, Serialize};

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::process;
use crate::base::programs::program;
use crate::base::sealed;
use crate::env::toolchain::Toolchain;
use crate::freshness::cargo_layout::{self, Directories};
use crate::freshness::unit::{self, Unit, UnitKind};
use crate::projects::features::Defined;

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// The folders that cargo writes to.
    pub directories: Directories,
    pub workspace: PathBuf,
    /// The name of the package that is built, and its manifest.
    pub package: String,
    pub manifest: PathBuf,
    /// The file names of its library and of its programs in a profile's folder.
    products: Vec<String>,
    /// Whether it has a library for Python.
    pub has_library: bool,
    /// Whether the library defines its module itself, with pyo3 or pyo3-ffi; for others maturin generates Python
    /// modules.
    pub is_extension: bool,
    /// The local packages that it consists of, itself first, and vendored ones.
    local: Vec<Local>,
    /// The features that its package defines.
    pub defined: Defined,
    /// The arguments for maturin that select features besides those of the caller's settings.
    #[serde(skip)]
    pub selection: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Local {
    name: String,
    manifest: PathBuf,
    /// The names of its library and programs as crates.
    crates: Vec<String>,
    /// Whether it has a build script.
    has_script: bool,
    /// See [`Unit::vendored`].
    vendored: bool,
}

impl Local {
    fn unit(&self, made: PathBuf, profile: &Path, kind: UnitKind) -> Unit {
        let (package, manifest) = (self.name.clone(), self.manifest.clone());
        Unit { package, manifest, root: None, made, profile: profile.to_owned(), kind, vendored: self.vendored }
    }
}

/// The parameters of a query.
#[derive(Debug)]
pub struct Question<'a> {
    /// The folder in which cargo is run.
    pub project: &'a Path,
    pub manifest: &'a Path,
    /// The arguments that select features.
    pub features: Vec<String>,
    /// Whether the project is known to be a program.
    pub is_program: bool,
    /// The files of cargo's configuration.
    pub configuration: &'a [PathBuf],
}

/// The last answer, with the inputs that it depends on.
#[derive(Serialize, Deserialize)]
struct Known {
    key: String,
    /// The hashes of manifests, lock file and configuration.
    files: Vec<(PathBuf, Option<String>)>,
    metadata: Metadata,
}

impl Metadata {
    /// Queries cargo for a package, or returns the last answer if its inputs are unchanged. The answer is kept in the
    /// file `memory`.
    pub fn find(
        toolchain: &Toolchain,
        question: &Question,
        memory: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let known: Option<Known> = sealed::read(memory);
        let last = known.as_ref().map(|known| &known.metadata.directories);
        let relative = relative_folders(question.project, last);
        let variables: Vec<_> = env_vars::TARGET_FOLDERS.iter().map(|name| env_vars::get_text(name)).collect();
        let key = format!("{:?}", (&toolchain.version, question, variables, &relative));
        let holds =
            |known: &Known| known.key == key && known.files.iter().all(|(path, hash)| fs::hash_file(path) == *hash);
        if let Some(known) = known.filter(holds) {
            return Ok(known.metadata);
        }
        let metadata = Self::ask(toolchain, question, &relative, observer)?;
        let read = metadata.manifests().into_iter().chain(question.configuration.iter().cloned());
        let files = read.map(|path| (path.clone(), fs::hash_file(&path))).collect();
        // An error is ignored, since the file only saves time.
        let _ = sealed::write(memory, &Known { key, files, metadata: metadata.clone() });
        Ok(metadata)
    }

    fn ask(
        toolchain: &Toolchain,
        question: &Question,
        folders: &[(&str, PathBuf)],
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        const FIX: &str = "fix the manifest, or the files that it names; `cargo metadata` reports the same error";
        let manifest = question.manifest;
        let failed = |(why, hint): (String, &str)| {
            Error::project(manifest, format!("cargo cannot read {}: {why}", manifest.display()), hint)
        };
        let mut first = None;
        for network in [&[] as &[&str], &["--offline"]] {
            let mut command = process::command(&toolchain.cargo);
            command.args(["metadata", "--format-version", "1", "--manifest-path"]).arg(manifest);
            command.args(["--filter-platform", toolchain.host()]).args(&question.features).args(network);
            command.current_dir(question.project).env(env_vars::PATH, toolchain.path());
            command.envs(folders.iter().map(|(name, folder)| (name, folder)));
            let running = process::spawn(command).map_err(|error| failed((error.to_string(), "try again")))?;
            let finished = running.finish(observer, |_, _| {})?;
            if finished.status.success() {
                let found: CargoMetadata =
                    serde_json::from_slice(&finished.stdout).map_err(|error| failed((error.to_string(), FIX)))?;
                let found = Self::of(&found, &real(manifest), question.is_program);
                return found.ok_or_else(|| failed(("it has no [package], so there is nothing to build".into(), FIX)));
            }
            first.get_or_insert(finished);
        }
        Err(failed(first.expect("it ran").complaint(FIX)))
    }

    fn of(found: &CargoMetadata, manifest: &Path, is_program: bool) -> Option<Self> {
        let is_own = |path: &Path| real(path) == manifest;
        let package = found.packages.iter().find(|package| is_own(package.manifest_path.as_std_path()))?;
        // All its dependencies, itself first.
        let nodes = found.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
        let mut reached = vec![&package.id];
        let mut next = 0;
        while let Some(id) = reached.get(next).copied() {
            next += 1;
            let node = nodes.iter().find(|node| node.id == *id);
            // Development dependencies are not built.
            let is_built = |dependency: &&NodeDep| {
                let kinds = &dependency.dep_kinds;
                kinds.is_empty() || kinds.iter().any(|found| found.kind != DependencyKind::Development)
            };
            for dependency in node.iter().flat_map(|node| node.deps.iter().filter(is_built)) {
                if !reached.contains(&&dependency.pkg) {
                    reached.push(&dependency.pkg);
                }
            }
        }
        let local = reached.iter().filter_map(|id| found.packages.iter().find(|package| package.id == **id));
        let is_vendored =
            |package: &Package| package.source.is_some() && unit::is_vendored(package.manifest_path.as_std_path());
        let local = local.filter(|package| package.source.is_none() || is_vendored(package)).map(|package| Local {
            name: package.name.to_string(),
            manifest: package.manifest_path.clone().into_std_path_buf(),
            vendored: is_vendored(package),
            has_script: package.targets.iter().any(|target| target.kind.contains(&TargetKind::CustomBuild)),
            crates: package.targets.iter().map(|target| target.name.replace('-', "_")).collect(),
        });
        let names: Vec<&str> = reached.iter().map(|id| found[*id].name.as_str()).collect();
        let is_extension = ["pyo3", "pyo3-ffi"].iter().any(|name| names.contains(name));
        let has = |kinds: &[TargetKind]| {
            package.targets.iter().find(|target| target.kind.iter().any(|kind| kinds.contains(kind)))
        };
        // maturin builds any kind of library as a `cdylib`.
        let anything =
            [TargetKind::CDyLib, TargetKind::Lib, TargetKind::RLib, TargetKind::DyLib, TargetKind::StaticLib];
        let library = has(if is_extension { &anything } else { &[TargetKind::CDyLib] }).filter(|_| !is_program);
        let programs = package.targets.iter().filter(|target| target.kind.contains(&TargetKind::Bin));
        let products = match library {
            Some(library) => {
                let (before, after) = (std::env::consts::DLL_PREFIX, std::env::consts::DLL_SUFFIX);
                vec![format!("{before}{}{after}", library.name.replace('-', "_"))]
            }
            None => programs.map(|target| program(&target.name)).collect(),
        };
        Some(Self {
            directories: Directories {
                target: found.target_directory.clone().into_std_path_buf(),
                // Before cargo 1.91, both are the same folder.
                build: found.build_directory.clone().unwrap_or(found.target_directory.clone()).into_std_path_buf(),
            },
            workspace: found.workspace_root.clone().into_std_path_buf(),
            package: package.name.to_string(),
            manifest: manifest.to_owned(),
            has_library: library.is_some(),
            is_extension,
            products,
            local: local.collect(),
            defined: Defined(package.features.clone().into_iter().collect()),
            selection: Vec::new(),
        })
    }

    /// The variables that name cargo's folders relative to the working folder, with those folders.
    pub fn relative_folders(&self, project: &Path) -> Vec<(&'static str, PathBuf)> {
        relative_folders(project, Some(&self.directories))
    }

    /// Returns a file that the compiler read, or `None` if it was generated.
    pub fn users_file(&self, path: &Path) -> Option<PathBuf> {
        (!self.directories.contain(path)).then(|| path.to_owned())
    }

    /// The names of the local packages.
    pub fn local_names(&self) -> Vec<String> {
        self.own().map(|local| local.name.clone()).collect()
    }

    /// The local packages, without vendored ones.
    fn own(&self) -> impl Iterator<Item = &Local> {
        self.local.iter().filter(|local| !local.vendored)
    }

    /// The folders of the local packages.
    pub fn local_folders(&self) -> Vec<PathBuf> {
        self.own().filter_map(|local| Some(local.manifest.parent()?.to_owned())).collect()
    }

    /// Whether there are several programs. Their inputs differ, so the inputs of one do not show whether the others are
    /// fresh.
    pub fn has_many_products(&self) -> bool {
        self.products.len() > 1
    }

    /// Whether other projects, with packages of the same names, may build in the same target folder.
    pub fn is_shared(&self) -> bool {
        !self.directories.build.starts_with(&self.workspace)
    }

    /// The manifests and the lock file, whether or not they exist.
    pub fn manifests(&self) -> Vec<PathBuf> {
        let files = self.own().map(|local| local.manifest.clone());
        let around = ["Cargo.toml", "Cargo.lock"].map(|name| self.workspace.join(name));
        files.chain(around).collect()
    }

    /// The folders in the build directory with a profile's output; the one without a target triple comes first.
    pub fn profile_folders(&self, profile: &str) -> Vec<PathBuf> {
        let first = self.directories.build.join(profile);
        let folders = cargo_layout::profile_folders(&self.directories.build);
        let others = folders.into_iter().filter(|folder| folder.ends_with(profile) && *folder != first);
        [first.clone()].into_iter().chain(others).collect()
    }

    /// Finds the installed file that equals an output of cargo. Returns the installed file, cargo's output, and its
    /// profile.
    pub fn find_built(&self, installed: &[PathBuf]) -> Option<(PathBuf, PathBuf, String)> {
        let size = |path: &Path| std::fs::metadata(path).ok().map(|metadata| metadata.len());
        let folders = |parent: &Path| {
            let listing = std::fs::read_dir(parent).into_iter().flatten().flatten();
            listing.map(|item| item.path()).filter(|path| path.is_dir()).collect::<Vec<_>>()
        };
        // `<profile>` and `<triple>/<profile>`
        let mut profiles = folders(&self.directories.target);
        profiles.extend(profiles.clone().iter().flat_map(|folder| folders(folder)));
        let made = profiles.iter().flat_map(|folder| self.products.iter().map(move |name| folder.join(name)));
        // Cargo writes a `.d` file next to a finished output. Copies in other folders have none.
        let made = made.filter(|path| path.with_extension("d").exists());
        let made: Vec<(PathBuf, u64)> = made.filter_map(|path| Some((path.clone(), size(&path)?))).collect();
        for file in installed {
            let Some(length) = size(file) else { continue };
            for (path, _) in made.iter().filter(|(_, size)| *size == length) {
                if fs::read(path).is_ok_and(|made| fs::has_content(file, &made)) {
                    let folder = path.parent()?.file_name()?.to_str()?;
                    let profile = if folder == "debug" { "dev" } else { folder };
                    return Some((file.clone(), path.clone(), profile.to_owned()));
                }
            }
        }
        None
    }

    /// The unit that cargo's output `made` comes from.
    pub fn own_unit(&self, made: &Path) -> Option<Unit> {
        let profile = self.directories.profile_of(made);
        self.local.first().map(|local| local.unit(made.to_owned(), &profile, UnitKind::Compiled))
    }

    /// The units of local packages that cargo's output `made` consists of, reconstructed from the target folder; the
    /// package's own comes first. If there are several candidates, the newest is used. `None` if one is not found.
    pub fn units_of(&self, made: &Path) -> Option<Vec<Unit>> {
        let mut units: Vec<Unit> = self.own_unit(made).into_iter().collect();
        let own = self.directories.profile_of(made);
        let name = own.file_name();
        let all = cargo_layout::profile_folders(&self.directories.build);
        let folders: BTreeSet<PathBuf> = all.into_iter().filter(|folder| folder.file_name() == name).collect();
        for folder in &folders {
            for (index, local) in self.local.iter().enumerate() {
                let libraries = cargo_layout::libraries_of(folder, &local.name, &local.crates);
                let compiled = libraries.into_iter().filter(|_| index > 0);
                let compiled = compiled.map(|made| local.unit(made, folder, UnitKind::Compiled));
                // A build script that was removed from the package may have left output.
                let outs = cargo_layout::build_scripts_of(folder, &local.name);
                let ran = outs.into_iter().filter(|_| local.has_script);
                let ran = ran.map(|out| local.unit(out, folder, UnitKind::Ran));
                units.extend(compiled.max_by_key(Unit::began).into_iter().chain(ran.max_by_key(Unit::began)));
            }
        }
        let is_read = |local: &Local| {
            let is_its = |unit: &&Unit| unit.package == local.name && unit.kind == UnitKind::Compiled;
            units.iter().filter(is_its).any(|unit| unit.dep_info().is_some_and(|info| !info.files.is_empty()))
        };
        self.own().all(is_read).then_some(units)
    }

    /// The variables that the build scripts of registry packages read, with the values that they had.
    pub fn variables_of_others(&self, made: &Path) -> Vec<(String, Option<String>)> {
        let folder = self.directories.profile_of(made);
        let is_local = |name: &str| self.local.iter().any(|local| local.name == name);
        let outs = cargo_layout::all_build_scripts(&folder).into_iter().filter(|(name, _)| !is_local(name));
        outs.flat_map(|(_, out)| unit::environment_of(&out)).collect()
    }
}

/// The path without symbolic links.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
/// The variables that name cargo's folders by a relative path, with the folder that each stands for. For cargo, this is
/// one in the working folder, in which `maturin develop` was run, but an import may be elsewhere: then, the last one that
/// was used, or one in the project.
fn relative_folders(project: &Path, last: Option<&Directories>) -> Vec<(&'static str, PathBuf)> {
    let here = std::env::current_dir().unwrap_or_else(|_| project.to_owned());
    let folder = |name: &'static str| {
        let value = PathBuf::from(env_vars::get(name).filter(|value| !value.is_empty())?);
        let known = last.into_iter().flat_map(|last| [last.target.clone(), last.build.clone()]);
        let known = known.filter(|folder| folder.ends_with(&value));
        let mut places = [here.join(&value)].into_iter().chain(known).chain([project.join(&value)]);
        let found = places.find(|folder| folder.is_dir()).unwrap_or_else(|| here.join(&value));
        value.is_relative().then_some((name, found))
    };
    env_vars::TARGET_FOLDERS.into_iter().filter(|name| *name != env_vars::CARGO_HOME).filter_map(folder).collect()
}
