//! Finds the configuration files that apply to a source: cargo's configuration, the manifests of workspaces, toolchain
//! files and the nearest `pyproject.toml`. Of their content, only `include` and `[env]` in cargo's configuration are
//! interpreted here.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::fs::{self, Stat, Watched};
use crate::base::owners::{Exposed, Trusted};
use crate::base::programs::cargo_home;
use crate::env::settings::PYPROJECT;
use crate::env::toolchain::TOOLCHAIN_FILES;

/// The configuration files that apply to a source, in its folder and above, and the places where such a file could
/// appear later.
#[derive(Debug, Default)]
pub struct CargoConfig {
    /// Cargo's configuration files, and the manifests above a package. Their content is an input.
    pub files: Vec<PathBuf>,
    /// Toolchain files and the `pyproject.toml`. Not their content is an input but the settings that result from it.
    pub watched: Vec<Watched>,
    /// For each folder its stat, and the names of configuration files that do not exist in it.
    pub absent: BTreeMap<PathBuf, (Option<Stat>, Vec<String>)>,
    /// Whether there is cargo configuration besides that in cargo's home, which applies to every source.
    pub has_own_config: bool,
    /// A `pyproject.toml` that is not used, with the reason.
    pub ignored: Option<String>,
    trusted: Trusted,
    /// Cargo's home. Whoever can write there can replace cargo itself.
    home: Option<PathBuf>,
}

const CONFIG_FILES: [&str; 2] = ["config.toml", "config"];
const MANIFEST: &str = "Cargo.toml";

impl CargoConfig {
    /// Finds the configuration for a source in `folder`. Fails if another user could change what cargo reads, since that
    /// can run code. Whoever can write to `folder` is trusted: that user can change the source anyway.
    /// `package`: the folder of the user's manifest, if there is one.
    pub fn of(folder: &Path, package: Option<&Path>) -> Result<Self> {
        let mut found = Self { trusted: Trusted::with(folder), ..Self::default() };
        // Cargo searches from its working folder as the system reports it, with links resolved.
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        found.home = cargo_home().map(|home| std::fs::canonicalize(&home).unwrap_or(home));
        let common = found.home.clone();
        let mut wants_pyproject = true;
        for parent in folder.ancestors() {
            let config = parent.join(".cargo");
            if config.is_dir() {
                found.has_own_config |= found.look_for_config(&config)? && common.as_deref() != Some(&config);
            } else {
                found.record_absent(parent, ".cargo");
            }
            for name in TOOLCHAIN_FILES {
                if found.look_for(parent, name) {
                    found.check(&parent.join(name))?;
                    found.watched.push(fs::watch(&parent.join(name)));
                }
            }
            if wants_pyproject && found.look_for(parent, PYPROJECT) {
                let path = parent.join(PYPROJECT);
                found.watched.push(fs::watch(&path));
                // Only settings come from it, so it need not stop anything.
                match found.trusted.exposed(&path) {
                    Some(exposed) => {
                        found.ignored = Some(format!("{} is not used: {}", path.display(), exposed.problem()));
                    }
                    None => wants_pyproject = false,
                }
            }
        }
        if let Some(common) = common
            && !folder.ancestors().any(|parent| parent.join(".cargo") == common)
        {
            found.look_for_config(&common)?;
        }
        if let Some(package) = package {
            found.look_for_workspace(package)?;
        }
        Ok(found)
    }

    /// Adds the manifests above a package, up to that of its workspace, as cargo searches for one.
    fn look_for_workspace(&mut self, package: &Path) -> Result<()> {
        let package = std::fs::canonicalize(package).unwrap_or_else(|_| package.to_owned());
        for folder in package.ancestors() {
            let manifest = folder.join(MANIFEST);
            if folder != package && self.look_for(folder, MANIFEST) {
                self.check(&manifest)?;
                self.files.push(manifest.clone());
            }
            let text = fs::read_text(&manifest).unwrap_or_default();
            let table: toml::Table = text.parse().unwrap_or_default();
            let names_one = folder == package && table.get("package").is_some_and(|own| own.get("workspace").is_some());
            if table.contains_key("workspace") || names_one {
                break;
            }
        }
        Ok(())
    }

    /// The variables that cargo's configuration sets in `[env]`.
    pub fn variables(&self) -> Vec<String> {
        let texts = self.files.iter().filter_map(|path| fs::read_text(path).ok());
        texts.flat_map(|text| variables_in(&text)).collect()
    }

    fn look_for(&mut self, folder: &Path, name: &str) -> bool {
        self.record_absent(folder, name);
        let exists = folder.join(name).exists();
        if exists && let Some((_, names)) = self.absent.get_mut(folder) {
            names.pop();
        }
        exists
    }

    /// Records that a name is not in a folder. The folder's stat is taken before the caller checks for the file.
    fn record_absent(&mut self, folder: &Path, name: &str) {
        let (_, names) = self.absent.entry(folder.to_owned()).or_insert_with(|| (fs::watch(folder).1, Vec::new()));
        names.push(name.to_owned());
    }

    /// Fails if a user who is not trusted could change what cargo reads at a path.
    fn check(&self, path: &Path) -> Result<()> {
        let exposed = match &self.home {
            Some(home) if path.starts_with(home) => self.trusted.clone().whoever_can_write().exposed_from(home, path),
            _ => self.trusted.exposed(path),
        };
        exposed.map_or(Ok(()), |exposed| Err(refused(path, &exposed)))
    }

    /// Adds a configuration file and the files that it includes.
    fn add_config(&mut self, path: &Path) -> Result<()> {
        if self.files.iter().any(|known| known == path) {
            return Ok(());
        }
        self.check(path)?;
        self.files.push(path.to_owned());
        let text = fs::read_text(path).unwrap_or_default();
        // Most files include nothing and need not be parsed.
        let table: toml::Table = text.contains("include").then(|| text.parse().ok()).flatten().unwrap_or_default();
        let Some(folder) = path.parent() else { return Ok(()) };
        for include in includes(&table) {
            let include = folder.join(include);
            if let (Some(folder), Some(name)) = (include.parent(), include.file_name().and_then(|name| name.to_str()))
                && self.look_for(folder, name)
            {
                self.add_config(&include)?;
            }
        }
        Ok(())
    }

    fn look_for_config(&mut self, folder: &Path) -> Result<bool> {
        let mut any = false;
        for name in CONFIG_FILES {
            if self.look_for(folder, name) {
                self.add_config(&folder.join(name))?;
                any = true;
            }
        }
        Ok(any)
    }
}

/// The files that a cargo configuration includes. `include` is a path, or a list of paths or of tables with a path
/// (<https://doc.rust-lang.org/cargo/reference/config.html>).
fn includes(configuration: &toml::Table) -> Vec<String> {
    let path = |value: &toml::Value| value.as_str().or_else(|| value.get("path")?.as_str()).map(str::to_owned);
    match configuration.get("include") {
        Some(toml::Value::Array(list)) => list.iter().filter_map(path).collect(),
        Some(value) => path(value).into_iter().collect(),
        None => Vec::new(),
    }
}

/// The error about a file that cargo or rustup would read.
fn refused(path: &Path, exposed: &Exposed) -> Error {
    let place = if exposed.path == path { String::new() } else { format!("{}: ", path.display()) };
    Error::project(
        path,
        format!("{place}{}", exposed.problem()),
        format!(
            "cargo would read the file for this source, and it can name programs to run: if you trust it, run {}; \
             otherwise remove it, or move the source out of folders that other users can write to",
            exposed.remedy()
        ),
    )
}

/// Tables of cargo's configuration that are about downloads and output alone: they differ between machines.
const ABOUT_THIS_MACHINE: [&str; 7] = ["alias", "cache", "cargo-new", "http", "install", "net", "term"];

/// What of a configuration file can change what is built; `None` if nothing does.
pub fn effective(path: &Path, text: String) -> Option<String> {
    if path.file_name().is_some_and(|name| name == MANIFEST) {
        return Some(text);
    }
    let Ok(mut table) = text.parse::<toml::Table>() else { return Some(text) };
    let count = table.len();
    table.retain(|key, _| !ABOUT_THIS_MACHINE.contains(&key));
    match table.len() {
        0 => None,
        left if left == count => Some(text),
        _ => toml::to_string(&table).ok().or(Some(text)),
    }
}

/// The variables that a configuration file sets in `[env]`.
pub fn variables_in(text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap_or_default();
    let env = table.get("env").and_then(toml::Value::as_table).cloned().unwrap_or_default();
    env.into_iter().map(|(name, _)| name).collect()
}
