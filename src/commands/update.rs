//! Renews the versions of a script's dependencies, or of those of a crate without a lock file of its own. The library is
//! built afterwards, by a forced `ensure`.

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::lock::{self, Timeout, Wait};
use crate::base::process;
use crate::cache::layout::Cache;
use crate::env::request::Request;
use crate::package::cargo_lock;
use crate::package::krate::LOCK_ORIGIN;
use crate::sources::source::Source;

/// Runs `cargo update` for a source. Returns what moved, one line for each package.
pub fn run(request: &Request, observer: &mut dyn Observer) -> Result<Vec<String>> {
    let root = request.root.display();
    let failed = |why: String, hint: &str| {
        Error::project(&request.root, format!("the versions of {root} cannot be updated: {why}"), hint)
    };
    let cache = Cache::of(request);
    cache.check_private()?;
    cache.create_root()?;
    let _shared = lock::share_cache(&cache.lock(), request.lock_timeout, observer)?;
    cache.create(&request.interpreter)?;
    let source = Source::read(request, &cache, observer)?;
    source.entry.create()?;
    let name = request.root.file_name().unwrap_or_default().to_string_lossy();
    let _lock = lock::lock_entry(&source.entry.lock(), &name, request.lock_timeout, observer)?;
    let plan = source.plan(observer)?;
    let package = source.entry.package();
    if package.join(LOCK_ORIGIN).exists() {
        let hint = if source.krate.is_some() {
            "run `cargo update` in its folder"
        } else {
            "delete the lock file next to it, update again, and write a new one with `build --lock`"
        };
        return Err(failed("it has a lock file of its own".into(), hint));
    }
    let toolchain = source.toolchain.as_ref().map_err(Error::clone)?;
    let path = package.join("Cargo.lock");
    let before = cargo_lock::versions(&path);
    let mut command = process::command(&toolchain.cargo);
    command.args(["update", "--manifest-path"]).arg(plan.package.join("Cargo.toml")).current_dir(request.folder());
    command.env(env_vars::PATH, toolchain.path()).env(env_vars::CARGO_TERM_COLOR, "never");
    if env_vars::get(env_vars::CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS).is_none() {
        command.env(env_vars::CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS, "fallback");
    }
    let running = process::spawn(command).map_err(|error| failed(error.to_string(), "try again"))?;
    let finished = running.finish(observer, |_, _| {})?;
    if !finished.status.success() {
        let (why, hint) = finished.complaint("check the network, and the names and versions of its dependencies");
        return Err(failed(why, hint));
    }
    // New scripts start from the versions that were updated last.
    let guard = cache.common_lock_guard();
    let what = || Wait::new("the common lock file");
    let _guard = lock::lock_one_of(&[guard], &|| 1, &what, Timeout::default(), observer)?;
    cargo_lock::share_first(&path, &cache.common_lock())?;
    Ok(cargo_lock::moved(&before, &cargo_lock::versions(&path)))
}
