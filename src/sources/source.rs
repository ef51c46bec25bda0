//! The current state of a script or a crate: whether its artifact is fresh, and whether it can be restored from the
//! store. The build is in [`crate::sources::build_source`].

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::cache::in_place::{self, Asker};
use crate::cache::layout::{Cache, Entry};
use crate::cache::set::{Requirements, Set};
use crate::cache::store::{Found, Keys, Place, Store, Told};
use crate::env::cargo_config::CargoConfig;
use crate::env::named_files::named_files;
use crate::env::request::{Origin, Request, SourceKind};
use crate::env::settings::BuildSettings;
use crate::env::toolchain::Toolchain;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{Inputs, Snapshot};
use crate::freshness::record::{GENERATOR, Record};
use crate::freshness::stamp;
use crate::package::krate::Crate;
use crate::package::manifest;
use crate::package::script_lock;
use crate::remote::configuration;
use crate::remote::remote_store::Lazy;
use crate::script::header::Template;
use crate::script::parse::Script;

/// The number of artifacts of one source that are kept: the current one, and the one before, which another process may
/// be about to load.
pub const KEPT_ARTIFACTS: usize = 2;

/// Why a source is stale, and the record of its last build.
pub struct Stale {
    pub changes: Vec<DirtyReason>,
    /// The record of the last good build, if it is usable.
    pub record: Option<Record>,
}

impl Stale {
    pub fn reason(&self, folder: &Path) -> String {
        // A wheel is always built; what changed besides is no reason.
        let is_for_wheel = self.changes.first() == Some(&DirtyReason::ForWheel);
        let changes = if is_for_wheel { &self.changes[..1] } else { &self.changes };
        let mut stories = changes.iter().map(|change| change.describe(folder));
        let first = stories.next().unwrap_or_default();
        match stories.len() {
            0 => first,
            1 => format!("{first}, {}", stories.next().unwrap_or_default()),
            more => format!("{first}, and {more} more"),
        }
    }
}

/// The current state of a source, with its settings, configuration and toolchain.
pub struct Source<'a> {
    pub request: &'a Request,
    pub cache: &'a Cache,
    pub entry: Entry,
    /// The parsed root of the library: the script itself, or the crate's `lib.rs`.
    pub script: Script,
    pub library: PathBuf,
    pub krate: Option<Crate>,
    /// The files that were read, with the hashes of their content, from which header, exports and manifest come. The
    /// first one, the script or the crate's manifest, is part of the store's keys.
    pub read: Vec<(PathBuf, String)>,
    /// The text of the script's lock file, if it has one.
    pub lock: Option<String>,
    pub settings: BuildSettings,
    pub cargo_config: CargoConfig,
    /// Programs and files of arguments that cargo's configuration names.
    pub named: Vec<PathBuf>,
    /// A missing toolchain counts as unchanged. The error is raised only if something has to be built.
    pub toolchain: Result<Toolchain>,
    pub remote: Lazy,
}

impl<'a> Source<'a> {
    pub fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self> {
        let path = &request.root;
        if path.to_str().is_none_or(|text| text.contains(char::is_control)) {
            return Err(Error::project(
                path,
                format!(
                    "the path `{}` is not valid Unicode or has control characters: cargo cannot build there",
                    path.display().to_string().escape_debug()
                ),
                "rename the file or the folder",
            ));
        }
        let krate = match request.kind {
            SourceKind::Crate => Some(Crate::read(path)?),
            _ => None,
        };
        let library = krate.as_ref().map_or_else(|| path.clone(), |krate| krate.library.clone());
        let manifest = krate.as_ref().map(|krate| krate.folder.join("Cargo.toml"));
        let mut read = Vec::new();
        for path in manifest.iter().chain([&library]) {
            let bytes = fs::read(path).map_err(|error| {
                let message = format!("cannot read {}: {error}", path.display());
                Error::project(path, message, "check the path and its permissions")
            })?;
            read.push((path.clone(), bytes));
        }
        let mut script = Script::parse(&library, &read.last().expect("the library was read").1)?;
        let mut lock = None;
        if let Some(path) = lock_file_of(request)
            && let Ok(bytes) = fs::read(&path)
        {
            lock = script_lock::read(&path, &bytes)?;
            read.push((path, bytes));
        }
        if let Some(cell) = &request.cell {
            cell.complete(&mut script.header, path)?;
        }
        let mut cargo_config = CargoConfig::of(request.folder(), krate.as_ref().map(|krate| krate.folder.as_path()))?;
        // The marker does not affect the artifact, but without it the crate is no longer imported.
        let marker = krate.as_ref().map(Crate::marker).filter(|marker| marker.exists());
        cargo_config.watched.extend(marker.map(|marker| fs::watch(&marker)));
        let toolchain =
            Toolchain::look_for(request.settings.cargo.as_deref(), request.folder(), &cache.toolchains(), observer)?;
        let mut source = Self {
            request,
            cache,
            entry: cache.entry(&request.entry),
            script,
            library,
            krate,
            read: read.into_iter().map(|(path, bytes)| (path, fs::hash_bytes(&bytes))).collect(),
            lock,
            settings: BuildSettings::resolve(&request.settings, request.folder())?,
            named: Vec::new(),
            cargo_config,
            toolchain,
            remote: Lazy::default(),
        };
        source.named = named_files(&source.cargo_config, &source.settings.arguments.rustc, request.folder());
        if source.settings.stubs.is_some() {
            let open = source.leaves_pyo3_open().then_some(source.settings.pyo3.as_str());
            let manifest = source.krate.as_ref().map_or(&source.script.header.manifest, |krate| &krate.manifest);
            let feature = manifest::introspection_feature(manifest, open);
            let arguments = feature.into_iter().flat_map(|feature| ["--features".into(), feature]);
            source.settings.arguments.cargo.extend(arguments);
        }
        Ok(source)
    }

    /// The artifact, if its inputs are unchanged. Then a new stamp is written.
    pub fn check(&self) -> Result<PathBuf, Box<Stale>> {
        self.check_at(&self.entry)
    }

    /// The artifact in the shared cache, if its inputs are unchanged. Then a stamp is written in the user's own cache.
    pub fn check_shared(&self) -> Option<PathBuf> {
        let entry = self.cache.shared()?.entry(&self.request.entry);
        // If nothing can be written, there is no stamp, and every import checks the inputs.
        let _ = entry.record().exists().then(|| self.entry.create());
        self.check_at(&entry).ok()
    }

    fn check_at(&self, entry: &Entry) -> Result<PathBuf, Box<Stale>> {
        let (record, artifact, snapshot) = self.compare_at(entry)?;
        self.write_stamp(&artifact, record.signer.as_deref(), &record.inputs, &snapshot);
        Ok(artifact)
    }

    /// The record and the artifact of an entry, if the inputs are unchanged.
    pub fn compare_at(&self, entry: &Entry) -> Result<(Record, PathBuf, Snapshot), Box<Stale>> {
        let record = Record::read(&entry.record()).filter(|record| record.source == self.request.root);
        let Some(record) = record else {
            return Err(Box::new(Stale { changes: vec![DirtyReason::NeverBuilt], record: None }));
        };
        let artifact = entry.home().join(&record.artifact);
        // The setting `pyo3` affects only sources that do not set a version themselves.
        let matters = |name: &str| name != "pyo3" || self.leaves_pyo3_open();
        let mut changes = record.changed_conditions(&self.settings, self.toolchain.as_ref().ok(), matters);
        changes.extend(record.signer.iter().filter(|id| self.is_revoked(id)).cloned().map(DirtyReason::KeyRevoked));
        match record.compare(&artifact, changes, &self.cargo_config, self.request) {
            Ok(snapshot) => Ok((record, artifact, snapshot)),
            Err(changes) => Err(Box::new(Stale { changes, record: Some(record) })),
        }
    }

    /// Whether the setting `pyo3` determines the version of pyo3.
    fn leaves_pyo3_open(&self) -> bool {
        match &self.krate {
            None => self.script.uses_pyo3(),
            Some(_) => self.script.header.template.is_some_and(Template::uses_pyo3),
        }
    }

    /// Whether a file has changed since it was read.
    pub fn was_edited(&self) -> bool {
        self.read.iter().any(|(path, hash)| fs::hash_file(path).is_some_and(|now| now != *hash))
    }

    /// `signer`: the id of the key that signed the artifact, if it came from a remote store.
    fn write_stamp(&self, artifact: &Path, signer: Option<&str>, inputs: &Inputs, snapshot: &Snapshot) {
        let remote = &self.request.settings.remote;
        let (inputs, snapshot) = configuration::with_revocations(remote, signer, inputs, snapshot);
        let toolchain = self.toolchain.as_ref();
        let file = self.entry.stamp();
        stamp::write(&file, self.request, artifact, &inputs, &snapshot, &self.cargo_config, toolchain);
    }

    fn is_revoked(&self, id: &str) -> bool {
        configuration::revokes(&self.request.settings.remote, self.request.folder(), id)
    }

    /// The artifact next to the source, if it is fresh, or why it is not. If it is, a stamp is written.
    pub fn check_in_place(&self, asker: Asker) -> Result<PathBuf, DirtyReason> {
        let toolchain = self.toolchain.as_ref().ok();
        let (inputs, snapshot) = in_place::compare(self.request, &self.settings, &self.cargo_config, toolchain, asker)?;
        let signer = in_place::signer(self.request);
        if let Some(id) = signer.as_ref().filter(|id| self.is_revoked(id)) {
            return Err(DirtyReason::KeyRevoked(id.clone()));
        }
        let artifact = in_place::artifact(self.request);
        if self.entry.create().is_ok() {
            self.write_stamp(&artifact, signer.as_deref(), &inputs, &snapshot);
        }
        Ok(artifact)
    }

    /// Copies the recorded artifact next to the source. Returns whether it had changed.
    pub fn install_in_place(&self, artifact: &Path) -> Result<bool> {
        let record = Record::read(&self.entry.record());
        let library = fs::read(artifact).ok();
        let (Some(record), Some(library)) = (record, library) else { return Ok(false) };
        in_place::install(self.request, &record, &self.cargo_config, &library)
    }

    /// Takes the artifact of an earlier build of the same content from a store, then publishes and records it.
    pub fn restore(&self, observer: &mut dyn Observer) -> Result<Option<(PathBuf, Origin)>> {
        let found = self.find_stored(&|set| !set.signer.as_ref().is_some_and(|id| self.is_revoked(id)));
        if let Some(found) = found {
            let message = format!("{}: restored from the store", self.request.root.display());
            observer.event(Event::Log { message });
            return Ok(Some((self.take(found)?, Origin::Restored)));
        }
        let Some(found) = self.query().ask_first(&self.remote, false, &|_| true, observer) else { return Ok(None) };
        Ok(Some((self.take(found)?, Origin::Fetched)))
    }

    /// Publishes and records an artifact from a store.
    pub fn take(&self, found: Found) -> Result<PathBuf> {
        // Without a toolchain, the record's is not compared.
        let version = self.toolchain.as_ref().map(|toolchain| toolchain.version.as_str()).unwrap_or_default();
        let mut record = Record::new(&self.request.root, version, &self.settings);
        record.inputs = found.inputs;
        record.signer = found.set.signer;
        self.publish(&mut record, &found.library, &found.snapshot)
    }

    /// The artifact of the current inputs in this user's store, or in the shared cache's. `accepts` decides on its set.
    pub fn find_stored(&self, accepts: &dyn Fn(&Set) -> bool) -> Option<Found> {
        let keys = self.keys();
        let folder = self.request.folder();
        self.stores().find_map(|store| store.find(&keys, folder, &self.cargo_config, &self.request.cache, accepts))
    }

    /// Whether one of them has it.
    pub fn is_stored(&self) -> bool {
        let keys = self.keys();
        let accepts = |set: &Set| !set.signer.as_ref().is_some_and(|id| self.is_revoked(id));
        let (folder, cache) = (self.request.folder(), &self.request.cache);
        self.stores().any(|store| store.has(&keys, folder, &self.cargo_config, cache, &accepts))
    }

    fn stores(&self) -> impl Iterator<Item = Store> {
        [Some(self.cache.store()), self.cache.shared().map(|shared| shared.store())].into_iter().flatten()
    }

    /// Stores the artifact, to be restored when the same content is built again, here or on another machine.
    pub fn store(
        &self,
        inputs: &Inputs,
        told: &Told,
        library: &[u8],
        requirements: Result<Requirements, String>,
        observer: &mut dyn Observer,
    ) {
        let place = Place { folder: self.request.folder(), cargo_config: &self.cargo_config, told };
        let Some(set) = self.cache.store().put(&self.keys(), &place, inputs, library, requirements) else { return };
        if let Some(remote) = self.remote.writable(self.request, observer) {
            remote.offer(&self.request.root, Ok((&set, library)), observer);
        }
    }

    pub fn keys(&self) -> Keys {
        let request = self.request;
        let pyo3 = self.leaves_pyo3_open().then_some(&self.settings.pyo3);
        let file = request.root.file_name();
        let hash = &self.read[0].1;
        let arguments = &self.settings.arguments;
        let around = self.krate.as_ref().map(Crate::surroundings);
        let versions = self.lock.as_ref().map(|lock| fs::hash_bytes(lock.as_bytes()));
        let known = (GENERATOR, request.stem(), file, hash, &self.settings.profile, pyo3, arguments, around, versions);
        let toolchain = self.toolchain.as_ref().ok().map(|toolchain| toolchain.version.as_str());
        Keys::of(&known, toolchain, &(&request.root, self.entry.home()), &request.interpreter.abi())
    }

    /// Copies a library to where it is loaded from, and records its inputs.
    pub fn publish(&self, record: &mut Record, library: &[u8], snapshot: &Snapshot) -> Result<PathBuf> {
        let name = format!("{}{}", self.request.stem(), self.request.interpreter.extension_suffix);
        let artifact = fs::publish(self.entry.home(), &name, library)?;
        artifact.strip_prefix(self.entry.home()).unwrap_or(&artifact).clone_into(&mut record.artifact);
        record.artifact_hash = fs::hash_bytes(library);
        record.write(&self.entry.record())?;
        self.write_stamp(&artifact, record.signer.as_deref(), &record.inputs, snapshot);
        fs::remove_old_artifacts(self.entry.home(), KEPT_ARTIFACTS);
        Ok(artifact)
    }
}

/// Where the lock file of a script is, if it has one. Cells have none.
pub fn lock_file_of(request: &Request) -> Option<PathBuf> {
    (request.kind == SourceKind::Script && request.cell.is_none()).then(|| script_lock::of(&request.root))
}
