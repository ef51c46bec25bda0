//! Finds cargo and rustc. If `cargo` on `PATH` is rustup's proxy, this resolves it to the real program and records the
//! result: a call through the proxy takes 10 ms longer. maturin is not found here (`build::maturin`).

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs::{self, Stat, Watched};
use crate::base::process;
use crate::base::programs::{cargo_home, home, program};
use crate::base::sealed;

const INSTALL: &str = "install Rust from https://rustup.rs and start a new terminal; if it is installed, set \
                       RUSTIMPORT_CARGO_EXECUTABLE to the path of `cargo`";

/// The oldest supported Rust: the newest pyo3 of [`crate::env::settings::PYO3_RANGE`] requires it.
const OLDEST: (u64, u64) = (1, 85);

/// The standard folders for programs on Unix.
const SYSTEM_FOLDERS: &[&str] = if cfg!(unix) { &["/usr/bin", "/bin"] } else { &[] };

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Toolchain {
    #[serde(with = "crate::base::text::path_text")]
    pub cargo: PathBuf,
    #[serde(with = "crate::base::text::path_text")]
    pub rustc: PathBuf,
    /// The output of `rustc -vV`.
    pub version: String,
    rustc_stat: Stat,
    /// Files that determine which toolchain is used.
    #[serde(skip)]
    pub watched: Vec<Watched>,
}

impl Toolchain {
    /// The triple that this toolchain compiles for by default.
    pub fn host(&self) -> &str {
        line_of(&self.version, "host")
    }

    /// Fails if Rust is too old for scripts. Projects are not checked: they may support an older Rust.
    pub fn check_age(&self) -> Result<()> {
        match semver::Version::parse(line_of(&self.version, "release")) {
            Ok(release) if (release.major, release.minor) < OLDEST => {
                let (major, minor) = OLDEST;
                Err(Error::toolchain(
                    format!("{} is Rust {release}, and scripts need {major}.{minor} or later", self.rustc.display()),
                    "run `rustup update`; if rust-toolchain.toml or RUSTUP_TOOLCHAIN selects this toolchain, name a \
                     newer one there",
                ))
            }
            _ => Ok(()),
        }
    }

    /// The output of `cargo --version`.
    pub fn cargo_version(&self, observer: &mut dyn Observer) -> Option<String> {
        version_of(&self.cargo, observer)
    }

    /// `PATH` with the real programs before rustup's proxies, and with the standard folders: rustc searches `PATH` for
    /// its linker, and an application may have been started with an empty `PATH`.
    pub fn path(&self) -> OsString {
        let own = [&self.cargo, &self.rustc].into_iter().filter_map(|tool| tool.parent());
        let old = env_vars::get(env_vars::PATH).unwrap_or_default();
        let mut folders: Vec<PathBuf> = own.map(Path::to_owned).collect();
        folders.dedup();
        folders.extend(std::env::split_paths(&old).filter(|folder| !folder.as_os_str().is_empty()));
        for folder in SYSTEM_FOLDERS.iter().map(PathBuf::from) {
            if !folders.contains(&folder) {
                folders.push(folder);
            }
        }
        std::env::join_paths(folders).unwrap_or(old)
    }

    /// The root of the workspace that a package belongs to, or the package's folder if there is no workspace.
    pub fn workspace_of(&self, folder: &Path, observer: &mut dyn Observer) -> Result<PathBuf> {
        let manifest = folder.join("Cargo.toml").display().to_string();
        let arguments = ["locate-project", "--workspace", "--message-format", "plain", "--manifest-path", &manifest];
        let mut command = process::command(&self.cargo);
        command.args(arguments).current_dir(folder).env(env_vars::PATH, self.path());
        let failed =
            |(why, hint): (String, &str)| Error::project(folder, format!("cargo cannot read {manifest}: {why}"), hint);
        let running = process::spawn(command).map_err(|error| failed((error.to_string(), "try again")))?;
        let finished = running.finish(observer, |_, _| {})?;
        if !finished.status.success() {
            return Err(failed(finished.complaint("fix the manifest")));
        }
        let root = PathBuf::from(String::from_utf8_lossy(&finished.stdout).trim());
        Ok(root.parent().filter(|root| folder.starts_with(root)).unwrap_or(folder).to_owned())
    }

    /// The toolchain for sources in `folder`. Starts no process if there is a valid record of it.
    ///
    /// `cargo` is the program that the user has set, if any; `known` is the folder of the records.
    pub fn find(cargo: Option<&Path>, folder: &Path, known: &Path, observer: &mut dyn Observer) -> Result<Self> {
        let cargo = find_cargo(cargo)?;
        let proxy = Proxy::of(&cargo, folder);
        let watched = proxy.as_ref().map(|proxy| proxy.watched.clone()).unwrap_or_default();
        let rustc_variable = env_vars::get_text(env_vars::RUSTC);
        let decided_by = proxy.as_ref().map(|proxy| &proxy.decided_by);
        let key = format!("{}\n{:?}\n{decided_by:?}\n{rustc_variable:?}", cargo.display(), Stat::of(&cargo));
        let file = known.join(format!("{}.toml", &fs::hash_bytes(key.as_bytes())[..16]));
        let known: Option<Self> = sealed::read(&file);
        if let Some(known) = known
            && Stat::of(&known.rustc) == Some(known.rustc_stat)
            && known.cargo.is_file()
        {
            return Ok(Self { watched: known.all_watched(watched), ..known });
        }
        let cargo = match proxy {
            Some(proxy) => proxy.resolve(folder, observer)?,
            None => cargo,
        };
        let rustc = find_rustc(&cargo, rustc_variable.map(PathBuf::from))?;
        let version = output_of(&rustc, &["-vV"], folder, observer)?;
        let rustc_stat = Stat::of(&rustc).unwrap_or_default();
        let found = Self { cargo, rustc, version, rustc_stat, watched: Vec::new() };
        if found.host().is_empty() {
            return Err(Error::toolchain(
                format!("{} -vV does not say which platform it compiles for", found.rustc.display()),
                INSTALL,
            ));
        }
        // The record only saves time: with a read-only cache the build continues without it.
        if file.parent().is_some_and(|folder| fs::create_private_folder(folder).is_ok()) {
            let _ = sealed::write(&file, &found);
        }
        Ok(Self { watched: found.all_watched(watched), ..found })
    }

    /// Like [`Self::find`], but a missing toolchain is an inner error, which matters only if something has to be built.
    /// Only an interrupt is an outer error.
    pub fn look_for(
        cargo: Option<&Path>,
        folder: &Path,
        known: &Path,
        observer: &mut dyn Observer,
    ) -> Result<Result<Self>> {
        match Self::find(cargo, folder, known, observer) {
            Err(Error::Interrupted) => Err(Error::Interrupted),
            found => Ok(found),
        }
    }

    fn all_watched(&self, mut watched: Vec<Watched>) -> Vec<Watched> {
        watched.push((self.rustc.clone(), Some(self.rustc_stat)));
        watched
    }
}

/// The output of `--version`; `None` if the program fails.
pub fn version_of(program: &Path, observer: &mut dyn Observer) -> Option<String> {
    let mut command = process::command(program);
    command.arg("--version");
    let finished = process::spawn(command).ok()?.finish(observer, |_, _| {}).ok()?;
    finished.status.success().then(|| String::from_utf8_lossy(&finished.stdout).trim().to_owned())
}

/// The value of one line in the output of `rustc -vV`, such as `host: x86_64-unknown-linux-gnu`.
pub fn line_of<'a>(version: &'a str, key: &str) -> &'a str {
    let line = version.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(": "));
    line.unwrap_or_default()
}

fn find_cargo(chosen: Option<&Path>) -> Result<PathBuf> {
    if let Some(chosen) = chosen {
        if chosen.file_stem().is_none_or(|stem| stem != "cargo") {
            return Err(Error::toolchain(
                format!("{} is set as the cargo to use, but is not called cargo", chosen.display()),
                "maturin finds cargo by its name: correct RUSTIMPORT_CARGO_EXECUTABLE or \
                 rustimport.settings.cargo_executable, or put a link called `cargo` in a folder of its own",
            ));
        }
        return which::which(chosen).map_err(|_| {
            Error::toolchain(
                format!("{} is set as the cargo to use, but is not a program", chosen.display()),
                "correct RUSTIMPORT_CARGO_EXECUTABLE or rustimport.settings.cargo_executable",
            )
        });
    }
    if let Ok(found) = which::which("cargo") {
        return Ok(found);
    }
    // Notebook servers, editors and applications are often started without the shell's PATH.
    let default = home().map(|home| home.join(".cargo"));
    for home in cargo_home().into_iter().chain(default) {
        let cargo = home.join("bin").join(program("cargo"));
        if cargo.is_file() {
            return Ok(cargo);
        }
    }
    Err(Error::toolchain("cargo was found neither on PATH nor in ~/.cargo/bin: Rust is not installed", INSTALL))
}

fn find_rustc(cargo: &Path, variable: Option<PathBuf>) -> Result<PathBuf> {
    if let Some(rustc) = variable
        && let Ok(found) = which::which(&rustc)
    {
        return Ok(found);
    }
    let beside = cargo.with_file_name(program("rustc"));
    if beside.is_file() {
        return Ok(beside);
    }
    which::which("rustc").map_err(|_| {
        Error::toolchain(
            format!("cargo is at {}, but there is no rustc next to it or on PATH", cargo.display()),
            INSTALL,
        )
    })
}

fn output_of(program: &Path, arguments: &[&str], folder: &Path, observer: &mut dyn Observer) -> Result<String> {
    let mut command = process::command(program);
    command.args(arguments).current_dir(folder);
    let words = process::words(&command).join(" ");
    let failed = |why: &str| Error::toolchain(format!("`{words}` failed: {}", why.trim()), INSTALL);
    let running = process::spawn(command).map_err(|error| failed(&error.to_string()))?;
    let finished = running.finish(observer, |_, _| {})?;
    if !finished.status.success() {
        let why = String::from_utf8_lossy(&finished.stderr);
        return Err(failed(why.strip_prefix("error: ").unwrap_or(&why)));
    }
    Ok(String::from_utf8_lossy(&finished.stdout).trim().to_owned())
}

/// rustup's proxy for cargo, and everything that determines which toolchain it selects.
struct Proxy {
    rustup: PathBuf,
    decided_by: Vec<(String, String)>,
    watched: Vec<Watched>,
}

impl Proxy {
    fn of(cargo: &Path, folder: &Path) -> Option<Self> {
        let rustup = cargo.with_file_name(program("rustup"));
        let same_file = |stat: Stat| Some(stat) == Stat::of(cargo);
        let is_link =
            std::fs::canonicalize(cargo).is_ok_and(|path| path.file_stem().is_some_and(|stem| stem == "rustup"));
        if !is_link && !Stat::of(&rustup).is_some_and(same_file) {
            return None;
        }
        let rustup_home = env_vars::get(env_vars::RUSTUP_HOME).map(PathBuf::from);
        let settings = rustup_home.or_else(|| Some(home()?.join(".rustup")))?.join("settings.toml");
        let mut decided_by = vec![("home".to_owned(), settings.display().to_string())];
        let mut watched = vec![fs::watch(&settings)];
        if let Some(name) = env_vars::get_text(env_vars::RUSTUP_TOOLCHAIN) {
            decided_by.push((env_vars::RUSTUP_TOOLCHAIN.into(), name));
        }
        let table: toml::Table = fs::read_text(&settings).ok().and_then(|text| text.parse().ok()).unwrap_or_default();
        if let Some(default) = table.get("default_toolchain") {
            decided_by.push(("default".into(), default.to_string()));
        }
        let overrides = table.get("overrides").and_then(toml::Value::as_table);
        // rustup searches from its working folder as the system reports it, with links resolved.
        let folder = std::fs::canonicalize(folder).unwrap_or_else(|_| folder.to_owned());
        for parent in folder.ancestors() {
            let named = parent.to_str().and_then(|parent| overrides?.get(parent));
            if let Some(named) = named {
                decided_by.push((format!("override of {}", parent.display()), named.to_string()));
            }
            for name in TOOLCHAIN_FILES {
                let file = fs::watch(&parent.join(name));
                if let Ok(content) = fs::read_text(&file.0) {
                    // A toolchain's `path` may be relative to the file. Without one, the location of the file does not
                    // matter, and the record serves other folders with the same content.
                    let place = if content.contains("path") { parent } else { Path::new("") };
                    decided_by.push((place.join(name).display().to_string(), content));
                    watched.push(file);
                }
            }
        }
        Some(Self { rustup, decided_by, watched })
    }

    fn resolve(&self, folder: &Path, observer: &mut dyn Observer) -> Result<PathBuf> {
        output_of(&self.rustup, &["which", "cargo"], folder, observer).map(PathBuf::from)
    }
}

pub const TOOLCHAIN_FILES: [&str; 2] = ["rust-toolchain.toml", "rust-toolchain"];
