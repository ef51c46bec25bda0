//! Writes and checks the lock file of a script.

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::cache::layout::Cache;
use crate::env::request::Request;
use crate::package::manifest;
use crate::package::script_lock;
use crate::sources::script_versions::Versions;
use crate::sources::source::Source;

/// Writes the lock file next to a script, or completes it; with [`Versions::Newest`], all versions are chosen again.
/// Returns whether it had to be changed.
pub fn write(request: &Request, versions: Versions, observer: &mut dyn Observer) -> Result<bool> {
    let cache = Cache::of(request);
    let source = opened(request, &cache, observer)?;
    let lock = source.resolve(versions, observer)?;
    let text = script_lock::portable(&lock, &manifest::package_name(&request.entry));
    let path = script_lock::of(&request.root);
    if source.lock.is_none() && path.exists() {
        let message = format!("{} is there already, and is not the lock file of a script", path.display());
        return Err(Error::project(&path, message, "rename that file, or the script"));
    }
    if source.lock.is_some_and(|known| known == text) {
        return Ok(false);
    }
    fs::put_users_file(&path, text.as_bytes()).map_err(|error| {
        let message = format!("cannot write {}: {error}", path.display());
        Error::project(&path, message, "check that you may write to the folder")
    })?;
    Ok(true)
}

/// Fails if a script has no lock file, or one that does not match its dependencies.
pub fn check(request: &Request, observer: &mut dyn Observer) -> Result<()> {
    let cache = Cache::of(request);
    opened(request, &cache, observer)?.check_lock_file(observer)
}

/// The source, and its folder in the cache.
fn opened<'a>(request: &'a Request, cache: &'a Cache, observer: &mut dyn Observer) -> Result<Source<'a>> {
    cache.check_private()?;
    cache.create_root()?;
    cache.create(&request.interpreter)?;
    Source::read(request, cache, observer)
}
