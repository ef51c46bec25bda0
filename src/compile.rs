//! Having a package compiled, and being sure that cargo compiled what stands there now.
//!
//! Cargo compares times, we compare content. What changed since cargo compiled is made stale for cargo before a
//! build; after it, what cargo took for fresh is looked at again, and if need be the build is repeated.

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::path::{Path, PathBuf};

use crate::compiled::Compiled;
use crate::diagnostic::Messages;
use crate::env_vars;
use crate::error::{BuildFailure, Error, Result};
use crate::event::{Event, Host};
use crate::fs;
use crate::inputs::{Collector, Inputs, Surroundings};
use crate::settings::BuildSettings;
use crate::toolchain::Toolchain;
use crate::unit::{self, Unit, UnitKind};

/// Who compiles.
pub trait Compiler {
    /// What a build leaves.
    type Output;

    /// Runs the build. `reason` is for the event that says so.
    fn build(&self, reason: &str, host: &mut dyn Host) -> Result<Built<Self::Output>>;

    /// Has cargo say again, as JSON, what it said in the last build: nothing is compiled that was.
    fn replay(&self, host: &mut dyn Host) -> Result<Messages>;

    /// Where cargo puts this profile's output, for the package and for what runs here. The package's own first.
    fn output_folders(&self) -> Vec<PathBuf>;
}

pub struct Built<T> {
    pub output: T,
    /// What cargo said, where it was asked.
    pub messages: Option<Messages>,
    /// Whether the compiler warned.
    pub warned: bool,
}

/// What cargo did: the parts of local packages, and where the variables of dependencies' build scripts are found.
pub struct Done<T> {
    pub output: T,
    pub units: Vec<Unit>,
    pub foreign_outputs: Vec<PathBuf>,
}

/// What cargo is to compile in one folder.
pub struct Compilation<'a, C> {
    pub compiler: &'a C,
    /// For messages.
    pub source: &'a Path,
    /// Where it is remembered what cargo compiled last there.
    pub memory: PathBuf,
    /// Names everything that decides which units cargo compiles.
    pub units: &'a str,
    /// Packages that are compiled anew whatever cargo thinks.
    pub always: Vec<String>,
    /// Packages that are compiled anew when nothing is remembered.
    pub unknown: &'a dyn Fn() -> Vec<String>,
    /// Whether others, with packages of the same names, may have compiled in the same folder.
    pub is_shared: bool,
    /// The user's file that the compiler read; none for what was generated.
    pub users_file: &'a dyn Fn(&Path) -> Option<PathBuf>,
    /// The folder of the package, if that is generated.
    pub generated: Option<&'a Path>,
    /// The folders in which Python's files stand.
    pub python: &'a [PathBuf],
}

/// A name for `plan`, with all around it that decides how cargo compiles it.
pub fn key(surroundings: &Surroundings, toolchain: &Toolchain, settings: &BuildSettings, plan: &impl Debug) -> String {
    let configuration: Vec<_> = surroundings.files.iter().map(|path| fs::hash_file(path)).collect();
    let variables: BTreeSet<_> = env_vars::set_build_variables().into_iter().collect();
    let variables: Vec<_> = variables.into_iter().map(|name| (env_vars::get_text(&name), name)).collect();
    let all = (plan, configuration, variables, &toolchain.version, &settings.profile, &settings.arguments);
    fs::hash_bytes(format!("{all:?}").as_bytes())[..32].to_owned()
}

/// Takes down what one unit read: files, not before `read_from`, whole folders, not before `since`, and variables.
/// `users_file` is the user's file for what was read, and `python` are the folders in which Python's files stand.
pub fn collect_unit(
    collector: &mut Collector,
    unit: &Unit,
    users_file: &dyn Fn(&Path) -> Option<PathBuf>,
    python: &[PathBuf],
    read_from: i64,
    since: i64,
) {
    let info = unit.dep_info();
    for file in info.files.iter().filter_map(|file| users_file(file)) {
        if file.is_dir() {
            // Of a build script: everything below, as cargo takes it.
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
    // A build script that does not say what it reads may read anything of its package, as cargo takes it.
    if unit.kind == UnitKind::Ran
        && info.files.is_empty()
        && info.variables.is_empty()
        && let Some(folder) = users_file(unit.folder())
    {
        collector.add_package(&folder, python, since);
    }
}

impl<C: Compiler> Compilation<'_, C> {
    /// Builds, and sees to it that cargo compiled what is there now. It may take for fresh what is not: another
    /// source, a failed build or another profile has compiled a dependency in between, and then the dependency was
    /// restored with its old time. Such a build is repeated, never recorded. `clock` is when the build began.
    pub fn run(&self, clock: i64, reason: &str, host: &mut dyn Host) -> Result<Done<C::Output>> {
        const ATTEMPTS: u32 = 4;
        let last = Compiled::read(&self.memory);
        let changed = last.as_ref().map(Compiled::changed_files).unwrap_or_default();
        let known = last.as_ref().filter(|last| last.units_hold(self.units, &changed));
        let stale = self.stale_for_cargo(last.as_ref(), &changed);
        self.set_back(&stale);
        for _ in 0..ATTEMPTS {
            let Built { output, messages, warned } = self.compiler.build(reason, host)?;
            let (units, foreign_outputs) = match known {
                Some(known) if messages.is_none() && !warned => (known.units.clone(), known.foreign_outputs.clone()),
                _ => {
                    let messages = messages.map_or_else(|| self.compiler.replay(host), Ok)?;
                    let Messages { diagnostics, units, foreign_outputs } = messages;
                    for warning in diagnostics.into_iter().filter(|diagnostic| diagnostic.level == "warning") {
                        host.event(Event::Warning(warning));
                    }
                    (units, foreign_outputs)
                }
            };
            let mut outdated: BTreeSet<String> =
                units.iter().filter(|unit| unit.is_outdated(clock)).map(|unit| unit.package.clone()).collect();
            outdated.extend(self.always.iter().filter(|name| !self.was_compiled(name, clock)).cloned());
            if outdated.is_empty() {
                return Ok(Done { output, units, foreign_outputs });
            }
            let names: Vec<&str> = outdated.iter().map(String::as_str).collect();
            host.event(Event::Log { message: format!("cargo took for fresh what is not: {}", names.join(", ")) });
            self.set_back(&outdated);
        }
        Err(Error::Build(Box::new(BuildFailure {
            message: format!("cargo did not compile {} although it changed", self.source.display()),
            hint: "this is a bug in rustimport: please report it. To go on, remove the cache folder".into(),
            rendered: String::new(),
            diagnostics: Vec::new(),
            command: Vec::new(),
            returncode: Some(0),
        })))
    }

    /// What changed since cargo compiled here must be stale for cargo, although a file was restored with its old
    /// time. Only packages with a changed input are touched.
    fn stale_for_cargo(&self, last: Option<&Compiled>, changed: &[&Path]) -> BTreeSet<String> {
        let always = self.always.iter().cloned();
        if let Some(last) = last {
            let is_changed =
                |file: &PathBuf| (self.users_file)(file).is_some_and(|file| changed.contains(&file.as_path()));
            let is_others = |unit: &Unit| self.is_shared && !last.made_by_us(unit);
            let concerned = |unit: &&Unit| {
                is_changed(&unit.manifest) || unit.dep_info().files.iter().any(is_changed) || is_others(unit)
            };
            last.units.iter().filter(concerned).map(|unit| unit.package.clone()).chain(always).collect()
        } else {
            (self.unknown)().into_iter().chain(always).collect()
        }
    }

    /// Makes packages stale for cargo.
    fn set_back(&self, packages: &BTreeSet<String>) {
        for output in self.compiler.output_folders() {
            for file in packages.iter().flat_map(|package| unit::what_cargo_compares(&output, package)) {
                let _ = fs::set_epoch(&file);
            }
        }
    }

    fn was_compiled(&self, package: &str, clock: i64) -> bool {
        let outputs = self.compiler.output_folders();
        let last = outputs.iter().filter_map(|output| unit::last_compiled(output, package)).max();
        last.is_none_or(|time| time >= clock)
    }

    /// Takes down what the compiler and the build scripts read, not before `since`.
    pub fn collect(&self, collector: &mut Collector, done: &Done<C::Output>, since: i64) {
        for unit in &done.units {
            let read_from = unit.began().unwrap_or(since);
            collect_unit(collector, unit, self.users_file, self.python, read_from, since);
            let is_generated = self.generated == Some(unit.folder());
            if let Some(folder) = (self.users_file)(unit.folder()).filter(|_| !is_generated) {
                // Members of a workspace inherit from its root; cargo takes up a build.rs that appears.
                for manifest in folder.ancestors().map(|folder| folder.join("Cargo.toml")) {
                    collector.add_file(&manifest, since);
                }
                if !folder.join("build.rs").exists() {
                    collector.add_absent(&folder.join("build.rs"));
                }
            }
        }
        for output in &done.foreign_outputs {
            for name in &unit::build_script_output(output, Path::new("/")).variables {
                collector.add_variable(name, UnitKind::Ran);
            }
        }
    }

    /// Remembers what cargo compiled, of these inputs. Without that, the next build compiles all that is local.
    pub fn remember(&self, inputs: &Inputs, done: Done<C::Output>) -> Result<C::Output> {
        Compiled::new(self.units, inputs, done.units, done.foreign_outputs).write(&self.memory)?;
        Ok(done.output)
    }
}
