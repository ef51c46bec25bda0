//! The one entry: from a request to an artifact that is fresh.
//!
//! Look, lock, look again, build, record. A look costs stats and, where those differ, hashes; it takes no
//! lock and writes nothing but the stamp. Only who finds the source stale waits for the lock, and looks
//! again once it has it: whoever held it has mostly done the work.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::cache::{Cache, Entry};
use crate::cargo_lock;
use crate::diagnostic::Messages;
use crate::error::{BuildFailure, Error, Result};
use crate::event::{Event, Host};
use crate::fs;
use crate::inputs::{Collector, Inputs, Look, Surroundings, absolute_pattern, matches};
use crate::lock;
use crate::manifest;
use crate::maturin::{Built, Job};
use crate::record::{GENERATOR, Record};
use crate::request::{Outcome, Request};
use crate::script::{Root, Script};
use crate::settings::BuildSettings;
use crate::staleness::Staleness;
use crate::stamp;
use crate::toolchain::{Toolchain, line_of};
use crate::unit::{self, Unit, UnitKind};

/// How many artifacts of one source stay: the one in use, and the one before, which another process may
/// be about to load.
const KEPT_ARTIFACTS: usize = 2;

/// Returns the artifact of the request's source, built if it was stale.
pub fn ensure(request: &Request, host: &mut dyn Host) -> Result<Outcome> {
    let start = Instant::now();
    let cache = Cache::of(request);
    cache.check_private()?;
    let source = Source::read(request, &cache, host)?;
    let outcome = |artifact: PathBuf, reason: Option<String>, built: bool| Outcome {
        artifact,
        reason,
        built,
        seconds: start.elapsed().as_secs_f64(),
    };

    let changes = match source.look(request.force) {
        Ok(artifact) => return Ok(outcome(artifact, None, false)),
        Err(stale) => stale,
    };
    let reason = changes.reason(request.folder());
    host.event(Event::Log { message: format!("{} is stale: {reason}", request.root.display()) });

    cache.create(&request.interpreter)?;
    source.entry.create()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, host)?;
    let name = request.root.file_name().unwrap_or_default().to_string_lossy();
    let _lock = lock::lock_entry(&source.entry.lock(), &name, request.lock_timeout, host)?;
    // The wait may have been long: everything is read anew. So it is after a build that failed while the
    // source was being edited: what it complained of may never have been anybody's intention.
    loop {
        let source = Source::read(request, &cache, host)?;
        let stale = match source.look(request.force) {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), false)),
            Err(stale) => stale,
        };
        let reason = stale.reason(request.folder());
        let hash = source.hash.clone();
        match source.build(&stale, &reason, host) {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), true)),
            Err(Error::Build(_) | Error::Project { .. })
                if fs::hash_file(&request.root).is_some_and(|now| now != hash) =>
            {
                host.event(Event::Log { message: format!("{name} was edited while it was built: again") });
            }
            Err(error) => return Err(error),
        }
    }
}

/// Whether a script without a marker is a module named like its file, and no part of a crate.
pub fn is_module(path: &Path) -> bool {
    let (Ok(source), Some(stem)) = (std::fs::read(path), path.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    Script::parse(path, &source).is_ok_and(|script| script.declares_module(stem)) && !is_library_of_a_crate(path)
}

/// Whether a Cargo.toml in the file's folder or above calls it its library.
fn is_library_of_a_crate(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        let text = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
        let manifest: toml::Table = text.parse().unwrap_or_default();
        let named = manifest.get("lib").and_then(|lib| lib.get("path")).and_then(toml::Value::as_str);
        manifest.contains_key("package") && folder.join(named.unwrap_or("src/lib.rs")) == path
    })
}

/// Why a source is stale, and what was known before it became so.
struct Stale {
    changes: Vec<Staleness>,
    /// The last good build, if its record is of use.
    record: Option<Record>,
}

impl Stale {
    fn reason(&self, folder: &Path) -> String {
        let mut stories = self.changes.iter().map(|change| change.story(folder));
        let first = stories.next().unwrap_or_default();
        match stories.len() {
            0 => first,
            1 => format!("{first}, {}", stories.next().unwrap_or_default()),
            more => format!("{first}, and {more} more"),
        }
    }
}

/// A source as it stands now, with everything around it.
struct Source<'a> {
    request: &'a Request,
    cache: &'a Cache,
    entry: Entry,
    script: Script,
    /// Of the bytes that the script was read from: header and exports are theirs.
    hash: String,
    settings: BuildSettings,
    surroundings: Surroundings,
    /// An absent toolchain counts as unchanged; it is missed when there is something to build.
    toolchain: Result<Toolchain>,
}

impl<'a> Source<'a> {
    fn read(request: &'a Request, cache: &'a Cache, host: &mut dyn Host) -> Result<Self> {
        let path = &request.root;
        if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
            return Err(Error::project(
                path,
                format!(
                    "the path `{}` is no valid Unicode, or has control characters: cargo cannot build there",
                    path.display().to_string().escape_debug()
                ),
                "rename the file or the folder",
            ));
        }
        let bytes = std::fs::read(path).map_err(|error| {
            Error::project(path, format!("cannot read {}: {error}", path.display()), "check the path and its rights")
        })?;
        let surroundings = Surroundings::of(request.folder())?;
        let toolchain = match Toolchain::find(request, cache, host) {
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            found => found,
        };
        Ok(Self {
            request,
            cache,
            entry: cache.entry(&request.entry),
            script: Script::parse(path, &bytes)?,
            hash: fs::hash_bytes(&bytes),
            settings: BuildSettings::resolve(&request.settings, request.folder())?,
            surroundings,
            toolchain,
        })
    }

    /// The artifact, if nothing that it is made of changed; then with a new stamp.
    fn look(&self, force: bool) -> Result<PathBuf, Box<Stale>> {
        let record = Record::read(&self.entry.record()).filter(|record| record.source == self.request.root);
        let Some(record) = record else {
            return Err(Box::new(Stale { changes: vec![Staleness::NeverBuilt], record: None }));
        };
        let artifact = self.entry.home().join(&record.artifact);
        let mut look = record.inputs.look(&self.surroundings, &self.request.cache);
        let mut changes = self.changed_conditions(&record);
        changes.append(&mut look.changes);
        if changes.is_empty() && fs::hash_file(&artifact).as_ref() != Some(&record.artifact_hash) {
            changes.push(Staleness::ArtifactLost);
        }
        if force {
            changes.insert(0, Staleness::Forced);
        }
        if !changes.is_empty() {
            return Err(Box::new(Stale { changes, record: Some(record) }));
        }
        self.write_stamp(&artifact, &record.inputs, &look);
        Ok(artifact)
    }

    /// Everything but the inputs themselves.
    fn changed_conditions(&self, record: &Record) -> Vec<Staleness> {
        let mut changes = Vec::new();
        if record.generator != GENERATOR {
            changes.push(Staleness::GeneratorChanged);
        }
        if let Ok(toolchain) = &self.toolchain
            && toolchain.version != record.rustc
        {
            changes.push(Staleness::ToolchainChanged {
                from: line_of(&record.rustc, "release").to_owned(),
                to: toolchain.release().to_owned(),
            });
        }
        let (old, new) = (&record.settings, &self.settings);
        for (name, from, to) in [("profile", &old.profile, &new.profile), ("pyo3", &old.pyo3, &new.pyo3)] {
            // pyo3's version concerns only those who left it open.
            if from != to && (name != "pyo3" || self.script.uses_pyo3()) {
                changes.push(Staleness::SettingChanged { name, from: from.clone(), to: to.clone() });
            }
        }
        changes
    }

    fn write_stamp(&self, artifact: &Path, inputs: &Inputs, look: &Look) {
        let toolchain = self.toolchain.as_ref().map_or(&[] as &[_], |toolchain| &toolchain.watched);
        let text = stamp::stamp(self.request, artifact, inputs, look, &self.surroundings, toolchain);
        // A stamp only saves the next look: a read-only cache must not stop anybody.
        let _ = fs::write(&self.entry.stamp(), text.as_bytes());
    }

    fn build(self, stale: &Stale, reason: &str, host: &mut dyn Host) -> Result<PathBuf> {
        let start = Instant::now();
        self.script.check_module(&self.request.root, self.request.stem())?;
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let package = self.entry.package();
        let job = Job {
            request: self.request,
            cache: self.cache,
            entry: &self.entry,
            toolchain,
            settings: &self.settings,
            in_source_folder: self.surroundings.has_own_config
                || Surroundings::of(&package).is_ok_and(|surroundings| surroundings.has_own_config),
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

        let same_plan = self.write_package(&package)?;
        let built = self.compile(&job, stale, clock, same_plan, reason, host)?;
        self.check_entry_point(&built.library)?;
        let Compiled { library, units, foreign_outputs } = built;

        // The files' own times are compared with the clock file's: one tick later is after it.
        let since = clock + 1;
        collector.add_source(&self.request.root, &self.hash);
        for path in watched.iter().chain(&self.surroundings.files) {
            collector.add_file(path, since);
        }
        self.collect(&mut collector, &units, &foreign_outputs, since);
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        record.inputs = collector.finish(patterns);
        record.units = units;
        record.foreign_outputs = foreign_outputs;

        let name = format!("{}{}", self.request.stem(), self.request.interpreter.extension_suffix);
        let artifact = fs::publish(self.entry.home(), &name, &library)?;
        artifact.strip_prefix(self.entry.home()).unwrap_or(&artifact).clone_into(&mut record.artifact);
        record.artifact_hash = fs::hash_bytes(&library);
        record.write(&self.entry.record())?;
        self.write_stamp(&artifact, &record.inputs, &record.inputs.as_built());
        fs::remove_old_artifacts(self.entry.home(), KEPT_ARTIFACTS);
        // Only saves the next script time.
        let _ = cargo_lock::share(&package.join("Cargo.lock"), &self.cache.common_lock());
        host.event(Event::Finished { seconds: start.elapsed().as_secs_f64() });
        Ok(artifact)
    }

    /// Writes the package that maturin builds. Returns whether its manifests were there already: then
    /// cargo compiles the same units as last time.
    fn write_package(&self, package: &Path) -> Result<bool> {
        let library = match self.script.root(&self.request.root, self.request.stem())? {
            Root::Direct => self.request.root.clone(),
            Root::Wrapped(code) => {
                let path = package.join(manifest::GENERATED);
                fs::write(&path, code.as_bytes())?;
                path
            }
            Root::Copied(code) => {
                let folder = package.join(manifest::COPY_FOLDER);
                fs::create_private_folder(&folder)?;
                let path = folder.join(self.request.root.file_name().unwrap_or_default());
                fs::write(&path, code.as_bytes())?;
                path
            }
        };
        let table = manifest::cargo_manifest(self.request, &self.script, &self.settings, &library);
        let lock = package.join("Cargo.lock");
        let changed = fs::write(&package.join("Cargo.toml"), table.to_string().as_bytes())?
            | fs::write(&package.join("pyproject.toml"), manifest::pyproject(self.request).as_bytes())?;
        if changed || !lock.exists() {
            cargo_lock::seed(&lock, &self.cache.common_lock(), &table)?;
        }
        Ok(!changed)
    }

    /// Cargo compares times, we compare content: what changed for us must be stale for cargo, although a
    /// file was restored with its old time. Only packages with a changed input are touched, and the
    /// script's own always.
    fn make_stale_for_cargo(&self, job: &Job, stale: &Stale) {
        let own = manifest::package_name(&self.request.entry);
        let packages: BTreeSet<String> = if let Some(record) = &stale.record {
            let changed: BTreeSet<&Path> = stale.changes.iter().filter_map(Staleness::file).collect();
            let concerned = |unit: &&Unit| {
                changed.contains(unit.manifest.as_path())
                    || unit.dep_info().files.iter().any(|file| changed.contains(file.as_path()))
            };
            record.units.iter().filter(concerned).map(|unit| unit.package.clone()).chain([own]).collect()
        } else {
            let locked = cargo_lock::local_packages(&self.entry.package().join("Cargo.lock"));
            locked.into_iter().chain([own]).collect()
        };
        set_back(job, &packages);
    }

    /// Runs maturin, and sees to it that cargo compiled what is there now. It may take for fresh what is not:
    /// another script, a failed build or another profile has compiled a dependency in between, and then the
    /// dependency was restored with its old time. Such a build is repeated, never recorded.
    fn compile(
        &self,
        job: &Job,
        stale: &Stale,
        clock: i64,
        same_plan: bool,
        reason: &str,
        host: &mut dyn Host,
    ) -> Result<Compiled> {
        const ATTEMPTS: u32 = 4;
        self.make_stale_for_cargo(job, stale);
        for _ in 0..ATTEMPTS {
            let Built { library, warned } = job.build(reason, host)?;
            let (units, foreign_outputs) = match &stale.record {
                Some(record) if same_plan && !warned && known_units_hold(record, stale) => {
                    (record.units.clone(), record.foreign_outputs.clone())
                }
                _ => {
                    let Messages { diagnostics, units, foreign_outputs } = job.replay(host)?;
                    for warning in diagnostics.into_iter().filter(|diagnostic| diagnostic.level == "warning") {
                        host.event(Event::Warning(warning));
                    }
                    (units, foreign_outputs)
                }
            };
            let mut outdated: BTreeSet<String> =
                units.iter().filter(|unit| unit.is_outdated(clock)).map(|unit| unit.package.clone()).collect();
            if !self.was_compiled(job, clock) {
                outdated.insert(manifest::package_name(&self.request.entry));
            }
            if outdated.is_empty() {
                return Ok(Compiled { library, units, foreign_outputs });
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

    fn was_compiled(&self, job: &Job, clock: i64) -> bool {
        let [output, _] = job.output_folders();
        let package = manifest::package_name(&self.request.entry);
        unit::last_compiled(&output, &package).is_none_or(|time| time >= clock)
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

    /// Takes down what the compiler and the build scripts read.
    fn collect(&self, collector: &mut Collector, units: &[Unit], foreign_outputs: &[PathBuf], since: i64) {
        let own = self.entry.package();
        for unit in units {
            let info = unit.dep_info();
            let read_from = unit.began().unwrap_or(since);
            // What stands in the cache was generated, and follows from the rest.
            let is_users = |file: &&PathBuf| !file.starts_with(&own) && !file.starts_with(self.cache.target());
            for file in info.files.iter().filter(is_users) {
                if file.is_dir() {
                    // Of a build script: everything below, as cargo takes it.
                    collector.add_folder(file, since);
                } else if file.exists() {
                    collector.add_file(file, read_from);
                } else {
                    collector.add_absent(file);
                }
            }
            for name in &info.variables {
                collector.add_variable(name, unit.kind);
            }
            if unit.folder() != own {
                collector.add_file(&unit.manifest, since);
                // Members of a workspace inherit from its root; cargo takes up a build.rs that appears.
                for manifest in unit.folder().ancestors().skip(1).map(|folder| folder.join("Cargo.toml")) {
                    collector.add_file(&manifest, since);
                }
                if !unit.folder().join("build.rs").exists() {
                    collector.add_absent(&unit.folder().join("build.rs"));
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
struct Compiled {
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

/// Whether the units of the last build are those of this one.
fn known_units_hold(record: &Record, stale: &Stale) -> bool {
    let steady = |change: &Staleness| {
        matches!(change, Staleness::FileChanged(path) if path.extension().is_some_and(|extension| extension == "rs"))
            || matches!(change, Staleness::Forced | Staleness::ArtifactLost)
    };
    !record.units.is_empty() && stale.changes.iter().all(steady) && record.units.iter().all(Unit::is_there)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crates_library_is_no_script() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        std::fs::create_dir(root.join("src")).unwrap();
        let check = |manifest: &str, file: &str, expected: bool| {
            std::fs::write(root.join("Cargo.toml"), manifest).unwrap();
            let path = root.join(file);
            std::fs::write(&path, "#[pymodule] mod m {}").unwrap();
            assert_eq!(is_module(&path), expected, "{manifest}");
        };
        check("[package]\nname = 'm'\n[lib]\npath = 'src/m.rs'", "src/m.rs", false);
        check("[package]\nname = 'm'\n[lib]\npath = 'm.rs'", "m.rs", false);
        check("[package]\nname = 'm'", "src/m.rs", true);
        check("[workspace]\n[lib]\npath = 'm.rs'", "m.rs", true);
    }
}
