//! The current state of a maturin project that is installed in editable mode: whether the installed library is fresh,
//! whether the user built it, and whether it can be restored from the store; and the build itself.
//!
//! Unlike scripts and crates, a project is built in its own target folder, and its library is loaded from where
//! `maturin develop` installs it. Libraries that you built yourself with that command are reused.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::Instant;

use toml::{Table, Value};

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs::{self, Stat};
use crate::build::compile::{self, Compilation, collect_unit};
use crate::build::wheel::{Wheel, has_symbol, is_native};
use crate::cache::layout::{Cache, Entry};
use crate::env::cargo_config::CargoConfig;
use crate::env::named_files::named_files;
use crate::env::request::{Origin, Request};
use crate::env::settings::{self, BuildSettings, PYPROJECT};
use crate::env::toolchain::Toolchain;
use crate::freshness::compiled::Compiled;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{Collector, Inputs, Snapshot};
use crate::freshness::patterns;
use crate::freshness::record::{OfProject, Record};
use crate::freshness::stamp;
use crate::freshness::unit::{self, Unit, UnitKind};
use crate::output::introspection;
use crate::projects::features;
use crate::projects::index;
use crate::projects::installation::Installation;
use crate::projects::metadata::{Metadata, Question};
use crate::projects::project_job::ProjectJob;
use crate::projects::shadow;
use crate::remote::configuration;
use crate::remote::remote_store::Lazy;
use crate::sources::fetch::First;
use crate::sources::source::{KEPT_ARTIFACTS, Stale};

/// Stands for the profile of the installed library.
const AS_INSTALLED: &str = "";

/// Larger libraries are not stored, in bytes: those with full debug information.
const KEPT_SIZE: usize = 64 << 20;

pub struct Project<'a> {
    pub request: &'a Request,
    pub cache: &'a Cache,
    pub entry: Entry,
    pub installation: Installation,
    /// The full name of the extension module, according to the manifests.
    pub module: String,
    /// `[tool.maturin]`
    pub maturin: Table,
    pub manifest: PathBuf,
    /// A hash of the part of pyproject.toml that affects a build.
    pub pyproject: String,
    /// Whether uv rebuilds the project when its Rust files change.
    is_rebuilt_by_uv: bool,
    pub settings: BuildSettings,
    /// Globs of additional inputs.
    patterns: Vec<String>,
    /// The features of `[tool.rustimport]`.
    features: Vec<String>,
    pub cargo_config: CargoConfig,
    /// Programs and files of arguments that cargo's configuration names.
    named: Vec<PathBuf>,
    /// A missing toolchain counts as unchanged. The error is raised only if something has to be built.
    pub toolchain: Result<Toolchain>,
    pub remote: Lazy,
    /// Whether the installed metadata are those of the project now, once maturin was asked.
    pub is_as_installed: OnceLock<bool>,
}

impl<'a> Project<'a> {
    pub fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self> {
        let root = &request.root;
        let (dist_info, automatic) = match &request.installed {
            Some(installed) => (installed.dist_info.as_path(), installed.automatic),
            None => (Path::new(""), false),
        };
        let missing = || automatic.then(|| Installation::missing(dist_info.parent().unwrap_or(Path::new("/")), root));
        let gone = |what: String| {
            Error::project(
                root,
                what,
                format!(
                    "run `maturin develop` or `pip install -e` where the project is now, or `pip uninstall {}`",
                    request.module
                ),
            )
        };
        let installation = Installation::now(dist_info, root)
            .or_else(missing)
            .ok_or_else(|| gone(format!("`{}` is no longer installed from {}", request.module, root.display())))?;
        if !root.is_dir() {
            let (name, site) = (&installation.name, installation.site().display());
            let root = root.display();
            return Err(gone(format!(
                "the project of `{name}`, installed in {site}, was moved or deleted: there is no {root}"
            )));
        }
        let broken = |path: &Path, what: &dyn std::fmt::Display| {
            Error::project(path, format!("{}: {what}", path.display()), "fix it: maturin cannot build the project")
        };
        let path = root.join(PYPROJECT);
        let pyproject: Table = match fs::read_text(&path) {
            Ok(text) => text.parse().map_err(|error: toml::de::Error| broken(&path, &error))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::new(),
            Err(error) => return Err(broken(&path, &error)),
        };
        let maturin = index::maturin_of(&pyproject);
        let manifest = index::manifest_of(root, &maturin);
        let text = fs::read_text(&manifest).map_err(|error| broken(&manifest, &error))?;
        let cargo: Table = text.parse().map_err(|error: toml::de::Error| broken(&manifest, &error))?;

        let own = settings::of_own_project(root)?;
        let mut settings = BuildSettings::resolve(&request.settings, root)?;
        let is_chosen = request.settings.profile.is_some() || settings::sets_profile(root)?;
        if !is_chosen {
            let editable = maturin.get("editable-profile").and_then(Value::as_str);
            editable.unwrap_or(AS_INSTALLED).clone_into(&mut settings.profile);
        }
        let patterns = own.inputs.iter().filter_map(|pattern| patterns::absolute(root, pattern)).collect();
        let cargo_config = CargoConfig::of(root, manifest.parent())?;
        let named = named_files(&cargo_config, &settings.arguments.rustc, root);
        let toolchain =
            Toolchain::look_for(request.settings.cargo.as_deref(), request.folder(), &cache.toolchains(), observer)?;
        Ok(Self {
            request,
            cache,
            entry: cache.entry(&request.entry),
            module: index::module_of(&installation.name, &pyproject, &cargo),
            pyproject: relevant(&pyproject),
            is_rebuilt_by_uv: is_rebuilt_by_uv(&pyproject),
            maturin,
            installation,
            manifest,
            settings,
            patterns,
            features: own.features,
            named,
            cargo_config,
            toolchain,
            remote: Lazy::default(),
            is_as_installed: OnceLock::new(),
        })
    }

    /// The installed library, if its inputs are unchanged. Then a new stamp is written.
    pub fn check(&self) -> Result<PathBuf, Box<Stale>> {
        let (record, snapshot) = self.compare()?;
        self.write_stamp(&record.artifact, &record, &snapshot);
        Ok(record.artifact)
    }

    /// The record of the installed library, if its inputs are unchanged.
    pub fn compare(&self) -> Result<(Record, Snapshot), Box<Stale>> {
        let record = Record::read(&self.entry.record()).filter(|record| record.source == self.request.root);
        let Some((record, own)) = record.and_then(|record| Some((record.clone(), record.project?))) else {
            return Err(Box::new(Stale { changes: vec![DirtyReason::NeverBuilt], record: None }));
        };
        let matters = |name: &str| name != "pyo3" && (name != "profile" || self.settings.profile != AS_INSTALLED);
        if !self.installation.is_editable {
            return Err(Box::new(Stale { changes: vec![DirtyReason::ArtifactLost], record: None }));
        }
        let mut changes = record.changed_conditions(&self.settings, self.toolchain.as_ref().ok(), matters);
        // The user may have built it with another profile, which does not make it stale. A changed setting does.
        changes.retain(
            |change| !matches!(change, DirtyReason::SettingChanged { name: "profile", to, .. } if *to == own.profile),
        );
        changes.extend(record.signer.iter().filter(|id| self.is_revoked(id)).cloned().map(DirtyReason::KeyRevoked));
        if own.pyproject != self.pyproject {
            changes.push(DirtyReason::FileChanged(self.request.root.join(PYPROJECT)));
        }
        let known: BTreeSet<&PathBuf> = record.inputs.files.iter().map(|file| &file.path).collect();
        let files = self.request.files.iter().flatten();
        changes.extend(files.filter(|file| !known.contains(file)).cloned().map(DirtyReason::FileAppeared));
        if is_native(&record.artifact) {
            changes.extend(shadow::before(&record.artifact, self.suffix()).into_iter().map(DirtyReason::FileAppeared));
        }
        let snapshot = record.compare(&record.artifact, changes, &self.cargo_config, self.request);
        match snapshot {
            Ok(snapshot) => Ok((record, snapshot)),
            Err(changes) => Err(Box::new(Stale { changes, record: Some(record) })),
        }
    }

    fn write_stamp(&self, artifact: &Path, record: &Record, snapshot: &Snapshot) {
        let (remote, signer) = (&self.request.settings.remote, record.signer.as_deref());
        let (mut inputs, snapshot) = configuration::with_revocations(remote, signer, &record.inputs, snapshot);
        inputs.to_mut().absent.extend(shadow::first_name(artifact, self.suffix()));
        let toolchain = self.toolchain.as_ref();
        let file = self.entry.stamp();
        stamp::write(&file, self.request, artifact, &inputs, &snapshot, &self.cargo_config, toolchain);
    }

    /// The arguments that select features, besides those of the caller's settings. `installed` describes the installed
    /// library.
    fn selection(&self, installed: Option<&OfProject>) -> Vec<String> {
        let callers = features::selection(&self.settings.arguments.cargo);
        let users = installed.map(|own| own.features.clone()).filter(|_| callers.is_empty());
        let mut selection = users.unwrap_or_default();
        if !self.features.is_empty() {
            // maturin uses the features of its own table only if the command line has none.
            let names_some = callers.iter().chain(&selection).any(|word| word == "--features");
            let of_maturin = if names_some { Vec::new() } else { self.features_of_maturin() };
            let all: Vec<String> = self.features.iter().cloned().chain(of_maturin).collect();
            selection.extend(["--features".into(), all.join(",")]);
        }
        selection
    }

    fn features_of_maturin(&self) -> Vec<String> {
        features::of_maturin(&self.maturin, &self.request.interpreter)
    }

    /// The arguments that select features for cargo, with those that maturin takes from its table.
    fn selection_for_cargo(&self, selection: &[String]) -> Vec<String> {
        let mut all = features::selection(&self.settings.arguments.cargo);
        all.extend_from_slice(selection);
        let of_maturin = self.features_of_maturin();
        if !of_maturin.is_empty() && !all.iter().any(|word| word == "--features") {
            all.extend(["--features".into(), of_maturin.join(",")]);
        }
        for (option, key) in [("--all-features", "all-features"), ("--no-default-features", "no-default-features")] {
            if self.maturin.get(key) == Some(&Value::Boolean(true)) && !all.iter().any(|word| word == option) {
                all.push(option.to_owned());
            }
        }
        all
    }

    /// What cargo says of the project, with the features of the next build. `installed` describes the installed library.
    pub fn metadata(&self, installed: Option<&OfProject>, observer: &mut dyn Observer) -> Result<Metadata> {
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let selection = self.selection(installed);
        let question = Question {
            project: &self.request.root,
            manifest: &self.manifest,
            features: self.selection_for_cargo(&selection),
            is_program: self.maturin.get("bindings").and_then(Value::as_str) == Some("bin"),
            configuration: &self.cargo_config.files,
        };
        let mut metadata = Metadata::find(toolchain, &question, &self.entry.metadata(), observer)?;
        metadata.selection = selection;
        Ok(metadata)
    }

    /// The same, if `metadata` was asked with other features.
    pub fn with_features(
        &self,
        metadata: Metadata,
        installed: Option<&OfProject>,
        observer: &mut dyn Observer,
    ) -> Result<Metadata> {
        if metadata.selection == self.selection(installed) { Ok(metadata) } else { self.metadata(installed, observer) }
    }

    /// The arguments that select the features that a library was built with; empty if those are the configured ones.
    ///
    /// # Errors
    /// It lacks features of `[tool.rustimport]`.
    fn chosen(&self, metadata: &Metadata, found: &BTreeSet<String>) -> Result<Vec<String>, DirtyReason> {
        let enabled = |selection: Vec<String>| metadata.defined.enabled_by(&selection);
        let own = enabled(vec!["--no-default-features".into(), "--features".into(), self.features.join(",")]);
        if !own.is_subset(found) {
            let to = self.features.join(",");
            return Err(DirtyReason::SettingChanged { name: "features", from: String::new(), to });
        }
        if *found == enabled(self.selection_for_cargo(&self.selection(None))) {
            return Ok(Vec::new());
        }
        Ok(metadata.defined.selecting(found, &self.features_of_maturin()))
    }

    /// Reuses a library that the user built with maturin: the installed one, if it equals cargo's output in the target
    /// folder, and its inputs have not changed since. Then only `cargo metadata` is run.
    pub fn adopt(&self, metadata: &Metadata, stale: &Stale, observer: &mut dyn Observer) -> Result<Adopted> {
        let Ok(toolchain) = &self.toolchain else { return Ok(Adopted::Nothing) };
        // A library that we installed needs no second check.
        let known = stale.record.as_ref().map(|record| (record.artifact.as_path(), record.project.as_ref()));
        if let Some((artifact, Some(own))) = known
            && Stat::of(artifact).is_some_and(|stat| stat == own.stat)
        {
            return Ok(Adopted::Nothing);
        }
        let found = metadata.find_built(&self.natives(&self.installation)).filter(|_| !metadata.has_many_products());
        let Some((artifact, made, profile)) = found else { return Ok(Adopted::Nothing) };
        let library = fs::read(&artifact).unwrap_or_default();
        let choices = metadata.own_unit(&made).and_then(|unit| unit.choices());
        let mut found = OfProject { profile, pyproject: self.pyproject.clone(), adopted: true, ..OfProject::default() };
        found.flags = choices.as_ref().map(|choices| choices.flags.clone());
        match choices.map(|choices| self.chosen(metadata, &choices.features)) {
            Some(Ok(chosen)) => found.features = chosen,
            Some(Err(change)) => return Ok(Adopted::Outdated(change, found)),
            None => {}
        }
        // Which packages it consists of may depend on its features.
        let metadata = &self.with_features(metadata.clone(), Some(&found), observer)?;
        let Some(units) = metadata.units_of(&made) else { return Ok(Adopted::Nothing) };
        let Some(own) = units.first().and_then(Unit::began) else { return Ok(Adopted::Nothing) };
        // There, cargo may have left the library of another checkout (rust-lang/cargo#17312).
        if metadata.is_shared() && !units.iter().all(|unit| unit.vendored || unit.is_from(&metadata.workspace)) {
            return Ok(Adopted::Outdated(DirtyReason::TargetShared(metadata.directories.build.clone()), found));
        }
        // Another build may have compiled the unit again since.
        let began = |unit: &Unit| unit.began().unwrap_or(own).min(own);
        let written = Stat::of(&self.installation.dist_info.join("direct_url.json")).map_or(own, |stat| stat.mtime);
        let installed_at = if self.installation.is_ours() { own } else { own.max(written) };
        let mut collector = Collector::before([]);
        let mut compared = metadata.variables_of_others(&made);
        let mut set_elsewhere: Vec<String> = self.cargo_config.variables();
        for unit in &units {
            let Some(info) = unit.dep_info() else { return Ok(Adopted::Nothing) };
            set_elsewhere.extend(info.sets.iter().cloned());
            compared.extend(
                unit.environment()
                    .into_iter()
                    .filter(|(name, _)| unit.kind == UnitKind::Compiled || !env_vars::is_set_for_build_scripts(name)),
            );
            let (began, roots) = (began(unit), &self.installation.roots);
            collect_unit(&mut collector, unit, &info, &|path| metadata.users_file(path), roots, began, began);
            collector.add_file(&unit.manifest, installed_at);
            if !unit.folder().join("build.rs").exists() {
                collector.add_absent(&unit.folder().join("build.rs"));
            }
        }
        for (name, _) in &compared {
            collector.add_variable(name, UnitKind::Ran);
        }
        self.add_around(&mut collector, metadata, installed_at);
        let mut inputs = collector.finish(self.patterns.clone());
        self.restrict(&mut inputs, own);
        // So that the next build compiles again what was compiled from other content.
        Compiled::of_users(&inputs, units).write(&self.memory(metadata, &found.profile))?;
        let outdated = |path: &Path| Adopted::Outdated(DirtyReason::FileChanged(path.to_owned()), found.clone());
        let is_other = |(name, value): &&(String, Option<String>)| {
            env_vars::is_users(name) && !set_elsewhere.contains(name) && env_vars::get_text(name) != *value
        };
        if let Some((name, _)) = compared.iter().find(is_other) {
            return Ok(Adopted::Outdated(DirtyReason::VariableChanged(name.clone()), found));
        }
        if Stat::of(&self.request.root.join(PYPROJECT)).is_some_and(|stat| stat.mtime.max(stat.ctime) >= installed_at) {
            return Ok(outdated(&self.request.root.join(PYPROJECT)));
        }
        if let Some(changed) = inputs.files.iter().find(|file| file.hash.is_none()) {
            return Ok(outdated(&changed.path));
        }
        self.uncover(&artifact, stale, observer)?;
        let mut message =
            format!("{} is reused as you built it, with the profile {}", self.request.module, found.profile);
        if !found.features.is_empty() {
            message = format!("{message} and {}", found.features.join(" "));
        }
        observer.event(Event::Log { message });
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        // The next build uses the configured profile, if any.
        record.project = Some(found.clone());
        record.inputs = inputs;
        self.publish(record, &artifact, &library, metadata.is_extension).map(Adopted::Artifact)
    }

    /// The installed libraries and programs, without libraries for other interpreters.
    fn natives(&self, installation: &Installation) -> Vec<PathBuf> {
        let mut found = installation.natives(self.module.split('.').next().unwrap_or_default());
        found.extend(installation.natives(self.request.module.split('.').next().unwrap_or_default()));
        // `x.cpython-311-x86_64-linux-gnu.so` is for one interpreter, `x.abi3.so` and `libx.so` are for all.
        let is_others = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let is_tagged =
                name.split('.').any(|part| ["cpython-", "cp3", "pypy"].iter().any(|tag| part.starts_with(tag)));
            is_tagged && !name.ends_with(self.suffix())
        };
        found.retain(|path| !is_others(path));
        found
    }

    /// The files of which it is not known which package they influence.
    fn declared(&self) -> Vec<PathBuf> {
        // Files that the caller chose take the place of all others.
        let patterns = self.patterns.iter().filter(|_| self.request.files.is_none());
        patterns.flat_map(|pattern| patterns::matches(pattern)).chain(self.named.iter().cloned()).collect()
    }

    /// Adds the inputs besides the units, which were read no earlier than `since`.
    fn add_around(&self, collector: &mut Collector, metadata: &Metadata, since: i64) {
        for path in metadata.manifests() {
            if path.exists() { collector.add_file(&path, since) } else { collector.add_absent(&path) }
        }
        for path in self.declared() {
            collector.add_file(&path, since);
        }
        collector.add_configuration(&self.cargo_config, since);
    }

    /// Replaces the inputs by those that the user chose, if any.
    fn restrict(&self, inputs: &mut Inputs, since: i64) {
        let Some(chosen) = &self.request.files else { return };
        let around = |path: &PathBuf| self.cargo_config.files.contains(path) || self.named.contains(path);
        inputs.files.retain(|file| chosen.contains(&file.path) || around(&file.path));
        inputs.patterns.clear();
        inputs.absent.clear();
        let mut collector = Collector::before([]);
        for path in chosen.iter().filter(|path| inputs.files.iter().all(|file| file.path != **path)) {
            collector.add_file(path, since);
        }
        inputs.files.extend(collector.finish(Vec::new()).files);
    }

    /// The hashes of the inputs that are known before a build.
    pub fn known(&self, stale: &Stale) -> Vec<(PathBuf, Option<String>)> {
        let files = stale.record.iter().flat_map(|record| &record.inputs.files);
        files.map(|file| (file.path.clone(), fs::hash_file(&file.path))).collect()
    }

    /// The suffix of extension modules that this interpreter tries first.
    fn suffix(&self) -> &str {
        &self.request.interpreter.extension_suffix
    }

    /// Makes Python load a library that was just installed.
    ///
    /// # Errors
    /// It would load another module instead, which is the user's.
    pub fn uncover(&self, artifact: &Path, stale: &Stale, observer: &mut dyn Observer) -> Result<()> {
        let is_ours = |path: &Path| {
            self.installation.files.iter().any(|file| file == path)
                || stale.record.as_ref().is_some_and(|record| record.artifact == path)
        };
        shadow::uncover(artifact, self.suffix(), &is_ours, observer)
    }

    /// The profile to build with: the configured one, else that of the installed library, else maturin's default.
    pub fn profile(&self, own: Option<&OfProject>) -> String {
        if self.settings.profile != AS_INSTALLED {
            return self.settings.profile.clone();
        }
        let default = || self.maturin.get("profile").and_then(Value::as_str).unwrap_or("dev").to_owned();
        own.map_or_else(default, |own| own.profile.clone())
    }

    pub fn job<'j>(
        &'j self,
        toolchain: &'j Toolchain,
        metadata: &'j Metadata,
        profile: &'j str,
    ) -> Result<ProjectJob<'j>> {
        let (installation, settings) = (&self.installation, &self.settings);
        ProjectJob::new(self.request, installation, settings, &self.entry, toolchain, metadata, profile)
    }

    /// The file that records what was compiled last in the target folder.
    pub fn memory(&self, metadata: &Metadata, profile: &str) -> PathBuf {
        self.entry.compiled(&metadata.directories.target.join(profile))
    }

    /// Runs maturin to install the project in editable mode.
    pub fn develop(&self, metadata: &Metadata, reason: &str, observer: &mut dyn Observer) -> Result<()> {
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let profile = self.profile(None);
        self.job(toolchain, metadata, &profile)?.develop(true, reason, observer).map(drop)
    }

    /// Runs maturin to build the project, unless a remote store on the network has its library first, and installs the
    /// result. `installed` describes the artifact that is currently installed.
    pub fn build(
        &self,
        metadata: &Metadata,
        stale: &Stale,
        installed: Option<&OfProject>,
        reason: &str,
        observer: &mut dyn Observer,
    ) -> Result<(PathBuf, Origin)> {
        let start = Instant::now();
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        // What uv built was adopted, perhaps.
        let is_first =
            stale.record.as_ref().is_none_or(|record| record.project.as_ref().is_some_and(|own| own.adopted));
        if is_first && self.is_rebuilt_by_uv {
            let message = "`cache-keys` of [tool.uv] in pyproject.toml makes `uv run` rebuild this project from scratch \
                           after each edit: remove the entry for `*.rs` files there, since imports rebuild the project";
            observer.event(Event::Notice { message: message.into() });
        }
        let profile = self.profile(installed);
        let job = self.job(toolchain, metadata, &profile)?;

        // Before the compiler reads anything: an edit from here on requires another build.
        let known = stale.record.iter().flat_map(|record| &record.inputs.files).map(|file| file.path.clone());
        let watched = self.declared();
        let chosen = self.request.files.iter().flatten().cloned();
        let around = self.cargo_config.files.iter().cloned().chain(metadata.manifests());
        let paths: BTreeSet<PathBuf> = known.chain(watched.iter().cloned()).chain(chosen).chain(around).collect();
        let mut collector = Collector::before(paths.iter().map(PathBuf::as_path));
        let clock = fs::tick(&self.entry.clock())?;

        let users_file = |path: &Path| metadata.users_file(path);
        let compilation = Compilation {
            compiler: &job,
            source: &self.request.root,
            package: &metadata.package,
            memory: self.memory(metadata, &profile),
            clock: self.entry.clock(),
            units: &compile::key(&self.cargo_config, toolchain, &self.settings, &(metadata, &profile, &self.pyproject)),
            always: if self.request.force { metadata.local_names() } else { Vec::new() },
            packages: &|| metadata.local_names(),
            declared: (&self.patterns, &watched),
            chosen: self.request.files.as_deref(),
            local: None,
            users_file: &users_file,
            generated: None,
            python: &self.installation.roots,
            folders: metadata.local_folders(),
            cargo_config: &self.cargo_config,
            toolchain,
        };
        // An installation is never interrupted, only the compiler.
        let compile = |observer: &mut dyn Observer| compilation.run(clock, reason, observer);
        let mut done = match self.race(metadata, stale, installed, observer, &compile)? {
            First::Built(done) => done,
            First::Fetched(artifact) => return Ok((artifact, Origin::Fetched)),
        };
        if let Some(wheel) = done.output.as_mut().filter(|_| metadata.is_extension) {
            self.check_entry_point(wheel)?;
        }
        let data = done.output.as_mut().map(Wheel::data);
        let mut is_simple = metadata.is_extension;
        if let Some(wheel) = &mut done.output {
            if links(&done.units, &done.foreign_outputs) {
                // Only maturin's installation adds the path of such a library.
                is_simple = false;
                job.develop(self.installation.roots.is_empty(), "it links system libraries", observer)?;
            } else {
                is_simple &= self.install(wheel, installed, &job, observer)?;
            }
        }
        let flags = done.units.iter().find(|unit| unit.package == metadata.package && unit.is_dynamic());
        let flags = flags.and_then(Unit::choices).map(|choices| choices.flags);
        self.compare_flags(installed, flags.as_deref(), stale, observer);
        let mut is_from_wheel = is_simple;
        let artifact = match self.installed(done.output.as_ref(), metadata) {
            Ok(artifact) if artifact.exists() => artifact,
            _ => {
                // The project's layout has changed since it was installed.
                is_from_wheel = false;
                job.develop(true, "its layout changed", observer)?;
                self.installed(done.output.as_ref(), metadata)?
            }
        };

        self.uncover(&artifact, stale, observer)?;
        let since = clock + 1;
        self.add_around(&mut collector, metadata, since);
        compilation.collect(&mut collector, &done, since, observer);
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        record.reason = Some(reason.to_owned());
        record.inputs = collector.finish(self.patterns.clone());
        self.restrict(&mut record.inputs, since);
        let pyproject = self.pyproject.clone();
        let features = installed.map(|own| own.features.clone()).unwrap_or_default();
        let profile = profile.clone();
        record.project = Some(OfProject { profile, pyproject, features, flags, data, ..OfProject::default() });
        let mut wheel = compilation.remember(&record.inputs, done)?.filter(|_| is_from_wheel);
        let native = wheel.as_ref().and_then(|wheel| wheel.natives().into_iter().next());
        let own = wheel.as_mut().zip(native).and_then(|(wheel, native)| wheel.native(&native));
        let library = match own {
            Some(library) => Cow::Borrowed(library),
            None => Cow::Owned(fs::read(&artifact).map_err(|error| lost(&artifact, &error))?),
        };
        let has_types = introspection::is_in(&library);
        let artifact = self.publish(record, &artifact, &library, is_simple)?;
        if self.settings.arguments.wants_stubs() && !has_types {
            let message = "no type stubs are written: they need pyo3's feature `experimental-inspect` in Cargo.toml";
            observer.event(Event::Notice { message: message.into() });
        }
        self.offer(observer);
        observer.event(Event::Finished { seconds: start.elapsed().as_secs_f64() });
        Ok((artifact, Origin::Built))
    }

    /// Refuses a library that Python cannot import.
    fn check_entry_point(&self, wheel: &mut Wheel) -> Result<()> {
        let stem = self.module.rsplit('.').next().unwrap_or_default();
        for native in wheel.natives() {
            // There may be other libraries, for example for ctypes.
            let name = Path::new(&native).file_name().and_then(|name| name.to_str()?.split('.').next());
            let Some(library) = wheel.native(&native).filter(|_| name == Some(stem)) else { continue };
            let symbol = format!("PyInit_{stem}");
            if !has_symbol(library, &symbol) {
                let root = &self.request.root;
                return Err(Error::project(
                    root,
                    format!(
                        "{} compiles, but does not define the module `{stem}` (no `{symbol}` in the library)",
                        root.display()
                    ),
                    format!(
                        "the function or module below #[pymodule] has another name: call it `{stem}`, write \
                         `#[pyo3(name = \"{stem}\")]` below #[pymodule], or set `module-name` in [tool.maturin] of pyproject.toml"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// Installs the files of a wheel that changed. If more changed than modules, maturin installs the project; returns
    /// whether that was not necessary.
    fn install(
        &self,
        wheel: &mut Wheel,
        installed: Option<&OfProject>,
        job: &ProjectJob,
        observer: &mut dyn Observer,
    ) -> Result<bool> {
        let installation = &self.installation;
        let mut said = |file: &str| wheel.metadata(file).unwrap_or_default();
        let says_otherwise = !installation.says(&said("METADATA"), &said("entry_points.txt"))
            || installed.and_then(|known| known.data.as_ref()).is_some_and(|data| *data != wheel.data());
        let natives = wheel.natives();
        let place_of = |member: &str| installation.place_of(member);
        let is_pure = installation.roots.is_empty();
        let is_new = |member: &String| is_pure && !installation.files.contains(&place_of(member));
        let is_more = says_otherwise || wheel.modules().any(is_new);
        if is_more && job.develop(true, "more than its library changed", observer)?.is_some() {
            return Ok(false);
        }
        let (libraries, others): (Vec<String>, _) =
            wheel.modules().cloned().partition(|member| natives.contains(member));
        let mut changed = Vec::new();
        for member in others {
            // Files that the project includes may come from any of its folders.
            let is_users = |content: &Vec<u8>| !is_pure && fs::has_content(&self.request.root.join(&member), content);
            let content = wheel.read_if_new(&member, &place_of(&member)).filter(|content| !is_users(content));
            changed.extend(content.map(|content| (member, content)));
        }
        // Python files that maturin generates are among the user's files, where only maturin may write.
        if !is_pure && !changed.is_empty() {
            if job.develop(false, "its Python files are generated", observer)?.is_some() {
                return Ok(false);
            }
            changed.clear();
        }
        changed.iter().try_for_each(|(member, content)| Self::put(&place_of(member), content))?;
        for member in libraries {
            let place = place_of(&member);
            let Some(library) = wheel.native(&member) else { continue };
            if !fs::has_content(&place, library) {
                Self::put(&place, library)?;
            }
        }
        Ok(!is_more)
    }

    /// The features that the installed library was asked to have.
    pub fn features(&self, installed: Option<&OfProject>) -> Vec<String> {
        features::names(&self.selection_for_cargo(&self.selection(installed)))
    }

    /// An installed library or program, without any check.
    pub fn found(&self) -> Option<PathBuf> {
        self.natives(&self.installation).into_iter().next()
    }

    /// The same, and says that it was not checked, and why.
    pub fn unchecked(&self, why: &str, observer: &mut dyn Observer) -> Option<PathBuf> {
        let artifact = self.found()?;
        observer.event(Event::Notice { message: format!("imported without a check of its sources: {why}") });
        Some(artifact)
    }

    /// The installed artifact: the library that is loaded, or the program.
    fn installed(&self, wheel: Option<&Wheel>, metadata: &Metadata) -> Result<PathBuf> {
        let fresh = Installation::now(&self.installation.dist_info, &self.request.root);
        let natives = wheel.map(Wheel::natives).unwrap_or_default();
        if let Some(native) = natives.first() {
            return Ok(fresh.as_ref().unwrap_or(&self.installation).place_of(native));
        }
        let found = fresh.and_then(|installation| metadata.find_built(&self.natives(&installation)));
        found.map(|(installed, ..)| installed).ok_or_else(|| {
            let path = &self.request.root;
            let message = format!("maturin built {} without an error, but installed no library", path.display());
            Error::project(path, message, "run `maturin develop` in the project's folder and check its output")
        })
    }

    /// Replaces an installed file in one step.
    pub fn put(place: &Path, library: &[u8]) -> Result<()> {
        fs::put_users_file(place, library).map_err(|error| {
            let message = format!("cannot install {}: {error}", place.display());
            let is_full = matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded);
            let hint = if is_full {
                "the disk is full: free some space"
            } else {
                "make the environment and the project writable for the user who builds"
            };
            Error::project(place, message, hint)
        })
    }

    /// Records the artifact. With `is_stored`, it is also stored, to be restored when the same content is built again.
    fn publish(&self, mut record: Record, artifact: &Path, library: &[u8], is_stored: bool) -> Result<PathBuf> {
        record.artifact_hash = fs::hash_bytes(library);
        if let Some(own) = &mut record.project {
            own.typed = introspection::is_in(library);
        }
        if is_stored && library.len() <= KEPT_SIZE {
            let key = self.keys(record.project.as_ref()).here;
            // For this tree only, since debug information contains its path. Other machines get it without that.
            self.cache.store().put_here(&key, &record.artifact_hash, &self.cargo_config, &record.inputs, library);
        }
        let snapshot = record.inputs.as_built();
        self.write_record(record, artifact, &snapshot)
    }

    pub fn write_record(&self, mut record: Record, artifact: &Path, snapshot: &Snapshot) -> Result<PathBuf> {
        artifact.clone_into(&mut record.artifact);
        if let Some(own) = &mut record.project {
            own.stat = Stat::of(artifact).unwrap_or_default();
        }
        record.write(&self.entry.record())?;
        self.write_stamp(artifact, &record, snapshot);
        Ok(artifact.to_owned())
    }

    /// Copies the installed library to a path that was never loaded.
    pub fn copy(&self, artifact: &Path) -> Result<PathBuf> {
        let library = fs::read(artifact).map_err(|error| lost(artifact, &error))?;
        let name = artifact.file_name().unwrap_or_default().to_string_lossy();
        let copy = fs::publish(self.entry.home(), &name, &library)?;
        fs::remove_old_artifacts(self.entry.home(), KEPT_ARTIFACTS);
        Ok(copy)
    }
}

impl Project<'_> {
    /// Says if the user's own build had other flags: cargo does not tell which, so they cannot be kept.
    fn compare_flags(
        &self,
        installed: Option<&OfProject>,
        now: Option<&str>,
        stale: &Stale,
        observer: &mut dyn Observer,
    ) {
        let users = installed.filter(|own| own.adopted).and_then(|own| own.flags.as_deref());
        let is_other = users.zip(now).is_some_and(|(users, now)| users != now);
        // Manifests and settings change flags as well.
        let is_code = |change: &DirtyReason| change.file().is_some_and(|file| file.extension() == Some("rs".as_ref()));
        if is_other && stale.changes.iter().all(is_code) {
            let message = format!(
                "{} had been built with compiler flags that are not known here, such as those after `--` of `maturin \
                 develop`, and is now built without them: set them as `rustc-args` in [tool.maturin] of pyproject.toml, \
                 or in RUSTFLAGS",
                self.request.module
            );
            observer.event(Event::Notice { message });
        }
    }
}

/// The result of an attempt to reuse what the user built.
pub enum Adopted {
    Artifact(PathBuf),
    /// It is stale; with the first input that changed.
    Outdated(DirtyReason, OfProject),
    Nothing,
}

fn lost(artifact: &Path, error: &std::io::Error) -> Error {
    let message = format!("maturin built the project, but {} cannot be read: {error}", artifact.display());
    Error::project(artifact, message, "import again")
}

/// Whether a build script links a shared library from a folder that it names.
fn links(units: &[Unit], foreign_outputs: &[PathBuf]) -> bool {
    let own = units.iter().filter(|unit| unit.kind == UnitKind::Ran).map(|unit| &unit.made);
    let mut outs = own.chain(foreign_outputs);
    cfg!(target_os = "linux")
        && outs.any(|out| unit::build_script_output(out, Path::new("/")).is_some_and(|info| info.links))
}

/// Whether uv builds a project again when its Rust files change.
fn is_rebuilt_by_uv(pyproject: &Table) -> bool {
    let uv = pyproject.get("tool").and_then(|tool| tool.get("uv")?.get("cache-keys")?.as_array());
    let file = |key: &Value| Some(Path::new(key.get("file")?.as_str()?).extension()? == "rs");
    uv.into_iter().flatten().any(|key| file(key) == Some(true))
}

/// A hash of the part of a pyproject.toml that affects a build.
fn relevant(pyproject: &Table) -> String {
    let tool = |name: &str| pyproject.get("tool").and_then(|tool| tool.get(name));
    // A remote store changes nothing in what is built.
    let mut own = tool("rustimport").cloned();
    if let Some(Value::Table(own)) = &mut own {
        own.retain(|key, _| !key.starts_with("remote"));
    }
    let own = own.filter(|own| own.as_table().is_none_or(|own| !own.is_empty()));
    let parts = [pyproject.get("build-system"), pyproject.get("project"), tool("maturin"), own.as_ref()];
    fs::hash_bytes(format!("{parts:?}").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn relevant_part_of_pyproject() {
        let check = |one: &str, other: &str, same: bool| {
            let hash = |text: &str| relevant(&text.parse().unwrap());
            assert_eq!(hash(one) == hash(other), same, "{one} {other}");
        };
        check("[tool.ruff]\nline-length = 1", "[tool.ruff]\nline-length = 2", true);
        check("[project]\nname = 'a'", "[project]\nname='a' # comment", true);
        check("[project]\nname = 'a'", "[project]\nname = 'b'", false);
        check("[tool.maturin]\nfeatures = []", "", false);
        check("[tool.rustimport]\nremote = 'file:///x'", "", true);
        check("[tool.rustimport]\nprofile = 'dev'", "[tool.rustimport]\nprofile = 'release'", false);
    }
}
