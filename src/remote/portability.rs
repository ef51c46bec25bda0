//! What may leave this machine: an artifact for which it is known what another machine needs to use it. In doubt it
//! stays. That it does not contain the path of its folder is checked in [`crate::cache::store`].

use std::path::{Path, PathBuf};

use crate::base::env_vars;
use crate::base::fs;
use crate::cache::set::Requirements;
use crate::cache::store::Keys;
use crate::env::cargo_config::CargoConfig;
use crate::env::interpreter;
use crate::env::settings::Arguments;
use crate::freshness::inputs::Inputs;
use crate::freshness::unit::{self, Unit, UnitKind};
use crate::remote::linkage::Linkage;

/// A finished build.
pub struct Finished<'a> {
    pub library: &'a [u8],
    pub inputs: &'a Inputs,
    /// The units of local packages.
    pub units: &'a [Unit],
    /// The `OUT_DIR`s of the build scripts of dependencies.
    pub foreign_outputs: &'a [PathBuf],
    pub arguments: &'a Arguments,
    pub cargo_config: &'a CargoConfig,
    pub keys: &'a Keys,
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
    let Finished { library, inputs, units, foreign_outputs, arguments, cargo_config, keys } = finished;
    if arguments.target.is_some() {
        return Err("it was built for another platform".into());
    }
    let configuration: Vec<String> =
        cargo_config.files.iter().map(|path| fs::read_text(path).unwrap_or_default()).collect();
    let variables = env_vars::set_build_variables();
    let values: Vec<String> = variables.iter().filter_map(|name| env_vars::get_text(name)).collect();
    // An option and its value are two arguments.
    let arguments = arguments.to_string();
    let texts = configuration.iter().chain(&values).chain([&arguments]).map(String::as_str);
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
        if unit.is_some() && info.files.is_empty() && info.variables.is_empty() {
            return Err(format!("the build script of {} does not say what it reads", of()));
        }
    }
    let linkage = Linkage::of(library)?;
    let read: Vec<String> = units.iter().filter_map(Unit::dep_info).flat_map(|info| info.variables).collect();
    let is_set = |name: &str| inputs.variables.iter().any(|variable| variable.name == name && variable.hash.is_some());
    let others = inputs.variables.iter().map(|variable| &variable.name);
    let others = others.filter(|name| read.contains(name) || !env_vars::is_build_variable(name));
    let mut variables: Vec<String> = others.filter(|name| is_set(name)).cloned().collect();
    variables.sort();
    let without_toolchain = (processor == Processor::Any).then(|| keys.without_toolchain.clone());
    Ok(Requirements {
        platform: interpreter::platform(),
        c_library: linkage.c_library,
        size: library.len() as u64,
        keys: keys.with_toolchain.iter().cloned().chain(without_toolchain).collect(),
        variables,
    })
}

/// The package that an `OUT_DIR` such as `…/build/name-0123456789abcdef/out` belongs to, for messages.
fn package_of(out: &Path) -> String {
    let folder = out.parent().and_then(Path::file_name).unwrap_or_default().to_string_lossy();
    folder.rsplit_once('-').map_or_else(|| folder.to_string(), |(name, _)| name.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
