//! Runs a build tool, online or offline, and reports its progress. It does not choose the command or interpret the
//! result.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use crate::base::env_vars;
use crate::base::error::{BuildFailure, Error, Result};
use crate::base::event::{Event, Observer};
use crate::base::fs;
use crate::base::process::{self, Finished, Priority};
use crate::base::text;
use crate::build::maturin;
use crate::env::request::{Request, SourceKind};
use crate::output::cargo::{self, is_about_network};

/// How a build uses the network: first online without retries, then offline, and if a dependency is missing on this
/// machine, online with cargo's usual retries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Network {
    Impatient,
    Off,
    Patient,
}

impl Network {
    fn set(self, command: &mut Command) {
        match self {
            Self::Impatient => command.env(env_vars::CARGO_NET_RETRY, "0"),
            Self::Off => command.env(env_vars::CARGO_NET_OFFLINE, "true"),
            Self::Patient => command,
        };
    }
}

/// Runs the tool that builds one source.
pub struct Runner<'a> {
    pub request: &'a Request,
    /// The tool's name.
    pub tool: &'static str,
    /// Cargo's name for the package. Users know it by the name of its module.
    pub package: &'a str,
    pub priority: Priority,
    /// The folder that cargo builds in.
    pub target: &'a Path,
    /// The lock file, if its versions are suggestions of ours.
    pub suggested_lock: Option<PathBuf>,
}

/// A run that failed for good.
pub struct Failed {
    /// The words of the command.
    pub words: Vec<String>,
    pub finished: Finished,
    /// The package that cargo did not find on this machine when it was not allowed to use the network.
    pub missing: Option<String>,
}

impl Runner<'_> {
    /// Runs the tool until a build succeeds or fails for good. `reason` is for the event that reports the start.
    ///
    /// # Errors
    /// The tool cannot be started, or the user interrupts it. A build that fails is a result.
    pub fn build(
        &self,
        command: &Command,
        reason: &str,
        observer: &mut dyn Observer,
    ) -> Result<std::result::Result<Finished, Failed>> {
        let start = Instant::now();
        let mut missing = None;
        let mut network = Network::Impatient;
        // Only the first run reports a start.
        let mut reason = Some(reason);
        let mut suggested_lock = self.suggested_lock.as_deref();
        loop {
            let mut command = process::copy(command);
            network.set(&mut command);
            let finished = self.run(&command, reason.take(), observer)?;
            if finished.status.success() {
                if network == Network::Off {
                    let message = "the registry cannot be reached: built with what is on this machine".into();
                    observer.event(Event::Notice { message });
                }
                return Ok(Ok(finished));
            }
            let output = text(&finished.stderr);
            // For example, the registry is replaced by a folder that has other versions.
            if let Some(lock) = suggested_lock.take_if(|_| cargo::is_about_lock(&output)) {
                observer.event(Event::Log { message: "cargo resolves the versions again".into() });
                fs::remove(lock);
                continue;
            }
            network = match network {
                Network::Impatient if is_about_network(&output) => Network::Off,
                Network::Off if !cargo::has_compiled(&output) && output.contains("offline") => {
                    missing = cargo::missing_package(&output);
                    Network::Patient
                }
                _ => {
                    observer.event(Event::Failed { seconds: start.elapsed().as_secs_f64() });
                    return Ok(Err(Failed { words: process::words(&command), finished, missing }));
                }
            };
        }
    }

    /// Runs the tool once. Reports `reason`, if given, as the reason for the start.
    fn run(&self, command: &Command, reason: Option<&str>, observer: &mut dyn Observer) -> Result<Finished> {
        let words = process::words(command);
        let running = process::spawn_bound(command, self.priority)
            .map_err(|error| Error::toolchain(format!("cannot start {}: {error}", words[0]), maturin::INSTALL))?;
        // Reported after the start, so that the message is printed while maturin already runs.
        if let Some(reason) = reason {
            observer.event(Event::Started { reason: reason.into() });
        }
        observer.event(Event::Log { message: format!("runs {}", words.join(" ")) });
        let mut logged = 0;
        let mut has_waited = false;
        running.finish(observer, |line, observer| {
            let line = &text::without_ansi(line);
            if let Some(progress) = cargo::progress(&self.renamed(line)) {
                if matches!(progress, Event::Waiting { .. }) && std::mem::replace(&mut has_waited, true) {
                    return;
                }
                observer.event(progress);
            } else if !line.trim().is_empty() && logged < 2000 {
                logged += 1;
                observer.event(Event::Log { message: format!("{}: {}", self.tool, line.trim_end()) });
            }
        })
    }

    /// The error for a build that succeeded and left no library.
    pub fn left_nothing(&self, command: &Command, finished: &Finished) -> Error {
        let rendered = text(&finished.stderr);
        let program = command.get_program().display();
        let hint = if rendered.trim().is_empty() {
            format!("it printed nothing: check that {program} is {}, with `{program} --version`", self.tool)
        } else {
            format!("check the output of {program} above, and import again with RUSTIMPORT_FORCE_REBUILD=1")
        };
        Error::Build(Box::new(BuildFailure {
            message: format!("{} built {} without an error, but left no library", self.tool, self.name()),
            hint,
            rendered,
            diagnostics: Vec::new(),
            command: process::words(command),
            returncode: finished.status.code(),
        }))
    }

    /// Replaces the name of a script's generated package by the script's name.
    pub fn renamed(&self, output: &str) -> String {
        match self.request.kind {
            SourceKind::Script => output.replace(self.package, self.request.stem()),
            _ => output.to_owned(),
        }
    }

    pub fn name(&self) -> String {
        self.request.root.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// Runs a command to the end, without reporting its progress.
pub fn repeat(command: &Command, priority: Priority, observer: &mut dyn Observer) -> Result<Finished> {
    let program = command.get_program().to_string_lossy().into_owned();
    let running = process::spawn_bound(command, priority)
        .map_err(|error| Error::toolchain(format!("cannot start {program}: {error}"), "try again"))?;
    running.finish(observer, |_, _| {})
}

/// Runs `cargo clean` for packages. A failure is not an error: the check after the build detects packages that cargo
/// did not compile.
pub fn clean(mut command: Command, packages: &BTreeSet<String>, observer: &mut dyn Observer) -> Result<()> {
    command.args(packages.iter().flat_map(|package| ["-p", package]));
    observer.event(Event::Log { message: format!("runs {}", process::words(&command).join(" ")) });
    let finished = repeat(&command, Priority::Normal, observer)?;
    if !finished.status.success() {
        observer.event(Event::Log { message: format!("cargo clean: {}", text(&finished.stderr).trim()) });
    }
    Ok(())
}

/// Bytes as text, without colours, which the user's settings may have enabled.
pub fn text(bytes: &[u8]) -> String {
    text::without_ansi(&String::from_utf8_lossy(bytes))
}
