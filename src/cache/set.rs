//! Sets of inputs: everything that an artifact was built from, by content, with paths relative to its source where
//! possible. A set is compared with the files of another tree, or on another machine.

use std::path::{Component, Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::env_vars;
use crate::base::fs::{self, Stat};
use crate::base::programs;
use crate::env::cargo_config::{self, CargoConfig};
use crate::freshness::dirty_reason::DirtyReason;
use crate::freshness::inputs::{FileInput, Inputs, Snapshot, Variable};

/// A set of inputs, and the artifact that was built from it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Set {
    artifact: String,
    /// Cargo's configuration files, the nearest first. Paths in a file are relative to it, so its location matters.
    configuration: Vec<Content>,
    files: Vec<Content>,
    absent: Vec<Location>,
    patterns: Vec<Location>,
    variables: Vec<Variable>,
    /// `None` if the artifact must not leave this machine.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requirements: Option<Requirements>,
    /// Why it must not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stays: Option<String>,
    /// The id of the key that signed it, if it came from a remote store.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signer: Option<String>,
    /// What its signer says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub published: Option<Published>,
}

/// What the signer of a set says about it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Published {
    /// A later build of the same inputs by the same signer has a higher number.
    pub serial: u64,
    /// The commit that was built, and the CI job that built it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub commit: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub job: Option<String>,
}

impl std::fmt::Display for Published {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "build {}", self.serial)?;
        self.commit.iter().try_for_each(|commit| write!(f, " of commit {commit}"))?;
        self.job.iter().try_for_each(|job| write!(f, " in {job}"))
    }
}

/// What another machine needs to use an artifact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Requirements {
    /// `x86_64-linux-gnu`
    pub platform: String,
    /// The newest version of the C library that a symbol needs, such as `2.34`; `None` if none needs one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub c_library: Option<String>,
    /// The size of the artifact in bytes.
    pub size: u64,
    /// The keys under which other machines find it.
    pub keys: Vec<String>,
    /// A hash of the lock file, which has the versions of all dependencies.
    pub lock: String,
    /// The variables that code or build scripts read and that were set: the artifact may contain their values.
    pub variables: Vec<String>,
    /// Only for a project.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layout: Option<Layout>,
}

/// Where a project's library is installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layout {
    /// Its name in a wheel, such as `package/_core.abi3.so`.
    pub member: String,
    /// The folder that the project's `.pth` file names, relative to the project; `None` if the library is installed into
    /// site-packages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub root: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Content {
    #[serde(flatten)]
    location: Location,
    hash: String,
}

/// A path relative to the source's folder, or an absolute path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Location {
    /// The number of folders above the source's folder; `None` if the path is not relative to that.
    #[serde(skip_serializing_if = "Option::is_none")]
    up: Option<usize>,
    #[serde(with = "crate::base::text::path_text")]
    path: PathBuf,
}

impl Location {
    fn absolute(path: &Path) -> Self {
        Self { up: None, path: path.to_owned() }
    }

    fn from(folder: &Path, path: &Path) -> Option<Self> {
        let mut ancestors = folder.ancestors().enumerate();
        ancestors.find_map(|(up, parent)| Some(Self { up: Some(up), path: path.strip_prefix(parent).ok()?.to_owned() }))
    }

    fn of_pattern(folder: &Path, pattern: &str) -> Option<Self> {
        let mut ancestors = folder.ancestors().enumerate();
        ancestors.find_map(|(up, parent)| {
            let escaped = glob::Pattern::escape(parent.to_str()?);
            let rest = pattern.strip_prefix(escaped.trim_end_matches('/'))?.strip_prefix('/')?;
            Some(Self { up: Some(up), path: rest.into() })
        })
    }

    /// The number of folders above the source's folder that it leads to.
    fn height(&self) -> usize {
        let ups = self.path.components().filter(|part| *part == Component::ParentDir).count();
        self.up.unwrap_or_default() + ups
    }

    fn seen_from(&self, folder: &Path) -> Option<PathBuf> {
        match self.up {
            None => Some(self.path.clone()),
            Some(up) => Some(folder.ancestors().nth(up)?.join(&self.path)),
        }
    }

    fn pattern_seen_from(&self, folder: &Path) -> Option<String> {
        let path = self.path.to_str()?;
        match self.up {
            None => Some(path.to_owned()),
            Some(up) => {
                let parent = glob::Pattern::escape(folder.ancestors().nth(up)?.to_str()?);
                Some(format!("{}/{path}", parent.trim_end_matches('/')))
            }
        }
    }
}

impl Set {
    /// `None` if the content of a file is unknown, or if it is unknown which variables are inputs.
    fn of(
        artifact: String,
        inputs: &Inputs,
        cargo_config: &CargoConfig,
        locate: impl Fn(&Path) -> Option<Location>,
        locate_pattern: impl Fn(&str) -> Option<Location>,
    ) -> Option<Self> {
        if inputs.environment.is_some() {
            return None;
        }
        let mut configuration = Vec::new();
        for path in &cargo_config.files {
            let known = inputs.files.iter().find(|file| file.path == *path)?.hash.as_ref()?;
            let (_, effective) = configuration_hashes(path).filter(|(hash, _)| hash == known)?;
            if let Some(hash) = effective {
                configuration.push(Content { location: locate_configuration(path, &locate)?, hash });
            }
        }
        let files = inputs.files.iter().filter(|file| !cargo_config.files.contains(&file.path));
        Some(Self {
            artifact,
            configuration,
            files: files
                .map(|file| Some(Content { location: locate(&file.path)?, hash: file.hash.clone()? }))
                .collect::<Option<_>>()?,
            absent: inputs.absent.iter().map(|path| locate(path)).collect::<Option<_>>()?,
            patterns: inputs.patterns.iter().map(|pattern| locate_pattern(pattern)).collect::<Option<_>>()?,
            variables: inputs.variables.clone(),
            requirements: None,
            stays: None,
            signer: None,
            published: None,
        })
    }

    /// The inputs for any tree with the same content; `None` if some are unknown, or outside every tree.
    pub fn portable(artifact: String, inputs: &Inputs, cargo_config: &CargoConfig, folder: &Path) -> Option<Self> {
        let locate = |path: &Path| Location::from(folder, path);
        Self::of(artifact, inputs, cargo_config, locate, |pattern| Location::of_pattern(folder, pattern))
    }

    /// The inputs for this place only.
    pub fn absolute(artifact: String, inputs: &Inputs, cargo_config: &CargoConfig) -> Option<Self> {
        let locate = |path: &Path| Some(Location::absolute(path));
        Self::of(artifact, inputs, cargo_config, locate, |pattern| Some(Location::absolute(Path::new(pattern))))
    }

    /// The inputs with paths relative to the source's folder. Whether they contain the tree's path is not checked.
    pub fn relative(artifact: String, inputs: &Inputs, cargo_config: &CargoConfig, folder: &Path) -> Option<Self> {
        let depth = folder.ancestors().count() - 1;
        // A path that has only the file system's root in common with the source stays absolute.
        let is_near = |location: &Location| location.up.is_some_and(|up| up < depth);
        let locate =
            |path: &Path| Some(Location::from(folder, path).filter(is_near).unwrap_or(Location::absolute(path)));
        let pattern = |pattern: &str| {
            let near = Location::of_pattern(folder, pattern).filter(is_near);
            Some(near.unwrap_or(Location::absolute(Path::new(pattern))))
        };
        Self::of(artifact, inputs, cargo_config, locate, pattern)
    }

    /// The hash of the artifact.
    pub fn artifact(&self) -> &str {
        &self.artifact
    }

    /// The cargo configuration that applies to a source, as inputs; `None` if it has changed.
    pub fn configuration(&self, folder: &Path, cargo_config: &CargoConfig) -> Option<Vec<FileInput>> {
        let known = self.configuration.iter().map(|content| {
            let path = match &content.location {
                Location { up: None, path } if !path.is_absolute() => programs::cargo_home()?.join(path),
                location => location.seen_from(&canonical(folder))?,
            };
            Some((path, content.hash.clone()))
        });
        let mut known = known.collect::<Option<Vec<_>>>()?.into_iter();
        let mut found = Vec::new();
        for path in &cargo_config.files {
            let (hash, effective) = configuration_hashes(path)?;
            if effective.is_some_and(|hash| known.next() != Some((path.clone(), hash))) {
                return None;
            }
            found.push(FileInput { path: path.clone(), hash: Some(hash), stat: Stat::default() });
        }
        known.next().is_none().then_some(found)
    }

    /// The inputs for a source in `folder`, without cargo's configuration.
    pub fn inputs(&self, folder: &Path) -> Option<Inputs> {
        let files = self.files.iter().map(|content| {
            let path = content.location.seen_from(folder)?;
            Some(FileInput { path, hash: Some(content.hash.clone()), stat: Stat::default() })
        });
        Some(Inputs {
            files: files.collect::<Option<_>>()?,
            variables: self.variables.clone(),
            patterns: self.patterns.iter().map(|pattern| pattern.pattern_seen_from(folder)).collect::<Option<_>>()?,
            configuration: Vec::new(),
            absent: self.absent.iter().map(|path| path.seen_from(folder)).collect::<Option<_>>()?,
            environment: None,
        })
    }

    /// The inputs of a source in `folder`, if they are those of this set now. `hash` returns the hash of a file; files in
    /// `cache` are not inputs. Without a toolchain nothing can be built, so cargo's configuration and variables apply to
    /// nothing.
    pub fn compare(
        &self,
        folder: &Path,
        cargo_config: &CargoConfig,
        cache: &Path,
        has_toolchain: bool,
        hash: &mut dyn FnMut(&Path) -> Option<String>,
    ) -> Option<(Inputs, Snapshot)> {
        let present = |path: &PathBuf| FileInput { path: path.clone(), hash: hash(path), stat: Stat::default() };
        let configuration = match self.configuration(folder, cargo_config) {
            None if !has_toolchain => cargo_config.files.iter().map(present).collect(),
            found => found?,
        };
        let mut inputs = self.inputs(folder)?;
        if !inputs.files.iter().all(|file| hash(&file.path) == file.hash) {
            return None;
        }
        inputs.files.extend(configuration);
        inputs.configuration.clone_from(&cargo_config.files);
        let mut snapshot = inputs.compare(cargo_config, cache);
        // What was read counts anyway.
        let is_read = |name: &str| inputs.variables.iter().any(|variable| variable.name == name);
        let applies = |change: &DirtyReason| match change {
            DirtyReason::VariableChanged(name) => has_toolchain || is_read(name) || !env_vars::is_build_variable(name),
            _ => true,
        };
        snapshot.changes.retain(applies);
        if !snapshot.changes.is_empty() {
            return None;
        }
        for (file, (_, stat)) in inputs.files.iter_mut().zip(&snapshot.files) {
            file.stat = stat.unwrap_or_default();
        }
        Some((inputs, snapshot))
    }

    /// Whether both have the same inputs and the same versions of dependencies.
    pub fn has_inputs_of(&self, other: &Self) -> bool {
        let lock = |set: &Self| set.requirements.as_ref().map(|requirements| requirements.lock.clone());
        self.plain() == other.plain() && lock(self) == lock(other)
    }

    /// The inputs alone.
    fn plain(&self) -> Self {
        let artifact = String::new();
        Self { artifact, requirements: None, stays: None, signer: None, published: None, ..self.clone() }
    }

    /// The inputs as text.
    pub fn inputs_text(&self) -> String {
        toml::to_string(&self.plain()).expect("a set consists of tables, lists and text")
    }

    /// The number that its signer gave it; 0 if none.
    pub fn serial(&self) -> u64 {
        self.published.as_ref().map_or(0, |published| published.serial)
    }

    /// The number of folders above the source's folder that the inputs reach.
    pub fn height(&self) -> usize {
        let files = self.files.iter().chain(&self.configuration).map(|content| &content.location);
        files.chain(&self.absent).chain(&self.patterns).map(Location::height).max().unwrap_or_default()
    }
}

/// The hashes of a configuration file, and of what in it can change what is built, if anything can.
fn configuration_hashes(path: &Path) -> Option<(String, Option<String>)> {
    let content = fs::read(path).ok()?;
    let hash = fs::hash_bytes(&content);
    let Ok(text) = String::from_utf8(content) else { return Some((hash.clone(), Some(hash))) };
    Some((hash, cargo_config::effective(path, text).map(|text| fs::hash_bytes(text.as_bytes()))))
}

/// The location of a configuration file: relative to cargo's home, or else relative to the source's folder with links
/// resolved, as cargo does.
fn locate_configuration(path: &Path, locate: &impl Fn(&Path) -> Option<Location>) -> Option<Location> {
    let home = programs::cargo_home().map(|home| canonical(&home));
    match home.and_then(|home| Some(path.strip_prefix(home).ok()?.to_owned())) {
        Some(path) => Some(Location { up: None, path }),
        None => locate(path),
    }
}

pub fn canonical(path: &Path) -> PathBuf {
    std::fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_relative_to_the_source() {
        let check = |path: &str, seen: Option<&str>, height: usize| {
            let location = Location::from(Path::new("/a/b/s"), Path::new(path)).unwrap();
            let found = location.seen_from(Path::new("/x/y"));
            assert_eq!((found.as_deref(), location.height()), (seen.map(Path::new), height), "{path}");
        };
        check("/a/b/s/m.rs", Some("/x/y/m.rs"), 0);
        check("/a/b/s/../t/m.rs", Some("/x/y/../t/m.rs"), 1);
        check("/a/b/t/m.rs", Some("/x/t/m.rs"), 1);
        check("/etc/x", None, 3);
        let check = |pattern: &str, seen: Option<&str>| {
            let location = Location::of_pattern(Path::new("/a/[b]"), pattern);
            let found = location.and_then(|location| location.pattern_seen_from(Path::new("/x/[y]")));
            assert_eq!(found.as_deref(), seen, "{pattern}");
        };
        check("/a/[[]b[]]/**/*.json", Some("/x/[[]y[]]/**/*.json"));
        check("/a/*.json", Some("/x/*.json"));
    }
}
