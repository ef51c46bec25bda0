//! Packages of registries whose code reads the user's variables, with `env!` or `option_env!`. Cargo compiles them again
//! only if their version changes.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::env_vars;
use crate::env::cargo_config::CargoConfig;
use crate::freshness::unit::{self, Unit};

/// Those among the compiled units of registry packages. `outputs` are the `OUT_DIR`s of their build scripts.
pub fn among(units: Vec<Unit>, outputs: &[PathBuf], cargo_config: &CargoConfig) -> Vec<Unit> {
    let sets = set_elsewhere(outputs, cargo_config);
    units.into_iter().filter(|unit| !read_by(unit, &sets).is_empty()).collect()
}

/// The packages that were compiled with other values.
pub fn outdated(readers: &[Unit], outputs: &[PathBuf], cargo_config: &CargoConfig) -> BTreeSet<String> {
    let is_other = |(name, value): &(String, Option<String>)| env_vars::get_text(name) != *value;
    let sets = sets_for(readers, outputs, cargo_config);
    readers.iter().filter(|unit| read_by(unit, &sets).iter().any(is_other)).map(|unit| unit.package.clone()).collect()
}

/// The names of the variables.
pub fn variables(readers: &[Unit], outputs: &[PathBuf], cargo_config: &CargoConfig) -> BTreeSet<String> {
    let sets = sets_for(readers, outputs, cargo_config);
    readers.iter().flat_map(|unit| read_by(unit, &sets)).map(|(name, _)| name).collect()
}

/// What one unit reads, with the values that it was compiled with.
fn read_by(unit: &Unit, set_elsewhere: &BTreeSet<String>) -> Vec<(String, Option<String>)> {
    let is_users =
        |name: &String| env_vars::is_users(name) && !env_vars::is_set_for_tools(name) && !set_elsewhere.contains(name);
    unit.environment().into_iter().filter(|(name, _)| is_users(name)).collect()
}

/// Usually nothing reads a variable.
fn sets_for(readers: &[Unit], outputs: &[PathBuf], cargo_config: &CargoConfig) -> BTreeSet<String> {
    if readers.is_empty() { BTreeSet::new() } else { set_elsewhere(outputs, cargo_config) }
}

/// The variables that cargo's configuration and build scripts set for the compiler.
fn set_elsewhere(outputs: &[PathBuf], cargo_config: &CargoConfig) -> BTreeSet<String> {
    let infos = outputs.iter().filter_map(|out| unit::build_script_output(out, Path::new("")));
    infos.flat_map(|info| info.sets).chain(cargo_config.variables()).collect()
}
