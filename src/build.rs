//! One build: maturin runs, what it compiled is found out, the artifact published.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cargo_lock;
use crate::compiled::Compiled;
use crate::diagnostic::Messages;
use crate::error::{BuildFailure, Error, Result};
use crate::event::{Event, Host};
use crate::fs;
use crate::inputs::{Collector, Surroundings, absolute_pattern, matches};
use crate::lane::Lane;
use crate::lock;
use crate::manifest;
use crate::maturin::{Built, Job};
use crate::plan::Plan;
use crate::record::Record;
use crate::source::{Source, Stale};
use crate::store::Told;
use crate::toolchain::Toolchain;
use crate::unit::{self, Unit, UnitKind};

impl Source<'_> {
    /// What the compiler was told that may name the place: values of `env!`, but for those that only lead to
    /// generated code; and the folders of that code.
    fn told(&self, units: &[Unit]) -> Told {
        let values = units.iter().flat_map(|unit| unit.dep_info().values).collect();
        let generated = units.iter().filter(|unit| unit.kind == UnitKind::Ran);
        let folders = generated.filter_map(|unit| Some(unit.made.parent()?.display().to_string()));
        Told {
            values,
            package: self.krate.is_none().then(|| manifest::package_name(&self.request.entry)),
            folders: folders.chain([self.entry.home().display().to_string()]).collect(),
        }
    }

    /// Has maturin build what was planned, publishes and records the artifact.
    pub fn build(&self, plan: &Plan, lane: &Lane, stale: &Stale, reason: &str, host: &mut dyn Host) -> Result<PathBuf> {
        let start = Instant::now();
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let job = Job {
            lane,
            package: &plan.package,
            name: &plan.name,
            builder: plan.builder,
            has_cpython: plan.has_cpython,
            request: self.request,
            cache: self.cache,
            entry: &self.entry,
            toolchain,
            settings: &self.settings,
            in_source_folder: self.surroundings.has_own_config
                || Surroundings::of(&plan.package).is_ok_and(|surroundings| surroundings.has_own_config),
        };

        // Before anything is read by others: an edit from here on is for the next build.
        let folder = self.request.folder();
        let patterns = self.script.header.patterns.iter();
        let patterns: Vec<String> = patterns.filter_map(|pattern| absolute_pattern(folder, pattern)).collect();
        let watched = patterns.iter().flat_map(|pattern| matches(pattern));
        let watched: Vec<PathBuf> = watched.filter(|path| !path.starts_with(&self.request.cache)).collect();
        let known = stale.record.iter().flat_map(|record| &record.inputs.files).map(|file| file.path.as_path());
        let paths: BTreeSet<&Path> = (watched.iter().map(PathBuf::as_path))
            .chain(self.surroundings.files.iter().map(PathBuf::as_path))
            .chain(known)
            .collect();
        let mut collector = Collector::before(paths);
        let clock = fs::tick(&self.entry.clock())?;

        let built = self.compile(&job, plan, clock, reason, host)?;
        self.check_entry_point(&built.library)?;
        let Output { library, units, foreign_outputs } = built;

        // The files' own times are compared with the clock file's: one tick later is after it.
        let since = clock + 1;
        for (path, hash) in &self.read {
            collector.add_source(path, hash);
        }
        let manifests =
            plan.workspace.iter().zip(&self.krate).flat_map(|(workspace, krate)| krate.manifests(workspace));
        for path in manifests {
            if path.exists() { collector.add_file(&path, since) } else { collector.add_absent(&path) }
        }
        for path in watched.iter().chain(&self.surroundings.files) {
            collector.add_file(path, since);
        }
        self.collect(&mut collector, job.package, &units, &foreign_outputs, since);
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        record.inputs = collector.finish(patterns);
        let told = self.told(&units);
        let compiled = Compiled::new(&plan.units, &record.inputs, units, foreign_outputs);
        // First: without it, the next build compiles all that is local.
        compiled.write(&self.entry.compiled(lane.home()))?;

        let look = record.inputs.as_built();
        let artifact = self.publish(&mut record, &library, &look)?;
        self.store(toolchain, &record.inputs, &told, &library);
        self.share_dependencies(plan, toolchain, lane, host);
        host.event(Event::Finished { seconds: start.elapsed().as_secs_f64() });
        Ok(artifact)
    }

    /// Tells other scripts which versions were taken, and that they are compiled. It only saves them time.
    fn share_dependencies(&self, plan: &Plan, toolchain: &Toolchain, lane: &Lane, host: &mut dyn Host) {
        let guard = self.cache.common_lock_guard();
        // A crate's own lock file is its own affair.
        if self.krate.is_none()
            && let Ok(_guard) = lock::lock_one_of(&[guard], &|| 1, &|| "the common lock file".into(), None, host)
        {
            let _ = cargo_lock::share(&self.entry.package().join("Cargo.lock"), &self.cache.common_lock());
        }
        let resolved = self.resolved_dependencies(toolchain, plan);
        // Mostly one and the same.
        let names: BTreeSet<&String> = plan.dependencies.iter().chain(&resolved).collect();
        lane.has_compiled(self.cache, names);
    }

    /// Cargo compares times, we compare content: what changed since cargo compiled here must be stale for cargo,
    /// although a file was restored with its old time. Only packages with a changed input are touched, and
    /// the script's own always.
    fn make_stale_for_cargo(&self, job: &Job, last: Option<&Compiled>, changed: &[&Path]) {
        let own = job.name.to_owned();
        let packages: BTreeSet<String> = if let Some(last) = last {
            let is_changed = |file: &PathBuf| {
                self.users_file(file, job.package).is_some_and(|file| changed.contains(&file.as_path()))
            };
            let concerned = |unit: &&Unit| is_changed(&unit.manifest) || unit.dep_info().files.iter().any(is_changed);
            last.units.iter().filter(concerned).map(|unit| unit.package.clone()).chain([own]).collect()
        } else {
            let locked = cargo_lock::local_packages(&self.entry.package().join("Cargo.lock"));
            locked.into_iter().chain([own]).collect()
        };
        set_back(job, &packages);
    }

    /// Runs maturin, and sees to it that cargo compiled what is there now. It may take for fresh what is not:
    /// another script, a failed build or another profile has compiled a dependency in between, and then the
    /// dependency was restored with its old time. Such a build is repeated, never recorded.
    fn compile(&self, job: &Job, plan: &Plan, clock: i64, reason: &str, host: &mut dyn Host) -> Result<Output> {
        const ATTEMPTS: u32 = 4;
        let last = Compiled::read(&self.entry.compiled(job.lane.home()));
        let changed = last.as_ref().map(Compiled::changed_files).unwrap_or_default();
        let known = last.as_ref().filter(|last| last.units_hold(&plan.units, &changed));
        self.make_stale_for_cargo(job, last.as_ref(), &changed);
        for _ in 0..ATTEMPTS {
            let Built { library, messages, warned } = job.build(reason, host)?;
            let (units, foreign_outputs) = match known {
                Some(known) if messages.is_none() && !warned => (known.units.clone(), known.foreign_outputs.clone()),
                _ => {
                    let messages = messages.map_or_else(|| job.replay(host), Ok)?;
                    let Messages { diagnostics, units, foreign_outputs } = messages;
                    for warning in diagnostics.into_iter().filter(|diagnostic| diagnostic.level == "warning") {
                        host.event(Event::Warning(warning));
                    }
                    (units, foreign_outputs)
                }
            };
            let mut outdated: BTreeSet<String> =
                units.iter().filter(|unit| unit.is_outdated(clock)).map(|unit| unit.package.clone()).collect();
            if !Self::was_compiled(job, clock) {
                outdated.insert(job.name.to_owned());
            }
            if outdated.is_empty() {
                return Ok(Output { library, units, foreign_outputs });
            }
            let names: Vec<&str> = outdated.iter().map(String::as_str).collect();
            host.event(Event::Log { message: format!("cargo took for fresh what is not: {}", names.join(", ")) });
            set_back(job, &outdated);
        }
        Err(Error::Build(Box::new(BuildFailure {
            message: format!("cargo did not compile {} although it changed", self.request.root.display()),
            hint: "this is a bug in rustimport: please report it. To go on, remove the cache folder".into(),
            rendered: String::new(),
            diagnostics: Vec::new(),
            command: Vec::new(),
            returncode: Some(0),
        })))
    }

    fn was_compiled(job: &Job, clock: i64) -> bool {
        let [output, _] = job.output_folders();
        unit::last_compiled(&output, job.name).is_none_or(|time| time >= clock)
    }

    fn check_entry_point(&self, library: &[u8]) -> Result<()> {
        let stem = self.request.stem();
        let symbol = format!("PyInit_{stem}");
        if memchr::memmem::find(library, symbol.as_bytes()).is_some() {
            return Ok(());
        }
        let path = &self.request.root;
        Err(Error::project(
            path,
            format!(
                "{} compiles, but does not define the module `{stem}` (no `{symbol}` in the library)",
                path.display()
            ),
            format!(
                "declare `#[pymodule] mod {stem} {{ … }}`, or write `// rustimport:pyo3` on the first line to \
                 have a module made of every #[pyfunction] and #[pyclass]"
            ),
        ))
    }

    /// The user's file that the compiler read; of a crate's mirror, what the link leads to. What else stands in the
    /// cache was generated, and follows from the rest.
    fn users_file(&self, path: &Path, package: &Path) -> Option<PathBuf> {
        if !self.cache.has_made(path) {
            return Some(path.to_owned());
        }
        let krate = self.krate.as_ref()?;
        // The mirrored folder and its manifest are no links.
        if let Ok(inside @ ("" | "Cargo.toml")) =
            path.strip_prefix(package).map(|inside| inside.to_str().unwrap_or("?"))
        {
            return Some(if inside.is_empty() { krate.folder.clone() } else { krate.folder.join(inside) });
        }
        let is_users = |path: &PathBuf| !self.cache.has_made(path);
        if let Ok(real) = std::fs::canonicalize(path) {
            return is_users(&real).then_some(real);
        }
        // What a build script looked for, and did not find.
        let parent = std::fs::canonicalize(path.parent()?).ok().filter(is_users)?;
        Some(parent.join(path.file_name()?))
    }

    /// Takes down what the compiler and the build scripts read.
    fn collect(
        &self,
        collector: &mut Collector,
        package: &Path,
        units: &[Unit],
        foreign_outputs: &[PathBuf],
        since: i64,
    ) {
        for unit in units {
            let info = unit.dep_info();
            let read_from = unit.began().unwrap_or(since);
            for file in info.files.iter().filter_map(|file| self.users_file(file, package)) {
                if file.is_dir() {
                    // Of a build script: everything below, as cargo takes it.
                    collector.add_folder(&file, since);
                } else if file.exists() {
                    collector.add_file(&file, read_from);
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
                && let Some(folder) = self.users_file(unit.folder(), package)
            {
                collector.add_package(&folder, since);
            }
            let is_generated = self.krate.is_none() && unit.folder() == package;
            if let Some(folder) = self.users_file(unit.folder(), package).filter(|_| !is_generated) {
                // Members of a workspace inherit from its root; cargo takes up a build.rs that appears.
                for manifest in folder.ancestors().map(|folder| folder.join("Cargo.toml")) {
                    collector.add_file(&manifest, since);
                }
                if !folder.join("build.rs").exists() {
                    collector.add_absent(&folder.join("build.rs"));
                }
            }
        }
        for output in foreign_outputs {
            for name in &unit::build_script_output(output, Path::new("/")).variables {
                collector.add_variable(name, UnitKind::Ran);
            }
        }
    }
}

/// What a build gave.
struct Output {
    library: Vec<u8>,
    units: Vec<Unit>,
    foreign_outputs: Vec<PathBuf>,
}

/// Makes packages stale for cargo.
fn set_back(job: &Job, packages: &BTreeSet<String>) {
    for output in job.output_folders() {
        for file in packages.iter().flat_map(|package| unit::what_cargo_compares(&output, package)) {
            let _ = fs::set_epoch(&file);
        }
    }
}
