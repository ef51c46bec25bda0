//! Finds the maturin of this environment. It does not run a build; see [`crate::build::script_job`] and
//! [`crate::projects::project_job`].

use std::path::{Path, PathBuf};

use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::programs::program;
use crate::env::request::Request;
use crate::env::toolchain::version_of;

pub const INSTALL: &str = "install it into this environment with `python -m pip install \"maturin>=1.9.6,<2\"`, or set \
                       RUSTIMPORT_MATURIN_EXECUTABLE to the path of a maturin";

/// The error for a maturin that rejects its arguments.
pub fn too_old(maturin: &Path, observer: &mut dyn Observer) -> Error {
    let version = version_of(maturin, observer).unwrap_or_default();
    Error::toolchain(
        format!("{} ({version}) does not accept the arguments that rustimport passes to it", maturin.display()),
        "rustimport needs maturin 1.9.6 or later, below 2: `python -m pip install \"maturin>=1.9.6,<2\"`",
    )
}

/// This environment's maturin, whether or not the environment is activated.
pub fn find_maturin(request: &Request) -> Result<PathBuf> {
    if let Some(chosen) = &request.settings.maturin {
        return which::which(chosen).map_err(|_| {
            Error::toolchain(
                format!("{} is set as the maturin to use, but is not a program that can be run", chosen.display()),
                "set RUSTIMPORT_MATURIN_EXECUTABLE to the path of a maturin, or unset it",
            )
        });
    }
    let folders = &request.interpreter.script_folders;
    let own = folders.iter().map(|folder| folder.join(program("maturin"))).find(|path| path.is_file());
    own.or_else(|| which::which("maturin").ok()).ok_or_else(|| {
        let looked = folders.first().map_or_else(|| "PATH".into(), |folder| format!("{} or on PATH", folder.display()));
        Error::toolchain(format!("maturin was not found in {looked}"), INSTALL)
    })
}
