//! The reasons why an artifact is stale, and their description for the user. The checks themselves are in
//! [`super::record`] and [`super::inputs`].

use std::fmt;
use std::path::{Path, PathBuf};

use crate::env::toolchain::line_of;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirtyReason {
    /// There is no readable record of a build.
    NeverBuilt,
    /// The user requested a build even if the artifact is fresh.
    Forced,
    /// A wheel is wanted, and the store has libraries only.
    ForWheel,
    /// The artifact is missing, or its content is not what was built.
    ArtifactLost,
    /// Other users could have replaced it.
    ArtifactExposed,
    /// It was built by a version of this package that generates packages in another way.
    GeneratorChanged,
    SettingChanged {
        name: &'static str,
        from: String,
        to: String,
    },
    /// A version is empty if it is unknown.
    ToolchainChanged {
        from: String,
        to: String,
    },
    /// The key that signed it was revoked. With its id.
    KeyRevoked(String),
    /// There are other cargo configuration files now, or their content changed.
    ConfigurationChanged,
    /// Cargo may have taken another checkout's library for this one's. With its build directory.
    TargetShared(PathBuf),
    FileChanged(PathBuf),
    FileRemoved(PathBuf),
    /// A file did not exist, or a `//d:` pattern did not match it.
    FileAppeared(PathBuf),
    /// The file was edited while the compiler ran: it is unknown which content the compiler read.
    ChangedDuringBuild(PathBuf),
    VariableChanged(String),
    /// Some variable changed, and it is unknown which are inputs.
    EnvironmentChanged,
}

impl DirtyReason {
    /// From two outputs of `rustc -vV`.
    pub fn toolchain_changed(from: &str, to: &str) -> Self {
        Self::ToolchainChanged { from: line_of(from, "release").into(), to: line_of(to, "release").into() }
    }

    /// The file that changed, if it is a file.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::FileChanged(path)
            | Self::FileRemoved(path)
            | Self::FileAppeared(path)
            | Self::ChangedDuringBuild(path) => Some(path),
            _ => None,
        }
    }

    /// The description for the user. Paths below `folder`, the source's folder, are relative to it.
    pub fn describe(&self, folder: &Path) -> String {
        match self.file() {
            Some(path) => {
                let path = path.strip_prefix(folder).unwrap_or(path).display();
                match self {
                    Self::FileRemoved(_) => format!("`{path}` disappeared"),
                    Self::FileAppeared(_) => format!("`{path}` appeared"),
                    Self::ChangedDuringBuild(_) => format!("`{path}` changed during the last build"),
                    _ => format!("`{path}` changed"),
                }
            }
            None => self.to_string(),
        }
    }
}

impl fmt::Display for DirtyReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverBuilt => f.write_str("never built"),
            Self::Forced => f.write_str("rebuild requested"),
            Self::ForWheel => f.write_str("for the wheel"),
            Self::ArtifactLost => f.write_str("the built library is missing or damaged"),
            Self::ArtifactExposed => f.write_str("other users could have written the built library"),
            Self::GeneratorChanged => f.write_str("built by another version of rustimport"),
            Self::SettingChanged { name, from, to } if from.is_empty() => write!(f, "{name} set to `{to}`"),
            Self::SettingChanged { name, from, to } if to.is_empty() => write!(f, "{name} `{from}` no longer set"),
            Self::SettingChanged { name, from, to } => write!(f, "{name} changed from `{from}` to `{to}`"),
            Self::ToolchainChanged { from, to } if from.is_empty() => write!(f, "there is rustc {to} now"),
            Self::ToolchainChanged { from, to } if from == to => f.write_str("rustc changed"),
            Self::ToolchainChanged { from, to } => write!(f, "rustc changed from {from} to {to}"),
            Self::KeyRevoked(id) => write!(f, "the key {id} that signed the library was revoked"),
            Self::TargetShared(path) => {
                write!(f, "{} is shared, and may have been built from another checkout", path.display())
            }
            Self::ConfigurationChanged => f.write_str("cargo's configuration changed"),
            Self::EnvironmentChanged => f.write_str("the environment changed"),
            Self::VariableChanged(name) => write!(f, "`{name}` changed"),
            Self::FileChanged(path)
            | Self::FileRemoved(path)
            | Self::FileAppeared(path)
            | Self::ChangedDuringBuild(path) => write!(f, "`{}` changed", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_described() {
        let check = |reason: DirtyReason, expected: &str| assert_eq!(reason.describe(Path::new("/s")), expected);
        check(DirtyReason::FileChanged("/s/util.rs".into()), "`util.rs` changed");
        check(DirtyReason::FileRemoved("/t/util.rs".into()), "`/t/util.rs` disappeared");
        check(DirtyReason::FileAppeared("/s/.cargo/config.toml".into()), "`.cargo/config.toml` appeared");
        check(DirtyReason::VariableChanged("FEATURE".into()), "`FEATURE` changed");
        let setting =
            |from: &str, to: &str| DirtyReason::SettingChanged { name: "profile", from: from.into(), to: to.into() };
        check(setting("dev", "release"), "profile changed from `dev` to `release`");
        check(setting("", "release"), "profile set to `release`");
        check(setting("dev", ""), "profile `dev` no longer set");
        let rustc = |from: &str, to: &str| DirtyReason::ToolchainChanged { from: from.into(), to: to.into() };
        check(rustc("1.94.0", "1.95.0"), "rustc changed from 1.94.0 to 1.95.0");
        check(rustc("1.95.0", "1.95.0"), "rustc changed");
        check(rustc("", "1.95.0"), "there is rustc 1.95.0 now");
    }
}
