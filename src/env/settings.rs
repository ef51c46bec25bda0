//! How a source is built: the caller's settings, then `[tool.rustimport]` of the nearest `pyproject.toml`, then the
//! defaults. The Python half resolves arguments and environment variables; they are not read here.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::owners::Trusted;

/// The caller's settings: arguments, assigned settings and environment variables, already combined in this order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// A Cargo profile.
    pub profile: Option<String>,
    /// The version of pyo3 for sources that do not specify one.
    pub pyo3: Option<String>,
    pub cargo: Option<PathBuf>,
    pub maturin: Option<PathBuf>,
    /// Whether type stubs are wanted, even if no table asks for them.
    pub stubs: bool,
    pub arguments: Arguments,
    /// More arguments for cargo, through maturin, that do not influence what is built: `--jobs`, `--verbose`, …
    pub run: Vec<String>,
    pub remote: RemoteSettings,
}

/// The caller's settings of the remote store, assigned or from the environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteSettings {
    pub url: Option<String>,
    /// `read` or `read-write`.
    pub mode: Option<String>,
    /// Public keys.
    pub trust: Option<Vec<String>>,
    pub revoked: Vec<String>,
    /// Variables whose values may leave this machine.
    pub variables: Option<Vec<String>>,
    /// The user's configuration folder.
    pub configuration: PathBuf,
    pub client: Client,
}

/// What is needed to run the client library for stores on the network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Client {
    /// `sys.path`
    pub path: Vec<String>,
    /// The program that uses the library.
    pub script: PathBuf,
    /// The cache's root.
    pub cache: PathBuf,
}

pub const GENERATE_STUBS: &str = "--generate-stubs";

/// Arguments that are passed to the tools unchanged.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Arguments {
    /// For cargo, through maturin: `--features`, `--locked`, …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub cargo: Vec<String>,
    /// For `maturin build`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub build: Vec<String>,
    /// For `maturin develop`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub develop: Vec<String>,
    /// For rustc, when it compiles the package itself.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub rustc: Vec<String>,
    /// The target triple.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
}

impl Arguments {
    /// Arguments for `maturin build` about the wheel. By default it is only unpacked on this machine, so compression
    /// and platform checks are skipped.
    pub fn for_wheel(&self) -> Vec<&str> {
        let is_given = |option: &str| self.build.iter().any(|argument| argument == option);
        let mut arguments = vec!["--compression-method", "stored"];
        if !["--auditwheel", "--compatibility"].into_iter().any(is_given) {
            arguments.extend(["--auditwheel", "skip", "--compatibility", "linux"]);
        }
        arguments.extend(self.build.iter().map(String::as_str).filter(|argument| *argument != GENERATE_STUBS));
        arguments
    }

    /// Whether type stubs of projects are wanted. maturin is not asked for them: `build` fails if a project contains
    /// them already, and `develop` runs for longer than it takes to write them from the library.
    pub fn wants_stubs(&self) -> bool {
        self.build.iter().any(|argument| argument == GENERATE_STUBS)
    }

    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let target = self.target.iter().map(|target| format!("--target={target}"));
        let all = [&self.cargo, &self.build, &self.develop, &self.rustc].into_iter().flatten().cloned().chain(target);
        f.write_str(&all.collect::<Vec<_>>().join(" "))
    }
}

/// The resolved settings that the artifact depends on. They are part of its inputs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuildSettings {
    pub profile: String,
    pub pyo3: String,
    #[serde(default, skip_serializing_if = "Arguments::is_empty")]
    pub arguments: Arguments,
    /// Where type stubs are written, if they are. They need a Cargo feature, which is one of the arguments.
    #[serde(skip)]
    pub stubs: Option<Stubs>,
}

/// Where type stubs of scripts and crates are written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stubs {
    /// Next to the source.
    Beside,
    /// Below a folder, in subfolders for packages.
    In(PathBuf),
    /// Nowhere yet: the caller writes them.
    Asked,
    /// Where a project's library is installed.
    Installed,
}

impl Stubs {
    fn parse(value: &str, pyproject: &Path) -> Self {
        match value {
            "beside" => Self::Beside,
            folder => Self::In(pyproject.parent().unwrap_or(Path::new("")).join(folder)),
        }
    }
}

/// The versions of pyo3 for sources that do not specify one: from the oldest that the templates of earlier import hooks
/// used to the newest that was tested. Cargo selects the newest that is compatible with the other dependencies.
pub const PYO3_RANGE: &str = ">=0.23, <0.31";

pub const PYPROJECT: &str = "pyproject.toml";

/// `[tool.rustimport]`
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
struct Table {
    profile: Option<String>,
    pyo3: Option<String>,
    /// `beside`, or a folder relative to this file.
    stubs: Option<String>,
    /// Whether the hook rebuilds the project that contains this table.
    enabled: Option<bool>,
    /// Cargo features of that project, in addition to those in `[tool.maturin]`.
    #[serde(default)]
    features: Vec<String>,
    /// Globs of additional inputs of that project.
    #[serde(default)]
    inputs: Vec<String>,
    /// The remote store; ignored unless the user trusts the checkout.
    remote: Option<String>,
    #[serde(default)]
    remote_trust: Vec<String>,
    #[serde(default)]
    remote_revoked: Vec<String>,
    /// For setuptools, which reads it itself.
    #[serde(default, rename = "wheel")]
    _wheel: toml::Table,
}

/// Settings in `[tool.rustimport]` that apply only to the project that contains the table.
#[derive(Debug, Default)]
pub struct OfProject {
    pub features: Vec<String>,
    /// Globs, relative to the project.
    pub inputs: Vec<String>,
}

/// Reads a project's own table.
pub fn of_own_project(project: &Path) -> Result<OfProject> {
    let path = project.join(PYPROJECT);
    let table = if path.is_file() { read_table(&path)? } else { Table::default() };
    Ok(OfProject { features: table.features, inputs: table.inputs })
}

/// Whether the nearest `[tool.rustimport]` of a project sets the profile.
pub fn sets_profile(project: &Path) -> Result<bool> {
    Ok(of_project(project)?.is_some_and(|(_, values)| values.iter().any(|(name, _)| *name == "profile")))
}

/// What `[tool.rustimport]` of the nearest `pyproject.toml` says of a remote store.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RemoteClaim {
    /// The folder of the `pyproject.toml`.
    pub folder: PathBuf,
    pub remote: Option<String>,
    pub trust: Vec<String>,
    pub revoked: Vec<String>,
}

/// Reads the [`RemoteClaim`] for a source in `folder`.
pub fn remote_claim(folder: &Path) -> Result<RemoteClaim> {
    let Some(path) = nearest_pyproject(folder) else { return Ok(RemoteClaim::default()) };
    let table = read_table(&path)?;
    let folder = path.parent().unwrap_or(folder).to_owned();
    Ok(RemoteClaim { folder, remote: table.remote, trust: table.remote_trust, revoked: table.remote_revoked })
}

/// A table of a pyproject.toml, such as `["tool", "rustimport"]`. Empty if there is none.
pub fn pyproject_table(path: &Path, keys: &[String]) -> Result<toml::Table> {
    let broken = |what: String| {
        Error::project(path, format!("{}: {what}", path.display()), "correct it, or give --name and --version yourself")
    };
    let text = fs::read_text(path).map_err(|error| broken(error.to_string()))?;
    let mut table: toml::Table = text.parse().map_err(|error: toml::de::Error| broken(error.to_string()))?;
    for key in keys {
        table = table.remove(key).and_then(|value| value.try_into().ok()).unwrap_or_default();
    }
    Ok(table)
}

/// Whether a project sets `enabled = false`.
pub fn is_disabled(project: &Path) -> bool {
    read_table(&project.join(PYPROJECT)).is_ok_and(|table| table.enabled == Some(false))
}

/// A `pyproject.toml`, and the names and values that it sets.
pub type ProjectSettings = (PathBuf, Vec<(&'static str, String)>);

/// The settings in `[tool.rustimport]` of the nearest `pyproject.toml`, and that file's path.
pub fn of_project(folder: &Path) -> Result<Option<ProjectSettings>> {
    let Some(path) = nearest_pyproject(folder) else { return Ok(None) };
    let table = read_table(&path)?;
    let values = [("profile", table.profile), ("pyo3", table.pyo3), ("stubs", table.stubs)];
    Ok(Some((path, values.into_iter().filter_map(|(name, value)| Some((name, value?))).collect())))
}

/// The first `pyproject.toml` in `folder` or above that only users can write who can also write to `folder`.
pub fn nearest_pyproject(folder: &Path) -> Option<PathBuf> {
    let mut found = folder.ancestors().map(|parent| parent.join(PYPROJECT)).filter(|path| path.is_file());
    let trusted = Trusted::with(folder);
    found.find(|path| trusted.exposed(path).is_none())
}

impl BuildSettings {
    pub const DEFAULT_PROFILE: &str = "dev";

    /// Completes the caller's settings for a source in `folder`.
    pub fn resolve(settings: &Settings, folder: &Path) -> Result<Self> {
        let pyproject = nearest_pyproject(folder).unwrap_or_default();
        let table = if pyproject.as_os_str().is_empty() { Table::default() } else { read_table(&pyproject)? };
        let stubs = table.stubs.map(|value| Stubs::parse(&value, &pyproject));
        let all = Self {
            profile: settings.profile.clone().or(table.profile).unwrap_or_else(|| Self::DEFAULT_PROFILE.into()),
            pyo3: settings.pyo3.clone().or(table.pyo3).unwrap_or_else(|| PYO3_RANGE.into()),
            arguments: settings.arguments.clone(),
            stubs: stubs.or_else(|| settings.stubs.then_some(Stubs::Asked)),
        };
        if let Err(error) = semver::VersionReq::parse(&all.pyo3) {
            return Err(Error::project(
                folder,
                format!("the setting pyo3 = \"{}\" is not a version requirement: {error}", all.pyo3),
                "it comes from rustimport.settings.pyo3, RUSTIMPORT_PYO3 or [tool.rustimport] of pyproject.toml: \
                 write something like \"0.29\"",
            ));
        }
        Ok(all)
    }

    /// The folder below cargo's target folder that holds this profile's output.
    pub fn profile_folder(&self) -> &str {
        match self.profile.as_str() {
            "dev" | "test" => "debug",
            "bench" => "release",
            name => name,
        }
    }
}

fn read_table(path: &Path) -> Result<Table> {
    let broken = |what: String| {
        Error::project(
            path,
            format!("{}: {what}", path.display()),
            "the keys of [tool.rustimport] are profile, pyo3, stubs, remote, remote-trust and remote-revoked, and for a \
             project also enabled, features and inputs",
        )
    };
    let text = fs::read_text(path).map_err(|error| broken(error.to_string()))?;
    // Do not report TOML errors in the file of a project that does not use rustimport.
    if !text.contains("rustimport") {
        return Ok(Table::default());
    }
    let mut document: toml::Table = text.parse().map_err(|error: toml::de::Error| broken(error.to_string()))?;
    match document.remove("tool").and_then(|tool| tool.get("rustimport").cloned()) {
        Some(table) => table.try_into().map_err(|error: toml::de::Error| broken(error.to_string())),
        None => Ok(Table::default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_come_from_the_nearest_table_then_from_defaults() {
        let root = tempfile::tempdir().unwrap();
        let inner = root.path().join("a/b");
        std::fs::create_dir_all(&inner).unwrap();
        let resolve = |profile: Option<&str>| {
            let settings = Settings { profile: profile.map(str::to_owned), ..Settings::default() };
            BuildSettings::resolve(&settings, &inner).map(|all| (all.profile, all.pyo3))
        };
        let write = |path: &str, text: &str| std::fs::write(root.path().join(path), text).unwrap();
        write(PYPROJECT, "[tool.rustimport]\nprofile = 'fast'\npyo3 = '0.23'\n");
        assert_eq!(resolve(None).unwrap(), ("fast".into(), "0.23".into()));
        assert_eq!(resolve(Some("dev")).unwrap(), ("dev".into(), "0.23".into()));
        write("a/pyproject.toml", "no toml at all [");
        assert_eq!(resolve(None).unwrap(), ("dev".into(), PYO3_RANGE.into()));
        write("a/pyproject.toml", "[tool.rustimport]\nprofile = 3\n");
        assert!(resolve(None).unwrap_err().to_string().replace('\\', "/").contains("a/pyproject.toml"));
    }
}
