//! The one driver: from a request to an artifact that is fresh, for every kind of source.
//!
//! Check, lock, check again, take from the store or build, record. A check costs stats and, where those differ, hashes;
//! it takes no lock and writes nothing but the stamp. Only a process that finds the source stale waits for the lock,
//! and checks again once it has it: the process that held it has usually done the work.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::lock::{self, Pulse};
use crate::build::maturin;
use crate::cache::in_place::{self, Asker};
use crate::cache::layout::{Cache, Entry};
use crate::cache::target_slot::TargetSlot;
use crate::env::cargo_config::CargoConfig;
use crate::env::request::{Origin, Outcome, Request, SourceKind};
use crate::env::settings::{BuildSettings, Stubs};
use crate::env::toolchain::{self, TOOLCHAIN_FILES, Toolchain};
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::record::Record;
use crate::output::hint;
use crate::projects::installation::Installation;
use crate::projects::project::{Adopted, Project};
use crate::remote::remote_store::{Pushed, RemoteStore};
use crate::sources::source::{Source, Stale};

/// Returns the artifact of the request's source, built if it was stale.
pub fn ensure(request: &Request, observer: &mut dyn Observer) -> Result<Outcome> {
    let cache = Cache::of(request);
    cache.check_private()?;
    match request.kind {
        SourceKind::Script | SourceKind::Crate => drive::<Source>(request, &cache, observer),
        SourceKind::Project => drive::<Project>(request, &cache, observer),
    }
}

/// How one kind of source becomes fresh.
trait Kind<'a>: Sized {
    /// What is kept from one attempt to the next.
    type Kept: Default;

    fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self>;

    /// The artifact, if it is fresh.
    fn check(&self) -> Result<PathBuf, Box<Stale>>;

    /// Without the lock: an artifact that can be used although the entry's own is stale or absent.
    fn alternative(&self, stale: &Stale, observer: &mut dyn Observer) -> Result<Option<PathBuf>>;

    fn entry(&self) -> &Entry;

    /// The lock that a build needs.
    fn lock(&self) -> Result<PathBuf>;

    /// Under the lock: takes what was built before, or builds.
    fn attempt(&self, stale: &Stale, kept: &mut Self::Kept, observer: &mut Pulse) -> Result<Step>;

    /// Whether the source was edited during the last attempt, so that another attempt may succeed.
    fn was_edited(&self, kept: &Self::Kept) -> bool;

    /// The folders of a project that belong on `sys.path`.
    fn roots(_: &Request) -> Vec<PathBuf> {
        Vec::new()
    }

    /// Where type stubs are written.
    fn stubs(request: &Request) -> Option<Stubs>;
}

/// The result of an attempt, with a reason if it is more specific than that of the check.
enum Step {
    Done(PathBuf, Origin, Option<String>),
    /// After a wait or an installation, everything has to be read again.
    Again,
}

fn drive<'a, K: Kind<'a>>(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Outcome> {
    let start = Instant::now();
    let outcome = |artifact: PathBuf, reason: Option<String>, origin| {
        let stubs = reason.as_ref().and_then(|_| K::stubs(request));
        Outcome { roots: K::roots(request), stubs, ..Outcome::since(start, artifact, reason, origin) }
    };
    let source = K::read(request, cache, observer)?;
    let stale = match source.check() {
        Ok(artifact) => return Ok(outcome(artifact, None, Origin::Fresh)),
        Err(stale) => stale,
    };
    if let Some(artifact) = source.alternative(&stale, observer)? {
        return Ok(outcome(artifact, None, Origin::Fresh));
    }
    let reason = stale.reason(request.folder());
    observer.event(Event::Log { message: format!("{} is stale: {reason}", request.root.display()) });

    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    cache.create(&request.interpreter)?;
    source.entry().create()?;
    let name = request.root.file_name().unwrap_or_default().to_string_lossy();
    let lock = lock::lock_entry(&source.lock()?, &name, request.lock_timeout, observer)?;
    let observer = &mut Pulse::new(observer);
    observer.hold(lock.path());
    let mut kept = K::Kept::default();
    // Everything is read again after the wait for the lock, and after a build that failed while the source was being
    // edited, since its errors may be about an intermediate state.
    loop {
        let source = K::read(request, cache, observer)?;
        let stale = match source.check() {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), Origin::Fresh)),
            Err(stale) => stale,
        };
        let or_stale = |better: Option<String>| Some(better.unwrap_or_else(|| stale.reason(request.folder())));
        match source.attempt(&stale, &mut kept, observer) {
            Ok(Step::Done(artifact, origin, better)) => {
                // After an installation, for example.
                observer.conclude(true);
                return Ok(outcome(artifact, or_stale(better), origin));
            }
            Ok(Step::Again) => {}
            Err(Error::Build(_) | Error::Project { .. }) if source.was_edited(&kept) => {
                observer
                    .event(Event::Log { message: format!("{name} was edited during its build: building it again") });
            }
            Err(Error::Interrupted) => return Err(Error::Interrupted),
            Err(Error::Build(mut failure)) => {
                observer.conclude(false);
                let is_first = stale.record.is_none() && request.kind != SourceKind::Project;
                if is_first && failure.hint == hint::FIX {
                    hint::FIX_FIRST.clone_into(&mut failure.hint);
                }
                return Err(Error::Build(failure));
            }
            Err(error) => {
                observer.conclude(false);
                return Err(error);
            }
        }
    }
}

impl<'a> Kind<'a> for Source<'a> {
    /// The target slot of the last attempt.
    type Kept = Option<TargetSlot>;

    fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self> {
        Source::read(request, cache, observer)
    }

    fn check(&self) -> Result<PathBuf, Box<Stale>> {
        Source::check(self)
    }

    /// The one next to the source, or in the shared cache.
    fn alternative(&self, _: &Stale, observer: &mut dyn Observer) -> Result<Option<PathBuf>> {
        let request = self.request;
        if request.in_place && !request.force {
            match (self.check_in_place(Asker::Import), &self.toolchain) {
                (Ok(artifact), _) => return Ok(Some(artifact)),
                // The artifact next to the source is stale, and cannot be rebuilt: report both.
                (Err(change), Err(Error::Toolchain { message, hint })) if change != DirtyReason::NeverBuilt => {
                    let (source, change) = (request.root.display(), change.describe(request.folder()));
                    let message = format!("{source} has to be built again: {change}; but {message}");
                    return Err(Error::toolchain(message, hint));
                }
                _ => {}
            }
            if let Some(artifact) = self.check_shared() {
                return Ok(Some(artifact));
            }
        }
        if let Some(why) = &self.cargo_config.ignored {
            observer.event(Event::Notice { message: why.clone() });
        }
        if let Some(why) = self.cache.why_not_shared() {
            observer.event(Event::Notice { message: format!("the shared cache is not used: {why}") });
        }
        Ok(None)
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }

    fn lock(&self) -> Result<PathBuf> {
        Ok(self.entry.lock())
    }

    fn attempt(&self, stale: &Stale, kept: &mut Option<TargetSlot>, observer: &mut Pulse) -> Result<Step> {
        let request = self.request;
        if !request.force
            && let Some((artifact, origin)) = self.restore(observer)?
        {
            return Ok(Step::Done(artifact, origin, None));
        }
        if !request.may_build {
            return Err(in_no_store(request));
        }
        let plan = self.plan(observer)?;
        let dependencies = plan.dependencies.as_deref();
        // An edit during a wait may have added dependencies.
        let slot = match kept.take() {
            Some(slot) if slot.takes(self.cache, dependencies) => kept.insert(slot),
            other => {
                other.iter().filter_map(TargetSlot::lock).for_each(|lock| observer.release(lock));
                drop(other);
                let own = (request.kind == SourceKind::Crate).then_some(&self.entry);
                let timeout = request.lock_timeout;
                let slot = TargetSlot::take(self.cache, own, dependencies, &request.root, timeout, observer)?;
                slot.lock().into_iter().for_each(|lock| observer.hold(lock));
                let was_waited_for = slot.was_waited_for;
                let slot = kept.insert(slot);
                if was_waited_for {
                    return Ok(Step::Again);
                }
                slot
            }
        };
        let reason = stale.reason(request.folder());
        let (artifact, origin) = self.race(observer, |observer| self.build(&plan, slot, stale, &reason, observer))?;
        Ok(Step::Done(artifact, origin, None))
    }

    fn was_edited(&self, _: &Option<TargetSlot>) -> bool {
        Source::was_edited(self)
    }

    fn stubs(request: &Request) -> Option<Stubs> {
        BuildSettings::resolve(&request.settings, request.folder()).ok()?.stubs
    }
}

/// The state that a project keeps from one attempt to the next.
#[derive(Default)]
struct KeptOfProject {
    /// Whether it has been installed, by maturin or from a store.
    was_installed: bool,
    was_fetched: bool,
    builds: u32,
    /// The inputs known before the last build, by content.
    known: Vec<(PathBuf, Option<String>)>,
}

impl<'a> Kind<'a> for Project<'a> {
    type Kept = KeptOfProject;

    fn read(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Self> {
        Project::read(request, cache, observer)
    }

    fn check(&self) -> Result<PathBuf, Box<Stale>> {
        Project::check(self)
    }

    /// Without Rust, for example if the environment was copied from another machine: the installed library, unchecked.
    fn alternative(&self, stale: &Stale, observer: &mut dyn Observer) -> Result<Option<PathBuf>> {
        let Err(missing @ Error::Toolchain { .. }) = &self.toolchain else { return Ok(None) };
        if stale.record.is_some() {
            return Ok(None);
        }
        let artifact = self.unchecked("no Rust toolchain was found", observer);
        artifact.map(Some).ok_or_else(|| missing.clone())
    }

    fn entry(&self) -> &Entry {
        &self.entry
    }

    /// One for all interpreters: they share the target folder.
    fn lock(&self) -> Result<PathBuf> {
        let lock = self.cache.project_lock(&self.request.root);
        fs::create_private_folder(lock.parent().unwrap_or(Path::new("/")))?;
        Ok(lock)
    }

    fn attempt(&self, stale: &Stale, kept: &mut KeptOfProject, observer: &mut Pulse) -> Result<Step> {
        let request = self.request;
        let mut installed = stale.record.as_ref().and_then(|record| record.project.clone());
        // Without Rust: only what a store has.
        if let Err(missing) = &self.toolchain {
            let may_restore = self.installation.is_editable && !request.force;
            let restored = if may_restore { self.restore(stale, installed.as_ref(), observer)? } else { None };
            let (artifact, origin) = restored.ok_or_else(|| missing.clone())?;
            return Ok(Step::Done(artifact, origin, None));
        }
        // For example, a layer of a container: it was installed where it could be written, and nothing can be built here.
        let is_sealed = |folder: &Path| stale.record.is_none() && !request.force && !fs::is_writable(folder);
        let sealed = |folder: &Path| format!("nothing can be built, since {} is read-only", folder.display());
        let mut metadata = match self.metadata(installed.as_ref(), observer) {
            Err(error) if self.installation.is_editable && is_sealed(&request.root) => {
                let artifact = self.unchecked(&sealed(&request.root), observer).ok_or(error)?;
                return Ok(Step::Done(artifact, Origin::Fresh, None));
            }
            found => found?,
        };
        if !self.installation.is_editable {
            if std::mem::replace(&mut kept.was_installed, true) {
                let message = format!("{} was installed, but not in editable mode", request.root.display());
                return Err(Error::project(&request.root, message, "run `maturin develop` in the project's folder"));
            }
            if !request.force && self.install_from_store(&metadata, observer)? {
                kept.was_fetched = true;
                return Ok(Step::Again);
            }
            if !request.may_build {
                return Err(in_no_store(request));
            }
            self.develop(&metadata, "not installed", observer)?;
            return Ok(Step::Again);
        }
        let mut reason = None;
        match self.adopt(&metadata, stale, observer)? {
            Adopted::Artifact(artifact) if !request.force && kept.was_installed => {
                return Ok(Step::Done(artifact, Origin::Built, None));
            }
            Adopted::Artifact(artifact) if !request.force => return Ok(Step::Done(artifact, Origin::Fresh, None)),
            // The forced build keeps the profile of the installed library.
            Adopted::Artifact(_) => {
                installed = Record::read(&self.entry.record()).and_then(|record| record.project);
            }
            Adopted::Outdated(change, found) => {
                // More specific than `never built`.
                if stale.record.is_none() {
                    reason = Some(change.describe(&request.root));
                }
                installed = Some(found);
            }
            Adopted::Nothing => {}
        }
        // With the features that the user chose.
        metadata = self.with_features(metadata, installed.as_ref(), observer)?;
        if !request.force
            && let Some((artifact, origin)) = self.restore(stale, installed.as_ref(), observer)?
        {
            let origin = if kept.was_fetched { Origin::Fetched } else { origin };
            return Ok(Step::Done(artifact, origin, reason));
        }
        // If more than code has changed, what is installed besides the library is replaced, too.
        if !request.force
            && !kept.was_fetched
            && self.remote.get(request, observer).is_some()
            && (!request.may_build || !self.changes_only_code(stale, observer))
            && self.install_from_store(&metadata, observer)?
        {
            kept.was_fetched = true;
            return Ok(Step::Again);
        }
        if !request.may_build {
            return Err(in_no_store(request));
        }
        let target = &metadata.directories.build;
        if is_sealed(target)
            && let Some(artifact) = self.unchecked(&sealed(target), observer)
        {
            return Ok(Step::Done(artifact, Origin::Fresh, None));
        }
        kept.builds += 1;
        kept.known = self.known(stale);
        let why = reason.clone().unwrap_or_else(|| stale.reason(&request.root));
        let (artifact, origin) = self.build(&metadata, stale, installed.as_ref(), &why, observer)?;
        Ok(Step::Done(artifact, origin, reason))
    }

    fn was_edited(&self, kept: &KeptOfProject) -> bool {
        kept.builds < 3 && kept.known.iter().any(|(path, hash)| fs::hash_file(path) != *hash)
    }

    /// The installation is read again, since a build may have changed it.
    fn roots(request: &Request) -> Vec<PathBuf> {
        let dist_info = request.installed.as_ref().map_or(Path::new(""), |installed| &installed.dist_info);
        Installation::now(dist_info, &request.root).map(|now| now.roots).unwrap_or_default()
    }

    /// A project that enables pyo3's feature gets stubs, as from `maturin develop --generate-stubs`.
    fn stubs(request: &Request) -> Option<Stubs> {
        let record = Record::read(&Cache::of(request).entry(&request.entry).record())?;
        record.project.is_some_and(|own| own.typed).then_some(Stubs::Installed)
    }
}

fn in_no_store(request: &Request) -> Error {
    let message = format!("no store has an artifact of {}", request.root.display());
    Error::project(&request.root, message, "`python -m rustimport remote push` writes it there")
}

/// The folders of the local packages of a project.
pub fn local_packages(request: &Request, observer: &mut dyn Observer) -> Result<Vec<PathBuf>> {
    let cache = Cache::of(request);
    Ok(Project::read(request, &cache, observer)?.metadata(None, observer)?.local_folders())
}

/// A copy of a project's library, at a path that was never loaded.
pub fn copy_installed(request: &Request, artifact: &Path, observer: &mut dyn Observer) -> Result<PathBuf> {
    let cache = Cache::of(request);
    let project = Project::read(request, &cache, observer)?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    project.copy(artifact)
}

/// Like `ensure`, and puts the artifact next to the source. It counts as built if it was not there already.
pub fn ensure_in_place(request: &Request, observer: &mut dyn Observer) -> Result<Outcome> {
    let start = Instant::now();
    let cache = Cache::of(request);
    let artifact = in_place::artifact(request);
    if !request.force && Source::read(request, &cache, observer)?.check_in_place(Asker::Build).is_ok() {
        return Ok(Outcome::since(start, artifact, None, Origin::Fresh));
    }
    let found = ensure(&Request { in_place: false, ..request.clone() }, observer)?;
    let source = Source::read(request, &cache, observer)?;
    let built = source.install_in_place(&found.artifact)? || found.built;
    Ok(Outcome { stubs: found.stubs, built, ..Outcome::since(start, artifact, found.reason, found.origin) })
}

/// Writes the artifact of a source to its remote store, built if it is stale.
pub fn push(request: &Request, observer: &mut dyn Observer) -> Result<Pushed> {
    let failed = |why: String| {
        let message = format!("{} was not written to a remote store: {why}", request.root.display());
        Error::project(&request.root, message, "see `python -m rustimport remote check`")
    };
    let (settings, folder) = (&request.settings.remote, request.folder());
    let remote = RemoteStore::for_writing(settings, &request.interpreter, folder).map_err(failed)?;
    let mut asked = Request { in_place: false, ..request.clone() };
    // What others have signed is not signed again, and what is built here is written here, where errors are raised.
    asked.settings.remote.url = Some(String::new());
    let cache = Cache::of(&asked);
    if !request.may_build {
        check_runs_nothing(request).map_err(failed)?;
        cache.check_private()?;
        let found = Source::read(&asked, &cache, observer)?.find_stored(&|set| set.signer.is_none());
        let found =
            found.ok_or_else(|| failed("nothing was built here from this content, and --no-build is given".into()))?;
        return remote.push(&found.set, &found.library, false, observer).map_err(failed);
    }
    ensure(&asked, observer)?;
    let find = |observer: &mut dyn Observer| match asked.kind {
        SourceKind::Project => Project::read(&asked, &cache, observer)?.for_others(observer),
        SourceKind::Script | SourceKind::Crate => {
            let found = Source::read(&asked, &cache, observer)?.find_stored(&|set| set.signer.is_none());
            Ok(found.map(|found| Ok((found.set, found.library))))
        }
    };
    let mut found = find(observer)?;
    // It came from another machine, or the store has removed it since.
    if found.is_none() {
        ensure(&Request { force: true, ..asked.clone() }, observer)?;
        found = find(observer)?;
    }
    let found = found.ok_or_else(|| failed("it was edited during its build, or cannot be kept in the cache".into()))?;
    match found {
        Ok((set, library)) => remote.push(&set, &library, false, observer).map_err(failed),
        Err(why) => Ok(Pushed::Stays(why)),
    }
}

/// Fails if something of the checkout would run, although nothing is built: the key that signs may be within its reach.
fn check_runs_nothing(request: &Request) -> Result<(), String> {
    if request.kind == SourceKind::Project {
        return Err("--no-build is for scripts and crates: a project is asked for its metadata by running cargo".into());
    }
    let mut files = request.folder().ancestors().flat_map(|folder| TOOLCHAIN_FILES.map(|name| folder.join(name)));
    match files.find(|path| fs::read_text(path).is_ok_and(|text| text.contains("path"))) {
        Some(path) => Err(format!("{} can name programs to run, which --no-build must not", path.display())),
        None => Ok(()),
    }
}

/// Why the artifact next to the source is stale; `None` if it is fresh.
pub fn check_in_place(request: &Request, observer: &mut dyn Observer) -> Result<Option<String>> {
    let cache = Cache::of(request);
    let source = Source::read(request, &cache, observer)?;
    Ok(source.check_in_place(Asker::Build).err().map(|change| change.describe(request.folder())))
}

/// Writes the package of a script for rust-analyzer and cargo. Returns its manifest, whether the user's file is the root
/// of the library, and cargo.
pub fn write_for_rust_tools(
    request: &Request,
    python: &Path,
    starts_python: bool,
    observer: &mut dyn Observer,
) -> Result<(PathBuf, bool, PathBuf)> {
    let cache = Cache::of(request);
    cache.check_private()?;
    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    cache.create(&request.interpreter)?;
    let source = Source::read(request, &cache, observer)?;
    source.entry.create()?;
    let (manifest, is_root) = source.write_for_rust_tools(python, starts_python)?;
    let cargo = source.toolchain.as_ref().map_err(Error::clone)?.cargo.clone();
    Ok((manifest, is_root, cargo))
}

/// The tools that a build would use, with their paths and versions.
pub fn tools(request: &Request, observer: &mut dyn Observer) -> Vec<(&'static str, Option<String>)> {
    let cache = Cache::of(request);
    // A toolchain file of another user can name programs to run.
    let is_safe = CargoConfig::of(request.folder(), None).is_ok();
    let find = || Toolchain::find(request.settings.cargo.as_deref(), request.folder(), &cache.toolchains(), observer);
    let toolchain = is_safe.then(find).and_then(Result::ok);
    let mut tell = |path: &Path| Some(format!("{} ({})", toolchain::version_of(path, observer)?, path.display()));
    let maturin = maturin::find_maturin(request).ok().and_then(|path| tell(&path));
    let cargo = toolchain.as_ref().and_then(|toolchain| tell(&toolchain.cargo));
    let rustc = toolchain.as_ref().and_then(|toolchain| tell(&toolchain.rustc));
    vec![("maturin", maturin), ("cargo", cargo), ("rustc", rustc)]
}
