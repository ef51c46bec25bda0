//! A source as it stands now, and what is known of it: whether it is fresh, whether it was built before.

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::cache::in_place::{self, Asker};
use crate::cache::layout::{Cache, Entry};
use crate::cache::store::{Keys, Place, Told};
use crate::env::cargo_config::CargoConfig;
use crate::env::request::{Request, SourceKind};
use crate::env::settings::BuildSettings;
use crate::env::toolchain::Toolchain;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{Inputs, Snapshot};
use crate::freshness::record::{GENERATOR, Record};
use crate::freshness::stamp;
use crate::package::krate::Crate;
use crate::script::parse::Script;

/// How many artifacts of one source stay: the one in use, and the one before, which another process may
/// be about to load.
pub const KEPT_ARTIFACTS: usize = 2;

/// Why a source is stale, and what was known before it became so.
pub struct Stale {
    pub changes: Vec<DirtyReason>,
    /// The last good build, if its record is of use.
    pub record: Option<Record>,
}

impl Stale {
    pub fn reason(&self, folder: &Path) -> String {
        let mut stories = self.changes.iter().map(|change| change.describe(folder));
        let first = stories.next().unwrap_or_default();
        match stories.len() {
            0 => first,
            1 => format!("{first}, {}", stories.next().unwrap_or_default()),
            more => format!("{first}, and {more} more"),
        }
    }
}

/// A source as it stands now, with everything around it.
pub struct Source<'a> {
    pub request: &'a Request,
    pub cache: &'a Cache,
    pub entry: Entry,
    /// The library's root: the script itself, or the crate's.
    pub script: Script,
    pub library: PathBuf,
    pub krate: Option<Crate>,
    /// What was read, with the hashes of the bytes: header, exports and manifest are theirs. The first is what
    /// decides most.
    pub read: Vec<(PathBuf, String)>,
    pub settings: BuildSettings,
    pub cargo_config: CargoConfig,
    /// An absent toolchain counts as unchanged; it is missed when there is something to build.
    pub toolchain: Result<Toolchain>,
}

impl<'a> Source<'a> {
    pub fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self> {
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
                Error::project(path, message, "check the path and its rights")
            })?;
            read.push((path.clone(), bytes));
        }
        let mut script = Script::parse(&library, &read.last().expect("the library was read").1)?;
        if let Some(cell) = &request.cell {
            cell.complete(&mut script.header, path)?;
        }
        let mut cargo_config = CargoConfig::of(request.folder())?;
        // Without its marker it is nobody's module; what is built of it stays the same.
        let marker = krate.as_ref().map(Crate::marker).filter(|marker| marker.exists());
        cargo_config.watched.extend(marker.map(|marker| fs::watch(&marker)));
        let toolchain =
            Toolchain::look_for(request.settings.cargo.as_deref(), request.folder(), &cache.toolchains(), observer)?;
        Ok(Self {
            request,
            cache,
            entry: cache.entry(&request.entry),
            script,
            library,
            krate,
            read: read.into_iter().map(|(path, bytes)| (path, fs::hash_bytes(&bytes))).collect(),
            settings: BuildSettings::resolve(&request.settings, request.folder())?,
            cargo_config,
            toolchain,
        })
    }

    /// The artifact, if nothing that it is made of changed; then with a new stamp.
    pub fn check(&self) -> Result<PathBuf, Box<Stale>> {
        self.check_at(&self.entry)
    }

    /// The artifact of the shared cache, if nothing that it is made of changed; then with a stamp in one's own.
    pub fn check_shared(&self) -> Option<PathBuf> {
        let entry = self.cache.shared()?.entry(&self.request.entry);
        // Where nothing can be written, there is no stamp, and every import looks.
        let _ = entry.record().exists().then(|| self.entry.create());
        self.check_at(&entry).ok()
    }

    fn check_at(&self, entry: &Entry) -> Result<PathBuf, Box<Stale>> {
        let record = Record::read(&entry.record()).filter(|record| record.source == self.request.root);
        let Some(record) = record else {
            return Err(Box::new(Stale { changes: vec![DirtyReason::NeverBuilt], record: None }));
        };
        let artifact = entry.home().join(&record.artifact);
        // pyo3's version concerns only those who left it open.
        let matters = |name: &str| name != "pyo3" || self.leaves_pyo3_open();
        let changes = record.changed_conditions(&self.settings, self.toolchain.as_ref().ok(), matters);
        match record.compare(&artifact, changes, &self.cargo_config, self.request) {
            Ok(snapshot) => {
                self.write_stamp(&artifact, &record.inputs, &snapshot);
                Ok(artifact)
            }
            Err(changes) => Err(Box::new(Stale { changes, record: Some(record) })),
        }
    }

    /// Whether the settings' version of pyo3 may be taken.
    fn leaves_pyo3_open(&self) -> bool {
        match &self.krate {
            None => self.script.uses_pyo3(),
            Some(_) => self.script.header.template.is_some(),
        }
    }

    /// Whether what was read is not what stands there now.
    pub fn was_edited(&self) -> bool {
        self.read.iter().any(|(path, hash)| fs::hash_file(path).is_some_and(|now| now != *hash))
    }

    fn write_stamp(&self, artifact: &Path, inputs: &Inputs, snapshot: &Snapshot) {
        let toolchain = self.toolchain.as_ref();
        let file = self.entry.stamp();
        stamp::write(&file, self.request, artifact, inputs, snapshot, &self.cargo_config, toolchain);
    }

    /// The artifact beside the source, if it is what a build would give now; then with a stamp. Or why it is not.
    pub fn check_in_place(&self, asker: Asker) -> Result<PathBuf, DirtyReason> {
        let toolchain = self.toolchain.as_ref().ok();
        let (inputs, snapshot) = in_place::compare(self.request, &self.settings, &self.cargo_config, toolchain, asker)?;
        let artifact = in_place::artifact(self.request);
        if self.entry.create().is_ok() {
            self.write_stamp(&artifact, &inputs, &snapshot);
        }
        Ok(artifact)
    }

    /// Puts what the record tells of beside the source. Returns whether it had to.
    pub fn install_in_place(&self, artifact: &Path) -> Result<bool> {
        let record = Record::read(&self.entry.record());
        let library = fs::read(artifact).ok();
        let (Some(record), Some(library)) = (record, library) else { return Ok(false) };
        in_place::install(self.request, &record, &self.cargo_config, &library)
    }

    /// The artifact that was made of the same content before, here or elsewhere; published and recorded.
    pub fn restore(&self, observer: &mut dyn Observer) -> Result<Option<PathBuf>> {
        let Ok(toolchain) = &self.toolchain else { return Ok(None) };
        let (folder, cache) = (self.request.folder(), &self.request.cache);
        let mut stores =
            [Some(self.cache.store()), self.cache.shared().map(|shared| shared.store())].into_iter().flatten();
        let keys = self.keys(toolchain);
        let Some(found) = stores.find_map(|store| store.find(&keys, folder, &self.cargo_config, cache)) else {
            return Ok(None);
        };
        observer
            .event(Event::Log { message: format!("{} was built before, as it is now", self.request.root.display()) });
        let mut record = Record::new(&self.request.root, &toolchain.version, &self.settings);
        record.inputs = found.inputs;
        self.publish(&mut record, &found.library, &found.snapshot).map(Some)
    }

    /// Keeps the artifact for whenever this content comes again.
    pub fn store(&self, toolchain: &Toolchain, inputs: &Inputs, told: &Told, library: &[u8]) {
        let place = Place { folder: self.request.folder(), cargo_config: &self.cargo_config, told };
        self.cache.store().put(&self.keys(toolchain), &place, inputs, library);
    }

    fn keys(&self, toolchain: &Toolchain) -> Keys {
        let request = self.request;
        let pyo3 = self.leaves_pyo3_open().then_some(&self.settings.pyo3);
        let file = request.root.file_name();
        let hash = &self.read[0].1;
        let arguments = &self.settings.arguments;
        let known =
            (GENERATOR, request.stem(), file, hash, &toolchain.version, &self.settings.profile, pyo3, arguments);
        Keys::of(&known, &(&request.root, self.entry.home()))
    }

    /// Puts a library where it is loaded from, and takes down what it was made of.
    pub fn publish(&self, record: &mut Record, library: &[u8], snapshot: &Snapshot) -> Result<PathBuf> {
        let name = format!("{}{}", self.request.stem(), self.request.interpreter.extension_suffix);
        let artifact = fs::publish(self.entry.home(), &name, library)?;
        artifact.strip_prefix(self.entry.home()).unwrap_or(&artifact).clone_into(&mut record.artifact);
        record.artifact_hash = fs::hash_bytes(library);
        record.write(&self.entry.record())?;
        self.write_stamp(&artifact, &record.inputs, snapshot);
        fs::remove_old_artifacts(self.entry.home(), KEPT_ARTIFACTS);
        Ok(artifact)
    }
}
