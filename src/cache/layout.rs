//! The paths of everything in the cache, and the check that no other user can write to it. `ARCHITECTURE.md` describes
//! the layout. Other modules get the paths from here.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::fs;
use crate::base::owners::Trusted;
use crate::base::programs;
use crate::cache::store::Store;
use crate::env::interpreter::Interpreter;
use crate::env::request::Request;

/// The format of everything below the root. Other formats have other folders, which are not touched.
const FORMAT: &str = "v1";

const CACHEDIR_TAG: &str = "Signature: 8a477f597d28d172789f06886806bc55\n\
    # This folder holds what rustimport built; it may be deleted at any time.\n\
    # See https://bford.info/cachedir/\n";

/// The part of the cache for one interpreter.
pub struct Cache {
    root: PathBuf,
    home: PathBuf,
    /// The root of the shared cache, which was prepared for all users.
    shared: Option<PathBuf>,
}

/// The folder of one source in the cache.
pub struct Entry {
    home: PathBuf,
}

impl Cache {
    /// The cache that the request names. Does not access the disk.
    pub fn of(request: &Request) -> Self {
        let shared = request.shared_cache.clone().filter(|shared| *shared != request.cache);
        Self { shared, ..Self::at(&request.cache, &request.interpreter.key) }
    }

    /// The part for one interpreter of the cache below a root.
    pub fn at(root: &Path, key: &str) -> Self {
        Self { root: root.to_owned(), home: root.join(FORMAT).join(key), shared: None }
    }

    /// The parts for all interpreters of the cache below a root.
    pub fn all(root: &Path) -> Vec<Self> {
        let homes = folders(&root.join(FORMAT)).into_iter();
        homes.map(|home| Self { root: root.to_owned(), home, shared: None }).collect()
    }

    /// The part for this interpreter of the shared cache, which is only read. `None` if anyone except root or this user
    /// could have written to it.
    pub fn shared(&self) -> Option<Self> {
        let cache = self.shared_unchecked()?;
        cache.check_private().is_ok().then_some(cache)
    }

    /// Why the shared cache is not used, if there is one.
    pub fn why_not_shared(&self) -> Option<String> {
        self.shared_unchecked()?.check_private().err().map(|error| error.to_string())
    }

    fn shared_unchecked(&self) -> Option<Self> {
        let root = self.shared.as_ref()?;
        Some(Self::at(root, &self.key())).filter(|cache| cache.home.is_dir())
    }

    /// The key of this part's interpreter.
    pub fn key(&self) -> String {
        self.home.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    pub fn home(&self) -> &Path {
        &self.home
    }

    /// The target slots that exist.
    pub fn existing_slots(&self) -> Vec<PathBuf> {
        (0..100).map(|number| self.slot(number)).take_while(|slot| fs::is_folder(slot)).collect()
    }

    /// The names of all entries.
    pub fn entry_names(&self) -> Vec<String> {
        let homes = folders(&self.home.join("entries"));
        homes.iter().map(|home| home.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
    }

    /// Fails if other users could have written to the cache: libraries are loaded from it.
    pub fn check_private(&self) -> Result<()> {
        Self::check_private_root(&self.root)?;
        let below = [self.root.join(FORMAT), self.home.clone(), self.home.join("entries"), self.home.join("store")];
        below.iter().try_for_each(|folder| Self::check_private_root(folder))?;
        if self.root.exists() { self.check_place() } else { Ok(()) }
    }

    /// Fails if other users could exchange the whole cache. The user's home is trusted, as ssh does.
    fn check_place(&self) -> Result<()> {
        let home = programs::home().unwrap_or_else(|| "/".into());
        let Some(exposed) = Trusted::own().exposed_from(&home, &self.root) else { return Ok(()) };
        Err(Error::cache(
            &self.root,
            format!("other users can exchange the cache folder {}: {}", self.root.display(), exposed.problem()),
            format!(
                "they could put any library there: set RUSTIMPORT_CACHE_DIR to a folder in a place of your own, or, if \
                 you trust them, run {}",
                exposed.remedy()
            ),
        ))
    }

    /// The same check for one folder, such as the root before the interpreter is known.
    pub fn check_private_root(root: &Path) -> Result<()> {
        std::fs::metadata(root).map_or(Ok(()), |metadata| check_owner(root, &metadata))
    }

    /// Creates the root, which contains the cache's lock. Everything else is created by a holder of the lock, since
    /// clearing the cache removes it.
    pub fn create_root(&self) -> Result<()> {
        if self.root.to_str().is_none() {
            return Err(Error::cache(
                &self.root,
                format!("the path of the cache folder {} is not valid Unicode", self.root.display()),
                "cargo cannot build there: set RUSTIMPORT_CACHE_DIR to another folder",
            ));
        }
        fs::create_private_folder(&self.root)?;
        self.check_place()
    }

    /// Creates the folders and files that are missing.
    pub fn create(&self, interpreter: &Interpreter) -> Result<()> {
        // The root first, so that an error names it and not a folder below.
        self.create_root()?;
        fs::create_private_folder(&self.home.join("entries"))?;
        fs::write(&self.root.join("CACHEDIR.TAG"), CACHEDIR_TAG.as_bytes())?;
        let description = toml::to_string(interpreter).expect("an interpreter is a table of plain values");
        fs::write(&self.home.join("interpreter.toml"), description.as_bytes())?;
        // pyo3 is compiled again if this file's time changes, so it is written only once.
        fs::write(&self.own_pyo3_config(), interpreter.pyo3_config().as_bytes())?;
        self.record_environment(&interpreter.prefix)?;
        let common = self.shared().map(|shared| shared.common_lock()).filter(|_| !self.common_lock().exists());
        // Use the versions that are compiled in the shared cache.
        match common.and_then(|lock| fs::read(lock).ok()) {
            Some(lock) => fs::write(&self.common_lock(), &lock).map(drop),
            None => Ok(()),
        }
    }

    fn record_environment(&self, prefix: &Path) -> Result<()> {
        let Some(text) = prefix.to_str() else { return Ok(()) };
        let folder = self.environments_home();
        fs::create_private_folder(&folder)?;
        fs::write(&folder.join(&fs::hash_bytes(text.as_bytes())[..16]), text.as_bytes()).map(drop)
    }

    /// The environments that have used this cache and still exist.
    pub fn environments(&self) -> Vec<PathBuf> {
        let notes = std::fs::read_dir(self.environments_home()).into_iter().flatten().flatten();
        let prefixes = notes.filter_map(|note| Some(PathBuf::from(fs::read_text(note.path()).ok()?)));
        let mut prefixes: Vec<_> = prefixes.filter(|prefix| prefix.is_dir()).collect();
        prefixes.sort();
        prefixes
    }

    fn environments_home(&self) -> PathBuf {
        self.home.join("environments")
    }

    fn own_pyo3_config(&self) -> PathBuf {
        self.home.join("pyo3-config.txt")
    }

    /// The pyo3 configuration file. It is the one in the shared cache if the content is equal: cargo compares its path,
    /// and dependencies that were compiled there can be used here.
    pub fn pyo3_config(&self) -> PathBuf {
        let own = self.own_pyo3_config();
        let shared = self.shared().map(|shared| shared.own_pyo3_config());
        let content = |path: &Path| fs::read(path).ok();
        shared.filter(|shared| content(shared).is_some_and(|text| Some(text) == content(&own))).unwrap_or(own)
    }

    /// The same for Windows, if that is the target and not this system.
    pub fn pyo3_config_for_windows(&self, triple: &str) -> PathBuf {
        self.home.join(format!("pyo3-config-{triple}.txt"))
    }

    pub fn common_lock(&self) -> PathBuf {
        self.home.join("Cargo.lock")
    }

    /// The lock for an update of the common lock file.
    pub fn common_lock_guard(&self) -> PathBuf {
        self.slots().join("common.lock")
    }

    /// The target folder of rust-analyzer and other tools.
    pub fn rust_tools_target(&self) -> PathBuf {
        self.home.join("rust-tools")
    }

    /// A target folder for cargo, used by many scripts.
    pub fn slot(&self, number: usize) -> PathBuf {
        self.home.join(if number == 0 { "target".into() } else { format!("target-{}", number + 1) })
    }

    /// The folder of the slots' locks.
    pub fn slots(&self) -> PathBuf {
        self.home.join("lanes")
    }

    /// Whether a file is in this part of the cache or in the shared cache.
    pub fn has_made(&self, file: &Path) -> bool {
        file.starts_with(&self.home) || self.shared.as_ref().is_some_and(|shared| file.starts_with(shared))
    }

    pub fn toolchains(&self) -> PathBuf {
        self.home.join("toolchains")
    }

    /// The store of artifacts, indexed by the content of their inputs.
    pub fn store(&self) -> Store {
        Store::at(self.home.join("store"))
    }

    /// The cache's lock. Processes that use the cache hold it as a read lock, clearing holds it exclusively.
    pub fn lock(&self) -> PathBuf {
        Self::lock_of(&self.root)
    }

    /// The lock of the cache below a root.
    pub fn lock_of(root: &Path) -> PathBuf {
        root.join("lock")
    }

    /// The folder with the source texts of cells, for all interpreters.
    pub fn cells_of(root: &Path) -> PathBuf {
        root.join("cells")
    }

    /// The lock that is held while a project is built. All interpreters and environments use the project's target
    /// folder.
    pub fn project_lock(&self, project: &Path) -> PathBuf {
        let name = fs::hash_bytes(project.as_os_str().as_encoded_bytes());
        self.root.join("projects").join(format!("{}.lock", &name[..16]))
    }

    pub fn entry(&self, name: &str) -> Entry {
        Entry { home: self.home.join("entries").join(name) }
    }
}

impl Entry {
    pub fn create(&self) -> Result<()> {
        fs::create_private_folder(&self.package())
    }

    pub fn lock(&self) -> PathBuf {
        self.home.join("lock")
    }

    pub fn stamp(&self) -> PathBuf {
        self.home.join("stamp")
    }

    pub fn record(&self) -> PathBuf {
        self.home.join("record.toml")
    }

    /// The target folder of a crate.
    pub fn target(&self) -> PathBuf {
        self.home.join("target")
    }

    /// The record of a project's cargo metadata.
    pub fn metadata(&self) -> PathBuf {
        self.home.join("metadata.toml")
    }

    /// The record of what cargo compiled last in a slot.
    pub fn compiled(&self, slot: &Path) -> PathBuf {
        self.home.join(format!("compiled-in-{}.toml", slot.file_name().unwrap_or_default().to_string_lossy()))
    }

    /// The generated package.
    pub fn package(&self) -> PathBuf {
        self.home.join("package")
    }

    /// The package for rust-analyzer and other tools.
    pub fn for_rust_tools(&self) -> PathBuf {
        self.home.join("rust-tools")
    }

    /// A file that is written when a build starts, to get the time of the file system's clock.
    pub fn clock(&self) -> PathBuf {
        self.home.join("clock")
    }

    /// The entry's folder. Artifacts are in numbered subfolders.
    pub fn home(&self) -> &Path {
        &self.home
    }
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let folders = fs::items(parent).filter(|item| item.file_type().is_ok_and(|kind| kind.is_dir()));
    let mut folders: Vec<_> = folders.map(|item| item.path()).collect();
    folders.sort();
    folders
}

#[cfg(unix)]
fn check_owner(folder: &Path, metadata: &Metadata) -> Result<()> {
    use std::os::unix::fs::MetadataExt;
    let me = rustix::process::geteuid().as_raw();
    let others_may_write = metadata.mode() & 0o022 != 0;
    if metadata.uid() != me && (metadata.uid() != 0 || others_may_write) {
        return Err(Error::cache(
            folder,
            format!("the cache folder {} belongs to another user (uid {})", folder.display(), metadata.uid()),
            "its owner could have put any library there: set RUSTIMPORT_CACHE_DIR to a folder that you own",
        ));
    }
    if others_may_write {
        // An empty folder can still be made private.
        let is_empty = || std::fs::read_dir(folder).is_ok_and(|mut listing| listing.next().is_none());
        if metadata.uid() == me && is_empty() && fs::make_private(folder).is_ok() {
            return Ok(());
        }
        return Err(Error::cache(
            folder,
            format!("the cache folder {} is writable by other users", folder.display()),
            format!(
                "they could have put any library there: remove the folder, and it will be created again; or, if you \
                 trust them, run `chmod go-w {}`",
                folder.display()
            ),
        ));
    }
    Ok(())
}

#[cfg(not(unix))]
fn check_owner(_: &Path, _: &Metadata) -> Result<()> {
    // On Windows, access control lists make the user's folders private.
    Ok(())
}
