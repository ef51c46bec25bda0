//! What cargo left on disk of each part that it compiled: its dep-info, its fingerprint, its build
//! script's output. Which parts there are is asked of cargo (its JSON messages name them), never guessed.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use crate::dep_info::{self, DepInfo};
use crate::fs::{self, Stat};

/// One compiled part of a local package, as cargo's messages name it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Unit {
    pub package: String,
    pub manifest: PathBuf,
    /// What was made: a library or a program, or a build script's `out` folder.
    pub made: PathBuf,
    pub kind: UnitKind,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum UnitKind {
    Compiled,
    /// A build script that was run.
    Ran,
}

impl Unit {
    /// What the compiler, or the build script, read.
    pub fn dep_info(&self) -> DepInfo {
        match self.kind {
            UnitKind::Compiled => {
                let text = dep_info_path(&self.made).and_then(|path| fs::read(path).ok()).unwrap_or_default();
                dep_info::parse_dep_info(&String::from_utf8_lossy(&text), self.folder())
            }
            UnitKind::Ran => build_script_output(&self.made, self.folder()),
        }
    }

    /// Whether something that it reads changed after it was made, and before `until`: then it was made of
    /// something else, whatever cargo says, and whoever made it. Renaming and copying move the change time.
    pub fn is_outdated(&self, until: i64) -> bool {
        let Some(began) = self.began() else { return false };
        let info = self.dep_info();
        let mut files = info.files.iter().chain([&self.manifest]).filter_map(|path| Stat::of(path));
        files.any(|stat| (began..until).contains(&stat.mtime.max(stat.ctime)))
    }

    /// Whether its dep-info can be read.
    pub fn is_there(&self) -> bool {
        match self.kind {
            UnitKind::Compiled => dep_info_path(&self.made).is_some_and(|path| path.exists()),
            UnitKind::Ran => output_of(&self.made).exists(),
        }
    }

    /// The package's folder.
    pub fn folder(&self) -> &Path {
        self.manifest.parent().unwrap_or(Path::new("."))
    }

    /// When the compiler, or the build script, began with it, in the file system's time; `None` where that
    /// is not known.
    pub fn began(&self) -> Option<i64> {
        let time = |path: &Path| Stat::of(path).map(|stat| stat.mtime);
        if self.kind == UnitKind::Ran {
            return time(&self.made.with_file_name(INVOKED));
        }
        let folder = self.made.parent()?;
        let hash = |name: &OsStr| name.to_str()?.rsplit_once('-').map(|(_, hash)| hash.to_owned());
        let fingerprint = |profile: &Path, hash: &str| {
            time(&profile.join(".fingerprint").join(format!("{}-{hash}", self.package)).join(INVOKED))
        };
        if folder.ends_with("deps") {
            return fingerprint(folder.parent()?, &hash(self.made.file_stem()?)?);
        }
        if folder.parent()?.ends_with("build") {
            return fingerprint(folder.parent()?.parent()?, &hash(folder.file_name()?)?);
        }
        // The finished library carries no hash: it is the last one that was compiled before it was there. Whatever came
        // later (`cargo check` has a part of its own) made something else; so would have what was killed after it had
        // written its dep-info, which comes before the library.
        let made = dep_info_path(&self.made).and_then(|path| time(&path))?.min(time(&self.made)?);
        fingerprints(folder, &self.package, INVOKED)
            .iter()
            .filter_map(|path| time(path))
            .filter(|time| *time <= made)
            .max()
    }

    /// The variables that were looked at, with the values that they had then.
    pub fn environment(&self) -> Vec<(String, Option<String>)> {
        match self.kind {
            UnitKind::Compiled => self.dep_info().environment,
            UnitKind::Ran => environment_of(&self.made),
        }
    }
}

/// The variables that the build script with this `out` folder asked to be run again for, with their values.
pub fn environment_of(out: &Path) -> Vec<(String, Option<String>)> {
    let home = || out.parent()?.file_name();
    let profile = || out.parent()?.parent()?.parent();
    let (Some(name), Some(profile)) = (home(), profile()) else { return Vec::new() };
    let listing = std::fs::read_dir(profile.join(".fingerprint").join(name)).into_iter().flatten().flatten();
    let is_run = |path: &PathBuf| {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        name.starts_with("run-build-script-") && path.extension().is_some_and(|kind| kind == "json")
    };
    let texts = listing.map(|item| item.path()).filter(is_run).filter_map(|path| fs::read(path).ok());
    let mut found = Vec::new();
    for value in texts.filter_map(|text| serde_json::from_slice::<serde_json::Value>(&text).ok()) {
        for local in value.get("local").and_then(serde_json::Value::as_array).into_iter().flatten() {
            let Some(asked) = local.get("RerunIfEnvChanged") else { continue };
            let text = |key: &str| asked.get(key).and_then(serde_json::Value::as_str).map(str::to_owned);
            found.extend(text("var").map(|name| (name, text("val"))));
        }
    }
    found
}

/// Written by cargo when it starts the compiler.
const INVOKED: &str = "invoked.timestamp";

fn output_of(out: &Path) -> PathBuf {
    out.with_file_name("output")
}

/// What the build script with this `out` folder printed; `package` is its package's folder.
pub fn build_script_output(out: &Path, package: &Path) -> DepInfo {
    let text = fs::read(output_of(out)).unwrap_or_default();
    dep_info::parse_build_script_output(&String::from_utf8_lossy(&text), package)
}

/// Where rustc left the dep-info of what cargo says it made: for `deps/libx-0123.rlib` and
/// `build/x-0123/build-script-build` beside it; for a finished library, which cargo links to the folder
/// above, in `deps`.
fn dep_info_path(made: &Path) -> Option<PathBuf> {
    let folder = made.parent()?;
    let stem = made.file_stem()?.to_str()?;
    let is_rust_library = made.extension().is_some_and(|extension| extension == "rlib" || extension == "rmeta");
    let prefix = if is_rust_library { "lib" } else { std::env::consts::DLL_PREFIX };
    let stem = stem.strip_prefix(prefix).unwrap_or(stem);
    if folder.ends_with("deps") {
        Some(folder.join(format!("{stem}.d")))
    } else if folder.parent()?.ends_with("build") {
        let (_, hash) = folder.file_name()?.to_str()?.rsplit_once('-')?;
        Some(folder.join(format!("{}-{hash}.d", stem.replace('-', "_"))))
    } else {
        let deps = folder.join("deps");
        let own = deps.join(format!("{stem}.d"));
        // A program's carries a hash: it is the last one that was compiled.
        if own.exists() { Some(own) } else { newest(&deps, &stem.replace('-', "_")).or(Some(own)) }
    }
}

/// The newest dep-info of a crate.
fn newest(deps: &Path, name: &str) -> Option<PathBuf> {
    let is_its = |path: &PathBuf| {
        let stem = path.file_stem().and_then(OsStr::to_str).and_then(|stem| stem.rsplit_once('-'));
        path.extension().is_some_and(|kind| kind == "d") && stem.is_some_and(|(known, _)| known == name)
    };
    let found = std::fs::read_dir(deps).ok()?.flatten().map(|item| item.path()).filter(is_its);
    found.max_by_key(|path| Stat::of(path).map(|stat| stat.mtime))
}

/// The files in `output`, a profile's folder, by whose times cargo decides whether a package is fresh: its
/// fingerprints' dep-info, and its build scripts' output.
pub fn what_cargo_compares(output: &Path, package: &str) -> Vec<PathBuf> {
    let outputs = folders_of(&output.join("build"), package).into_iter().map(|home| home.join("output"));
    fingerprints(output, package, "dep-").into_iter().chain(outputs).collect()
}

/// When a library of the package was last compiled, in nanoseconds; `None` where nobody can tell.
pub fn last_compiled(output: &Path, package: &str) -> Option<i64> {
    let files = fingerprints(output, package, "dep-lib-");
    files.iter().filter_map(|file| Stat::of(file)).map(|stat| stat.mtime).max()
}

/// The files of a package's fingerprints whose names begin like this.
fn fingerprints(output: &Path, package: &str, start: &str) -> Vec<PathBuf> {
    let homes = folders_of(&output.join(".fingerprint"), package);
    let files = homes.into_iter().filter_map(|home| std::fs::read_dir(home).ok()).flatten().flatten();
    files.filter(|file| file.file_name().to_string_lossy().starts_with(start)).map(|file| file.path()).collect()
}

/// The libraries of these crates in a profile's folder, of all that were compiled.
pub fn libraries_of(output: &Path, crates: &[String]) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(output.join("deps")).into_iter().flatten().flatten();
    let is_library = |path: &PathBuf| {
        let kind = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        let stem = path.file_stem().and_then(OsStr::to_str).unwrap_or_default();
        let stem = stem.strip_prefix("lib").unwrap_or(stem);
        ["rlib", "rmeta", std::env::consts::DLL_EXTENSION].contains(&kind)
            // What is also a library for others carries no hash.
            && crates.iter().any(|known| {
                known == stem || stem.rsplit_once('-').is_some_and(|(name, _)| known == name)
            })
    };
    listing.map(|item| item.path()).filter(is_library).collect()
}

/// The `out` folders of a package's build scripts that were run, in a profile's folder.
pub fn build_scripts_of(output: &Path, package: &str) -> Vec<PathBuf> {
    folders_of(&output.join("build"), package)
        .iter()
        .map(|home| home.join("out"))
        .filter(|out| output_of(out).exists())
        .collect()
}

/// The same of every package, with its name.
pub fn all_build_scripts(output: &Path) -> Vec<(String, PathBuf)> {
    let listing = std::fs::read_dir(output.join("build")).into_iter().flatten().flatten();
    let named = listing.filter_map(|item| {
        let name = item.file_name().to_str()?.rsplit_once('-')?.0.to_owned();
        Some((name, item.path().join("out")))
    });
    named.filter(|(_, out)| output_of(out).exists()).collect()
}

/// `<folder>/<package>-<hash>`, all that there are.
fn folders_of(folder: &Path, package: &str) -> Vec<PathBuf> {
    let listing = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let is_of_package = |name: &std::ffi::OsStr| {
        name.to_str().and_then(|name| name.rsplit_once('-')).is_some_and(|(name, _)| name == package)
    };
    listing.filter(|item| is_of_package(&item.file_name())).map(|item| item.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_os = "linux")]
    fn dep_info_stands_beside_what_was_made() {
        let check = |made: &str, expected: &str| {
            assert_eq!(dep_info_path(Path::new(made)).as_deref(), Some(Path::new(expected)), "{made}");
        };
        check("/t/debug/libm_1.so", "/t/debug/deps/m_1.d");
        check("/t/debug/deps/libhelper-0123.rlib", "/t/debug/deps/helper-0123.d");
        check("/t/debug/deps/libmacros-0123.so", "/t/debug/deps/macros-0123.d");
        check("/t/debug/build/m_1-0123/build-script-build", "/t/debug/build/m_1-0123/build_script_build-0123.d");
    }
}
