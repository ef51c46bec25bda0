//! The one entry: from a request to an artifact that is fresh.
//!
//! Look, lock, look again, take from the store or build, record. A look costs stats and, where those differ,
//! hashes; it takes no lock and writes nothing but the stamp. Only who finds the source stale waits for the
//! lock, and looks again once it has it: whoever held it has mostly done the work.

use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::base::error::{Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::lock::{self, Pulse};
use crate::build::maturin;
use crate::cache::in_place::{self, Asker};
use crate::cache::layout::Cache;
use crate::cache::target_slot::TargetSlot;
use crate::env::request::{Outcome, Request, SourceKind};
use crate::env::toolchain::{self, Toolchain};
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::record::Record;
use crate::package::krate;
use crate::projects::installation::Installation;
use crate::projects::project::{Adopted, Project};
use crate::script::parse::Script;
use crate::sources::source::Source;

/// Returns the artifact of the request's source, built if it was stale.
pub fn ensure(request: &Request, observer: &mut dyn Observer) -> Result<Outcome> {
    if request.kind == SourceKind::Project {
        return ensure_project(request, observer);
    }
    let start = Instant::now();
    let cache = Cache::of(request);
    cache.check_private()?;
    let source = Source::read(request, &cache, observer)?;
    let outcome = |artifact, reason, built| Outcome::since(start, artifact, reason, built);

    let changes = match source.look() {
        Ok(artifact) => return Ok(outcome(artifact, None, false)),
        Err(stale) => stale,
    };
    if request.in_place && !request.force {
        match (source.look_in_place(Asker::Import), &source.toolchain) {
            (Ok(artifact), _) => return Ok(outcome(artifact, None, false)),
            // What was built for this machine does not fit any more: that is the reason.
            (Err(change), Err(Error::Toolchain { message, hint })) if change != DirtyReason::NeverBuilt => {
                let (source, change) = (request.root.display(), change.describe(request.folder()));
                return Err(Error::toolchain(format!("{source} has to be built again: {change}; but {message}"), hint));
            }
            _ => {}
        }
        if let Some(artifact) = source.look_shared() {
            return Ok(outcome(artifact, None, false));
        }
    }
    let reason = changes.reason(request.folder());
    if let Some(why) = cache.why_not_shared() {
        observer.event(Event::Notice { message: format!("the shared cache is not used: {why}") });
    }
    observer.event(Event::Log { message: format!("{} is stale: {reason}", request.root.display()) });

    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    cache.create(&request.interpreter)?;
    source.entry.create()?;
    let name = request.root.file_name().unwrap_or_default().to_string_lossy();
    let lock = lock::lock_entry(&source.entry.lock(), &name, request.lock_timeout, observer)?;
    let observer = &mut Pulse::new(observer);
    observer.hold(lock.path());
    let mut held: Option<TargetSlot> = None;
    // A wait may have been long: everything is read anew. So it is after a build that failed while the
    // source was being edited: what it complained of may never have been anybody's intention.
    loop {
        let source = Source::read(request, &cache, observer)?;
        let stale = match source.look() {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), false)),
            Err(stale) => stale,
        };
        let reason = stale.reason(request.folder());
        if !request.force
            && let Some(artifact) = source.restore(observer)?
        {
            return Ok(outcome(artifact, Some(reason), false));
        }
        let plan = source.plan(observer)?;
        let dependencies = plan.dependencies.as_deref();
        // An edit during a wait may have brought new dependencies.
        let slot = match held.take() {
            Some(slot) if slot.takes(&cache, dependencies) => held.insert(slot),
            other => {
                other.iter().filter_map(TargetSlot::lock).for_each(|lock| observer.release(lock));
                drop(other);
                let own = (request.kind == SourceKind::Crate).then_some(&source.entry);
                let slot = TargetSlot::take(&cache, own, dependencies, &request.root, request.lock_timeout, observer)?;
                slot.lock().into_iter().for_each(|lock| observer.hold(lock));
                let was_waited_for = slot.was_waited_for;
                let slot = held.insert(slot);
                if was_waited_for {
                    continue;
                }
                slot
            }
        };
        match source.build(&plan, slot, &stale, &reason, observer) {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), true)),
            Err(Error::Build(_) | Error::Project { .. }) if source.was_edited() => {
                observer.event(Event::Log { message: format!("{name} was edited while it was built: again") });
            }
            Err(error) => return Err(error),
        }
    }
}

/// The same for a project, whose artifact stands where it is installed.
fn ensure_project(request: &Request, observer: &mut dyn Observer) -> Result<Outcome> {
    let start = Instant::now();
    let cache = Cache::of(request);
    cache.check_private()?;
    // As it is installed in the end: a build may have installed it again.
    let outcome = |artifact, reason, built| {
        let dist_info = request.installed.as_ref().map_or(Path::new(""), |installed| &installed.dist_info);
        let roots = Installation::now(dist_info, &request.root).map(|now| now.roots).unwrap_or_default();
        Outcome { roots, ..Outcome::since(start, artifact, reason, built) }
    };
    let project = Project::read(request, &cache, observer)?;
    let reason = match project.look() {
        Ok(artifact) => return Ok(outcome(artifact, None, false)),
        // A machine without Rust, to which the environment was brought as it is: nobody can tell what has changed.
        Err(stale) if stale.record.is_none() && matches!(project.toolchain, Err(Error::Toolchain { .. })) => {
            let Some(artifact) = project.found() else { return Err(project.toolchain.expect_err("it is missing")) };
            observer.event(Event::Notice {
                message: "imported as it is installed: there is no Rust to check it with".into(),
            });
            return Ok(outcome(artifact, None, false));
        }
        Err(stale) => stale.reason(&request.root),
    };
    observer.event(Event::Log { message: format!("{} is stale: {reason}", request.root.display()) });

    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    cache.create(&request.interpreter)?;
    project.entry.create()?;
    let name = request.root.file_name().unwrap_or_default().to_string_lossy();
    let of_project = cache.project_lock(&request.root);
    fs::create_private_folder(of_project.parent().unwrap_or(Path::new("/")))?;
    let lock = lock::lock_entry(&of_project, &name, request.lock_timeout, observer)?;
    let observer = &mut Pulse::new(observer);
    observer.hold(lock.path());
    let mut was_installed = false;
    let mut attempts = 0;
    loop {
        attempts += 1;
        // A wait may have been long.
        let project = Project::read(request, &cache, observer)?;
        let stale = match project.look() {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), false)),
            Err(stale) => stale,
        };
        let metadata = project.metadata(observer)?;
        if !project.installation.is_editable {
            if std::mem::replace(&mut was_installed, true) {
                let message = format!("maturin installed {}, but not in editable mode", request.root.display());
                return Err(Error::project(&request.root, message, "run `maturin develop` in the project's folder"));
            }
            project.develop(&metadata, "not installed", observer)?;
            continue;
        }
        let mut installed = stale.record.as_ref().and_then(|record| record.project.clone());
        let mut reason = stale.reason(&request.root);
        match project.adopt(&metadata, &stale, observer)? {
            Adopted::Artifact(artifact) if !request.force => return Ok(outcome(artifact, Some(reason), was_installed)),
            // With the profile that was found.
            Adopted::Artifact(_) => {
                installed = Record::read(&project.entry.record()).and_then(|record| record.project);
            }
            Adopted::Outdated(change, found) => {
                // That tells more than that nobody has built yet.
                if stale.record.is_none() {
                    reason = change.describe(&request.root);
                }
                installed = Some(found);
            }
            Adopted::Nothing => {}
        }
        if !request.force
            && let Some(artifact) = project.restore(&stale, observer)?
        {
            return Ok(outcome(artifact, Some(reason), false));
        }
        let known = project.known(&stale);
        match project.build(&metadata, &stale, installed.as_ref(), &reason, observer) {
            Ok(artifact) => return Ok(outcome(artifact, Some(reason), true)),
            Err(Error::Build(_) | Error::Project { .. })
                if attempts < 3 && known.iter().any(|(path, hash)| fs::hash_file(path) != *hash) =>
            {
                observer.event(Event::Log { message: format!("{name} was edited while it was built: again") });
            }
            Err(error) => return Err(error),
        }
    }
}

/// The folders of the packages on this machine that a project is made of.
pub fn local_packages(request: &Request, observer: &mut dyn Observer) -> Result<Vec<PathBuf>> {
    let cache = Cache::of(request);
    Ok(Project::read(request, &cache, observer)?.metadata(observer)?.local_folders())
}

/// A copy of what is loaded of a project, at a path that was never loaded.
pub fn copy_installed(request: &Request, artifact: &Path, observer: &mut dyn Observer) -> Result<PathBuf> {
    let cache = Cache::of(request);
    let project = Project::read(request, &cache, observer)?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    project.copy(artifact)
}

/// The same, and puts it beside the source. It counts as built if that was not so already.
pub fn ensure_in_place(request: &Request, observer: &mut dyn Observer) -> Result<Outcome> {
    let start = Instant::now();
    let cache = Cache::of(request);
    let artifact = in_place::artifact(request);
    if !request.force && Source::read(request, &cache, observer)?.look_in_place(Asker::Build).is_ok() {
        return Ok(Outcome::since(start, artifact, None, false));
    }
    let found = ensure(&Request { in_place: false, ..request.clone() }, observer)?;
    let source = Source::read(request, &cache, observer)?;
    let built = source.install_in_place(&found.artifact)? || found.built;
    Ok(Outcome::since(start, artifact, found.reason, built))
}

/// Why the artifact beside the source is not what a build would give now; `None` if it is.
pub fn check_in_place(request: &Request, observer: &mut dyn Observer) -> Result<Option<String>> {
    let cache = Cache::of(request);
    let source = Source::read(request, &cache, observer)?;
    Ok(source.look_in_place(Asker::Build).err().map(|change| change.describe(request.folder())))
}

/// The tools that a build would use, with where they are and what they say of themselves.
pub fn tools(request: &Request, observer: &mut dyn Observer) -> Vec<(&'static str, Option<String>)> {
    let cache = Cache::of(request);
    let toolchain =
        Toolchain::find(request.settings.cargo.as_deref(), request.folder(), &cache.toolchains(), observer).ok();
    let mut tell = |path: &Path| Some(format!("{} ({})", toolchain::version_of(path, observer)?, path.display()));
    let maturin = maturin::find_maturin(request).ok().and_then(|path| tell(&path));
    let cargo = toolchain.as_ref().and_then(|toolchain| tell(&toolchain.cargo));
    let rustc = toolchain.as_ref().and_then(|toolchain| tell(&toolchain.rustc));
    vec![("maturin", maturin), ("cargo", cargo), ("rustc", rustc)]
}

/// Whether a script without a marker is a module named like its file, and no part of a crate.
pub fn is_module(path: &Path) -> bool {
    let (Ok(source), Some(stem)) = (fs::read(path), path.file_stem().and_then(|stem| stem.to_str())) else {
        return false;
    };
    // What cannot be parsed, and shows that it is meant to be a module, the compiler has to speak about.
    let is_ours = match Script::parse(path, &source) {
        Ok(script) if script.is_parsed() => script.declares_module(stem),
        _ => names_module(&source, stem),
    };
    is_ours && !is_library_of_a_crate(path)
}

/// Whether the bytes of a file have the signs of a module of this name, wherever these stand.
fn names_module(source: &[u8], stem: &str) -> bool {
    let has = |text: &str| memchr::memmem::find(source, text.as_bytes()).is_some();
    has(&format!("PyInit_{stem}")) || (has("#[pymodule") && has(stem))
}

/// Whether a Cargo.toml in the file's folder or above calls it its library.
fn is_library_of_a_crate(path: &Path) -> bool {
    path.ancestors().skip(1).any(|folder| {
        let manifest = krate::manifest_in(folder);
        manifest.contains_key("package") && krate::library_of(&manifest, folder) == path
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_meant_to_be_a_module() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("m.rs");
        let check = |text: &str, expected: bool| {
            std::fs::write(&path, text).unwrap();
            assert_eq!(is_module(&path), expected, "{text}");
        };
        check("#[pymodule] mod m {}", true);
        check("#[pymodule] mod other {}", false);
        check("#[pymodule] mod m { fn }", true);
        check("fn broken( {} #[pyo3::pymodule] mod m {}", false);
        check("pub extern \"C\" fn PyInit_m( {", true);
        check("fn broken( {", false);
        check("//: [broken\n#[pymodule] mod m {}", true);
    }

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
