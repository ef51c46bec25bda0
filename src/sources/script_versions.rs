//! Chooses the versions of a script's dependencies, with cargo, and without compiling anything.

use std::path::Path;

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::process::{self, Finished, Priority};
use crate::build::runner::{self, text};
use crate::build::script_job::prefer_compatible_versions;
use crate::env::toolchain::Toolchain;
use crate::output::cargo::{first_error, is_about_network};
use crate::package::manifest;
use crate::package::script_lock;
use crate::sources::source::Source;

/// Which versions to choose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Versions {
    /// Those in the script's lock file, and the newest of what it lacks.
    Locked,
    Newest,
}

impl Source<'_> {
    /// Cargo's lock file of the script's package, with the chosen versions.
    pub fn resolve(&self, versions: Versions, observer: &mut dyn Observer) -> Result<String> {
        let folder = self.write_for_cargo(versions)?;
        let has_lock = folder.path().join("Cargo.lock").exists();
        let arguments: &[&str] = if has_lock { &["update", "--workspace"] } else { &["generate-lockfile"] };
        let finished = self.run_cargo(folder.path(), arguments, observer)?;
        let lock = fs::read_text(folder.path().join("Cargo.lock"));
        match lock {
            Ok(lock) if finished.status.success() => Ok(lock),
            _ => Err(self.unresolved(&finished)),
        }
    }

    /// Fails if the source has no lock file, or one that lacks something that its dependencies need; that of a crate is
    /// checked by cargo in a build.
    pub fn check_lock_file(&self, observer: &mut dyn Observer) -> Result<()> {
        if let Some(krate) = &self.krate {
            let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
            let path = toolchain.workspace_of(&krate.folder, observer)?.join("Cargo.lock");
            if path.exists() {
                return Ok(());
            }
            let shown = krate.folder.display();
            let message = format!("{shown} has no lock file ({})", path.display());
            let hint = format!("write it: cargo generate-lockfile --manifest-path {shown}/Cargo.toml");
            return Err(Error::project(&path, message, hint));
        }
        let path = script_lock::of(&self.request.root);
        let shown = self.request.root.display();
        let failed = |message: String, what: &str| {
            Err(Error::project(&path, message, format!("{what} it: python -m rustimport build --lock {shown}")))
        };
        if self.lock.is_none() {
            return failed(format!("{shown} has no lock file ({})", path.display()), "write");
        }
        let folder = self.write_for_cargo(Versions::Locked)?;
        let host = self.toolchain.as_ref().map(Toolchain::host).unwrap_or_default();
        let target = self.settings.arguments.target.as_deref().unwrap_or(host);
        let finished = self.run_cargo(folder.path(), &["fetch", "--locked", "--target", target], observer)?;
        if finished.status.success() {
            return Ok(());
        }
        // `cannot update the lock file … because --locked was passed`
        if text(&finished.stderr).contains("--locked") {
            return failed(format!("{} does not match the dependencies of {shown}", path.display()), "update");
        }
        Err(self.unresolved(&finished))
    }

    /// Writes a package with the script's manifest, and its lock file, unless the newest versions are wanted.
    fn write_for_cargo(&self, versions: Versions) -> Result<tempfile::TempDir> {
        self.entry.create()?;
        let folder = fs::temporary_folder(self.entry.home(), "versions")?;
        let table = manifest::cargo_manifest(self.request, &self.script, &self.settings, &self.library);
        fs::write(&folder.path().join("Cargo.toml"), table.to_string().as_bytes())?;
        if let Some(lock) = self.cargo_lock_of(&table).filter(|_| versions == Versions::Locked) {
            fs::write(&folder.path().join("Cargo.lock"), lock.as_bytes())?;
        }
        Ok(folder)
    }

    fn run_cargo(&self, package: &Path, arguments: &[&str], observer: &mut dyn Observer) -> Result<Finished> {
        let toolchain = self.toolchain.as_ref().map_err(Error::clone)?;
        let mut command = process::command(&toolchain.cargo);
        command
            .args(arguments)
            .arg("--manifest-path")
            .arg(package.join("Cargo.toml"))
            .current_dir(self.request.folder())
            .env(env_vars::PATH, toolchain.path())
            .env(env_vars::CARGO_TERM_COLOR, "never");
        prefer_compatible_versions(&mut command);
        let finished = runner::repeat(&command, Priority::Normal, observer)?;
        if !finished.status.success() && is_about_network(&text(&finished.stderr)) {
            // What is on this machine may suffice.
            command.env(env_vars::CARGO_NET_OFFLINE, "true");
            return runner::repeat(&command, Priority::Normal, observer);
        }
        Ok(finished)
    }

    fn unresolved(&self, finished: &Finished) -> Error {
        let root = &self.request.root;
        let message = format!(
            "no versions were found for the dependencies of {}: {}",
            root.display(),
            first_error(&text(&finished.stderr))
        );
        Error::project(root, message, "check the names and versions in the `//:` lines of the script, and the network")
    }
}
