//! File names of programs, and the user's folders that contain them.

use std::path::PathBuf;

use crate::base::env_vars;

/// The user's home folder.
pub fn home() -> Option<PathBuf> {
    std::env::home_dir().filter(|home| !home.as_os_str().is_empty())
}

/// Where cargo keeps what it downloads and installs.
pub fn cargo_home() -> Option<PathBuf> {
    let named = env_vars::get(env_vars::CARGO_HOME).filter(|value| !value.is_empty()).map(PathBuf::from);
    named.or_else(|| Some(home()?.join(".cargo")))
}

/// The file name of the program `name` on this system.
pub fn program(name: &str) -> String {
    format!("{name}{}", std::env::consts::EXE_SUFFIX)
}
