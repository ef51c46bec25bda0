//! Why an artifact cannot be used as it is. A type, so that every reason has its sentence.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::env::toolchain::line_of;

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DirtyReason {
    /// There is no record of a build, or none that can be read.
    NeverBuilt,
    /// The user asked for a build past every check.
    Forced,
    /// The artifact is gone, or is not what was built.
    ArtifactLost,
    /// Other users could have put another in its place.
    ArtifactExposed,
    /// Another version of this package made the record, in another way.
    GeneratorChanged,
    SettingChanged {
        name: &'static str,
        from: String,
        to: String,
    },
    /// Another rustc. With both versions, as far as known.
    ToolchainChanged {
        from: String,
        to: String,
    },
    /// Some `.cargo/config.toml`.
    ConfigurationChanged,
    FileChanged(PathBuf),
    FileRemoved(PathBuf),
    /// A file that was not there, or that a `//d:` pattern did not find.
    FileAppeared(PathBuf),
    /// An edit came while the compiler ran: nobody knows which content it read.
    ChangedDuringBuild(PathBuf),
    VariableChanged(String),
    /// Some variable, where nobody can tell which of them matter.
    EnvironmentChanged,
}

impl DirtyReason {
    /// Of what `rustc -vV` printed.
    pub fn toolchain_changed(from: &str, to: &str) -> Self {
        Self::ToolchainChanged { from: line_of(from, "release").into(), to: line_of(to, "release").into() }
    }

    /// The file concerned, if one is.
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::FileChanged(path)
            | Self::FileRemoved(path)
            | Self::FileAppeared(path)
            | Self::ChangedDuringBuild(path) => Some(path),
            _ => None,
        }
    }

    /// The reason as told to a user, with paths as seen from the source's folder.
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
            Self::Forced => f.write_str("rebuild forced"),
            Self::ArtifactLost => f.write_str("the built library is missing or damaged"),
            Self::ArtifactExposed => f.write_str("other users could have written the built library"),
            Self::GeneratorChanged => f.write_str("built by another version of rustimport"),
            Self::SettingChanged { name, from, to } if from.is_empty() => write!(f, "{name} set to `{to}`"),
            Self::SettingChanged { name, from, to } if to.is_empty() => write!(f, "{name} `{from}` no longer set"),
            Self::SettingChanged { name, from, to } => write!(f, "{name} changed from `{from}` to `{to}`"),
            Self::ToolchainChanged { from, to } if from == to => f.write_str("rustc changed"),
            Self::ToolchainChanged { from, to } => write!(f, "rustc changed from {from} to {to}"),
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
    fn every_reason_has_its_sentence() {
        let check = |reason: DirtyReason, story: &str| assert_eq!(reason.describe(Path::new("/s")), story);
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
    }
}
