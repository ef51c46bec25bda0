//! Runs maturin for a script or a crate: one run builds one package, in one target slot, for one interpreter. Packages
//! for which maturin has no binding are built by cargo alone, with the arguments that maturin would pass ([`Builder`]).
//!
//! `docs/decisions.md` has the measurements. With `--target`, `-i pythonX.Y` and pyo3's configuration file, maturin
//! starts no python; with the real toolchain first on `PATH`, it starts no rustup proxy.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::base::env_vars;
use crate::base::error::{Error, Result};
use crate::base::event::Observer;
use crate::base::fs;
use crate::base::process::{self, Finished};
use crate::build::compile::{Built, Compiler};
use crate::build::maturin::find_maturin;
use crate::build::messages::{self, Messages};
use crate::build::runner::{self, Runner, text};
use crate::build::wheel::Wheel;
use crate::cache::layout::{Cache, Entry};
use crate::cache::target_slot::TargetSlot;
use crate::env::request::Request;
use crate::env::settings::BuildSettings;
use crate::env::toolchain::Toolchain;
use crate::freshness::cargo_layout::Directories;
use crate::package::krate::LOCK_ORIGIN;
use crate::package::manifest;

/// The tool that builds a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Builder {
    Maturin,
    /// For libraries without pyo3 and pyo3-ffi. maturin would treat them as cffi bindings, and require a python with
    /// cffi.
    Cargo,
}

impl Builder {
    fn name(self) -> &'static str {
        match self {
            Self::Maturin => "maturin",
            Self::Cargo => "cargo",
        }
    }
}

/// The parameters of one run.
pub struct Job<'a> {
    pub request: &'a Request,
    pub cache: &'a Cache,
    pub entry: &'a Entry,
    /// The folder of the package to build, and its name.
    pub package: &'a Path,
    pub name: &'a str,
    pub slot: &'a TargetSlot,
    pub toolchain: &'a Toolchain,
    pub settings: &'a BuildSettings,
    pub builder: Builder,
    /// Whether it uses rust-cpython, which queries a python.
    pub has_cpython: bool,
    /// Whether the library may contain the paths of the user's folders.
    pub names_files: bool,
    /// Whether to run in the source's folder, so that its cargo configuration applies. Without any configuration, the
    /// package's folder gives the same result, and saves maturin a `cargo metadata` (30 ms).
    pub in_source_folder: bool,
}

impl Compiler for Job<'_> {
    /// The library's bytes.
    type Output = Vec<u8>;

    fn build(&self, reason: &str, observer: &mut dyn Observer) -> Result<Built<Vec<u8>>> {
        if let Some(triple) = self.foreign_windows() {
            let config = self.request.interpreter.pyo3_config_for_windows(triple);
            fs::write(&self.cache.pyo3_config_for_windows(triple), config.as_bytes())?;
        }
        let temporary = fs::temporary_folder(self.entry.home(), "wheel")?;
        let wheels = self.request.wheels.as_deref().unwrap_or(temporary.path());
        let maturin = match self.builder {
            Builder::Maturin => Some(find_maturin(self.request)?),
            Builder::Cargo => self.check_cargo_suffices().map(|()| None)?,
        };
        let command = match &maturin {
            Some(maturin) => self.maturin_command(maturin, wheels),
            None => self.cargo_command(),
        };
        let finished = self.run(&command, reason, observer)?;
        let messages = maturin.is_none().then(|| self.read_messages(&finished));
        let library = match &messages {
            Some(messages) => self.compiled_library(messages),
            None => Wheel::open(wheels).and_then(|mut wheel| wheel.library()),
        };
        let output = library.ok_or_else(|| self.runner().left_nothing(&command, &finished))?;
        let warned = memchr::memmem::find(&finished.stderr, b"warning").is_some();
        Ok(Built { output, messages, warned, stderr: text(&finished.stderr) })
    }

    fn replay(&self, _: &str, observer: &mut dyn Observer) -> Result<Messages> {
        Ok(self.read_messages(&runner::repeat(&self.cargo_command(), self.slot.priority, observer)?))
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            request: self.request,
            tool: self.builder.name(),
            package: self.name,
            priority: self.slot.priority,
            target: self.slot.home(),
            suggested_lock: (!self.has_users_lock()).then(|| self.entry.package().join("Cargo.lock")),
        }
    }

    fn profile_folders(&self) -> Vec<PathBuf> {
        let profile = self.settings.profile_folder();
        let target = self.slot.home();
        vec![target.join(self.triple()).join(profile), target.join(profile)]
    }

    fn clean(&self, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
        let mut command = process::command(&self.toolchain.cargo);
        command.args(["clean", "--target", self.triple(), "--profile", &self.settings.profile]);
        command.arg("--manifest-path").arg(self.package.join("Cargo.toml"));
        self.set_environment(&mut command);
        runner::clean(command, packages, observer)
    }
}

impl Job<'_> {
    /// The target triple.
    fn triple(&self) -> &str {
        self.settings.arguments.target.as_deref().unwrap_or_else(|| self.toolchain.host())
    }

    /// The target, if that is Windows and this system is another one.
    fn foreign_windows(&self) -> Option<&str> {
        self.settings.arguments.target.as_deref().filter(|triple| triple.contains("-windows-") && !cfg!(windows))
    }

    /// Refuses options that only maturin supports.
    fn check_cargo_suffices(&self) -> Result<()> {
        let maturins = |argument: &&String| ["--compatibility", "--zig"].contains(&argument.as_str());
        let target = self.settings.arguments.target.is_some().then_some("--target");
        let arguments = self.settings.arguments.build.iter().find(maturins).map(String::as_str);
        let Some(argument) = arguments.or(target) else { return Ok(()) };
        let root = &self.request.root;
        Err(Error::project(
            root,
            format!(
                "{} uses neither pyo3 nor pyo3-ffi, so cargo builds it without maturin: {argument} is not supported",
                root.display()
            ),
            format!("remove {argument}, or port the source to pyo3"),
        ))
    }

    fn read_messages(&self, finished: &Finished) -> Messages {
        messages::read_messages(
            &finished.stdout,
            &self.request.unnamed_folders(),
            self.package,
            &Directories::both(self.slot.home()),
        )
    }

    /// The library that cargo's messages report.
    fn compiled_library(&self, messages: &Messages) -> Option<Vec<u8>> {
        let own = messages.units.iter().rev().find(|unit| {
            let is_library =
                unit.made.extension().is_some_and(|extension| extension == std::env::consts::DLL_EXTENSION);
            unit.package == self.name && is_library
        });
        fs::read(&own?.made).ok()
    }

    /// The `cargo rustc` that maturin runs, with its messages as JSON.
    fn cargo_command(&self) -> Command {
        let mut command = process::command(&self.toolchain.cargo);
        command.args(["rustc", "--lib", "--message-format", "json-diagnostic-rendered-ansi"]);
        command.args(["--target", self.triple(), "--profile", &self.settings.profile]);
        command.arg("--manifest-path").arg(self.package.join("Cargo.toml")).args(self.cargo_arguments());
        command.arg("--").args(self.rustc_arguments()).args(self.maturins_rustc_arguments());
        self.set_environment(&mut command);
        if cfg!(target_os = "macos") && env_vars::get(env_vars::CARGO_ENCODED_RUSTFLAGS).is_none() {
            let flags = env_vars::get_text(env_vars::RUSTFLAGS).unwrap_or_default();
            let own = ["-C", "link-arg=-undefined", "-C", "link-arg=dynamic_lookup"];
            let flags: Vec<&str> = flags.split_whitespace().chain(own).collect();
            command.env(env_vars::CARGO_ENCODED_RUSTFLAGS, flags.join("\u{1f}"));
        }
        command
    }

    fn has_users_lock(&self) -> bool {
        self.entry.package().join(LOCK_ORIGIN).exists()
    }

    /// The user's arguments for cargo. A lock file that the user did not write has to be completed.
    fn cargo_arguments(&self) -> impl Iterator<Item = &str> {
        let has_lock = self.has_users_lock();
        let words = self.settings.arguments.cargo.iter().map(String::as_str);
        words
            .filter(move |word| has_lock || *word != "--locked")
            .map(move |word| if word == "--frozen" && !has_lock { "--offline" } else { word })
    }

    fn maturin_command(&self, maturin: &Path, wheels: &Path) -> Command {
        let mut command = process::command(maturin);
        command.arg("build");
        if self.in_source_folder {
            command.arg("--manifest-path").arg(self.package.join("Cargo.toml"));
        }
        command
            .args(["--target", self.triple(), "-i", &self.request.interpreter.maturin_name()])
            .args(self.settings.arguments.for_wheel())
            .args(["--profile", &self.settings.profile])
            .args(self.cargo_arguments())
            .args(&self.request.settings.run)
            .arg("--out")
            .arg(wheels)
            .arg("--")
            .args(self.rustc_arguments());
        self.set_environment(&mut command);
        command
    }

    /// Arguments for the script's own crate only: with flags for all crates, the dependencies would be compiled once
    /// per folder.
    fn rustc_arguments(&self) -> Vec<String> {
        let users = if self.names_files { Vec::new() } else { self.request.unnamed_folders() };
        let folders = users.into_iter().chain([Path::new(manifest::COPY_FOLDER)]);
        let remap = |from: &Path| {
            let from = from.display().to_string();
            let from = from.trim_end_matches(std::path::MAIN_SEPARATOR);
            format!("--remap-path-prefix={from}{}=", std::path::MAIN_SEPARATOR)
        };
        let mut arguments: Vec<String> = folders.map(remap).collect();
        arguments.extend(self.settings.arguments.rustc.iter().cloned());
        arguments
    }

    /// The arguments that maturin adds.
    fn maturins_rustc_arguments(&self) -> Vec<String> {
        if cfg!(target_os = "macos") {
            let library = format!("{}{}", self.request.stem(), self.request.interpreter.extension_suffix);
            return vec!["-C".into(), format!("link-args=-Wl,-install_name,@rpath/{library}")];
        }
        Vec::new()
    }

    fn set_environment(&self, command: &mut Command) {
        for name in env_vars::INTERPRETER_CHOICE {
            command.env_remove(name);
        }
        for name in [env_vars::CARGO, env_vars::CARGO_TERM_QUIET, env_vars::CARGO_TERM_VERBOSE] {
            command.env_remove(name);
        }
        let folder = if self.in_source_folder { self.request.folder().to_owned() } else { self.package.to_owned() };
        let config = match self.foreign_windows() {
            Some(triple) => self.cache.pyo3_config_for_windows(triple),
            None => self.cache.pyo3_config(),
        };
        command
            .current_dir(folder)
            .env(env_vars::PATH, self.toolchain.path())
            .env(env_vars::CARGO_TARGET_DIR, self.slot.home())
            .env(env_vars::CARGO_BUILD_BUILD_DIR, self.slot.home())
            .env(env_vars::PYO3_CONFIG_FILE, config)
            // maturin sets it as well. If the run for cargo's messages differed, cargo would compile again.
            .env(env_vars::PYO3_BUILD_EXTENSION_MODULE, "1")
            .env(env_vars::CARGO_TERM_COLOR, "never")
            .env(env_vars::CARGO_TERM_PROGRESS_WHEN, "always")
            .env(env_vars::CARGO_TERM_PROGRESS_WIDTH, "80");
        prefer_compatible_versions(command);
        if self.has_cpython {
            let python = self.request.interpreter.base_executable();
            // Without the variable, rust-cpython searches PATH.
            if python.is_file() {
                command.env(env_vars::PYTHON_SYS_EXECUTABLE, python);
            }
        }
        if cfg!(target_os = "macos") && env_vars::get(env_vars::MACOSX_DEPLOYMENT_TARGET).is_none() {
            let oldest = if cfg!(target_arch = "aarch64") { "11.0" } else { "10.12" };
            command.env(env_vars::MACOSX_DEPLOYMENT_TARGET, oldest);
        }
    }
}

/// Unless the user decided otherwise, cargo chooses versions that the toolchain can compile.
pub fn prefer_compatible_versions(command: &mut Command) {
    if env_vars::get(env_vars::CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS).is_none() {
        command.env(env_vars::CARGO_RESOLVER_INCOMPATIBLE_RUST_VERSIONS, "fallback");
    }
}
