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
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::record::{GENERATOR, OfProject, Record};
use crate::freshness::unit::Unit;
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
    pub fn keys(&self, profile: &str) -> Keys {
        let manifest = fs::hash_file(&self.manifest);
        // The choices of the caller and of the project.
        let chosen = (&self.settings.arguments, &self.request.files, &self.pyproject, profile);
        let around = krate::workspaces_above(self.manifest.parent().unwrap_or(Path::new("/")));
        let known = (GENERATOR, "project", &self.module, manifest, chosen, around);
        let toolchain = self.toolchain.as_ref().ok().map(|toolchain| toolchain.version.as_str());
        Keys::of(&known, toolchain, &self.request.root, &self.request.interpreter.abi())
    }

    fn query(&self, profile: &str) -> Query<'_> {
        Query::new(self.request, &self.cargo_config, self.keys(profile))
    }

    pub fn is_revoked(&self, id: &str) -> bool {
        configuration::revokes(&self.request.settings.remote, &self.request.root, id)
    }

    /// The library of the current content in a store. A store on the network is asked only if nothing can be built: else
    /// while it is built, or with `at_once`.
    fn find(&self, profile: &str, at_once: bool, observer: &mut dyn Observer) -> Option<(Found, Origin)> {
        let accepts = |set: &Set| !set.signer.as_ref().is_some_and(|id| self.is_revoked(id));
        let (store, keys) = (self.cache.store(), self.keys(profile));
        let found = store.find(&keys, &self.request.root, &self.cargo_config, &self.request.cache, &accepts);
        if let Some(found) = found {
            observer.event(Event::Log { message: format!("{}: restored from the store", self.request.root.display()) });
            return Some((found, Origin::Restored));
        }
        let can_build = self.toolchain.is_ok() && self.request.may_build && !at_once;
        let remote = self.remote.get(self.request, observer).filter(|remote| !(can_build && remote.is_on_network()));
        let found = self.query(profile).ask(remote?, observer)?;
        self.keep(&found, &keys);
        Some((found, Origin::Fetched))
    }

    /// Adds a library from a remote store to this user's store.
    fn keep(&self, found: &Found, keys: &Keys) {
        self.cache.store().insert(&keys.anywhere, &found.set, &found.library);
    }

    /// Installs the library of the current content from a store. `installed` describes the installed library.
    pub fn restore(
        &self,
        stale: &Stale,
        installed: Option<&OfProject>,
        observer: &mut dyn Observer,
    ) -> Result<Option<(PathBuf, Origin)>> {
        let profile = self.profile(installed);
        let Some((found, origin)) = self.find(&profile, false, observer) else { return Ok(None) };
        if !self.changes_only_code(stale, observer)? {
            return Ok(None);
        }
        let artifact = self.take(found, stale, installed)?;
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
        let remote = if self.request.force { None } else { self.remote.get(self.request, observer) };
        let remote = remote.filter(|remote| remote.is_on_network() && metadata.is_extension);
        if let Some(remote) = remote
            && self.changes_only_code(stale, observer)?
        {
            let profile = self.profile(installed);
            match fetch::race(&self.query(&profile), remote, observer, build)? {
                First::Built(done) => return Ok(First::Built(done)),
                First::Fetched(found) => {
                    self.keep(&found, &self.keys(&profile));
                    if let Some(artifact) = self.take(*found, stale, installed)? {
                        return Ok(First::Fetched(artifact));
                    }
                }
            }
        }
        build(observer).map(First::Built)
    }

    /// Whether what is installed besides the library is as it should be.
    fn changes_only_code(&self, stale: &Stale, observer: &mut dyn Observer) -> Result<bool> {
        let says = |path: &Path| path.ends_with("Cargo.toml") || path.ends_with(PYPROJECT);
        let is_code = |change: &DirtyReason| *change != DirtyReason::NeverBuilt && !change.file().is_some_and(says);
        // Without Rust, nobody can say.
        Ok(self.toolchain.is_err() || stale.changes.iter().all(is_code) || self.is_as_installed(observer)?)
    }

    /// Installs a library from a store, and records it. `None` if its place is not known.
    fn take(&self, found: Found, stale: &Stale, installed: Option<&OfProject>) -> Result<Option<PathBuf>> {
        let Found { library, set, inputs, snapshot } = found;
        let layout = set.requirements.as_ref().and_then(|requirements| requirements.layout.as_ref());
        let known = stale.record.as_ref().map(|record| record.artifact.clone());
        let Some(artifact) = known.or_else(|| self.place_of(layout?)) else { return Ok(None) };
        Self::put(&artifact, &library)?;
        let version = self.toolchain.as_ref().map(|toolchain| toolchain.version.as_str()).unwrap_or_default();
        let mut record = Record::new(&self.request.root, version, &self.settings);
        let own = installed.cloned().unwrap_or_default();
        record.project = Some(OfProject { profile: self.profile(installed), pyproject: self.pyproject.clone(), ..own });
        record.inputs = inputs;
        set.artifact().clone_into(&mut record.artifact_hash);
        record.signer = set.signer;
        self.write_record(record, &artifact, &snapshot).map(Some)
    }

    /// Where the library belongs, if the project is installed in that way.
    fn place_of(&self, layout: &Layout) -> Option<PathBuf> {
        let is_same = match (&layout.root, self.installation.roots.first()) {
            (None, None) => true,
            (Some(root), Some(own)) => canonical(&self.request.root.join(root)) == canonical(own),
            _ => false,
        };
        let member = Path::new(&layout.member);
        let is_inside = member.components().all(|part| matches!(part, Component::Normal(_)));
        (is_same && is_inside && is_native(member)).then(|| self.installation.place_of(&layout.member))
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
    fn is_as_installed(&self, observer: &mut dyn Observer) -> Result<bool> {
        let metadata = self.metadata(observer)?;
        let profile = self.profile(None);
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let now = self.job(toolchain, &metadata, &profile)?.dist_info(observer)?;
        Ok(now.is_some_and(|now| now.equals(&self.installation.dist_info)))
    }

    /// Installs the project in editable mode without compiling anything, if a store has its library. The next attempt
    /// adds that. Returns whether it was installed.
    pub fn install_from_store(&self, metadata: &Metadata, observer: &mut dyn Observer) -> Result<bool> {
        let profile = self.profile(None);
        let Some((found, _)) = self.find(&profile, true, observer) else { return Ok(false) };
        let layout = found.set.requirements.and_then(|requirements| requirements.layout);
        // Without Python files of its own, it also needs those that maturin generates.
        let Some(root) = layout.and_then(|layout| layout.root) else { return Ok(false) };
        let root = self.request.root.join(root);
        if !canonical(&root).starts_with(canonical(&self.request.root)) || !root.is_dir() {
            return Ok(false);
        }
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let job = self.job(toolchain, metadata, &profile)?;
        let Some(dist_info) = job.dist_info(observer)? else { return Ok(false) };
        job.install(&dist_info, &root, observer)?;
        Ok(true)
    }

    /// The installed library, for other machines. `None` if it came from one, or if its build is not found.
    pub fn for_others(&self, observer: &mut dyn Observer) -> Result<Option<ForOthers>> {
        let record = Record::read(&self.entry.record()).filter(|record| record.signer.is_none());
        let Some((record, own)) = record.and_then(|record| Some((record.clone(), record.project?))) else {
            return Ok(None);
        };
        let metadata = self.metadata(observer)?;
        let built = metadata.find_built(std::slice::from_ref(&record.artifact));
        let Some((_, made, _)) = built else { return Ok(None) };
        let Some(units) = metadata.units_of(&made) else { return Ok(None) };
        if !metadata.is_extension || metadata.has_many_products() {
            return Ok(Some(Err("it is not one extension module".into())));
        }
        if self.request.files.is_some() {
            return Ok(Some(
                Err("its inputs are not those that the compiler read, but others that were chosen".into()),
            ));
        }
        let library = fs::read(&record.artifact).unwrap_or_default();
        let library = debug_information::without(library, self.entry.home(), observer);
        Ok(Some(self.portable(&record, &own, &metadata, &made, &units, library)))
    }

    fn portable(
        &self,
        record: &Record,
        own: &OfProject,
        metadata: &Metadata,
        made: &Path,
        units: &[Unit],
        library: Vec<u8>,
    ) -> ForOthers {
        let directories = &metadata.directories;
        let told = Told {
            values: units.iter().filter_map(Unit::dep_info).flat_map(|info| info.values).collect(),
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
            units,
            foreign_outputs: &metadata.build_scripts_of_others(made),
            arguments: &self.settings.arguments,
            cargo_config: &self.cargo_config,
            keys: &self.keys(&own.profile),
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
