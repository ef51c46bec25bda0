//! Explains a source: what its last build was made from and why, and what an import would do now. It builds nothing,
//! and changes neither libraries nor records.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::Serialize;

use crate::base::error::Result;
use crate::base::event::Observer;
use crate::base::fs::Stat;
use crate::cache::in_place::{self, Asker};
use crate::cache::layout::{Cache, Entry};
use crate::env::request::{Request, SourceKind};
use crate::env::toolchain::{Toolchain, line_of};
use crate::freshness::record::Record;
use crate::projects::features;
use crate::projects::project::Project;
use crate::remote::configuration;
use crate::sources::source::{Source, Stale};

#[derive(Debug, Serialize)]
pub struct Explanation {
    /// The library of the last build, or the one that is loaded in its place.
    artifact: Option<String>,
    last_build: Option<LastBuild>,
    /// The files that the last build read, and the variables.
    inputs: Vec<String>,
    variables: Vec<String>,
    next: Next,
    /// Why it is stale.
    reasons: Vec<String>,
}

/// What an import would do.
#[derive(Debug, Serialize, PartialEq, Eq)]
#[serde(rename_all = "snake_case")]
enum Next {
    /// Load the library: nothing has changed.
    Load,
    /// Load the library next to the source.
    LoadInPlace,
    /// Load the library in the shared cache.
    LoadShared,
    /// Take a library of an earlier build from the cache.
    Restore,
    /// Reuse what the user built, if it was built from the current files; else build.
    ReuseOrBuild,
    Build,
    /// Fail, since there is no toolchain.
    Fail,
}

#[derive(Debug, Serialize)]
struct LastBuild {
    /// `None` if it was not built by rustimport in this place.
    reason: Option<String>,
    /// `built`, `adopted` from the user, `restored` from the cache, `fetched` from a remote store.
    origin: &'static str,
    profile: String,
    features: Vec<String>,
    arguments: String,
    rustc: String,
    /// In seconds since 1970.
    time: Option<u64>,
}

impl LastBuild {
    fn of(record: &Record, entry: &Entry, features: Vec<String>) -> Self {
        let own = record.project.as_ref();
        let origin = if own.is_some_and(|own| own.adopted) {
            "adopted"
        } else if record.signer.is_some() {
            "fetched"
        } else if record.reason.is_some() {
            "built"
        } else {
            "restored"
        };
        let written = std::fs::metadata(entry.record()).and_then(|found| found.modified());
        let since = |time: SystemTime| Some(time.duration_since(UNIX_EPOCH).ok()?.as_secs());
        Self {
            reason: record.reason.clone(),
            origin,
            profile: own.map_or(&record.settings.profile, |own| &own.profile).clone(),
            features,
            arguments: record.settings.arguments.to_string(),
            rustc: line_of(&record.rustc, "release").to_owned(),
            time: written.ok().and_then(since),
        }
    }
}

impl Explanation {
    fn of(record: Option<&Record>, artifact: Option<&Path>, last_build: Option<LastBuild>) -> Self {
        let inputs = record.map(|record| &record.inputs);
        let files = inputs.iter().flat_map(|inputs| &inputs.files).map(|file| text(&file.path));
        let variables = inputs.iter().flat_map(|inputs| &inputs.variables).map(|variable| variable.name.clone());
        Self {
            artifact: artifact.map(text),
            last_build,
            inputs: files.collect(),
            variables: variables.collect(),
            next: Next::Load,
            reasons: Vec::new(),
        }
    }

    fn stale(self, next: Next, stale: &Stale, request: &Request) -> Self {
        let reasons = stale.changes.iter().map(|change| change.describe(request.folder())).collect();
        Self { next, reasons, ..self }
    }
}

/// Explains the source of a request.
pub fn explain(request: &Request, observer: &mut dyn Observer) -> Result<Explanation> {
    let cache = Cache::of(request);
    Ok(match request.kind {
        SourceKind::Script | SourceKind::Crate => of_source(&Source::read(request, &cache, observer)?),
        SourceKind::Project => of_project(&Project::read(request, &cache, observer)?),
    })
}

fn of_source(source: &Source) -> Explanation {
    let request = source.request;
    let record = Record::read(&source.entry.record()).filter(|record| record.source == request.root);
    let artifact = record.as_ref().map(|record| source.entry.home().join(&record.artifact));
    let last = record
        .as_ref()
        .map(|record| LastBuild::of(record, &source.entry, features::names(&record.settings.arguments.cargo)));
    let found = Explanation::of(record.as_ref(), artifact.as_deref(), last);
    let Err(stale) = source.compare_at(&source.entry) else { return found };
    let is_revoked = |id: String| configuration::revokes(&request.settings.remote, request.folder(), &id);
    let toolchain = source.toolchain.as_ref().ok();
    let in_place = in_place::compare(request, &source.settings, &source.cargo_config, toolchain, Asker::Import);
    let (next, loaded): (Next, Option<PathBuf>) =
        if request.in_place && in_place.is_ok() && !in_place::signer(request).is_some_and(is_revoked) {
            (Next::LoadInPlace, Some(in_place::artifact(request)))
        } else if let Some(artifact) = shared(source) {
            (Next::LoadShared, Some(artifact))
        } else if source.is_stored() {
            (Next::Restore, None)
        } else {
            (build_with(&source.toolchain), None)
        };
    let artifact = loaded.as_deref().map(text).or_else(|| found.artifact.clone());
    Explanation { artifact, ..found }.stale(next, &stale, request)
}

fn shared(source: &Source) -> Option<PathBuf> {
    let entry = source.cache.shared()?.entry(&source.request.entry);
    source.compare_at(&entry).ok().map(|(_, artifact, _)| artifact)
}

fn of_project(project: &Project) -> Explanation {
    let request = project.request;
    let record = Record::read(&project.entry.record()).filter(|record| record.source == request.root);
    let last =
        record.as_ref().map(|record| LastBuild::of(record, &project.entry, project.features(record.project.as_ref())));
    let artifact = record.as_ref().map(|record| record.artifact.clone()).or_else(|| project.found());
    let found = Explanation::of(record.as_ref(), artifact.as_deref(), last);
    let Err(stale) = project.compare() else { return found };
    // Another library than the recorded one may be the user's.
    let is_recorded = stale.record.as_ref().is_some_and(|record| {
        record.project.as_ref().is_some_and(|own| Stat::of(&record.artifact).is_some_and(|stat| stat == own.stat))
    });
    let next = match build_with(&project.toolchain) {
        Next::Fail if stale.record.is_none() && found.artifact.is_some() => Next::Load,
        Next::Build if !is_recorded && project.installation.is_editable => Next::ReuseOrBuild,
        _ if project.is_stored(&stale) => Next::Restore,
        next => next,
    };
    found.stale(next, &stale, request)
}

fn build_with(toolchain: &Result<Toolchain>) -> Next {
    if toolchain.is_ok() { Next::Build } else { Next::Fail }
}

fn text(path: impl AsRef<Path>) -> String {
    path.as_ref().to_string_lossy().into_owned()
}
