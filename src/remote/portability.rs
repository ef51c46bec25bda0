//! What may leave this machine: an artifact for which it is known what another machine needs to use it. In doubt it
//! stays. That it does not contain the path of its folder is checked in [`crate::cache::store`].

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::base::env_vars;
use crate::base::fs;
use crate::cache::set::Requirements;
use crate::cache::store::Keys;
use crate::env::cargo_config::{self, CargoConfig};
use crate::env::interpreter;
use crate::env::settings::Arguments;
use crate::freshness::inputs::Inputs;
use crate::freshness::unit::{self, Unit, UnitKind};
use crate::remote::linkage::Linkage;

/// A finished build.
pub struct Finished<'a> {
    pub library: &'a [u8],
    pub inputs: &'a Inputs,
    /// The units of local and vendored packages.
    pub units: &'a [Unit],
    /// The manifest of the package.
    pub manifest: &'a Path,
    /// The `OUT_DIR`s of the build scripts of dependencies.
    pub foreign_outputs: &'a [PathBuf],
    pub arguments: &'a Arguments,
    pub cargo_config: &'a CargoConfig,
    pub keys: &'a Keys,
    /// The name of the package.
    pub name: &'a str,
    /// The lock file.
    pub lock: &'a str,
}

/// The features of processors that the artifact may need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processor {
    /// Those that every processor of the platform has.
    Any,
    /// Others, that a flag chooses.
    Chosen,
    /// Those of this machine.
    Native,
}

impl Processor {
    /// The features that flags choose. rustc and cargo say nothing of them after a build, so every text that can contain
    /// flags is searched.
    fn of<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let mut found = Self::Any;
        for text in texts {
            if text.contains("target-cpu") || text.contains("target-feature") {
                found = Self::Chosen;
                if text.contains("native") {
                    return Self::Native;
                }
            }
        }
        found
    }
}

/// The requirements of an artifact.
///
/// # Errors
/// It must stay on this machine. The text says why.
pub fn requirements(finished: &Finished) -> Result<Requirements, String> {
    let Finished { library, inputs, units, manifest, foreign_outputs, arguments, cargo_config, keys, name, lock } =
        finished;
    if arguments.target.is_some() {
        return Err("it was built for another platform".into());
    }
    let text = |path: &Path| fs::read_text(path).unwrap_or_default();
    let configuration: Vec<String> = cargo_config.files.iter().map(|path| text(path)).collect();
    // A profile can have flags.
    let manifests = inputs.files.iter().map(|file| file.path.as_path()).filter(|path| path.ends_with("Cargo.toml"));
    let manifests: Vec<String> = manifests.chain([*manifest]).map(text).collect();
    let set = env_vars::set_build_variables();
    let values: Vec<String> = set.iter().map(|name| env_vars::get_text(name).unwrap_or_default()).collect();
    // An option and its value are two arguments.
    let arguments = arguments.to_string();
    let texts = configuration.iter().chain(&manifests).chain(&values).chain([&arguments]).map(String::as_str);
    let processor = Processor::of(texts);
    if processor == Processor::Native {
        return Err("it was built for the processor of this machine (target-cpu=native)".into());
    }
    let own = units.iter().filter(|unit| unit.kind == UnitKind::Ran).map(|unit| (Some(unit), &unit.made));
    for (unit, out) in own.chain(foreign_outputs.iter().map(|out| (None, out))) {
        let Some(info) = unit::build_script_output(out, Path::new("/")) else {
            return Err("the output of a build script is not found".into());
        };
        let of = || unit.map_or_else(|| package_of(out), |unit| unit.package.clone());
        if info.adds_library {
            return Err(format!("the build script of {} links a library", of()));
        }
        if unit.is_some_and(|unit| !unit.vendored) && info.files.is_empty() && info.variables.is_empty() {
            return Err(format!("the build script of {} does not say what it reads", of()));
        }
    }
    // Macros of this tree can read anything without a word. Those of registries are looked at by many.
    let is_macro = |unit: &&Unit| {
        let is_library = unit.made.extension().is_some_and(|kind| kind == std::env::consts::DLL_EXTENSION);
        unit.kind == UnitKind::Compiled && is_library && unit.package != **name && !unit.vendored
    };
    if let Some(unit) = units.iter().find(is_macro) {
        return Err(format!("{} is a procedural macro, which may read anything", unit.package));
    }
    if lock.contains("source = \"git+") {
        return Err("a dependency from git may read variables, which are not known".into());
    }
    let linkage = Linkage::of(library)?;
    let infos: Vec<_> = units.iter().filter_map(Unit::dep_info).collect();
    // Values that came from cargo's configuration or a build script are in the library, although no variable is set here.
    let is_read = |(name, value): &&(String, Option<String>)| value.is_some() && env_vars::is_users(name);
    let read = infos.iter().flat_map(|info| &info.environment).filter(is_read).map(|(name, _)| name);
    let made = infos.iter().flat_map(|info| &info.sets);
    let configured: Vec<String> = configuration.iter().flat_map(|text| cargo_config::variables_in(text)).collect();
    let set = inputs.variables.iter().filter(|variable| variable.hash.is_some()).map(|variable| &variable.name);
    let others = set.filter(|name| !env_vars::is_build_variable(name));
    let variables: BTreeSet<&String> = read.chain(made).chain(&configured).chain(others).collect();
    let variables: Vec<String> = variables.into_iter().cloned().collect();
    // Without a toolchain there are no flags and no configuration, so there must have been none that matters. 32-bit
    // platforms of one name have several instruction sets.
    let is_plain = processor == Processor::Any
        && values.is_empty()
        && configuration.iter().all(|text| is_harmless(text))
        && !["arm", "x86", "mips"].contains(&std::env::consts::ARCH);
    let without_toolchain = is_plain.then(|| keys.without_toolchain.clone());
    Ok(Requirements {
        platform: interpreter::platform(),
        c_library: linkage.c_library,
        size: library.len() as u64,
        keys: keys.with_toolchain.iter().cloned().chain(without_toolchain).collect(),
        lock: fs::hash_bytes(lock.as_bytes()),
        variables,
        layout: None,
    })
}

/// The set variables whose values are in a library. Short values, and paths, which every library contains, say nothing.
pub fn contained_variables(library: &[u8]) -> Vec<String> {
    const SHORTEST: usize = 8;
    let mut found: Vec<String> = env_vars::all()
        .into_iter()
        .filter(|(name, value)| {
            value.len() >= SHORTEST
                && !env_vars::is_of_session(name)
                && !Path::new(value).exists()
                && memchr::memmem::find(library, value.as_bytes()).is_some()
        })
        .map(|(name, _)| name)
        .collect();
    found.sort();
    found
}

/// Whether cargo's configuration is only about downloads and output.
fn is_harmless(configuration: &str) -> bool {
    const HARMLESS: [&str; 9] =
        ["alias", "cache", "cargo-new", "http", "install", "net", "registries", "registry", "term"];
    configuration.parse::<toml::Table>().is_ok_and(|table| table.keys().all(|key| HARMLESS.contains(&key.as_str())))
}

/// The package that an `OUT_DIR` such as `…/build/name-0123456789abcdef/out` belongs to, for messages.
fn package_of(out: &Path) -> String {
    let folder = out.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    folder.rsplit_once('-').map_or_else(|| folder.to_string(), |(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::cargo_config::variables_in;

    #[test]
    fn processors() {
        let check = |texts: &[&str], expected: Processor| {
            assert_eq!(Processor::of(texts.iter().copied()), expected, "{texts:?}");
        };
        check(&["", "-D warnings"], Processor::Any);
        check(&["-D warnings", "-Ctarget-cpu=x86-64-v3"], Processor::Chosen);
        check(&["[build]\nrustflags = ['-C', 'target-feature=+avx2']"], Processor::Chosen);
        check(&["-C target-cpu=native"], Processor::Native);
        check(&["[target.x]\nrustflags = [\"-C\", \"target-cpu=native\"]", "-D warnings"], Processor::Native);
    }

    #[test]
    fn cargos_configuration() {
        let check = |text: &str, harmless: bool, names: &[&str]| {
            assert_eq!(
                (is_harmless(text), variables_in(text).iter().map(String::as_str).collect::<Vec<_>>()),
                (harmless, names.to_vec())
            );
        };
        check("", true, &[]);
        check("[net]\noffline = true\n[term]\ncolor = 'never'", true, &[]);
        check("[build]\njobs = 1", false, &[]);
        check("[profile.dev]\nopt-level = 3", false, &[]);
        check("[env]\nOTHER = { value = 'y' }\nTOKEN = 'x'", false, &["OTHER", "TOKEN"]);
        check("nonsense [", false, &[]);
    }
}
