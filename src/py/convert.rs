//! Converts arguments and results between Python and the core, field by field. `python/rustimport/_request.py` declares
//! the types of the dictionaries. It validates nothing.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyList, PyString};
use serde_json::Value;

use crate::base::diagnostic::Diagnostic;
use crate::base::env_vars::without_secrets;
use crate::base::lock::Timeout;
use crate::base::text::printable;
use crate::commands::prune;
use crate::commands::remote::{Build, Description};
use crate::env::interpreter::Interpreter;
use crate::env::request::{Cell, Installed, Origin, Outcome, Request, SourceKind};
use crate::env::settings::{Arguments, Client, RemoteSettings, Settings, Stubs};
use crate::remote::remote_store::Pushed;

/// `Request`
#[derive(FromPyObject)]
#[expect(clippy::struct_excessive_bools, reason = "each is an argument of its own")]
#[pyo3(from_item_all)]
pub struct RequestItems {
    #[pyo3(from_py_with = kind_of)]
    kind: SourceKind,
    root: PathBuf,
    #[pyo3(from_py_with = lossy)]
    module: String,
    installed: Option<PathBuf>,
    files: Option<Vec<PathBuf>>,
    cell: Option<CellItems>,
    automatic: bool,
    cache: PathBuf,
    shared_cache: Option<PathBuf>,
    #[pyo3(from_py_with = lossy)]
    entry: String,
    context: String,
    settings: SettingsItems,
    interpreter: InterpreterItems,
    marked: bool,
    in_place: bool,
    wheels: Option<PathBuf>,
    newest: bool,
    force: bool,
    may_build: bool,
    lock_timeout: Option<f64>,
    lock_timeout_from_life: bool,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct CellItems {
    folder: PathBuf,
    manifest: String,
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
struct SettingsItems {
    profile: Option<String>,
    pyo3: Option<String>,
    cargo: Option<PathBuf>,
    maturin: Option<PathBuf>,
    stubs: bool,
    cargo_arguments: Vec<String>,
    run_arguments: Vec<String>,
    build_arguments: Vec<String>,
    develop_arguments: Vec<String>,
    rustc_arguments: Vec<String>,
    target: Option<String>,
    remote: RemoteItems,
}

/// `Remote`
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct RemoteItems {
    url: Option<String>,
    mode: Option<String>,
    trust: Option<Vec<String>>,
    revoked: Option<Vec<String>>,
    variables: Option<Vec<String>>,
    configuration: PathBuf,
    path: Vec<String>,
    script: PathBuf,
    cache: PathBuf,
}

impl From<RemoteItems> for RemoteSettings {
    fn from(items: RemoteItems) -> Self {
        let RemoteItems { url, mode, trust, revoked, variables, configuration, path, script, cache } = items;
        let client = Client { path, script, cache };
        Self { url, mode, trust, revoked: revoked.unwrap_or_default(), variables, configuration, client }
    }
}

#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub struct InterpreterItems {
    key: String,
    implementation: String,
    version: (u8, u8),
    extension_suffix: String,
    base_prefix: PathBuf,
    pointer_width: u32,
    build_flags: Vec<String>,
    script_folders: Vec<PathBuf>,
    prefix: PathBuf,
    c_library: Option<String>,
    pre_release: Option<String>,
    siphash13: bool,
}

impl From<RequestItems> for Request {
    fn from(items: RequestItems) -> Self {
        let automatic = items.automatic;
        Self {
            kind: items.kind,
            root: items.root,
            module: items.module,
            installed: items.installed.map(|dist_info| Installed { dist_info, automatic }),
            files: items.files,
            cell: items.cell.map(|CellItems { folder, manifest }| Cell { folder, manifest }),
            cache: items.cache,
            shared_cache: items.shared_cache,
            entry: items.entry,
            context: items.context,
            settings: items.settings.into(),
            interpreter: items.interpreter.into(),
            marked: items.marked,
            in_place: items.in_place,
            wheels: items.wheels,
            newest: items.newest,
            force: items.force,
            may_build: items.may_build,
            lock_timeout: Timeout {
                // A number that a Duration cannot represent means no limit.
                limit: items.lock_timeout.and_then(|seconds| Duration::try_from_secs_f64(seconds.max(0.0)).ok()),
                from_life: items.lock_timeout_from_life,
            },
        }
    }
}

impl From<SettingsItems> for Settings {
    fn from(items: SettingsItems) -> Self {
        Self {
            profile: items.profile,
            pyo3: items.pyo3,
            cargo: items.cargo,
            maturin: items.maturin,
            stubs: items.stubs,
            run: items.run_arguments,
            remote: items.remote.into(),
            arguments: Arguments {
                cargo: items.cargo_arguments,
                build: items.build_arguments,
                develop: items.develop_arguments,
                rustc: items.rustc_arguments,
                target: items.target,
            },
        }
    }
}

impl From<InterpreterItems> for Interpreter {
    fn from(items: InterpreterItems) -> Self {
        Self {
            key: items.key,
            implementation: items.implementation,
            version: items.version,
            extension_suffix: items.extension_suffix,
            base_prefix: items.base_prefix,
            pointer_width: items.pointer_width,
            build_flags: items.build_flags,
            script_folders: items.script_folders,
            prefix: items.prefix,
            c_library: items.c_library,
            pre_release: items.pre_release,
            siphash13: items.siphash13,
        }
    }
}

/// `Outcome`
#[derive(IntoPyObject)]
pub struct OutcomeItems {
    artifact: OsString,
    reason: Option<String>,
    built: bool,
    /// `fresh`, `built`, `restored` or `fetched`.
    origin: &'static str,
    seconds: f64,
    roots: Vec<OsString>,
    /// A folder, `beside`, or `installed`.
    stubs: Option<OsString>,
}

impl From<Outcome> for OutcomeItems {
    fn from(outcome: Outcome) -> Self {
        Self {
            artifact: outcome.artifact.into_os_string(),
            reason: outcome.reason,
            built: outcome.built,
            origin: match outcome.origin {
                Origin::Fresh => "fresh",
                Origin::Built => "built",
                Origin::Restored => "restored",
                Origin::Fetched => "fetched",
            },
            seconds: outcome.seconds,
            roots: outcome.roots.into_iter().map(PathBuf::into_os_string).collect(),
            stubs: outcome.stubs.and_then(|stubs| match stubs {
                Stubs::Beside => Some("beside".into()),
                Stubs::In(folder) => Some(folder.into_os_string()),
                Stubs::Installed => Some("installed".into()),
                Stubs::Asked => None,
            }),
        }
    }
}

/// Dictionaries, lists, texts, booleans and `None`, as of a JSON text.
pub fn json(value: &Bound<'_, PyAny>) -> PyResult<Value> {
    Ok(if value.is_none() {
        Value::Null
    } else if let Ok(value) = value.extract::<bool>() {
        value.into()
    } else if let Ok(text) = value.cast::<PyString>() {
        // A text may have surrogates.
        text.to_string_lossy().into_owned().into()
    } else if let Ok(items) = value.cast::<PyDict>() {
        let item = |(key, value): (Bound<'_, PyAny>, Bound<'_, PyAny>)| Ok((key.extract::<String>()?, json(&value)?));
        Value::Object(items.iter().map(item).collect::<PyResult<_>>()?)
    } else {
        Value::Array(value.cast::<PyList>()?.iter().map(|item| json(&item)).collect::<PyResult<_>>()?)
    })
}

/// The contents of a cache, as `cache info --format json` prints them.
#[derive(IntoPyObject)]
pub struct InventoryItems {
    path: OsString,
    bytes: u64,
    interpreters: Vec<InterpreterUsage>,
}

#[derive(IntoPyObject)]
struct InterpreterUsage {
    key: String,
    bytes: u64,
    lanes: u64,
    store: u64,
    environments: Vec<OsString>,
    sources: Vec<SourceUsage>,
}

#[derive(IntoPyObject)]
struct SourceUsage {
    name: String,
    source: Option<OsString>,
    signer: Option<String>,
    exists: bool,
    bytes: u64,
    /// When it was last used, in seconds since the epoch.
    used: f64,
}

impl InventoryItems {
    pub fn new(root: PathBuf, found: Vec<prune::Interpreter>) -> Self {
        Self {
            path: root.into_os_string(),
            bytes: found.iter().map(|interpreter| interpreter.bytes).sum(),
            interpreters: found.into_iter().map(Into::into).collect(),
        }
    }
}

impl From<prune::Interpreter> for InterpreterUsage {
    fn from(found: prune::Interpreter) -> Self {
        let entries = found.entries.into_iter().map(|entry| SourceUsage {
            name: entry.name,
            source: entry.source.map(PathBuf::into_os_string),
            signer: entry.signer,
            exists: entry.exists,
            bytes: entry.bytes,
            used: entry.used.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        });
        Self {
            key: found.key,
            bytes: found.bytes,
            lanes: found.slots,
            store: found.store,
            environments: found.environments.into_iter().map(PathBuf::into_os_string).collect(),
            sources: entries.collect(),
        }
    }
}

/// The description of a remote store, as `remote info --format json` prints it.
#[derive(IntoPyObject)]
pub struct DescriptionItems {
    url: Option<String>,
    origin: Option<String>,
    is_writable: bool,
    trusted: Vec<String>,
    revoked: Vec<String>,
    variables: Vec<String>,
    signs_with: Option<String>,
    sets: Option<usize>,
    artifacts: Option<usize>,
    bytes: Option<u64>,
    builds: Vec<BuildItems>,
    problems: Vec<String>,
}

/// One build in a remote store.
#[derive(IntoPyObject)]
pub struct BuildItems {
    signer: String,
    serial: u64,
    commit: Option<String>,
    job: Option<String>,
}

impl From<Build> for BuildItems {
    fn from(build: Build) -> Self {
        let Build { signer, serial, commit, job } = build;
        let plain = |text: String| printable(&text);
        Self { signer, serial, commit: commit.map(plain), job: job.map(plain) }
    }
}

impl From<Description> for DescriptionItems {
    fn from(found: Description) -> Self {
        Self {
            url: found.url,
            origin: found.origin,
            is_writable: found.is_writable,
            trusted: found.trusted,
            revoked: found.revoked,
            variables: found.variables,
            signs_with: found.signs_with,
            sets: found.contents.map(|(sets, ..)| sets),
            artifacts: found.contents.map(|(_, artifacts, _)| artifacts),
            bytes: found.contents.map(|(.., bytes)| bytes),
            builds: found.builds.into_iter().map(BuildItems::from).collect(),
            problems: found.problems.iter().map(|problem| shown(problem)).collect(),
        }
    }
}

/// What became of an artifact, and why it stays here if it does.
pub fn pushed(pushed: Pushed) -> (&'static str, Option<String>) {
    match pushed {
        Pushed::Written => ("written", None),
        Pushed::Present => ("present", None),
        Pushed::Stays(why) => ("stays", Some(shown(&why))),
    }
}

/// A kind of source by its name.
pub fn kind(name: &str) -> PyResult<SourceKind> {
    match name {
        "script" => Ok(SourceKind::Script),
        "crate" => Ok(SourceKind::Crate),
        "project" => Ok(SourceKind::Project),
        other => Err(PyValueError::new_err(format!("unknown kind of source: {other:?}"))),
    }
}

fn kind_of(value: &Bound<'_, PyAny>) -> PyResult<SourceKind> {
    kind(value.extract()?)
}

/// Names that are not valid Unicode are rejected later, together with their paths.
fn lossy(value: &Bound<'_, PyAny>) -> PyResult<String> {
    Ok(value.extract::<OsString>()?.to_string_lossy().into_owned())
}

/// A message as it may be printed.
pub fn shown(message: &str) -> String {
    printable(&without_secrets(message))
}

/// `rustimport.errors.Diagnostic`
pub fn diagnostic<'py>(py: Python<'py>, diagnostic: &Diagnostic) -> PyResult<Bound<'py, PyAny>> {
    let fields = PyDict::new(py);
    fields.set_item("level", &diagnostic.level)?;
    fields.set_item("code", diagnostic.code.as_deref())?;
    fields.set_item("message", without_secrets(&diagnostic.message))?;
    fields.set_item("file", diagnostic.file.as_ref().map(|file| file.as_os_str()))?;
    fields.set_item("line", diagnostic.line)?;
    fields.set_item("column", diagnostic.column)?;
    fields.set_item("rendered", without_secrets(&diagnostic.rendered))?;
    fields.set_item("rendered_ansi", without_secrets(&diagnostic.rendered_ansi))?;
    py.import("rustimport.errors")?.getattr("Diagnostic")?.call((), Some(&fields))
}
