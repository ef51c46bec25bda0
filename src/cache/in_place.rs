//! Artifacts next to their sources, which `build` writes for machines without Rust. Reads, checks and writes them;
//! building is done elsewhere.
//!
//! `name.<suffix>` is the library, where Python itself finds it. `.rustimport-name.<suffix>.toml` describes its inputs
//! by content, with paths relative to the source, so that both files remain valid when the tree is copied. Without a
//! toolchain, only the sources are checked: flags and cargo's configuration do not apply there.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::owners::Trusted;
use crate::base::sealed;
use crate::cache::set::Set;
use crate::env::cargo_config::CargoConfig;
use crate::env::request::Request;
use crate::env::settings::{Arguments, BuildSettings};
use crate::env::toolchain::Toolchain;
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{Inputs, Snapshot};
use crate::freshness::record::{GENERATOR, Record};

#[derive(Debug, Serialize, Deserialize)]
struct Description {
    generator: u32,
    rustc: String,
    profile: String,
    #[serde(default, skip_serializing_if = "Arguments::is_empty")]
    arguments: Arguments,
    inputs: Set,
}

/// The path of a source's artifact.
pub fn artifact(request: &Request) -> PathBuf {
    request.place().join(format!("{}{}", request.stem(), request.interpreter.extension_suffix))
}

/// The path of the description. Its name does not begin with the module's, since some packages load the first file with
/// such a name.
fn description(artifact: &Path) -> PathBuf {
    let mut name = std::ffi::OsString::from(".rustimport-");
    name.push(artifact.file_name().unwrap_or_default());
    name.push(".toml");
    artifact.with_file_name(name)
}

/// The operation that checks the artifact.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asker {
    /// An import. With default settings, it accepts an artifact with other settings.
    Import,
    /// An explicit build. The settings must be equal.
    Build,
}

/// Checks the artifact next to the source. Returns its inputs if it is fresh, or the reason why it is not.
pub fn compare(
    request: &Request,
    settings: &BuildSettings,
    cargo_config: &CargoConfig,
    toolchain: Option<&Toolchain>,
    asker: Asker,
) -> std::result::Result<(Inputs, Snapshot), DirtyReason> {
    let artifact = artifact(request);
    let known: Description = sealed::read_portable(&description(&artifact)).ok_or(DirtyReason::NeverBuilt)?;
    if is_planted(&artifact) {
        return Err(DirtyReason::ArtifactExposed);
    }
    if fs::hash_file(&artifact).as_deref() != Some(known.inputs.artifact()) {
        return Err(DirtyReason::ArtifactLost);
    }
    if let Some(toolchain) = toolchain {
        if known.generator != GENERATOR {
            return Err(DirtyReason::GeneratorChanged);
        }
        if known.rustc != toolchain.version {
            return Err(DirtyReason::toolchain_changed(&known.rustc, &toolchain.version));
        }
        let accepts_any = |is_default: bool| asker == Asker::Import && is_default;
        if settings.profile != known.profile && !accepts_any(settings.profile == BuildSettings::DEFAULT_PROFILE) {
            let (from, to) = (known.profile, settings.profile.clone());
            return Err(DirtyReason::SettingChanged { name: "profile", from, to });
        }
        if settings.arguments != known.arguments && !accepts_any(settings.arguments.is_empty()) {
            let (from, to) = (known.arguments.to_string(), settings.arguments.to_string());
            return Err(DirtyReason::SettingChanged { name: "arguments", from, to });
        }
    }
    let nothing = CargoConfig::default();
    let effective_config = if toolchain.is_some() { cargo_config } else { &nothing };
    let configuration =
        if toolchain.is_some() { known.inputs.configuration(request.folder(), cargo_config) } else { Some(Vec::new()) };
    let configuration = configuration.ok_or(DirtyReason::ConfigurationChanged)?;
    let mut inputs = known.inputs.inputs(request.folder()).ok_or(DirtyReason::NeverBuilt)?;
    inputs.files.extend(configuration);
    inputs.variables.retain(|_| toolchain.is_some());
    let mut snapshot = inputs.compare(effective_config, &request.cache);
    if toolchain.is_none() {
        snapshot.changes.retain(|change| !matches!(change, DirtyReason::VariableChanged(_)));
    }
    match snapshot.changes.first() {
        Some(change) => Err(change.clone()),
        None => Ok((inputs, snapshot)),
    }
}

/// The id of the key that signed the artifact, if it came from a remote store.
pub fn signer(request: &Request) -> Option<String> {
    let known: Description = sealed::read_portable(&description(&artifact(request)))?;
    known.inputs.signer
}

/// Writes the artifact and its description next to the source. Returns whether they were not up to date.
pub fn install(request: &Request, record: &Record, cargo_config: &CargoConfig, library: &[u8]) -> Result<bool> {
    let artifact = artifact(request);
    let is_planted = is_planted(&artifact);
    let is_kept = is_planted || (!is_ours(&artifact) && !fs::has_content(&artifact, library));
    if !request.force && is_kept {
        return Err(Error::project(
            &artifact,
            format!("{} is there already, and rustimport did not put it there", artifact.display()),
            "move it away, or build with --force (force_rebuild=True) to put the library in its place",
        ));
    }
    let unknown = || {
        let message = format!("{} changed while it was built", request.root.display());
        Error::project(&request.root, message, "build it again")
    };
    let mut set = Set::relative(record.artifact_hash.clone(), &record.inputs, cargo_config, request.folder())
        .ok_or_else(unknown)?;
    set.signer.clone_from(&record.signer);
    let known = Description {
        generator: GENERATOR,
        rustc: record.rustc.clone(),
        profile: record.settings.profile.clone(),
        arguments: record.settings.arguments.clone(),
        inputs: set,
    };
    let failed = |error: std::io::Error| {
        Error::project(
            &artifact,
            format!("cannot write {}: {error}", artifact.display()),
            "artifacts are written next to their sources: build in a folder that you can write to",
        )
    };
    let text = sealed::portable(&known);
    if is_planted {
        // What root replaces keeps its owner.
        for path in [&artifact, &description(&artifact)] {
            let _ = fs::remove_users_file(path);
        }
    }
    if fs::has_content(&artifact, library) && fs::has_content(&description(&artifact), text.as_bytes()) {
        return Ok(false);
    }
    // In this order there is never a new description next to an old library: an old description does not match the new
    // library's hash.
    fs::put_users_file(&artifact, library).map_err(failed)?;
    fs::put_users_file(&description(&artifact), text.as_bytes()).map_err(failed)?;
    Ok(true)
}

/// Whether the artifact or its description could come from a user who cannot change the source. The description proves
/// nothing then: anybody can seal one.
fn is_planted(artifact: &Path) -> bool {
    let folder = artifact.parent().unwrap_or(Path::new("/"));
    [artifact, &description(artifact)].into_iter().any(|path| Trusted::is_planted(folder, path))
}

/// Whether the artifact may be written: there is no file at its path, or the one that the description next to it is of.
fn is_ours(artifact: &Path) -> bool {
    let Ok(metadata) = std::fs::symlink_metadata(artifact) else { return true };
    let known: Option<Description> = sealed::read_portable(&description(artifact));
    metadata.is_file() && known.is_some_and(|known| fs::hash_file(artifact).as_deref() == Some(known.inputs.artifact()))
}
