//! Builds a script or a crate: runs the compiler, collects the inputs, and publishes and records the artifact. It does
//! not decide whether a build is needed; see [`crate::ensure`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::lock::{self, Timeout, Wait};
use crate::base::paths::normal;
use crate::build::compile::Compilation;
use crate::build::script_job::Job;
use crate::build::wheel::has_symbol;
use crate::cache::store::Told;
use crate::cache::target_slot::TargetSlot;
use crate::env::cargo_config::CargoConfig;
use crate::env::toolchain::Toolchain;
use crate::freshness::inputs::Collector;
use crate::freshness::patterns;
use crate::freshness::record::Record;
use crate::freshness::unit::{Unit, UnitKind};
use crate::package::cargo_lock;
use crate::package::krate::Crate;
use crate::package::manifest;
use crate::package::script_lock;
use crate::remote::portability::{self, Finished};
use crate::sources::plan::Plan;
use crate::sources::source::{Source, Stale, lock_file_of};

impl Source<'_> {
    /// What may put the tree's path into the library: values of `env!`, without those that only lead to generated code;
    /// and the folders of that code.
    fn told(&self, units: &[Unit]) -> Told {
        let values = units.iter().filter_map(Unit::dep_info).flat_map(|info| info.values).collect();
        let generated = units.iter().filter(|unit| unit.kind == UnitKind::Ran);
        let folders = generated.filter_map(|unit| Some(unit.made.parent()?.display().to_string()));
        Told {
            values,
            package: self.krate.is_none().then(|| manifest::package_name(&self.request.entry)),
            folders: folders.chain([self.entry.home().display().to_string()]).collect(),
        }
    }

    /// The patterns of the header, the same with the files that the caller chose, and the files of which it is not known
    /// which package they influence.
    fn declared(&self) -> (Vec<String>, Vec<String>, Vec<PathBuf>) {
        let absolute = |pattern: &String| patterns::absolute(self.request.folder(), pattern);
        let declared: Vec<String> = self.script.header.patterns.iter().filter_map(absolute).collect();
        let chosen = self.request.files.iter().flatten().filter_map(|file| Some(glob::Pattern::escape(file.to_str()?)));
        let patterns: Vec<String> = declared.iter().cloned().chain(chosen.filter_map(|file| absolute(&file))).collect();
        let watched = patterns.iter().flat_map(|pattern| patterns::matches(pattern));
        let watched = watched.filter(|path| !path.starts_with(&self.request.cache));
        let watched = watched.chain(self.named.iter().cloned()).collect();
        (declared, patterns, watched)
    }

    fn job<'j>(&'j self, plan: &'j Plan, slot: &'j TargetSlot, toolchain: &'j Toolchain) -> Job<'j> {
        Job {
            slot,
            package: &plan.package,
            name: &plan.name,
            builder: plan.builder,
            has_cpython: plan.has_cpython,
            names_files: plan.names_files,
            request: self.request,
            cache: self.cache,
            entry: &self.entry,
            toolchain,
            settings: &self.settings,
            in_source_folder: self.cargo_config.has_own_config
                || CargoConfig::of(&plan.package, None).is_ok_and(|cargo_config| cargo_config.has_own_config),
        }
    }

    /// Builds what was planned, then publishes and records the artifact.
    pub fn build(
        &self,
        plan: &Plan,
        slot: &TargetSlot,
        stale: &Stale,
        reason: &str,
        observer: &mut dyn Observer,
    ) -> Result<PathBuf> {
        let start = Instant::now();
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let job = self.job(plan, slot, toolchain);

        // Before the compiler reads anything: an edit from here on requires another build.
        let (declared, patterns, watched) = self.declared();
        let known = stale.record.iter().flat_map(|record| &record.inputs.files).map(|file| file.path.as_path());
        let paths: BTreeSet<&Path> = (watched.iter().map(PathBuf::as_path))
            .chain(self.cargo_config.files.iter().map(PathBuf::as_path))
            .chain(known)
            .chain(self.read.iter().map(|(path, _)| path.as_path()))
            .collect();
        let mut collector = Collector::before(paths);
        let clock = fs::tick(&self.entry.clock())?;
        // There, the mirror contains copies: they must not be older than the snapshot of the inputs.
        if cfg!(windows)
            && let (Some(krate), Some(workspace)) = (&self.krate, &plan.workspace)
        {
            krate.mirror(&self.entry.package(), workspace)?;
        }

        let users_file = |path: &Path| self.users_file(path, plan);
        // Its root may be generated, and depends on settings.
        let mut always = vec![plan.name.clone()];
        let packages = || cargo_lock::local_packages(&self.entry.package().join("Cargo.lock"));
        if self.request.force {
            always.extend(packages());
        }
        let compilation = Compilation {
            compiler: &job,
            source: &self.request.root,
            package: &plan.name,
            memory: self.entry.compiled(slot.home()),
            clock: self.entry.clock(),
            units: &plan.units,
            always,
            packages: &packages,
            declared: (&declared, &watched),
            chosen: self.request.files.as_deref(),
            local: Some(slot.home().join("local.toml")),
            users_file: &users_file,
            generated: self.krate.is_none().then_some(&plan.package),
            python: &[],
            folders: self.krate.iter().map(|krate| krate.folder.clone()).collect(),
            cargo_config: &self.cargo_config,
            toolchain,
        };
        let done = compilation.run(clock, reason, observer)?;
        self.check_entry_point(&done.output)?;

        // File times are compared with that of the clock file, so one tick later counts as after it.
        let since = clock + 1;
        for (path, hash) in &self.read {
            collector.add_source(path, hash, since);
        }
        let manifests =
            plan.workspace.iter().zip(&self.krate).flat_map(|(workspace, krate)| krate.manifests(workspace));
        for path in manifests.chain(self.krate.iter().map(Crate::pyproject)) {
            if path.exists() { collector.add_file(&path, since) } else { collector.add_absent(&path) }
        }
        // Also if it appeared during the build.
        let lock_file = lock_file_of(self.request);
        if let Some(path) = lock_file.filter(|path| self.read.iter().all(|(read, _)| read != path)) {
            collector.add_absent(&path);
        }
        for path in &watched {
            collector.add_file(path, since);
        }
        collector.add_configuration(&self.cargo_config, since);
        compilation.collect(&mut collector, &done, since, observer);
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        record.reason = Some(reason.to_owned());
        record.inputs = collector.finish(patterns);
        let told = self.told(&done.units);
        let requirements = portability::requirements(&Finished {
            library: &done.output,
            inputs: &record.inputs,
            units: &done.units,
            manifest: &plan.package.join("Cargo.toml"),
            foreign_outputs: &done.foreign_outputs,
            arguments: &self.settings.arguments,
            cargo_config: &self.cargo_config,
            keys: &self.keys(),
            name: &plan.name,
            lock: &fs::read_text(self.entry.package().join("Cargo.lock")).unwrap_or_default(),
        });
        let library = compilation.remember(&record.inputs, done)?;
        self.report_old_lock_file(plan, observer);
        self.report_empty_module(observer);

        let snapshot = record.inputs.as_built();
        let artifact = self.publish(&mut record, &library, &snapshot)?;
        self.store(&record.inputs, &told, &library, requirements, observer);
        self.share_dependencies(plan, toolchain, slot, observer);
        observer.event(Event::Finished { seconds: start.elapsed().as_secs_f64() });
        Ok(artifact)
    }

    /// Publishes the resolved versions, and that they are compiled, for other scripts. An error is ignored, since this
    /// only saves them time.
    fn share_dependencies(&self, plan: &Plan, toolchain: &Toolchain, slot: &TargetSlot, observer: &mut dyn Observer) {
        let guard = self.cache.common_lock_guard();
        // A crate has its own lock file, which is not shared.
        if self.krate.is_none()
            && let Ok(_guard) =
                lock::lock_one_of(&[guard], &|| 1, &|| Wait::new("the common lock file"), Timeout::default(), observer)
        {
            let _ = cargo_lock::share(&self.entry.package().join("Cargo.lock"), &self.cache.common_lock());
        }
        let resolved = self.resolved_dependencies(toolchain, plan);
        // Usually both are the same.
        let names: BTreeSet<&String> = plan.dependencies.iter().chain(&resolved).collect();
        slot.has_compiled(self.cache, names);
    }

    /// Says that the generated module is empty. Cells report that as an error.
    fn report_empty_module(&self, observer: &mut dyn Observer) {
        if self.request.cell.is_some() {
            return;
        }
        let Some(function) = self.script.exports_nothing(self.request.stem()) else { return };
        let above = function.map_or("a function".to_owned(), |name| format!("`fn {name}`"));
        let message = format!("it exports nothing to Python: write #[pyfunction] above {above}");
        observer.event(Event::Notice { message });
    }

    /// Says that cargo had to complete the script's lock file for this build.
    fn report_old_lock_file(&self, plan: &Plan, observer: &mut dyn Observer) {
        let Some(lock) = self.cargo_lock_of(&plan.table) else { return };
        let used = fs::read_text(self.entry.package().join("Cargo.lock")).unwrap_or_default();
        if script_lock::portable(&used, &plan.name) != script_lock::portable(&lock, &plan.name) {
            let file = script_lock::of(&self.request.root);
            let message = format!(
                "{} does not match the dependencies, and cargo has chosen what differs; to update it, run `python -m \
                 rustimport build --lock {}`",
                file.file_name().unwrap_or_default().display(),
                self.request.root.display()
            );
            observer.event(Event::Notice { message });
        }
    }

    fn check_entry_point(&self, library: &[u8]) -> Result<()> {
        let stem = self.request.stem();
        let symbol = format!("PyInit_{stem}");
        if has_symbol(library, &symbol) {
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
                "declare `#[pymodule] mod {stem} {{ … }}`, or write `// rustimport:pyo3` on the first line to generate \
                 a module from every #[pyfunction] and #[pyclass]"
            ),
        ))
    }

    /// Maps a file that the compiler read to the user's file; in a crate's mirror, which has the same structure, to what is
    /// mirrored. `None` for other files in the cache, which were generated from the other inputs.
    fn users_file(&self, path: &Path, plan: &Plan) -> Option<PathBuf> {
        if !self.cache.has_made(path) {
            return Some(path.to_owned());
        }
        let workspace = plan.workspace.as_ref()?;
        if let Ok(inside) = path.strip_prefix(self.entry.package()) {
            let users = if inside.as_os_str().is_empty() { workspace.clone() } else { workspace.join(inside) };
            // As in `src/../data.txt`, unless `src` is a link.
            let users = Some(normal(&users)).filter(|short| short.exists()).unwrap_or(users);
            // A build script may depend on a missing file.
            let is_missing = || !path.exists() && users.parent().is_some_and(Path::exists);
            return (users.exists() || is_missing()).then_some(users);
        }
        // Cargo may have resolved links.
        std::fs::canonicalize(path).ok().filter(|real| !self.cache.has_made(real))
    }
}
