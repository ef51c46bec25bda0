//! Takes a project's library from the stores, this user's and the remote one, and prepares it for other machines.
//!
//! Usually a debug library contains the path of its tree, in its debug information. Other machines get it without that.

use std::path::{Component, Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::build::debug_information;
use crate::build::wheel::is_native;
use crate::cache::set::{Layout, Set, canonical};
use crate::cache::store::{Found, Keys, Place, Told, portable_set};
use crate::env::request::Origin;
use crate::env::settings::PYPROJECT;
use crate::freshness::compiled::Compiled;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::record::{GENERATOR, OfProject, Record};
use crate::freshness::unit::Unit;
use crate::output::introspection;
use crate::package::krate;
use crate::projects::metadata::Metadata;
use crate::projects::project::Project;
use crate::remote::configuration;
use crate::remote::portability::{self, Finished};
use crate::sources::fetch::{self, First, Query};
use crate::sources::source::Stale;

/// A library with its set, or why it must stay on this machine.
pub type ForOthers = std::result::Result<(Set, Vec<u8>), String>;

impl Project<'_> {
    /// `installed` describes the installed library, or the one that is wanted.
    pub fn keys(&self, installed: Option<&OfProject>) -> Keys {
        let manifest = fs::hash_file(&self.manifest);
        let profile = self.profile(installed);
        // The choices of the caller and of the project.
        let features = installed.map(|own| own.features.as_slice()).unwrap_or_default();
        let chosen = (&self.settings.arguments, &self.request.files, &self.pyproject, profile, features);
        let around = krate::workspaces_above(self.manifest.parent().unwrap_or(Path::new("/")));
        let known = (GENERATOR, "project", &self.module, manifest, chosen, around);
        let toolchain = self.toolchain.as_ref().ok().map(|toolchain| toolchain.version.as_str());
        // What the user built may have flags of its own.
        let place = (&self.request.root, installed.map(|own| &own.flags));
        Keys::of(&known, toolchain, &place, &self.request.interpreter.abi())
    }

    fn query(&self, installed: Option<&OfProject>) -> Query<'_> {
        Query::new(self.request, &self.cargo_config, self.keys(installed), self.cache.store())
    }

    pub fn is_revoked(&self, id: &str) -> bool {
        configuration::revokes(&self.request.settings.remote, &self.request.root, id)
    }

    /// The library of the current content in a store, with a set that is accepted. For `at_once`, see
    /// [`Query::ask_first`].
    fn find(
        &self,
        installed: Option<&OfProject>,
        at_once: bool,
        accepts: &dyn Fn(&Set) -> bool,
        observer: &mut dyn Observer,
    ) -> Option<(Found, Origin)> {
        let is_believed = |set: &Set| !set.signer.as_ref().is_some_and(|id| self.is_revoked(id)) && accepts(set);
        let (store, keys) = (self.cache.store(), self.keys(installed));
        let found = store.find(&keys, &self.request.root, &self.cargo_config, &self.request.cache, &is_believed);
        if let Some(found) = found {
            observer.event(Event::Log { message: format!("{}: restored from the store", self.request.root.display()) });
            return Some((found, Origin::Restored));
        }
        let found = self.query(installed).ask_first(&self.remote, at_once, accepts, observer)?;
        Some((found, Origin::Fetched))
    }

    /// Whether this user's store has the library of the current content.
    pub fn is_stored(&self, stale: &Stale) -> bool {
        let installed = stale.record.as_ref().and_then(|record| record.project.as_ref());
        let accepts = |set: &Set| {
            !set.signer.as_ref().is_some_and(|id| self.is_revoked(id)) && self.place_of(set, stale).is_some()
        };
        let (store, keys) = (self.cache.store(), self.keys(installed));
        is_about_code(stale) && store.has(&keys, &self.request.root, &self.cargo_config, &self.request.cache, &accepts)
    }

    /// Installs the library of the current content from a store. `installed` describes the installed library.
    pub fn restore(
        &self,
        stale: &Stale,
        installed: Option<&OfProject>,
        observer: &mut dyn Observer,
    ) -> Result<Option<(PathBuf, Origin)>> {
        if !self.changes_only_code(stale, observer) {
            return Ok(None);
        }
        let has_place = |set: &Set| self.place_of(set, stale).is_some();
        let Some((found, origin)) = self.find(installed, false, &has_place, observer) else { return Ok(None) };
        let artifact = self.take(found, stale, installed, observer)?;
        Ok(artifact.map(|artifact| (artifact, origin)))
    }

    /// Calls `build`, unless a remote store on the network has the library first, which is then installed.
    pub fn race<T>(
        &self,
        metadata: &Metadata,
        stale: &Stale,
        installed: Option<&OfProject>,
        observer: &mut dyn Observer,
        build: &dyn Fn(&mut dyn Observer) -> Result<T>,
    ) -> Result<First<T, PathBuf>> {
        if metadata.is_extension
            && let Some(remote) = self.remote.on_network(self.request, observer)
            && self.changes_only_code(stale, observer)
        {
            let has_place = |set: &Set| self.place_of(set, stale).is_some();
            match fetch::race(&self.query(installed), remote, &has_place, observer, build)? {
                First::Built(done) => return Ok(First::Built(done)),
                First::Fetched(found) => {
                    if let Some(artifact) = self.take(*found, stale, installed, observer)? {
                        return Ok(First::Fetched(artifact));
                    }
                }
            }
        }
        build(observer).map(First::Built)
    }

    /// Whether only code has changed, so that what is installed besides the library is as it should be.
    pub fn changes_only_code(&self, stale: &Stale, observer: &mut dyn Observer) -> bool {
        if is_about_code(stale) {
            return true;
        }
        // maturin is asked only where that may save a build. Without Rust, nobody can be asked.
        self.remote.get(self.request, observer).is_some()
            && (self.toolchain.is_err()
                || *self.is_as_installed.get_or_init(|| self.ask_as_installed(observer).unwrap_or(false)))
    }

    /// Installs a library from a store, and records it. `None` if its place is not known.
    fn take(
        &self,
        found: Found,
        stale: &Stale,
        installed: Option<&OfProject>,
        observer: &mut dyn Observer,
    ) -> Result<Option<PathBuf>> {
        let Found { library, set, inputs, snapshot } = found;
        let Some(artifact) = self.place_of(&set, stale) else { return Ok(None) };
        Self::put(&artifact, &library)?;
        self.uncover(&artifact, stale, observer)?;
        let version = self.toolchain.as_ref().map(|toolchain| toolchain.version.as_str()).unwrap_or_default();
        let mut record = Record::new(&self.request.root, version, &self.settings);
        let own = installed.cloned().unwrap_or_default();
        let (profile, pyproject) = (self.profile(installed), self.pyproject.clone());
        record.project = Some(OfProject { profile, pyproject, typed: introspection::is_in(&library), ..own });
        record.inputs = inputs;
        set.artifact().clone_into(&mut record.artifact_hash);
        record.signer = set.signer;
        self.write_record(record, &artifact, &snapshot).map(Some)
    }

    /// Where the library of a set belongs, if the project is installed in that way.
    fn place_of(&self, set: &Set, stale: &Stale) -> Option<PathBuf> {
        let Some(layout) = layout(set) else {
            // What was built here belongs where it was.
            return stale.record.as_ref().filter(|_| is_about_code(stale)).map(|record| record.artifact.clone());
        };
        let is_same = match (&layout.root, self.installation.roots.first()) {
            (None, None) => true,
            (Some(root), Some(own)) => canonical(&self.request.root.join(root)) == canonical(own),
            _ => false,
        };
        (is_same && is_inside(layout)).then(|| self.installation.place_of(&layout.member))
    }

    /// The inverse of [`Self::place_of`].
    fn layout_of(&self, artifact: &Path) -> Option<Layout> {
        let text = |path: &Path| Some(path.to_str()?.replace('\\', "/"));
        let root = self.installation.roots.first();
        let member = artifact.strip_prefix(root.map_or_else(|| self.installation.site(), PathBuf::as_path)).ok()?;
        let relative = |root: &PathBuf| text(canonical(root).strip_prefix(canonical(&self.request.root)).ok()?);
        let root = match root {
            Some(root) => Some(relative(root)?),
            None => None,
        };
        Some(Layout { member: text(member)?, root })
    }

    /// Whether the installed metadata, with the project's version, dependencies and programs, is that of the project now.
    fn ask_as_installed(&self, observer: &mut dyn Observer) -> Result<bool> {
        let metadata = self.metadata(None, observer)?;
        let profile = self.profile(None);
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let now = self.job(toolchain, &metadata, &profile)?.dist_info(observer)?;
        Ok(now.is_some_and(|now| self.installation.says(&now.read("METADATA"), &now.read("entry_points.txt"))))
    }

    /// Installs the project in editable mode without compiling anything, if a store has its library. The next attempt
    /// adds that. Returns whether it was installed.
    pub fn install_from_store(&self, metadata: &Metadata, observer: &mut dyn Observer) -> Result<bool> {
        // Without Python files of its own, it also needs those that maturin generates. maturin alone knows what else is in
        // a wheel, and what the caller's arguments install.
        let data = self.request.root.join(format!("{}.data", self.module.split('.').next().unwrap_or_default()));
        if self.maturin.contains_key("data") || data.exists() || !self.settings.arguments.develop.is_empty() {
            return Ok(false);
        }
        let root_of = |set: &Set| {
            let layout = layout(set).filter(|layout| is_inside(layout))?;
            let root = self.request.root.join(layout.root.as_ref()?);
            let is_own = root.is_dir() && canonical(&root).starts_with(canonical(&self.request.root));
            is_own.then(|| root.components().collect::<PathBuf>())
        };
        let profile = self.profile(None);
        let found = self.find(None, true, &|set| root_of(set).is_some(), observer);
        let Some(root) = found.and_then(|(found, _)| root_of(&found.set)) else { return Ok(false) };
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let job = self.job(toolchain, metadata, &profile)?;
        let Some(dist_info) = job.dist_info(observer)? else { return Ok(false) };
        job.install(&dist_info, &root, observer)?;
        Ok(true)
    }

    /// The installed library, for other machines. `None` if it is not known how it was built: by another machine, by the
    /// user, or in a target folder that has been used for something else since.
    pub fn for_others(&self, observer: &mut dyn Observer) -> Result<Option<ForOthers>> {
        let record = Record::read(&self.entry.record()).filter(|record| record.signer.is_none());
        let own = record.as_ref().and_then(|record| record.project.as_ref()).filter(|own| !own.adopted);
        let (Some(record), Some(own)) = (&record, own) else { return Ok(None) };
        let metadata = self.metadata(Some(own), observer)?;
        if !metadata.is_extension || metadata.has_many_products() {
            return Ok(Some(Err("it is not one extension module".into())));
        }
        if self.request.files.is_some() {
            return Ok(Some(
                Err("its inputs are not those that the compiler read, but others that were chosen".into()),
            ));
        }
        let compiled = Compiled::read(&self.memory(&metadata, &own.profile));
        let is_its = |compiled: &Compiled| {
            compiled.changed_files().is_empty() && compiled.units.iter().all(|unit| compiled.has(unit))
        };
        let Some(compiled) = compiled.filter(is_its) else { return Ok(None) };
        let library = fs::read(&record.artifact).ok();
        let library = library.filter(|library| fs::hash_bytes(library) == record.artifact_hash);
        let Some(library) = library else { return Ok(None) };
        let library = debug_information::without(library, self.entry.home(), observer);
        Ok(Some(self.portable(record, own, &metadata, &compiled, library)))
    }

    fn portable(
        &self,
        record: &Record,
        own: &OfProject,
        metadata: &Metadata,
        compiled: &Compiled,
        library: Vec<u8>,
    ) -> ForOthers {
        let directories = &metadata.directories;
        let told = Told {
            values: compiled.units.iter().filter_map(Unit::dep_info).flat_map(|info| info.values).collect(),
            package: None,
            folders: [&directories.target, &directories.build].map(|folder| folder.display().to_string()).into(),
        };
        let place = Place { folder: &self.request.root, cargo_config: &self.cargo_config, told: &told };
        let set = portable_set(&place, &record.inputs, &library);
        let mut set = set.ok_or("it contains the path of its folder")?;
        let lock = fs::read_text(metadata.workspace.join("Cargo.lock")).unwrap_or_default();
        let mut requirements = portability::requirements(&Finished {
            library: &library,
            inputs: &record.inputs,
            units: &compiled.units,
            manifest: &metadata.workspace.join("Cargo.toml"),
            foreign_outputs: &compiled.foreign_outputs,
            arguments: &self.settings.arguments,
            cargo_config: &self.cargo_config,
            keys: &self.keys(Some(own)),
            name: &metadata.package,
            lock: &lock,
        })?;
        let layout = self.layout_of(&record.artifact).ok_or("it is not clear where its library belongs")?;
        requirements.layout = Some(layout);
        set.requirements = Some(requirements);
        Ok((set, library))
    }

    /// Writes the library that was just built to the remote store, if that is written.
    pub fn offer(&self, observer: &mut dyn Observer) {
        let Some(remote) = self.remote.writable(self.request, observer) else { return };
        if let Ok(Some(artifact)) = self.for_others(observer) {
            let artifact = artifact.as_ref().map(|(set, library)| (set, library.as_slice())).map_err(String::clone);
            remote.offer(&self.request.root, artifact, observer);
        }
    }
}

/// Whether no manifest has changed since the last build.
fn is_about_code(stale: &Stale) -> bool {
    let says = |path: &Path| path.ends_with("Cargo.toml") || path.ends_with(PYPROJECT);
    stale.changes.iter().all(|change| *change != DirtyReason::NeverBuilt && !change.file().is_some_and(says))
}

/// Where another machine had installed the library of a set.
fn layout(set: &Set) -> Option<&Layout> {
    set.requirements.as_ref()?.layout.as_ref()
}

/// Whether a library belongs below a folder, by its name.
fn is_inside(layout: &Layout) -> bool {
    let member = Path::new(&layout.member);
    is_native(member) && member.components().all(|part| matches!(part, Component::Normal(_)))
}
