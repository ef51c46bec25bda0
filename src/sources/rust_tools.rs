//! Writes the package of a script for the tools of Rust programmers: rust-analyzer, `cargo test`, `cargo clippy`. Unlike
//! the package that is built for Python, it is an ordinary library whose root is the user's own file, so that tools show
//! what they find there, and so that tests can be linked.

use std::path::{Path, PathBuf};

use toml::{Table, Value};

use crate::base::error::Result;
use crate::base::fs;
use crate::package::cargo_lock;
use crate::package::manifest;
use crate::sources::source::Source;

impl Source<'_> {
    /// Writes the package, and returns its manifest, and whether the user's file is its root: not if it relies on the
    /// template for `use pyo3::prelude::*`. A crate is its own package. `python` is the interpreter that tests are
    /// linked to; with `starts_python`, they start it when they need it, which requires a shared libpython.
    pub fn write_for_rust_tools(&self, python: &Path, starts_python: bool) -> Result<(PathBuf, bool)> {
        if let Some(krate) = &self.krate {
            return Ok((krate.folder.join("Cargo.toml"), true));
        }
        let folder = self.entry.for_rust_tools();
        fs::create_private_folder(&folder.join(".cargo"))?;
        let is_root = !self.script.lacks_prelude();
        let root = if is_root { None } else { self.write_root(&folder)? };
        let root = root.unwrap_or_else(|| self.library.clone());
        let mut table = manifest::cargo_manifest(self.request, &self.script, &self.settings, &root);
        let lib = manifest::table(&mut table, "lib");
        lib.insert("crate-type".into(), Value::Array(vec!["lib".into()]));
        // Doc tests use this name.
        lib.insert("name".into(), self.request.stem().into());
        prepare_pyo3(manifest::table(&mut table, "dependencies"), starts_python);
        if is_root {
            // What the template exports is not used in the user's file.
            let lints = manifest::table(manifest::table(&mut table, "lints"), "rust");
            manifest::default(lints, "dead_code", "allow");
        }
        let lock = folder.join("Cargo.lock");
        let changed = fs::write(&folder.join("Cargo.toml"), table.to_string().as_bytes())?;
        if let Some(text) = self.cargo_lock_of(&table) {
            fs::write(&lock, text.as_bytes())?;
        } else if changed || !lock.exists() {
            cargo_lock::seed(&lock, &self.cache.common_lock(), &table)?;
        }
        let mut config = Table::new();
        let target = self.cache.rust_tools_target().display().to_string();
        manifest::table(&mut config, "build").insert("target-dir".into(), target.into());
        manifest::table(&mut config, "env").insert("PYO3_PYTHON".into(), python.display().to_string().into());
        fs::write(&folder.join(".cargo/config.toml"), config.to_string().as_bytes())?;
        Ok((folder.join("Cargo.toml"), is_root))
    }

    /// Writes the package again if it is there: its dependencies may have changed.
    pub fn refresh_for_rust_tools(&self) -> Result<()> {
        if !self.entry.for_rust_tools().exists() {
            return Ok(());
        }
        let config = fs::read_text(self.entry.for_rust_tools().join(".cargo/config.toml")).unwrap_or_default();
        let known: Option<PathBuf> = config
            .parse::<Table>()
            .ok()
            .and_then(|config| Some(config.get("env")?.get("PYO3_PYTHON")?.as_str()?.into()));
        let manifest = fs::read_text(self.entry.for_rust_tools().join("Cargo.toml")).unwrap_or_default();
        let starts_python = manifest.contains(AUTO_INITIALIZE);
        known.map_or(Ok(()), |python| self.write_for_rust_tools(&python, starts_python).map(drop))
    }
}

/// The feature of pyo3 with which a program starts Python.
const AUTO_INITIALIZE: &str = "auto-initialize";

/// Changes the features of pyo3 for programs, which are linked to Python.
fn prepare_pyo3(dependencies: &mut Table, starts_python: bool) {
    let Some(pyo3) = dependencies.get_mut("pyo3") else { return };
    if let Value::String(version) = pyo3 {
        let mut detailed = Table::new();
        detailed.insert("version".into(), version.clone().into());
        *pyo3 = detailed.into();
    }
    if let Value::Table(pyo3) = pyo3 {
        let features = pyo3.entry("features").or_insert_with(|| Value::Array(Vec::new()));
        if let Value::Array(features) = features {
            features.retain(|feature| feature.as_str() != Some("extension-module"));
            features.extend(starts_python.then(|| AUTO_INITIALIZE.into()));
        }
    }
}
