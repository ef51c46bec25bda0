//! What cargo says of a project (`cargo metadata`), and what it left in the project's target folder.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata as CargoMetadata, NodeDep, TargetKind};
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

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metadata {
    /// Where cargo writes.
    pub directories: Directories,
    pub workspace: PathBuf,
    /// The name of the package that is built, and its manifest.
    pub package: String,
    pub manifest: PathBuf,
    /// The file names of its library and of its programs in a profile's folder.
    products: Vec<String>,
    /// Whether it has a library for Python.
    pub has_library: bool,
    /// Whether that makes its module by itself, with pyo3 or pyo3-ffi; for others maturin writes modules of Python.
    pub is_extension: bool,
    /// The packages that it is made of and that stand on this machine, itself first.
    local: Vec<Local>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Local {
    name: String,
    manifest: PathBuf,
    /// The names of its library and programs as crates.
    crates: Vec<String>,
    /// Whether it has a build script.
    has_script: bool,
}

/// What cargo is asked about.
#[derive(Debug)]
pub struct Question<'a> {
    /// The folder that it is asked in.
    pub project: &'a Path,
    pub manifest: &'a Path,
    /// The arguments that choose features.
    pub features: Vec<String>,
    /// Whether the project is known to be a program.
    pub is_program: bool,
    /// The files of cargo's configuration.
    pub configuration: &'a [PathBuf],
}

/// What was said last, and of what.
#[derive(Serialize, Deserialize)]
struct Known {
    key: String,
    /// Manifests, lock file and configuration, by content.
    files: Vec<(PathBuf, Option<String>)>,
    metadata: Metadata,
}

impl Metadata {
    /// What cargo says of a package; without asking, if nothing changed that it reads. `memory` is where the answer is
    /// kept.
    pub fn find(
        toolchain: &Toolchain,
        question: &Question,
        memory: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Self> {
        let variables: Vec<_> = env_vars::TARGET_FOLDERS.iter().map(|name| env_vars::get_text(name)).collect();
        let key = format!("{:?}", (&toolchain.version, question, variables));
        let known: Option<Known> = sealed::read(memory);
        let holds =
            |known: &Known| known.key == key && known.files.iter().all(|(path, hash)| fs::hash_file(path) == *hash);
        if let Some(known) = known.filter(holds) {
            return Ok(known.metadata);
        }
        let metadata = Self::ask(toolchain, question, observer)?;
        let read = metadata.manifests().into_iter().chain(question.configuration.iter().cloned());
        let files = read.map(|path| (path.clone(), fs::hash_file(&path))).collect();
        // Only saves time.
        let _ = sealed::write(memory, &Known { key, files, metadata: metadata.clone() });
        Ok(metadata)
    }

    fn ask(toolchain: &Toolchain, question: &Question, observer: &mut dyn Observer) -> Result<Self> {
        const FIX: &str = "fix the manifest, or what it names; `cargo metadata` says the same";
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
        // Everything that it depends on, itself first.
        let nodes = found.resolve.as_ref().map(|resolve| resolve.nodes.as_slice()).unwrap_or_default();
        let mut reached = vec![&package.id];
        let mut next = 0;
        while let Some(id) = reached.get(next).copied() {
            next += 1;
            let node = nodes.iter().find(|node| node.id == *id);
            // What tests need is not built.
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
        let local = local.filter(|package| package.source.is_none()).map(|package| Local {
            name: package.name.to_string(),
            manifest: package.manifest_path.clone().into_std_path_buf(),
            has_script: package.targets.iter().any(|target| target.kind.contains(&TargetKind::CustomBuild)),
            crates: package.targets.iter().map(|target| target.name.replace('-', "_")).collect(),
        });
        let names: Vec<&str> = reached.iter().map(|id| found[*id].name.as_str()).collect();
        let is_extension = ["pyo3", "pyo3-ffi"].iter().any(|name| names.contains(name));
        let has = |kinds: &[TargetKind]| {
            package.targets.iter().find(|target| target.kind.iter().any(|kind| kinds.contains(kind)))
        };
        // maturin makes a library for Python of any kind of library.
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
                // Cargo before 1.91 has one folder.
                build: found.build_directory.clone().unwrap_or(found.target_directory.clone()).into_std_path_buf(),
            },
            workspace: found.workspace_root.clone().into_std_path_buf(),
            package: package.name.to_string(),
            manifest: manifest.to_owned(),
            has_library: library.is_some(),
            is_extension,
            products,
            local: local.collect(),
        })
    }

    /// A file that the compiler read, if it was not generated.
    pub fn users_file(&self, path: &Path) -> Option<PathBuf> {
        (!self.directories.contain(path)).then(|| path.to_owned())
    }

    /// The names of the packages on this machine.
    pub fn local_names(&self) -> Vec<String> {
        self.local.iter().map(|local| local.name.clone()).collect()
    }

    /// Their folders.
    pub fn local_folders(&self) -> Vec<PathBuf> {
        self.local.iter().filter_map(|local| Some(local.manifest.parent()?.to_owned())).collect()
    }

    /// Whether there are several programs: what one of them is made of says nothing of the others.
    pub fn has_many_products(&self) -> bool {
        self.products.len() > 1
    }

    /// Whether others, with packages of the same names, may build in the same target folder.
    pub fn is_shared(&self) -> bool {
        !self.directories.build.starts_with(&self.workspace)
    }

    /// The user's files that say how the project is built, there or not.
    pub fn manifests(&self) -> Vec<PathBuf> {
        let files = self.local.iter().map(|local| local.manifest.clone());
        let around = ["Cargo.toml", "Cargo.lock"].map(|name| self.workspace.join(name));
        files.chain(around).collect()
    }

    /// The folders in the build directory that hold a profile's output, that of this machine first.
    pub fn profile_folders(&self, profile: &str) -> Vec<PathBuf> {
        let first = self.directories.build.join(profile);
        let folders = cargo_layout::profile_folders(&self.directories.build);
        let others = folders.into_iter().filter(|folder| folder.ends_with(profile) && *folder != first);
        [first.clone()].into_iter().chain(others).collect()
    }

    /// Which of the installed files is what cargo made, where that stands, and with which profile it was made.
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
        // Cargo leaves a `.d` file beside what it finished: other folders hold copies.
        let made = made.filter(|path| path.with_extension("d").exists());
        let made: Vec<(PathBuf, u64)> = made.filter_map(|path| Some((path.clone(), size(&path)?))).collect();
        for file in installed {
            let Some(length) = size(file) else { continue };
            for (path, _) in made.iter().filter(|(_, size)| *size == length) {
                if fs::read(path).is_ok_and(|made| fs::read(file).is_ok_and(|found| found == made)) {
                    let folder = path.parent()?.file_name()?.to_str()?;
                    let profile = if folder == "debug" { "dev" } else { folder };
                    return Some((file.clone(), path.clone(), profile.to_owned()));
                }
            }
        }
        None
    }

    /// The parts of local packages that went into what cargo made, as far as they can be told from what it left;
    /// the package's own first. Of several that could be meant, the newest. `None` if one is not found.
    pub fn units_of(&self, made: &Path) -> Option<Vec<Unit>> {
        let own = self.directories.profile_of(made);
        let unit = |local: &Local, made: PathBuf, profile: &Path, kind: UnitKind| Unit {
            package: local.name.clone(),
            manifest: local.manifest.clone(),
            root: None,
            made,
            profile: profile.to_owned(),
            kind,
        };
        let mut units: Vec<Unit> =
            self.local.iter().take(1).map(|local| unit(local, made.to_owned(), &own, UnitKind::Compiled)).collect();
        let name = own.file_name();
        let all = cargo_layout::profile_folders(&self.directories.build);
        let folders: BTreeSet<PathBuf> = all.into_iter().filter(|folder| folder.file_name() == name).collect();
        for folder in &folders {
            for (index, local) in self.local.iter().enumerate() {
                let libraries = cargo_layout::libraries_of(folder, &local.name, &local.crates);
                let compiled = libraries.into_iter().filter(|_| index > 0);
                let compiled = compiled.map(|made| unit(local, made, folder, UnitKind::Compiled));
                // One that it had once may have left something.
                let outs = cargo_layout::build_scripts_of(folder, &local.name);
                let ran = outs.into_iter().filter(|_| local.has_script);
                let ran = ran.map(|out| unit(local, out, folder, UnitKind::Ran));
                units.extend(compiled.max_by_key(Unit::began).into_iter().chain(ran.max_by_key(Unit::began)));
            }
        }
        let is_read = |local: &Local| {
            let is_its = |unit: &&Unit| unit.package == local.name && unit.kind == UnitKind::Compiled;
            units.iter().filter(is_its).any(|unit| unit.dep_info().is_some_and(|info| !info.files.is_empty()))
        };
        self.local.iter().all(is_read).then_some(units)
    }

    /// The variables that the build scripts of all other packages look at, with the values that they had.
    pub fn variables_of_others(&self, made: &Path) -> Vec<(String, Option<String>)> {
        let folder = self.directories.profile_of(made);
        let is_local = |name: &str| self.local.iter().any(|local| local.name == name);
        let outs = cargo_layout::all_build_scripts(&folder).into_iter().filter(|(name, _)| !is_local(name));
        outs.flat_map(|(_, out)| unit::environment_of(&out)).collect()
    }
}

/// As the system knows it, without links.
fn real(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}
