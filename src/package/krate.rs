//! A crate that opted in: a Cargo package folder, imported as a module of the folder's name.
//!
//! It is built from a mirror of itself in the cache: folders of links to what is there, with manifests that are
//! completed. So nothing is written beside the user's files, not even a `Cargo.lock`; `CARGO_MANIFEST_DIR`, build
//! scripts and `mod` find everything as it stands. Of a workspace, the whole is mirrored, since members inherit.

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
    /// The library's root.
    pub library: PathBuf,
    pub name: String,
}

const MARKER: &str = ".rustimport";

/// What is never mirrored: it would be written to, or is nobody's input.
const LEFT_OUT: [&str; 4] = ["Cargo.toml", "Cargo.lock", "target", ".git"];

/// Notes which lock file of the user's the mirror's was made of.
const LOCK_ORIGIN: &str = ".lock-origin";

impl Crate {
    /// Reads the crate in `folder`.
    ///
    /// Fails if there is no package, or one without a library.
    pub fn read(folder: &Path) -> Result<Self> {
        let path = folder.join("Cargo.toml");
        let manifest = read_manifest(&path)?;
        let Some(name) = manifest.get("package").and_then(|package| package.get("name")?.as_str()) else {
            return Err(Error::project(
                &path,
                format!("{} has no [package]: it is a workspace, and no crate that could be imported", path.display()),
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

    /// The files of the user's that say how it is built: its manifest, its workspace's, the lock file.
    pub fn manifests(&self, workspace: &Path) -> [PathBuf; 3] {
        [self.folder.join("Cargo.toml"), workspace.join("Cargo.toml"), workspace.join("Cargo.lock")]
    }

    /// The file that says that it is to be imported. Without it, it is nobody's module.
    pub fn marker(&self) -> PathBuf {
        self.folder.join(MARKER)
    }

    /// Where the package stands in the mirror at `mirror`.
    pub fn package(&self, mirror: &Path, workspace: &Path) -> PathBuf {
        mirror.join(self.folder.strip_prefix(workspace).unwrap_or(Path::new("")))
    }

    /// Makes the mirror, but for its manifests.
    pub fn mirror(&self, mirror: &Path, workspace: &Path) -> Result<()> {
        let inner = self.folder.strip_prefix(workspace).unwrap_or(Path::new(""));
        let mut parts: Vec<_> = inner.components().collect();
        let (mut real, mut copy) = (workspace.to_owned(), mirror.to_owned());
        loop {
            let next = (!parts.is_empty()).then(|| parts.remove(0));
            let next_name = next.map(Component::as_os_str);
            fs::mirror(&real, &copy, &|name| LEFT_OUT.iter().any(|left| name == *left) || Some(name) == next_name)?;
            let Some(name) = next_name else { break };
            // A folder in between may be a package itself; its manifest stays as it is.
            if real != workspace && real.join("Cargo.toml").exists() {
                fs::link(&real.join("Cargo.toml"), &copy.join("Cargo.toml"))?;
            }
            real.push(name);
            copy.push(name);
        }
        Ok(())
    }

    /// Writes the mirror's manifests. `completed` is the crate's own as it is to be built.
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

    /// Gives the mirror the user's lock file, or, where there is none, the versions that scripts have.
    pub fn lock(&self, mirror: &Path, workspace: &Path, common: &Path) -> Result<()> {
        let (own, lock, origin) = (workspace.join("Cargo.lock"), mirror.join("Cargo.lock"), mirror.join(LOCK_ORIGIN));
        if let Ok(content) = fs::read(&own) {
            let hash = fs::hash_bytes(&content);
            // Cargo may have had to bring it up to date.
            if !lock.exists() || fs::read_text(&origin).ok().as_deref() != Some(&hash) {
                fs::write(&lock, &content)?;
                fs::write(&origin, hash.as_bytes())?;
            }
        } else if !cargo_lock::local_packages(&lock).contains(&self.name) || origin.exists() {
            fs::remove(&origin);
            fs::remove(&lock);
            cargo_lock::seed(&lock, common, &self.manifest)?;
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
        // A crate is rarely short.
        manifest::add_profiles(profiles, true);
    }
}

/// Makes the paths absolute that lead out of what is mirrored: of dependencies, the build script, the library.
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

/// The manifest in a folder; empty where there is none that can be read.
pub fn manifest_in(folder: &Path) -> Table {
    let text = fs::read_text(folder.join("Cargo.toml")).unwrap_or_default();
    text.parse().unwrap_or_default()
}

/// The root of a package's library, whether or not it is there.
pub fn library_of(manifest: &Table, folder: &Path) -> PathBuf {
    let named = manifest.get("lib").and_then(|lib| lib.get("path")?.as_str());
    folder.join(named.unwrap_or("src/lib.rs"))
}

/// Whether a folder is a package, and not just a workspace.
pub fn is_package(folder: &Path) -> bool {
    manifest_in(folder).contains_key("package")
}

/// Whether a package opted in to being imported.
pub fn is_marked(folder: &Path) -> bool {
    let manifest = fs::read_text(folder.join("Cargo.toml")).unwrap_or_default();
    let first = manifest.lines().next().unwrap_or_default();
    (first.starts_with('#') && first.contains("rustimport")) || folder.join(MARKER).exists()
}
