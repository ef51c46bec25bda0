//! Compiles a package and verifies that cargo used the current sources. How the compiler is run is up to the
//! [`Compiler`].
//!
//! Cargo compares times, we compare content. Before a build, we make the packages stale for cargo whose files changed
//! since cargo compiled them. After it, we check the packages that cargo treated as fresh, and repeat the build if one
//! of them was not.
//!
//! Part of that needs files that cargo does not document ([`crate::freshness::cargo_layout`]). If we do not understand
//! them, results are still correct, but more is rebuilt: `cargo clean -p` makes a package stale, the `.d` file next to
//! the library lists the inputs, and where that does not suffice, whole package folders and the whole environment count
//! as inputs. One notice reports it.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::env_vars;
use crate::base::error::{BuildFailure, Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::process::Finished;
use crate::base::programs;
use crate::build::failure;
use crate::build::messages::Messages;
use crate::build::readers;
use crate::build::runner::{Runner, text};
use crate::env::cargo_config::CargoConfig;
use crate::env::settings::BuildSettings;
use crate::env::toolchain::Toolchain;
use crate::freshness::cargo_layout;
use crate::freshness::compiled::Compiled;
use crate::freshness::dep_info::{self, DepInfo};
use crate::freshness::inputs::{Collector, Inputs};
use crate::freshness::local_units::LocalUnits;
use crate::freshness::patterns;
use crate::freshness::unit::{self, Unit, UnitKind, is_same_path};
use crate::package::krate;

/// Runs the tool that compiles one package.
pub trait Compiler {
    /// What a build produces.
    type Output;

    /// Runs the build. `reason` is for the event that reports its start.
    fn build(&self, reason: &str, observer: &mut dyn Observer) -> Result<Built<Self::Output>>;

    /// Runs cargo again for the messages of a build, as JSON. Cargo does not compile fresh packages again. `stderr` is
    /// what that build printed.
    fn replay(&self, stderr: &str, observer: &mut dyn Observer) -> Result<Messages>;

    /// What runs the tool.
    fn runner(&self) -> Runner<'_>;

    /// Runs a command of the tool.
    ///
    /// # Errors
    /// The build failed: the error contains the compiler's words.
    fn run(&self, command: &Command, reason: &str, observer: &mut dyn Observer) -> Result<Finished> {
        let runner = self.runner();
        let failed = match runner.build(command, reason, observer)? {
            Ok(finished) => return Ok(finished),
            Err(failed) => failed,
        };
        let stderr = text(&failed.finished.stderr);
        let messages = if failure::is_in_code(&failed) { self.replay(&stderr, observer)? } else { Messages::default() };
        Err(failure::explain(&runner, &failed, messages.diagnostics, observer))
    }

    /// The profile's folders in cargo's build directory, for the target and for the host.
    fn profile_folders(&self) -> Vec<PathBuf>;

    /// Runs `cargo clean -p`, the documented way to make packages stale.
    fn clean(&self, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()>;
}

pub struct Built<T> {
    pub output: T,
    /// Cargo's messages, if the build was run for them.
    pub messages: Option<Messages>,
    /// Whether the compiler printed warnings.
    pub warned: bool,
    /// The tool's standard error.
    pub stderr: String,
}

/// The result of a build: its output, the units of local and vendored packages, and the `out` folders of the build scripts of
/// registry dependencies, which list the variables that these read.
pub struct Done<T> {
    pub output: T,
    pub units: Vec<Unit>,
    /// The units of registry packages whose code reads the user's variables.
    pub readers: Vec<Unit>,
    pub foreign_outputs: Vec<PathBuf>,
    /// Whether there was no record of an earlier build in the same folder.
    pub is_first: bool,
    /// Whether some may have been compiled again since: then it is unknown when what is in the output was read.
    pub is_overtaken: bool,
}

/// A package to compile in one target folder.
pub struct Compilation<'a, C> {
    pub compiler: &'a C,
    /// For messages.
    pub source: &'a Path,
    /// The name of the package.
    pub package: &'a str,
    /// The file that records what cargo compiled last in this folder.
    pub memory: PathBuf,
    /// A file whose time is the file system's.
    pub clock: PathBuf,
    /// A hash of everything that determines which units cargo compiles.
    pub units: &'a str,
    /// Packages that every build compiles.
    pub always: Vec<String>,
    /// All local packages.
    pub packages: &'a dyn Fn() -> Vec<String>,
    /// Inputs that the user declared: patterns, and the files that they match. It is not known which package reads them.
    pub declared: (&'a [String], &'a [PathBuf]),
    /// Inputs that the user chose, in place of those that were read.
    pub chosen: Option<&'a [PathBuf]>,
    /// The file that records what local dependencies were compiled from, if other sources use them in the same folder.
    pub local: Option<PathBuf>,
    /// Maps a file that the compiler read to the user's file; `None` for a generated file.
    pub users_file: &'a dyn Fn(&Path) -> Option<PathBuf>,
    /// The folder of the package, if the package is generated.
    pub generated: Option<&'a Path>,
    /// The folders of the project's Python files.
    pub python: &'a [PathBuf],
    pub cargo_config: &'a CargoConfig,
    /// The user's folders of local packages that are known before the build.
    pub folders: Vec<PathBuf>,
    pub toolchain: &'a Toolchain,
}

/// A hash of `plan` and of everything else that determines how cargo compiles it.
pub fn key(cargo_config: &CargoConfig, toolchain: &Toolchain, settings: &BuildSettings, plan: &impl Debug) -> String {
    let configuration: Vec<_> = cargo_config.files.iter().map(|path| fs::hash_file(path)).collect();
    let variables: BTreeSet<_> = env_vars::set_build_variables().into_iter().collect();
    let variables: Vec<_> = variables.into_iter().map(|name| (env_vars::get_text(&name), name)).collect();
    // It changes cargo's units, not the library.
    let incremental = env_vars::get_text(env_vars::CARGO_INCREMENTAL);
    let all = (plan, configuration, variables, incremental, &toolchain.version, &settings.profile, &settings.arguments);
    fs::hash_bytes(format!("{all:?}").as_bytes())[..32].to_owned()
}

/// Adds what one unit read to `collector`: files, which were read no earlier than `read_from`; whole folders, no
/// earlier than `since`; and variables. `users_file` maps a file to the user's, and `python` are the folders of Python
/// files.
pub fn collect_unit(
    collector: &mut Collector,
    unit: &Unit,
    info: &DepInfo,
    users_file: &dyn Fn(&Path) -> Option<PathBuf>,
    python: &[PathBuf],
    read_from: i64,
    since: i64,
) {
    for file in info.files.iter().filter_map(|file| users_file(file)) {
        if file.is_dir() {
            // A build script named a folder: like cargo, we include everything below it.
            collector.add_folder(&file, since);
        } else if file.exists() {
            collector.add_file(&file, read_from);
        } else if unit.kind == UnitKind::Compiled {
            collector.add_missing(&file);
        } else {
            collector.add_absent(&file);
        }
    }
    for name in &info.variables {
        collector.add_variable(name, unit.kind);
    }
    if unit.reads_package(info)
        && let Some(folder) = users_file(unit.folder())
    {
        collector.add_package(&folder, python, since);
    }
}

impl<C: Compiler> Compilation<'_, C> {
    /// Builds, and verifies that cargo used the current sources. Cargo may treat a stale dependency as fresh: if
    /// another source, a failed build or another profile compiled it in between, and its file was then restored with
    /// the old time. Such a build is repeated and never recorded. `clock` is the time when the build began.
    pub fn run(&self, clock: i64, reason: &str, observer: &mut dyn Observer) -> Result<Done<C::Output>> {
        const ATTEMPTS: u32 = 4;
        let last = Compiled::read(&self.memory);
        let changed = last.as_ref().map(Compiled::changed_files).unwrap_or_default();
        let known = last.as_ref().filter(|last| last.units_hold(self.units, &changed));
        let stale = self.stale_for_cargo(last.as_ref(), &changed);
        self.make_stale(&stale);
        let mut cleaned: BTreeSet<String> =
            last.iter().flat_map(Compiled::unreadable).map(|unit| unit.package.clone()).collect();
        let vendored = last.iter().flat_map(|last| &last.units).filter(|unit| unit.vendored);
        cleaned.extend(vendored.map(|unit| unit.package.clone()).filter(|name| stale.contains(name)));
        self.clean(&cleaned, observer)?;
        let mut set_back = stale.clone();
        for _ in 0..ATTEMPTS {
            let Built { output, messages, warned, stderr } = self.compiler.build(reason, observer)?;
            let ended = fs::tick(&self.clock)?;
            let (units, readers, foreign_outputs) = match known {
                Some(known) if messages.is_none() && !warned => {
                    (known.units.clone(), known.readers.clone(), known.foreign_outputs.clone())
                }
                _ => {
                    let messages = messages.map_or_else(|| self.compiler.replay(&stderr, observer), Ok)?;
                    let Messages { diagnostics, units, foreign_units, foreign_outputs } = messages;
                    for warning in diagnostics.into_iter().filter(|diagnostic| diagnostic.level == "warning") {
                        observer.event(Event::Warning(warning));
                    }
                    let readers = readers::among(foreign_units, &foreign_outputs, self.cargo_config);
                    (units, readers, foreign_outputs)
                }
            };
            // Cargo compiles them again only if their versions change.
            let mut unnoticed = readers::outdated(&readers, &foreign_outputs, self.cargo_config);
            unnoticed.retain(|name| !cleaned.contains(name));
            let is_unreadable = |unit: &&Unit| unit.dep_info().is_none();
            let must = units.iter().filter(is_unreadable).map(|unit| &unit.package).chain(&stale).chain(&self.always);
            let must: BTreeSet<&String> = must.filter(|name| units.iter().any(|unit| unit.package == **name)).collect();
            let mut outdated: BTreeSet<String> =
                units.iter().filter(|unit| unit.is_outdated(clock)).map(|unit| unit.package.clone()).collect();
            let is_in_doubt = |name: &str| match self.was_compiled(name, clock, &stderr) {
                Some(was_compiled) => !was_compiled,
                None => !cleaned.contains(name),
            };
            outdated.extend(must.into_iter().filter(|name| is_in_doubt(name)).cloned());
            let others = self.used_from_others(last.as_ref(), &units, clock);
            outdated.extend(others.into_iter().map(|unit| unit.package.clone()));
            if outdated.is_empty() && unnoticed.is_empty() {
                let is_overtaken = self.is_overtaken(&units, ended);
                let is_first = last.is_none_or(|last| !last.is_complete());
                return Ok(Done { output, units, readers, foreign_outputs, is_first, is_overtaken });
            }
            unnoticed.extend(
                units
                    .iter()
                    .filter(|unit| unit.vendored && outdated.contains(&unit.package))
                    .map(|unit| unit.package.clone()),
            );
            outdated.extend(unnoticed.iter().cloned());
            let names: Vec<&str> = outdated.iter().map(String::as_str).collect();
            observer
                .event(Event::Log { message: format!("cargo treated stale packages as fresh: {}", names.join(", ")) });
            self.make_stale(&outdated);
            let folders = self.compiler.profile_folders();
            let is_known =
                |name: &String| folders.iter().any(|folder| cargo_layout::last_compiled(folder, name).is_some());
            // If setting back the times had no effect, this cargo may not compare times.
            let again = std::mem::replace(&mut set_back, outdated.clone());
            outdated.retain(|name| !is_known(name) || again.contains(name) || unnoticed.contains(name));
            self.clean(&outdated, observer)?;
            cleaned.append(&mut outdated);
        }
        Err(Error::Build(Box::new(BuildFailure {
            message: format!("cargo did not compile {} although it changed", self.source.display()),
            hint: "this is a bug in rustimport: please report it. To continue, run `python -m rustimport cache clear` and \
                   import again"
                .into(),
            rendered: String::new(),
            diagnostics: Vec::new(),
            command: Vec::new(),
            returncode: Some(0),
        })))
    }

    /// Whether a unit was compiled after the library that was built: by another process in the same folder, or when cargo
    /// repeated its messages, after an edit.
    fn is_overtaken(&self, units: &[Unit], ended: i64) -> bool {
        let library = units.iter().find(|unit| unit.package == self.package && unit.is_dynamic());
        let Some(began) = library.and_then(Unit::began) else { return false };
        let mut others = units.iter().filter(|unit| unit.package != self.package || unit.kind == UnitKind::Ran);
        began > ended || others.any(|unit| unit.began().is_some_and(|other| other > began))
    }

    /// The units of local dependencies that were there before this build, and are not known to have the present content:
    /// another source, a failed build or the user compiled them.
    fn used_from_others<'u>(&self, last: Option<&Compiled>, units: &'u [Unit], clock: i64) -> Vec<&'u Unit> {
        let was_there = |unit: &&Unit| unit.began().is_some_and(|began| began < clock);
        let units: Vec<&Unit> = self.dependencies(units).filter(was_there).collect();
        match (&self.local, last) {
            (Some(path), _) if !units.is_empty() => {
                let known = LocalUnits::read(path);
                units.into_iter().filter(|unit| !known.has(unit)).collect()
            }
            (None, Some(last)) if last.is_complete() => units.into_iter().filter(|unit| !last.has(unit)).collect(),
            _ => Vec::new(),
        }
    }

    fn dependencies<'u>(&self, units: &'u [Unit]) -> impl Iterator<Item = &'u Unit> {
        let package = self.package;
        units.iter().filter(move |unit| unit.package != package)
    }

    /// The packages that cargo must compile again, even if their files were restored with their old times: those with a
    /// changed input, and those whose inputs are not known.
    fn stale_for_cargo(&self, last: Option<&Compiled>, changed: &[&Path]) -> BTreeSet<String> {
        let always = self.always.iter().cloned();
        let Some(last) = last else { return (self.packages)().into_iter().chain(always).collect() };
        let is_changed = |read: &PathBuf| {
            (self.users_file)(read).is_some_and(|read| changed.iter().any(|file| file.starts_with(&read)))
        };
        // Scripts share dependencies, which have a record of their own.
        let is_others = |unit: &Unit| self.local.is_none() && !last.has(unit);
        // In another workspace, cargo has another fingerprint for a library, but the same file.
        let has_moved = |unit: &Unit| {
            let folder = (self.users_file)(unit.folder()).filter(|_| unit.is_dynamic());
            let mut above =
                folder.iter().flat_map(|folder| folder.ancestors().skip(1)).map(|folder| folder.join("Cargo.toml"));
            above
                .any(|manifest| changed.contains(&manifest.as_path()) || manifest.exists() && !last.has_read(&manifest))
        };
        let concerned = |unit: &&Unit| {
            is_changed(&unit.manifest)
                || unit.read().is_none_or(|read| read.iter().any(is_changed))
                || is_others(unit)
                || has_moved(unit)
        };
        let concerned = last.units.iter().filter(concerned).map(|unit| unit.package.clone()).chain(always);
        // Any package may read what the user declared: a procedural macro, a build script, a compiler of C.
        let of_all = if self.has_unread_change(last, changed) { (self.packages)() } else { Vec::new() };
        concerned.chain(of_all).collect()
    }

    /// Whether an input changed of which only the user knows that something reads it.
    fn has_unread_change(&self, last: &Compiled, changed: &[&Path]) -> bool {
        let (patterns, files) = self.declared;
        let is_new = |file: &PathBuf| changed.contains(&file.as_path()) || !last.has_read(file);
        let is_gone = |file: &Path| !file.exists() && patterns.iter().any(|pattern| patterns::is_match(pattern, file));
        let is_chosen = |file: &Path| self.chosen.is_some_and(|chosen| chosen.iter().any(|path| path == file));
        if files.iter().any(|file| is_new(file) && !is_chosen(file)) || changed.iter().any(|file| is_gone(file)) {
            return true;
        }
        let read: Vec<PathBuf> = last.units.iter().filter_map(Unit::read).flatten().collect();
        let is_read = |file: &Path| {
            let mut read = read.iter().filter_map(|read| (self.users_file)(read));
            read.any(|read| file.starts_with(&read))
        };
        changed.iter().any(|file| is_chosen(file) && !is_read(file))
    }

    /// Makes packages stale for cargo, if we understand its files.
    fn make_stale(&self, packages: &BTreeSet<String>) {
        for folder in self.compiler.profile_folders() {
            for package in packages {
                cargo_layout::make_stale(&folder, package);
            }
        }
    }

    fn clean(&self, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
        if packages.is_empty() { Ok(()) } else { self.compiler.clean(packages, observer) }
    }

    /// Whether cargo compiled a package in this build, according to its output or to the times of its files; `None` if
    /// neither is understood.
    fn was_compiled(&self, package: &str, clock: i64, stderr: &str) -> Option<bool> {
        if stderr.contains(&format!("Compiling {package} v")) {
            return Some(true);
        }
        let folders = self.compiler.profile_folders();
        let last = folders.iter().filter_map(|folder| cargo_layout::last_compiled(folder, package)).max();
        last.map(|time| time >= clock).or_else(|| stderr.contains("Finished ").then_some(false))
    }

    /// Adds what the compiler and the build scripts read, no earlier than `since`, to `collector`.
    pub fn collect(&self, collector: &mut Collector, done: &Done<C::Output>, since: i64, observer: &mut dyn Observer) {
        // The folders of packages whose inputs are not known; an empty path for registry packages.
        let mut unclear: BTreeSet<PathBuf> = BTreeSet::new();
        for unit in &done.units {
            let folder = (self.users_file)(unit.folder());
            let folder = folder.filter(|_| self.generated != Some(unit.folder()) && !unit.vendored);
            match unit.dep_info() {
                Some(info) => {
                    let read_from = unit.began().filter(|_| !done.is_overtaken).unwrap_or(since);
                    collect_unit(collector, unit, &info, self.users_file, self.python, read_from, since);
                    if done.is_first && unit.kind == UnitKind::Ran {
                        self.report_missing(unit, &info, observer);
                    }
                }
                None => drop(unclear.insert(folder.clone().unwrap_or_default())),
            }
            let root = unit.root.as_ref().filter(|_| !unit.vendored);
            if let Some(root) = root.and_then(|root| (self.users_file)(root)) {
                collector.add_file(&root, since);
            }
            if let Some(folder) = folder {
                // Members of a workspace inherit from its root, and cargo starts to use a build.rs that appears.
                for manifest in folder.ancestors().map(|folder| folder.join("Cargo.toml")) {
                    collector.add_file(&manifest, since);
                }
                if let Some(root) = krate::named_workspace(&folder) {
                    collector.add_file(&root.join("Cargo.toml"), since);
                }
                if !folder.join("build.rs").exists() {
                    collector.add_absent(&folder.join("build.rs"));
                }
            }
        }
        let home = programs::cargo_home();
        let is_cargos = |file: &Path| home.as_ref().is_some_and(|home| file.starts_with(home));
        for output in &done.foreign_outputs {
            match unit::build_script_output(output, Path::new("")) {
                Some(info) => {
                    info.variables.iter().for_each(|name| collector.add_variable(name, UnitKind::Ran));
                    // Their own files, which are named relative to their package, do not change.
                    for file in info.files.iter().filter(|file| file.is_absolute() && !is_cargos(file)) {
                        if let Some(file) = (self.users_file)(file) {
                            collector.add_listed(&file, since);
                        }
                    }
                }
                None => drop(unclear.insert(PathBuf::new())),
            }
        }
        for name in readers::variables(&done.readers, &done.foreign_outputs, self.cargo_config) {
            collector.add_variable(&name, UnitKind::Compiled);
        }
        let listed = self.collect_listed(collector, done, since);
        if !done.units.iter().any(|unit| unit.kind == UnitKind::Compiled) {
            unclear.insert(PathBuf::new());
        }
        if unclear.is_empty() {
            return;
        }
        if !listed {
            // A script has no package folder that could count as its inputs, so it is built at every import.
            if self.folders.is_empty() {
                collector.add_unknown(self.source);
            }
            unclear.extend(self.folders.iter().cloned());
        }
        for folder in unclear.iter().filter(|folder| folder.is_dir()) {
            collector.add_package(folder, self.python, since);
        }
        collector.add_environment();
        let version = self.toolchain.cargo_version(observer).unwrap_or_else(|| "this cargo".into());
        let message = format!(
            "this version of rustimport does not know the file layout of {version}, so more is rebuilt than necessary: a \
             newer rustimport may support it (`python -m pip install --upgrade rustimport`)"
        );
        observer.event(Event::Notice { message });
    }

    /// Cargo runs a build script at every build if a file that it names is missing; an import is no build.
    fn report_missing(&self, unit: &Unit, info: &DepInfo, observer: &mut dyn Observer) {
        let users = info.files.iter().filter_map(|file| (self.users_file)(file));
        let missing = users.filter(|file| !file.exists()).map(|file| format!("`{}`", file.display()));
        if let Some(missing) = missing.reduce(|list, file| format!("{list}, {file}")) {
            let message = format!(
                "the build script of {} names {missing} in rerun-if-changed, which does not exist: cargo would run it at \
                 every build, an import runs it again if that appears or another input changes",
                unit.package
            );
            observer.event(Event::Notice { message });
        }
    }

    /// Adds the files that cargo lists in the `.d` file next to the library; cargo documents that these are all files
    /// of local packages. Returns whether there is such a list.
    fn collect_listed(&self, collector: &mut Collector, done: &Done<C::Output>, since: i64) -> bool {
        let mut is_listed = false;
        for unit in done.units.iter().filter(|unit| unit.kind == UnitKind::Compiled && !unit.vendored) {
            let path = unit.made.with_extension("d");
            // In cargo's own folders, rustc writes its dep-info under this name.
            let is_rustcs = cargo_layout::compiled_unit(&unit.made, &unit.package, &unit.profile)
                .is_some_and(|known| known.dep_info == path);
            let text = fs::read_text(&path).ok().filter(|_| !is_rustcs);
            let Some(files) = text.and_then(|text| dep_info::parse_artifact_dep_info(&text)) else { continue };
            let folders: Vec<&Path> = unit.folder().ancestors().chain(self.source.ancestors()).collect();
            let absolute = |file: PathBuf| {
                let found = folders.iter().map(|folder| folder.join(&file)).find(|path| path.exists());
                if file.is_absolute() { Some(file) } else { found }
            };
            let count = files.len();
            let files: Vec<PathBuf> = files.into_iter().filter_map(absolute).collect();
            let is_root = |file: &PathBuf| unit.root.as_ref().is_none_or(|root| is_same_path(file, root));
            is_listed |= files.len() == count && files.iter().any(is_root);
            for file in files.iter().filter_map(|file| (self.users_file)(file)) {
                collector.add_listed(&file, since);
            }
        }
        is_listed
    }

    /// Records what cargo compiled from these inputs. Without the record, the next build compiles all local packages.
    pub fn remember(&self, inputs: &Inputs, done: Done<C::Output>) -> Result<C::Output> {
        let dependencies: Vec<&Unit> = self.dependencies(&done.units).collect();
        if let Some(path) = self.local.as_ref().filter(|_| !dependencies.is_empty()) {
            LocalUnits::record(path, &dependencies, inputs, self.users_file)?;
        }
        Compiled::new(self.units, inputs, done.units, done.readers, done.foreign_outputs).write(&self.memory)?;
        Ok(done.output)
    }
}
