//! Crates: Cargo package folders that opted in to being imported, as a module with the folder's name. Maturin projects
//! are not handled here (`projects`).
//!
//! A crate is built from a mirror in the cache: folders with links to the user's files, and completed manifests. So
//! nothing is written next to the user's files, not even a `Cargo.lock`, while `CARGO_MANIFEST_DIR`, build scripts and
//! `mod` work unchanged. Of a workspace, all of it is mirrored, since members inherit from its root.

use std::path::{Component, Path, PathBuf};

use toml::{Table, Value};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::paths::normal;
use crate::package::cargo_lock;
use crate::package::manifest;

pub struct Crate {
    pub folder: PathBuf,
    pub manifest: Table,
    /// The path of the library's root file.
    pub library: PathBuf,
    pub name: String,
}

const MARKER: &str = ".rustimport";

/// Names that are not mirrored, since cargo would write to them or since they are not inputs.
const NOT_MIRRORED: [&str; 4] = ["Cargo.toml", "Cargo.lock", "target", ".git"];

/// Records the hash of the user's lock file from which the mirror's was copied.
pub const LOCK_ORIGIN: &str = ".lock-origin";

impl Crate {
    /// Reads the crate in `folder`. Fails if there is no package, or if it has no library.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("Cargo.toml");
        let manifest = read_manifest(&path)?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
            return Err(Error::project(
                &path,
                format!("{} has no [package]: it is a workspace, not a crate that can be imported", path.display()),
                "import one of its members",
            ));
        };
        let library = library_of(&manifest, folder);
        if !library.is_file() {
            return Err(Error::project(
                &path,
                format!("{} has no library: there is no {}", folder.display(), library.display()),
                "a crate that is imported needs a library: src/lib.rs, or `path` in its [lib]",
            ));
        }
        Ok(Self { folder: folder.to_owned(), name: name.to_owned(), library, manifest })
    }

    /// The user's files that determine how it is built: its manifest, the workspace's manifest, the lock file.
    pub fn manifests(&self, workspace: &Path) -> [PathBuf; 3] {
        [self.folder.join("Cargo.toml"), workspace.join("Cargo.toml"), workspace.join("Cargo.lock")]
    }

    /// The marker file. Without it the folder is not a module.
    pub fn marker(&self) -> PathBuf {
        self.folder.join(MARKER)
    }

    /// What cargo and maturin read around the package before they compile anything: the manifests of the folders above that
    /// may be its workspace, and the `pyproject.toml`.
    pub fn surroundings(&self) -> Vec<(usize, String)> {
        let pyproject = fs::hash_file(&self.pyproject()).map(|hash| (0, hash));
        workspaces_above(&self.folder).into_iter().chain(pyproject).collect()
    }

    /// maturin's configuration, which need not exist.
    pub fn pyproject(&self) -> PathBuf {
        self.folder.join("pyproject.toml")
    }

    /// The package's folder in the mirror at `mirror`.
    pub fn package(&self, mirror: &Path, workspace: &Path) -> PathBuf {
        mirror.join(self.folder.strip_prefix(workspace).unwrap_or(Path::new("")))
    }

    /// Creates the mirror, except for its manifests.
    pub fn mirror(&self, mirror: &Path, workspace: &Path) -> Result<()> {
        let inner = self.folder.strip_prefix(workspace).unwrap_or(Path::new(""));
        let mut parts: Vec<_> = inner.components().collect();
        let (mut real, mut copy) = (workspace.to_owned(), mirror.to_owned());
        loop {
            let next = (!parts.is_empty()).then(|| parts.remove(0));
            let next_name = next.map(Component::as_os_str);
            fs::mirror(&real, &copy, &|name| NOT_MIRRORED.iter().any(|left| name == *left) || Some(name) == next_name)?;
            let Some(name) = next_name else { break };
            // A folder in between may be another package; its manifest is used unchanged.
            if real != workspace && real.join("Cargo.toml").exists() {
                fs::link(&real.join("Cargo.toml"), &copy.join("Cargo.toml"))?;
            }
            real.push(name);
            copy.push(name);
        }
        Ok(())
    }

    /// Writes the mirror's manifests. `completed` is the completed manifest of the crate.
    pub fn write_manifests(&self, mirror: &Path, workspace: &Path, mut completed: Table) -> Result<()> {
        anchor_beyond(&mut completed, &self.folder, workspace);
        if self.folder == workspace {
            completed.entry("workspace").or_insert_with(|| Table::new().into());
            complete_profiles(&mut completed);
        } else {
            let mut root = read_manifest(&workspace.join("Cargo.toml"))?;
            anchor_beyond(&mut root, workspace, workspace);
            complete_profiles(&mut root);
            fs::write(&mirror.join("Cargo.toml"), root.to_string().as_bytes())?;
        }
        fs::write(&self.package(mirror, workspace).join("Cargo.toml"), completed.to_string().as_bytes()).map(drop)
    }

    /// Writes the mirror's lock file: a copy of the user's, or, if there is none, with the versions that scripts use.
    /// `manifest` is the completed one: the template may have added pyo3.
    pub fn lock(&self, mirror: &Path, workspace: &Path, common: &Path, manifest: &Table) -> Result<()> {
        let (own, lock, origin) = (workspace.join("Cargo.lock"), mirror.join("Cargo.lock"), mirror.join(LOCK_ORIGIN));
        if let Ok(content) = fs::read(&own) {
            let hash = fs::hash_bytes(&content);
            // Cargo may have updated the copy: replace it only if the user's file has changed.
            if !lock.exists() || fs::read_text(&origin).ok().as_deref() != Some(&hash) {
                fs::write(&lock, &content)?;
                fs::write(&origin, hash.as_bytes())?;
            }
        } else if !cargo_lock::local_packages(&lock).contains(&self.name) || origin.exists() {
            fs::remove(&origin);
            fs::remove(&lock);
            cargo_lock::seed(&lock, common, manifest)?;
        }
        Ok(())
    }
}

fn read_manifest(path: &Path) -> Result<Table> {
    let broken = |what: String| Error::project(path, format!("{}: {what}", path.display()), "fix the manifest");
    let text = fs::read_text(path).map_err(|error| broken(error.to_string()))?;
    text.parse().map_err(|error: toml::de::Error| broken(error.to_string()))
}

fn complete_profiles(manifest: &mut Table) {
    let profiles = manifest.entry("profile").or_insert_with(|| Table::new().into());
    if let Value::Table(profiles) = profiles {
        manifest::add_profiles(profiles, true);
    }
}

/// Makes those paths of dependencies, the build script and the library absolute that lead out of the mirrored
/// workspace.
fn anchor_beyond(table: &mut Table, folder: &Path, workspace: &Path) {
    let mut anchor = |path: &mut String| {
        let place = normal(&folder.join(&*path));
        if !place.starts_with(workspace) {
            *path = place.display().to_string();
        }
    };
    manifest::for_each_path(table, &mut anchor);
    for (part, key) in [("package", "build"), ("lib", "path")] {
        if let Some(Value::String(path)) = table.get_mut(part).and_then(|part| part.get_mut(key))
            && path.starts_with("..")
        {
            anchor(path);
        }
    }
}

/// The manifest in a folder; empty if it is missing or invalid.
pub fn manifest_in(folder: &Path) -> Table {
    let text = fs::read_text(folder.join("Cargo.toml")).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// The path of a package's library root, which need not exist.
pub fn library_of(manifest: &Table, folder: &Path) -> PathBuf {
    let named = manifest.get("lib").and_then(|lib| lib.get("path")?.as_str());
    folder.join(named.unwrap_or("src/lib.rs"))
}

/// Whether a folder is a package, and not only a workspace.
pub fn is_package(folder: &Path) -> bool {
    manifest_in(folder).contains_key("package")
}

/// Whether a package has a marker: the file, or a comment on the first line of its manifest.
pub fn is_marked(folder: &Path) -> bool {
    let manifest = fs::read_text(folder.join("Cargo.toml")).unwrap_or_default();
    let first = manifest.lines().next().unwrap_or_default();
    (first.starts_with('#') && first.contains("rustimport")) || folder.join(MARKER).exists()
}

/// The root of a package's workspace, if its manifest names it.
pub fn named_workspace(package: &Path) -> Option<PathBuf> {
    Some(package.join(manifest_in(package).get("package")?.get("workspace")?.as_str()?))
}

/// The manifests above a package that may be its workspace: the number of folders above it, and a hash.
pub fn workspaces_above(package: &Path) -> Vec<(usize, String)> {
    let manifests = package.ancestors().enumerate().skip(1).filter_map(|(height, folder)| {
        let text = fs::read_text(folder.join("Cargo.toml")).ok().filter(|text| text.contains("workspace"))?;
        Some((height, fs::hash_bytes(text.as_bytes())))
    });
    manifests.collect()
}
